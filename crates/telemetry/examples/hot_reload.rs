//! Metrics move from a Prometheus endpoint to an OTLP receiver and back while a program counts.
//!
//! Run it, with any OTLP/gRPC receiver on port 4317 or none at all:
//!
//! ```text
//! cargo run -p pharos-telemetry --example hot_reload
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use opentelemetry::KeyValue;
use pharos_telemetry::config::Endpoint;
use pharos_telemetry::{
    Catalogue, Config, Declaration, Identity, InstrumentKind, OtlpSink, Pipeline, Reloader, Scrape,
};

const DEADLINE: Duration = Duration::from_secs(2);

static ORDERS: Declaration = Declaration {
    scope: "shop",
    name: "orders",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "Orders taken.",
    attributes: &["kind"],
    boundaries: &[],
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Who writes. The environment is read where you say so, and nowhere else.
    let identity =
        Identity::from_environment(env!("CARGO_PKG_VERSION"), &|name| std::env::var(name).ok());

    // Instruments are declared once and outlive every reload.
    let mut catalogue = Catalogue::new();
    let orders = catalogue.counter(&ORDERS);

    // Starts exporting nowhere. The pipeline can be cloned; the reloader is the only one.
    let (pipeline, mut reloader) = Pipeline::start(identity, catalogue)?;

    let order = |kind: &'static str| orders.add(1, &[KeyValue::new("kind", kind)]);
    order("before anybody looked");

    reload(&mut reloader, Config::prometheus()).await?;
    order("while scraped");
    show("scraped", &pipeline);

    // Every property of a sink can change; this is the one that a shop changes most.
    let gateway = OtlpSink {
        period: Duration::from_secs(1),
        ..OtlpSink::new(Endpoint::grpc("http://localhost:4317")?)
    };
    reload(&mut reloader, Config::off().with_sink("gateway", gateway)).await?;
    order("while pushed");
    show("pushed", &pipeline);

    reload(&mut reloader, Config::prometheus()).await?;
    show("scraped again, with everything", &pipeline);

    println!("{:?}", reloader.shutdown(DEADLINE).await);
    Ok(())
}

/// The whole road. An error leaves what runs as it is.
async fn reload(reloader: &mut Reloader, wanted: Config) -> Result<(), Box<dyn Error>> {
    let prepared = reloader.prepare(wanted).await?;
    println!("\n{:?}", prepared.plan());
    let drained = prepared.commit().drain(DEADLINE).await;
    println!("{drained:?}");
    Ok(())
}

fn show(when: &str, pipeline: &Pipeline) {
    match pipeline.scrape() {
        Scrape::Text(page) => println!("{when}:\n{page}"),
        Scrape::Off => println!("{when}: nothing to scrape"),
    }
}
