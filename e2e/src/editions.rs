//! TelemetryConfigs that differ in one resource attribute, so that what the Collector receives tells
//! which one is in force.
//!
//! Each takes a header from the Secret [`set_token`] writes, so that rotation is seen there, too.

use std::time::Duration;

use pharos_testkit::{Collector, FaultProxy, Pharos, eventually};
use serde_json::{Value, json};

use crate::stage::{ENGINE, Stage, telemetryconfig};

const ATTRIBUTE: &str = "edition";
const REPORT: &str = "telemetry.pharos.dev/report";

/// The TelemetryConfig `default` that sends metrics as this edition to `endpoint` every second.
#[must_use]
pub fn edition(endpoint: &str, name: &str) -> String {
    telemetryconfig(&format!(
        "resource: {{attributes: [{{name: {ATTRIBUTE}, value: {name}}}]}}\n  \
         exporters: [{{name: gateway, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}', \
         headers: [{{name: authorization, valueFrom: {{secretKeyRef: {{name: token, key: value}}}}}}]}}}}]\n  \
         metrics: {{exporters: [gateway], exportPeriodSeconds: 1}}"
    ))
}

/// Writes this token into the Secret `name`; an edition refers to the Secret `token`.
pub async fn set_token(stage: &Stage, name: &str, token: &str) -> anyhow::Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": ENGINE},
        "stringData": {"value": format!("Bearer {token}")},
    });
    stage.cluster.apply(&secret.to_string()).await?;
    Ok(())
}

/// The editions that arrived, in the order in which one followed the other.
pub fn editions(collector: &Collector) -> anyhow::Result<Vec<String>> {
    let exports = collector.exports()?;
    let all = exports.iter().flat_map(|export| &export.points);
    let mut editions: Vec<_> =
        all.filter_map(|point| point.series.resource.get(ATTRIBUTE).cloned()).collect();
    editions.dedup();
    Ok(editions)
}

/// Waits until the newest that arrived is of this edition.
pub async fn arrives(collector: &Collector, name: &str, within: Duration) -> anyhow::Result<()> {
    eventually(&format!("edition {name} at the Collector"), within, async || {
        let editions = editions(collector).map_err(|error| error.to_string())?;
        let newest = editions.last();
        if newest.is_some_and(|newest| newest == name) {
            Ok(())
        } else {
            Err(format!("{editions:?}"))
        }
    })
    .await
}

/// The reports that went through this proxy in heartbeat Leases, in their order.
pub fn reports(proxy: &FaultProxy) -> anyhow::Result<Vec<Value>> {
    let requests = proxy.requests();
    let leases = requests.iter().filter(|it| it.resource == "leases" && it.is_write());
    let bodies = leases.filter_map(|request| serde_json::from_slice::<Value>(&request.body).ok());
    let reports: Result<Vec<_>, _> = bodies
        .filter_map(|lease| {
            lease["metadata"]["annotations"][REPORT].as_str().map(serde_json::from_str)
        })
        .collect();
    Ok(reports?)
}

/// How many reloads this process has put in force.
pub async fn committed_reloads(pharos: &Pharos) -> anyhow::Result<u64> {
    let (_, debug) = pharos.admin("/debug/telemetry").await?;
    let debug: Value = serde_json::from_str(&debug)?;
    debug["reloads"]["committed"]
        .as_u64()
        .ok_or_else(|| anyhow::anyhow!("reloads are not counted: {debug}"))
}
