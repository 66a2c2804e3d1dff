//! What happens while a watch is away, or only seems to be there, counts once it is seen again, and
//! only what is there then.

use std::time::{Duration, Instant};

use anyhow::ensure;
use pharos_e2e::editions::{arrives, edition, reports, set_token};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::fault_proxy::Injection;
use pharos_testkit::{Collector, Fault, FaultProxy, Matching, Pharos, eventually};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// What the Collector asks for.
const TOKEN: &str = "planted-and-right";
/// Others that it does not take.
const WRONG: [&str; 2] = ["planted-and-wrong", "planted-and-wrong-again"];
/// A half-open watch is noticed within 70 s; a busy machine may take three times as long.
const SILENCE: Duration = Duration::from_secs(210);
const TELEMETRYCONFIGS: &str = "/telemetryconfigs";

/// A pharos behind a proxy, and a Collector that demands [`TOKEN`].
struct Setup {
    stage: Stage,
    proxy: FaultProxy,
    collector: Collector,
    pharos: Pharos,
    _dir: tempfile::TempDir,
}

impl Setup {
    async fn start() -> anyhow::Result<Self> {
        let stage = Stage::set().await?;
        let dir = tempfile::tempdir()?;
        let collector = Collector::builder(dir.path()).bearer_token(TOKEN).start().await?;
        let proxy = FaultProxy::start(&stage.cluster, "proxied").await?;
        let pharos = Pharos::builder(&proxy).start().await?;
        set_token(&stage, "token", WRONG[0]).await?;
        let setup = Self { stage, proxy, collector, pharos, _dir: dir };
        setup.stage.configure(&setup.edition("first")).await?;
        Ok(setup)
    }

    fn edition(&self, name: &str) -> String {
        edition(&self.collector.endpoint(), name)
    }

    /// Neither watches nor lists of what is under this path until the injection ends.
    fn outage(&self, path: &str) -> Injection {
        let outage = self.proxy.inject(Matching::path(path).method(Method::GET), Fault::Close);
        self.proxy.cut(&Matching::path(path).watches());
        outage
    }

    /// Waits until this edition is in force and reported.
    async fn settles(&self, name: &str) -> anyhow::Result<()> {
        self.stage.condition("Ready", "True", "Ready").await?;
        arrives(&self.collector, name, PATIENCE).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_watch_misses_is_seen_when_it_is_back() -> anyhow::Result<()> {
    let mut setup = Setup::start().await?;
    secrets_change_meanwhile(&setup).await?;
    the_definition_changes_meanwhile(&setup).await?;
    a_watch_expires(&setup).await?;
    another_object_takes_the_name(&setup).await?;
    ensure!(setup.pharos.exited().is_none(), "pharos ended");
    Ok(())
}

/// Rotated twice: the last counts. Deleted and recreated: the new one counts.
async fn secrets_change_meanwhile(setup: &Setup) -> anyhow::Result<()> {
    let stage = &setup.stage;
    stage.condition("ExportHealthy", "False", "Unauthenticated").await?;
    let outage = setup.outage("/secrets");
    set_token(stage, "token", WRONG[1]).await?;
    set_token(stage, "token", TOKEN).await?;
    outage.befell(1, PATIENCE).await?;
    outage.end();
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    setup.settles("first").await?;

    let outage = setup.outage("/secrets");
    stage.cluster.kubectl(&["delete", "secret", "token", "-n", ENGINE]).await?;
    set_token(stage, "token", WRONG[0]).await?;
    outage.befell(1, PATIENCE).await?;
    outage.end();
    stage.condition("ExportHealthy", "False", "Unauthenticated").await?;
    stage.condition("Ready", "True", "Ready").await?;
    set_token(stage, "token", TOKEN).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    Ok(())
}

/// The API server ends all watches of a kind whose definition changes.
async fn the_definition_changes_meanwhile(setup: &Setup) -> anyhow::Result<()> {
    let cluster = &setup.stage.cluster;
    let outage = setup.outage(TELEMETRYCONFIGS);
    let column = r#"[{"op": "add", "path": "/spec/versions/0/additionalPrinterColumns/-",
        "value": {"name": "New", "type": "string", "jsonPath": ".metadata.uid"}},
        {"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/new",
        "value": {"type": "string"}}]"#;
    let crd = "telemetryconfigs.telemetry.pharos.dev";
    cluster.kubectl(&["patch", "crd", crd, "--type=json", "-p", column]).await?;
    cluster.apply(&setup.edition("second")).await?;
    outage.befell(1, PATIENCE).await?;
    outage.end();
    setup.settles("second").await
}

