//! What `kubectl get telcfg` shows is part of the API.

use anyhow::{Context, ensure};
use pharos_e2e::manifests::telemetryconfig_otlp;
use pharos_e2e::stage::{ENGINE, Stage};

/// The cells of a row: kubectl sets columns apart by at least two spaces, or one tab stop.
fn cells(line: &str) -> Vec<&str> {
    line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_get_shows_what_a_person_needs() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _pharos = stage.pharos().await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    for (arguments, columns, row) in [
        (
            &["get", "telcfg", "-n", ENGINE][..],
            &["NAME", "READY", "REASON", "PROGRAMMED", "EXPORT", "AGE"][..],
            &["default", "True", "Ready", "1/1", "Healthy"][..],
        ),
        (
            &["get", "telcfg", "-n", ENGINE, "-o", "wide"],
            &[
                "NAME",
                "READY",
                "REASON",
                "PROGRAMMED",
                "EXPORT",
                "AGE",
                "ACCEPTED",
                "REFS",
                "COMPONENTS",
                "CERTEXPIRY",
                "EXPORTERS",
            ],
            &["default", "True", "Ready", "1/1", "Healthy"],
        ),
    ] {
        let output = stage.cluster.kubectl(arguments).await?;
        let (header, first) = output.split_once('\n').context("a header and a row")?;
        ensure!(cells(header) == columns, "{output}");
        ensure!(cells(first).starts_with(row), "{output}");
    }
    let wide = stage.cluster.kubectl(&["get", "telcfg", "-n", ENGINE, "-o", "wide"]).await?;
    let row = wide.lines().nth(1).context("a row")?;
    ensure!(
        row.contains("Accepted   ResolvedRefs") && row.trim_end().ends_with("collector"),
        "{wide}"
    );
    Ok(())
}
