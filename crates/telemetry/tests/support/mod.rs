//! OTLP receivers in this process, and what tests say about a pipeline.
//!
//! [`Receiver`] takes all three signals by both protocols on one port, in plaintext or TLS, and
//! answers as [`Answer`] says; [`Proxy`] is a proxy. What TLS needs is in `certificates.rs`, for
//! those binaries that need it.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of this")]
#![allow(clippy::disallowed_methods, reason = "programs of tests record without a catalogue")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use pharos_telemetry::config::{
    AttributeKeys, Endpoint, Glob, Protocol, ScrapeTransport, Selector, View,
};
use pharos_telemetry::{
    Catalogue, Config, Identity, MetricSink, Pipeline, Reloader, Retired, Signal, SinkId,
};

mod answer;
pub(crate) mod assembled;
mod export;
mod forwarder;
pub(crate) mod producers;
pub(crate) mod program;
mod proxy;
mod receiver;
pub(crate) mod records;
mod server;
mod services;

pub(crate) use answer::{Answer, HttpAnswer};
pub(crate) use export::{Export, LogExport, Point, SpanExport, Taken, assert_no_series_goes_back};
pub(crate) use forwarder::Forwarder;
pub(crate) use proxy::Proxy;
pub(crate) use receiver::Receiver;
pub(crate) use server::Versions;

/// Only ever reached by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A pipeline of a writer that no environment has a say in.
pub(crate) fn start() -> (Pipeline, Reloader) {
    start_with(Catalogue::new())
}

/// The same with declared instruments.
pub(crate) fn start_with(catalogue: Catalogue) -> (Pipeline, Reloader) {
    Pipeline::start(Identity::from_environment("1.0.0", &|_| None), catalogue).unwrap()
}

/// The sink of metrics with this name.
pub(crate) fn metrics(name: &str) -> SinkId {
    SinkId::new(Signal::Metrics, name)
}

/// The one sink of most tests.
pub(crate) fn gateway() -> SinkId {
    metrics("gateway")
}

/// The sink that is scraped.
pub(crate) fn scraping() -> MetricSink {
    MetricSink::Prometheus(ScrapeTransport::Plaintext)
}

/// A view of these metrics that changes nothing yet.
pub(crate) fn view(pattern: &str, change: impl FnOnce(&mut View)) -> View {
    let mut view = View {
        name: format!("of {pattern}"),
        selector: Selector { name: Some(Glob::parse(pattern).unwrap()), kind: None },
        attributes: AttributeKeys::Unchanged,
        cardinality_limit: None,
        aggregation: None,
    };
    change(&mut view);
    view
}

/// Names as a set.
pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Reloads up to the commit.
pub(crate) async fn commit(reloader: &mut Reloader, config: Config) -> Retired {
    reloader.prepare(config).await.unwrap().commit()
}

/// Where a receiver in plaintext would be.
pub(crate) fn endpoint(protocol: Protocol, address: SocketAddr) -> Endpoint {
    receiver::endpoint(protocol, &format!("http://{address}"))
}

/// The sum over all series of a metric on a page of Prometheus text.
pub(crate) fn scraped(page: &str, metric: &str) -> f64 {
    pharos_testkit::prometheus::sum(&pharos_testkit::prometheus::parse(page).unwrap(), metric, &[])
}