/// As an answer, and as an event of a watch.
async fn a_watch_expires(setup: &Setup) -> anyhow::Result<()> {
    for (fault, name) in [(Fault::Answer(StatusCode::GONE), "third"), (Fault::Expire, "fourth")] {
        let watches = Matching::path(TELEMETRYCONFIGS).watches();
        let gone = setup.proxy.inject(watches.clone().nth(1), fault);
        let outage = setup.outage(TELEMETRYCONFIGS);
        setup.stage.cluster.apply(&setup.edition(name)).await?;
        outage.end();
        gone.befell(1, PATIENCE).await?;
        setup.settles(name).await?;
    }
    Ok(())
}

/// Same name, generation and spec, another uid: what a replica reported of the old does not count.
async fn another_object_takes_the_name(setup: &Setup) -> anyhow::Result<()> {
    let Setup { stage, proxy, .. } = setup;
    let outage = setup.outage(TELEMETRYCONFIGS);
    let old = stage.telemetryconfig().await?;
    stage.cluster.kubectl(&["delete", "telcfg", "default", "-n", ENGINE]).await?;
    stage.cluster.apply(&setup.edition("fourth")).await?;
    let new = stage.telemetryconfig().await?["metadata"]["uid"].clone();
    let new = new.as_str().unwrap_or_default();
    let hold = proxy.inject(Matching::path("/leases/").body(new), Fault::Hold);
    outage.end();
    hold.befell(1, PATIENCE).await?;
    let object = eventually("the leader to judge the new object", PATIENCE, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let judged = object["status"]["conditions"].is_array();
        if judged { Ok(object) } else { Err(object["status"].to_string()) }
    })
    .await?;
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let programmed = conditions.iter().find(|condition| condition["type"] == "Programmed");
    ensure!(programmed.is_some_and(|it| it["status"] == "Unknown"), "{conditions:?}");
    hold.end();
    setup.settles("fourth").await?;
    let object = stage.telemetryconfig().await?;
    let hash = |object: &Value| object["status"]["replicas"][0]["configHash"].to_string();
    ensure!(object["status"]["programmedReplicas"] == "1/1", "{object}");
    ensure!(hash(&object) != hash(&old), "the hash does not tell the objects apart");
    ensure!(reports(proxy)?.last().is_some_and(|it| it["config"]["uid"] == new), "no new report");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_only_seems_open_is_noticed() -> anyhow::Result<()> {
    let setup = Setup::start().await?;
    set_token(&setup.stage, "token", TOKEN).await?;
    setup.settles("first").await?;
    let silenced = setup.proxy.silence(&Matching::any().watches());
    ensure!(silenced >= 4, "TelemetryConfigs, Leases, the Secret, policies: not {silenced}");
    set_token(&setup.stage, "token", WRONG[0]).await?;
    setup.stage.cluster.apply(&setup.edition("second")).await?;
    let changed = Instant::now();
    eventually("the wrong token to be noticed", SILENCE, async || {
        let object = setup.stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let health = conditions.iter().find(|condition| condition["type"] == "ExportHealthy");
        let judged = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if judged && health.is_some_and(|health| health["reason"] == "Unauthenticated") {
            Ok(())
        } else {
            Err(object["status"].to_string())
        }
    })
    .await?;
    let noticed = changed.elapsed();
    set_token(&setup.stage, "token", TOKEN).await?;
    setup.settles("second").await?;
    println!("{silenced} half-open watches; a Secret and a spec were noticed after {noticed:?}");
    Ok(())
}
