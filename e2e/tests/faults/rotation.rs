//! Client certificates are rotated through their Secret, as cert-manager does it, while a Collector
//! demands them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use pharos_e2e::gateway::{CLIENT, Gateway, rotate};
use pharos_e2e::planted::Planted;
use pharos_e2e::stage::{ENGINE, PATIENCE, REVIEWS, Stage, telemetryconfig};
use pharos_e2e::traffic::Traffic;
use pharos_testkit::collector::Kind;
use pharos_testkit::pki::{Authority, Leaf, Pair};
use pharos_testkit::{Pharos, eventually};
use serde_json::{Value, json};

const ROTATIONS: usize = 10;
const DAY: Duration = Duration::from_hours(24);

/// The rotated Secret, and all that it ever held.
struct Client {
    secrets: Api<Secret>,
    held: Vec<Pair>,
}

// === impl Client ===

impl Client {
    async fn new(stage: &Stage) -> anyhow::Result<Self> {
        Ok(Self { secrets: Api::namespaced(stage.client().await?, ENGINE), held: Vec::new() })
    }

    /// Puts another certificate in its place, which ends after that time.
    async fn rotate(&mut self, issuer: &Authority, ends: Duration) -> anyhow::Result<Pair> {
        let leaf = Leaf::client(&format!("pharos-{}", self.held.len())).valid_for(ends);
        let certificate = issuer.issue(&leaf)?;
        rotate(&self.secrets, &certificate).await?;
        self.held.push(certificate.clone());
        Ok(certificate)
    }

    /// The next certificate, each of which ends later than the one before it.
    async fn renew(&mut self, issuer: &Authority) -> anyhow::Result<Pair> {
        let later = DAY * u32::try_from(self.held.len())?;
        self.rotate(issuer, DAY * 300 + later).await
    }

    /// That what arrived at `gateway` came with one certificate after the other, never back.
    fn never_back(&self, gateway: &Gateway) -> anyhow::Result<usize> {
        let ders = self.held.iter().map(Pair::der).collect::<anyhow::Result<Vec<_>>>()?;
        let exports = gateway.exports();
        let mut newest = 0;
        for export in &exports {
            let shown = ders.iter().position(|der| **der == *export.certificate);
            let shown =
                shown.context("an export with a certificate that was never in the Secret")?;
            ensure!(shown >= newest, "an export with certificate {shown} came after {newest}");
            newest = shown;
        }
        ensure!(newest + 1 == ders.len(), "the last export came with {newest} of {}", ders.len());
        Ok(exports.len())
    }

