//! From the update of a Secret at the API server to the first export with the new certificate, on a
//! real control plane, with a real Collector behind mutual TLS. `make bench-rotation` runs it.

use std::time::Duration;

use anyhow::Context;
use kube::Api;
use pharos_e2e::gateway::{Gateway, rotate};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_testkit::bench::Section;
use pharos_testkit::eventually;
use pharos_testkit::pki::{Authority, Pair};

const ROTATIONS: usize = 200;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _pharos = stage.pharos().await?;
    let issuer = Authority::new("issuer")?;
    let gateway = Gateway::start(&stage, "gateway", &[&issuer]).await?;
    let secrets = Api::namespaced(stage.client().await?, ENGINE);
    rotate(&secrets, &issuer.client("pharos")?).await?;
    // The default period of a minute: what arrives at once is due to the rotation.
    let spec = format!("exporters: [{}]\n  metrics: {{exporters: [gateway]}}", gateway.exporter());
    stage.configure(&telemetryconfig(&spec)).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    let certificates: Vec<Pair> =
        (0..ROTATIONS).map(|_| issuer.client("pharos")).collect::<Result<_, _>>()?;

    let mut times = Vec::with_capacity(ROTATIONS);
    for certificate in &certificates {
        let sent = rotate(&secrets, certificate).await?;
        let first = gateway.first_export(certificate).await?;
        times.push(first.at.duration_since(sent));
    }
    // The last one is in force, and nobody went back to any before it.
    let last = certificates.last().context("there were rotations")?.der()?;
    eventually("the last certificate to stay", PATIENCE, async || {
        let newest = gateway.exports().pop().ok_or("no export")?;
        if *newest.certificate == *last { Ok(()) } else { Err("an older one".to_owned()) }
    })
    .await?;
    publish(times)?;
    Ok(())
}

fn publish(mut times: Vec<Duration>) -> std::io::Result<()> {
    times.sort_unstable();
    let milliseconds = |percent: usize| {
        let at = times[(times.len() * percent).div_ceil(100) - 1];
        format!("{:.1} ms", at.as_secs_f64() * 1000.0)
    };
    let mut section = Section::new(
        "rotation",
        "From a rotated Secret to the first export",
        "Wall time from the request that updates the Secret of a client certificate, as it is sent \
         to a kube-apiserver, to the end of the first export of metrics with the new certificate, \
         as it comes in before a Collector that demands one; 200 rotations, one after the other, \
         everything on one machine.",
    );
    section.figure("p50", milliseconds(50), "250 ms");
    section.figure("p99", milliseconds(99), "1 s");
    section.figure("slowest", milliseconds(100), "");
    section.publish()
}
