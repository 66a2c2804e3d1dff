//! What a Collector gets of a background scan, by a TelemetryConfig of its own.

use std::sync::Arc;

use anyhow::ensure;
use pharos_e2e::manifests::TELEMETRYCONFIG_PROMETHEUS;
use pharos_e2e::scans::scanner;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::collector::{Export, Point};
use pharos_testkit::{Span, Value, eventually, prometheus};

/// ConfigMaps in the namespace of the policy; every fifth violates it.
const OBJECTS: usize = 10;
const RESULTS: &str = "kyverno_validating_policy_results";

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_told_where_the_telemetryconfig_of_its_component_says() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    ensure!(stage.create("seen", OBJECTS).await? == OBJECTS, "nobody admits yet");
    // The API server has one of its own, where the policy does not look.
    let all = stage.cluster.kubectl(&["get", "configmaps", "-A", "-o", "name"]).await?;
    let all = all.lines().count();
    stage.cluster.apply(TELEMETRYCONFIG_PROMETHEUS).await?;
    stage.cluster.apply(&of_scans(&stage.collector.endpoint())).await?;
    let admission = stage.pharos().await?;
    let scan = scanner(&stage.cluster, "scanner").start().await?;

    eventually("the results of the scan at the Collector", PATIENCE, async || {
        let told = |metric: &str, labels: &[(&str, &str)]| {
            last(&stage, metric, labels).map_err(|error| error.to_string())
        };
        let cause = ("execution_cause", "background_scan");
        let results = [
            told(RESULTS, &[cause, ("result", "pass")])?,
            told(RESULTS, &[cause, ("result", "fail")])?,
            told("kyverno_breaker_total", &[("circuit_name", "background scan reports")])?,
            told("pharos_scan_objects", &[])?,
            told("pharos_scan_objects_left", &[])?,
        ];
        let expected = [8.0, 2.0, 10.0, all as f64, 0.0].map(Some);
        if results == expected { Ok(()) } else { Err(format!("{results:?}")) }
    })
    .await?;
    let spans = eventually("the spans of the scan", PATIENCE, async || {
        let spans = stage.collector.spans().map_err(|error| error.to_string())?;
        let reports = spans.iter().filter(|span| span.name == "REPORT PolicyReport").count();
        let is_swept = spans.iter().any(|span| span.name == "SWEEP /v1, Kind=ConfigMap");
        let whole = is_swept && reports == OBJECTS;
        if whole { Ok(spans) } else { Err(format!("{reports} reports in {spans:?}")) }
    })
    .await?;
    let judged = are_parts_of_each_other(&spans)?;
    ensure!(judged == all, "{judged} objects in the pages of sweeps");
    let samples = admission.metrics().await?;
    let scanned = [("execution_cause", "background_scan")];
    let of_scan = prometheus::sum(&samples, &format!("{RESULTS}_total"), &scanned);
    ensure!(of_scan == 0.0, "the other process does not scan");

    // Without a TelemetryConfig of its own it is told where all are, and nothing begins anew.
    stage.cluster.kubectl(&["delete", "telcfg", "scans", "-n", ENGINE]).await?;
    eventually("the scan's metrics where those of all are", PATIENCE, async || {
        let samples = scan.metrics().await.map_err(|error| error.to_string())?;
        let results = prometheus::sum(&samples, &format!("{RESULTS}_total"), &scanned);
        let objects = prometheus::sum(&samples, "pharos_scan_objects", &[]);
        let expected = (OBJECTS as f64, all as f64);
        if (results, objects) == expected { Ok(()) } else { Err(format!("{results}, {objects}")) }
    })
    .await?;

    // In the other API, when it is told so; what is in this one is left alone.
    ensure!(scan.terminate(PATIENCE).await?.success());
    let open = scanner(&stage.cluster, "open").arguments(&["--reports=OpenReports"]);
    let _open = open.start().await?;
    eventually("reports of openreports.io", PATIENCE, async || {
        let told = counted(&stage, "reports.openreports.io").await;
        match told.map_err(|error| format!("{error:#}"))? {
            (8, 2) => Ok(()),
            other => Err(format!("{other:?} pass and fail")),
        }
    })
    .await?;
    ensure!(counted(&stage, "policyreports.wgpolicyk8s.io").await? == (8, 2));
    Ok(())
}

/// How much passes and fails by the summaries of these reports.
async fn counted(stage: &Stage, reports: &str) -> anyhow::Result<(u64, u64)> {
    let list = stage.cluster.kubectl(&["get", reports, "-A", "-o", "json"]).await?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let summaries = list["items"].as_array().into_iter().flatten().map(|it| &it["summary"]);
    let count =
        |summary: &serde_json::Value, outcome: &str| summary[outcome].as_u64().unwrap_or_default();
    Ok(summaries.fold((0, 0), |(pass, fail), summary| {
        (pass + count(summary, "pass"), fail + count(summary, "fail"))
    }))
}

fn of_scans(endpoint: &str) -> String {
    format!(
        "
apiVersion: telemetry.pharos.dev/v1alpha1
kind: TelemetryConfig
metadata: {{name: scans, namespace: {ENGINE}}}
spec:
  components: [BackgroundScan]
  exporters:
  - {{name: collector, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}'}}}}
  metrics: {{exporters: [collector], exportPeriodSeconds: 1}}
  traces:
    exporters: [collector]
    sampler: {{type: ParentBasedAlwaysOn}}
    batch: {{scheduleDelayMilliseconds: 100}}
"
    )
}

/// The newest value of a metric, added up over its series with these attributes.
fn last(stage: &Stage, metric: &str, labels: &[(&str, &str)]) -> anyhow::Result<Option<f64>> {
    let exports = stage.collector.exports()?;
    let of_metric = |export: &Export| {
        let has_all = |point: &Point| {
            let has = |(key, value): &(&str, &str)| {
                point.series.attributes.get(*key).is_some_and(|it| it == value)
            };
            point.series.metric == metric && labels.iter().all(has)
        };
        let points = export.points.iter().filter(|point| has_all(point));
        let values: Vec<f64> = points
            .filter_map(|point| match point.value {
                Value::Int(value) => Some(value as f64),
                Value::Double(value) => Some(value),
                Value::Histogram { .. } => None,
            })
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    };
    Ok(exports.iter().rev().find_map(|export| of_metric(export)))
}

/// How many objects were judged in the pages of sweeps.
fn are_parts_of_each_other(spans: &[Arc<Span>]) -> anyhow::Result<usize> {
    let called = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    let parts = |of: &Span| {
        let parts = spans.iter().filter(|span| span.parent.as_ref() == Some(&of.span_id));
        parts.cloned().collect::<Vec<_>>()
    };
    let mut judged = 0;
    for sweep in called("SWEEP /v1, Kind=ConfigMap") {
        ensure!(sweep.parent.is_none(), "{sweep:?}");
        for page in parts(sweep) {
            ensure!(page.name == "SCAN /v1, Kind=ConfigMap", "{page:?}");
            ensure!(
                parts(&page).iter().any(|call| call.name == "KUBE configmaps/list"),
                "{spans:?}"
            );
            judged += page.attributes["pharos.scan.objects"].parse::<usize>()?;
        }
    }
    for report in called("REPORT PolicyReport") {
        ensure!(report.parent.is_none(), "{report:?}");
        ensure!(report.attributes["pharos.report.outcome"] == "written", "{report:?}");
        ensure!(
            parts(report)
                .iter()
                .any(|call| call.name == "KUBE policyreports.wgpolicyk8s.io/create"),
            "{spans:?}"
        );
    }
    Ok(judged)
}