    /// No private key.
    fn planted(&self) -> Planted {
        let keys: Vec<_> = self.held.iter().map(|pair| &pair.key_pem).collect();
        Planted::new(&keys)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_rotations_never_go_back_and_lose_nothing() -> anyhow::Result<()> {
    let stage = Arc::new(Stage::set().await?);
    let pharos = stage.pharos().await?;
    let (first, second) = (Authority::new("first")?, Authority::new("second")?);
    // One for each signal, so that the order of its exports can be told.
    let metrics = Gateway::start(&stage, "metrics", &[&first]).await?;
    let traces = Gateway::start(&stage, "traces", &[&first]).await?;
    let mut client = Client::new(&stage).await?;
    client.renew(&first).await?;
    stage.configure(&both(&metrics, &traces)).await?;
    let before = stage.reviews_answered().await?;

    let traffic = Traffic::of(1, &stage, "rotations");
    for _ in 0..ROTATIONS {
        let next = client.renew(&first).await?;
        metrics.first_export(&next).await?;
        traces.first_export(&next).await?;
    }
    // The receiver stops taking the old one before there is a new one.
    metrics.proxy.trust(&[&second])?;
    traces.proxy.trust(&[&second])?;
    stage.condition("ExportHealthy", "False", "TLSHandshakeFailed").await?;
    stage.condition("Ready", "True", "Ready").await?;
    let next = client.renew(&second).await?;
    metrics.first_export(&next).await?;
    traces.first_export(&next).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    let created = traffic.stop().await?;

    let answered = stage.reviews_answered().await?;
    nothing_is_lost(&stage, answered, answered - before).await?;
    let exports = client.never_back(&metrics)? + client.never_back(&traces)?;
    println!("{} rotations, {created:?}, {exports} exports, {answered} reviews", client.held.len());
    client.planted().is_nowhere(&stage, &[&pharos]).await
}

fn both(metrics: &Gateway, traces: &Gateway) -> String {
    let (to_metrics, to_traces) = (metrics.exporter(), traces.exporter());
    telemetryconfig(&format!(
        "exporters: [{to_metrics}, {to_traces}]\n  \
         metrics: {{exporters: [metrics], exportPeriodSeconds: 1}}\n  \
         traces: {{exporters: [traces], sampler: {{type: AlwaysOn}}, \
         batch: {{maxQueueSize: 65536, scheduleDelayMilliseconds: 100}}}}"
    ))
}

/// The totals are the API server's, and each of so many reviews has its span.
async fn nothing_is_lost(stage: &Stage, answered: f64, traced: f64) -> anyhow::Result<()> {
    eventually("the last total and every span", PATIENCE, async || {
        let exports = stage.collector.exports().map_err(|error| error.to_string())?;
        let total = exports.iter().rev().find_map(|export| export.total(REVIEWS));
        let spans = stage.collector.spans().map_err(|error| error.to_string())?;
        let calls = spans.iter().filter(|span| span.kind == Kind::Server);
        let calls = calls.filter(|span| span.name.starts_with("POST /validate/"));
        // An answer that was cut off costs a second copy, and no span.
        let calls = calls.map(|span| &span.span_id).collect::<std::collections::BTreeSet<_>>();
        if total == Some(answered) && calls.len() as f64 == traced {
            Ok(())
        } else {
            Err(format!("{total:?} of {answered} reviews, {} of {traced} spans", calls.len()))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_of_a_rotation_tells_nothing_of_the_content() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    let issuer = Authority::new("issuer")?;
    let gateway = Gateway::start(&stage, "gateway", &[&issuer]).await?;
    let mut client = Client::new(&stage).await?;
    let certificate = client.renew(&issuer).await?;
    // Nothing is due while the test runs, but for what a reload sends at once.
    let spec = format!(
        "exporters: [{}]\n  metrics: {{exporters: [gateway], exportPeriodSeconds: 3600}}",
        gateway.exporter()
    );
    stage.configure(&telemetryconfig(&spec)).await?;
    gateway.first_export(&certificate).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;

    equal_content_is_not_exported_again(&stage, &client, &gateway, &pharos).await?;

    let expires = stage.telemetryconfig().await?["status"]["nextCertificateExpiryTime"].clone();
    let certificate = client.renew(&issuer).await?;
    gateway.first_export(&certificate).await?;
    let event = event(&stage, "CertificateRotated").await?;
    ensure!(event["message"].as_str().is_some_and(|it| it.contains(CLIENT)), "{event}");
    eventually("the expiry to follow", PATIENCE, async || {
        let status = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let now = &status["status"]["nextCertificateExpiryTime"];
        let later = now.as_str() > expires.as_str();
        if later { Ok(()) } else { Err(format!("{now}, before it was {expires}")) }
    })
    .await?;

    // An hour of it is over, and little is left.
    client.rotate(&issuer, Duration::from_mins(10)).await?;
    let message = stage.condition("ResolvedRefs", "True", "CertificateExpiringSoon").await?;
    ensure!(message.contains(CLIENT), "{message}");
    stage.condition("Ready", "True", "Ready").await?;
    self::event(&stage, "CertificateExpiringSoon").await?;
    client.never_back(&gateway)?;
    client.planted().is_nowhere(&stage, &[&pharos]).await
}

/// What is written anew and says the same gets another hash, and reloads nothing.
async fn equal_content_is_not_exported_again(
    stage: &Stage,
    client: &Client,
    gateway: &Gateway,
    pharos: &Pharos,
) -> anyhow::Result<()> {
    let reloads = committed_reloads(pharos).await?;
    let (connections, exports) = (gateway.proxy.connections(), gateway.exports().len());
    let mut hashes = vec![another_hash(stage, &[]).await?];

    let labelled = json!({"metadata": {"labels": {"some": "label"}}});
    client.secrets.patch(CLIENT, &PatchParams::default(), &Patch::Merge(&labelled)).await?;
    hashes.push(another_hash(stage, &hashes).await?);

    // Another Secret with the same content, under the same name.
    let secret = client.secrets.get(CLIENT).await?;
    let mut copy =
        Secret { data: secret.data.clone(), type_: secret.type_.clone(), ..Secret::default() };
    copy.metadata.name = Some(CLIENT.to_owned());
    client.secrets.delete(CLIENT, &kube::api::DeleteParams::default()).await?;
    let copy = client.secrets.create(&PostParams::default(), &copy).await?;
    ensure!(copy.uid() != secret.uid(), "it is the same Secret");
    hashes.push(another_hash(stage, &hashes).await?);
    stage.condition("Ready", "True", "Ready").await?;

    ensure!(committed_reloads(pharos).await? == reloads, "equal content was put in force again");
    ensure!(gateway.proxy.connections() == connections, "equal content made another connection");
    ensure!(gateway.exports().len() == exports, "equal content was a reason to export");
    Ok(())
}

/// The published hash, once it is none of these and the Secret is there.
async fn another_hash(stage: &Stage, before: &[String]) -> anyhow::Result<String> {
    eventually("another hash", PATIENCE, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let hash = object["status"]["replicas"][0]["configHash"].as_str().ok_or("no hash")?;
        let known = before.iter().any(|it| it == hash);
        if known { Err(format!("{hash}, as before")) } else { Ok(hash.to_owned()) }
    })
    .await
}

async fn committed_reloads(pharos: &Pharos) -> anyhow::Result<u64> {
    let (_, debug) = pharos.admin("/debug/telemetry").await?;
    let debug: Value = serde_json::from_str(&debug)?;
    debug["reloads"]["committed"].as_u64().context("reloads are counted")
}

/// Waits for an Event of this reason about the TelemetryConfig.
async fn event(stage: &Stage, reason: &str) -> anyhow::Result<Value> {
    eventually(&format!("the Event {reason}"), PATIENCE, async || {
        let list = ["get", "events", "-n", ENGINE, "-o", "json"];
        let list = stage.cluster.kubectl(&list).await.map_err(|error| error.to_string())?;
        let list: Value = serde_json::from_str(&list).map_err(|error| error.to_string())?;
        let events = list["items"].as_array().cloned().unwrap_or_default();
        let reasons: Vec<_> = events.iter().map(|event| event["reason"].clone()).collect();
        let found = events.into_iter().find(|event| {
            event["reason"] == reason && event["involvedObject"]["kind"] == "TelemetryConfig"
        });
        found.ok_or_else(|| format!("only {reasons:?}"))
    })
    .await
}
