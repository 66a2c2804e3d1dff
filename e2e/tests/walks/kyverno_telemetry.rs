//! What a Collector gets over OTLP, against what a real Kyverno sent to one: names, scopes,
//! attributes, and how spans are parts of each other.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use pharos_e2e::stage::{PATIENCE, SHOP, Stage, telemetryconfig};
use pharos_testkit::collector::{Kind, SpanStatus};
use pharos_testkit::{Span, eventually, golden};
use serde_json::Value;

/// The metrics that Pharos has of Kyverno's.
const METRICS: [&str; 10] = [
    "kyverno_admission_requests",
    "kyverno_admission_review_duration_seconds",
    "kyverno_client_queries",
    "kyverno_controller_reconcile",
    "kyverno_http_requests",
    "kyverno_http_requests_duration_seconds",
    "kyverno_info",
    "kyverno_policy_rule_info_total",
    "kyverno_validating_policy_execution_duration_seconds",
    "kyverno_validating_policy_results",
];

/// What Kyverno tells of a request and Pharos does not know.
const NOT_TOLD: [&str; 2] = ["admission.request.roles", "admission.request.clusterroles"];

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_what_it_got_of_kyverno() -> anyhow::Result<()> {
    let Some(kyverno) = golden::kyverno_otlp() else { return Ok(()) };
    let stage = Stage::set().await?;
    let endpoint = stage.collector.endpoint();
    let spec = format!(
        "exporters:\n  - {{name: collector, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}'}}}}\n  \
         metrics: {{exporters: [collector], exportPeriodSeconds: 1}}\n  \
         traces: {{exporters: [collector], sampler: {{type: ParentBasedAlwaysOn}}, \
         batch: {{scheduleDelayMilliseconds: 100}}}}"
    );
    let _pharos = stage.pharos().await?;
    stage.configure(&telemetryconfig(&spec)).await?;
    let refused = ["create", "configmap", "told", "-n", SHOP];
    ensure!(stage.cluster.kubectl(&refused).await.is_err(), "the policy wants a label");

    let spans = eventually("the spans of the review", PATIENCE, async || {
        let spans = stage.collector.spans().map_err(|error| error.to_string())?;
        let is_ours = |span: &Span| {
            let name = span.attributes.get("admission.request.name");
            name.is_some_and(|name| name == "told")
        };
        let review = spans.iter().find(|span| is_ours(span)).ok_or("no review yet")?.clone();
        let of_trace = spans.into_iter().filter(|span| span.trace_id == review.trace_id);
        let of_trace: Vec<Span> = of_trace.map(|span| (*span).clone()).collect();
        if of_trace.len() >= 3 { Ok(of_trace) } else { Err(format!("{of_trace:?}")) }
    })
    .await?;
    spans_are_those_of_kyverno(&spans, &kyverno["trace"])?;
    metrics_are_those_of_kyverno(&stage, &kyverno["metrics"]).await
}

fn spans_are_those_of_kyverno(spans: &[Span], kyverno: &Value) -> anyhow::Result<()> {
    let of = |kind, start: &str| {
        let found = spans.iter().find(|span| span.kind == kind && span.name.starts_with(start));
        found.with_context(|| format!("no {start} in {spans:?}"))
    };
    let call = of(Kind::Server, "POST /validate/")?;
    let review = of(Kind::Internal, "VALIDATE CREATE /v1, Kind=ConfigMap")?;
    let policy = of(Kind::Internal, "POLICY /require-team")?;
    ensure!(review.parent.as_ref() == Some(&call.span_id), "{review:?}");
    ensure!(policy.parent.as_ref() == Some(&review.span_id), "{policy:?}");
    let within = |inner: &Span, outer: &Span| {
        outer.start_time <= inner.start_time && inner.end_time <= outer.end_time
    };
    ensure!(within(review, call) && within(policy, review), "{spans:?}");
    ensure!(policy.attributes["pharos.policy.result"] == "fail", "{policy:?}");
    ensure!(policy.status == SpanStatus::Unset, "a violation is no error: {policy:?}");
    ensure!(review.attributes["admission.response.allowed"] == "false", "{review:?}");

    for (ours, theirs) in [(call, "POST"), (review, "VALIDATE CREATE /v1, Kind=Pod")] {
        let theirs = find(kyverno, theirs).context("it is in the file")?;
        let keys = theirs["attributes"].as_object().context("it has attributes")?.keys();
        for key in keys.filter(|key| !NOT_TOLD.contains(&key.as_str())) {
            ensure!(ours.attributes.contains_key(key), "no {key} in {ours:?}");
        }
    }
    Ok(())
}

/// The first span of a tree with that name.
fn find<'a>(spans: &'a Value, name: &str) -> Option<&'a Value> {
    spans.as_array()?.iter().find_map(|span| {
        if span["name"] == name { Some(span) } else { find(&span["children"], name) }
    })
}

async fn metrics_are_those_of_kyverno(stage: &Stage, kyverno: &Value) -> anyhow::Result<()> {
    let found = eventually("every metric at the Collector", PATIENCE, async || {
        let exports = stage.collector.exports().map_err(|error| error.to_string())?;
        let newest = exports
            .iter()
            .rev()
            .find(|export| METRICS.iter().all(|metric| export.metric(metric).next().is_some()));
        newest.cloned().ok_or_else(|| format!("{} exports", exports.len()))
    })
    .await?;
    for metric in METRICS {
        let theirs = &kyverno[metric];
        let keys = theirs["attributes"].as_object().context("it is in the file")?.keys();
        let keys: BTreeSet<_> = keys.cloned().collect();
        for point in found.metric(metric) {
            ensure!(theirs["scope"] == point.series.scope.as_str(), "{point:?}");
            let ours: BTreeSet<_> = point.series.attributes.keys().cloned().collect();
            ensure!(ours == keys, "{metric}: {ours:?}, Kyverno's are {keys:?}");
        }
    }
    Ok(())
}
