//! The queries of Kyverno's Grafana dashboard, in a stock Prometheus that scrapes Pharos: those that
//! are about admission have data, and the others are at least understood.

use anyhow::ensure;
use pharos_e2e::stage::{PATIENCE, SHOP, Stage, telemetryconfig};
use pharos_testkit::prometheus_server::Scrape;
use pharos_testkit::{PrometheusServer, eventually, golden};

/// A policy of each other kind than the stage's own, about the same objects.
const POLICIES: &str = "
apiVersion: policies.kyverno.io/v1
kind: NamespacedValidatingPolicy
metadata: {name: short-names, namespace: shop}
spec:
  failurePolicy: Ignore
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}
  validations:
  - {expression: size(object.metadata.name) < 60}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: wants-team}
spec:
  background: true
  rules:
  - name: team
    match:
      any:
      - resources: {kinds: [ConfigMap], namespaces: [shop]}
    validate:
      failureAction: Audit
      cel:
        expressions:
        - expression: has(object.metadata.labels) && 'team' in object.metadata.labels
          message: every ConfigMap needs the label team
";

/// Whether a query is about what Pharos does not do: other kinds of policies, and scans. One adds
/// all kinds of policies up, and has no data wherever one of them has none, as with Kyverno.
fn is_elsewhere(query: &str) -> bool {
    let others = ["kyverno_mutating_", "kyverno_generating_", "kyverno_image_validating_"];
    let is_of_others = others.iter().any(|it| query.contains(it));
    let is_united = query.contains("__name__=~");
    let parts = ["\"background_scan\"", "rule_type=\"generate\"", "rule_type=\"mutate\""];
    (is_of_others && !is_united) || parts.iter().any(|it| query.contains(it))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_kyvernos_dashboard_about_admission_has_data() -> anyhow::Result<()> {
    let Some(queries) = golden::kyverno_dashboard_queries() else { return Ok(()) };
    let stage = Stage::set().await?;
    stage.cluster.apply(POLICIES).await?;
    let pharos = stage.pharos().await?;
    let spec = "exporters:\n  - {name: prometheus, type: Prometheus}\n  metrics: {exporters: [prometheus]}";
    stage.configure(&telemetryconfig(spec)).await?;
    let dir = tempfile::tempdir()?;
    let scrapes = [Scrape::new("pharos", &pharos.metrics_url())];
    let prometheus = PrometheusServer::start(&dir.path().join("prometheus"), &scrapes).await?;

    let (elsewhere, ours): (Vec<_>, Vec<_>) = queries.iter().partition(|it| is_elsewhere(it));
    ensure!(ours.len() >= 30, "{} of {} queries are ours", ours.len(), queries.len());
    for query in ours {
        eventually(query, PATIENCE, async || {
            // A rate is none while nothing happens.
            request(&stage, "{name: asked, labels: {team: web}}").await?;
            request(&stage, "{name: asked}").await?;
            let found = prometheus.query(query).await.map_err(|error| format!("{error:#}"))?;
            let numbers: Vec<_> = found.iter().filter_map(|it| it.value.number()).collect();
            let is_told = !numbers.is_empty() && numbers.iter().all(|number| number.is_finite());
            if is_told { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await?;
    }
    for query in elsewhere {
        prometheus.query(query).await?;
    }
    prometheus.stop().await
}

/// Has the API server ask Pharos about a ConfigMap with this metadata, and store nothing.
async fn request(stage: &Stage, metadata: &str) -> Result<(), String> {
    let object = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {metadata}");
    let create = ["create", "-n", SHOP, "--dry-run=server", "-f", "-"];
    let output = stage.kubectl().output(&create, &object).await.map_err(|it| it.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_expected = output.status.success() || said.contains("require-team");
    if is_expected { Ok(()) } else { Err(said.into_owned()) }
}
