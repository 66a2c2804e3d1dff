//! `kill -9` at every step of a reload: the next process ends where the object asks for.

use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_e2e::editions::{arrives, edition, editions, reports, set_token};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::fault_proxy::Injection;
use pharos_testkit::{Fault, FaultProxy, Matching, Pharos, eventually};
use reqwest::Method;
use serde_json::Value;

/// A Lease of a leader lapses after 15 s, one of a replica after 40 s.
const LAPSE: Duration = Duration::from_secs(120);
/// The Pod in which the container starts again and again.
const POD: &str = "pharos-0";

/// A stage, and what stands between it and the processes that die on it.
struct Setup {
    stage: Stage,
    proxy: FaultProxy,
}

// === impl Setup ===

impl Setup {
    async fn start() -> anyhow::Result<Self> {
        let stage = Stage::set().await?;
        set_token(&stage, "token", "any").await?;
        let proxy = FaultProxy::start(&stage.cluster, "proxied").await?;
        Ok(Self { stage, proxy })
    }

    async fn pharos(&self, pod: &str) -> anyhow::Result<Pharos> {
        let builder = Pharos::builder(&self.proxy).name(pod).environment("POD_NAME", pod);
        builder.start().await
    }

    /// Sends metrics as this edition to the Collector.
    async fn apply(&self, name: &str) -> anyhow::Result<()> {
        let yaml = edition(&self.stage.collector.endpoint(), name);
        self.stage.cluster.apply(&yaml).await.map(drop)
    }

    /// Waits until the report that the newest generation is being applied has reached the proxy.
    async fn reports_applying(&self) -> anyhow::Result<()> {
        let generation = &self.stage.telemetryconfig().await?["metadata"]["generation"];
        eventually("the report that it is being applied", PATIENCE, async || {
            let reports = reports(&self.proxy).map_err(|error| error.to_string())?;
            let applying = |config: &Value| {
                config["generation"] == *generation && config["state"]["state"] == "applying"
            };
            let any = reports.iter().any(|report| applying(&report["config"]));
            if any { Ok(()) } else { Err(format!("{:?}", reports.last())) }
        })
        .await
    }

    /// Holds this replica's reports that say so.
    fn hold_report(&self, says: &str) -> Injection {
        let reports = Matching::path("/leases/pharos-replica-").method(Method::PATCH);
        self.proxy.inject(reports.body(says), Fault::Hold)
    }

    fn hold_status(&self) -> Injection {
        let status = Matching::path("/telemetryconfigs/default/status").method(Method::PATCH);
        self.proxy.inject(status, Fault::Hold)
    }

    /// Waits until the last spec is in force, reported and published, by `pod` and nobody else.
    async fn converges(&self, pod: &str, edition: &str) -> anyhow::Result<()> {
        eventually(&format!("one entry, of {pod}, programmed"), LAPSE, async || {
            let object = self.stage.telemetryconfig().await.map_err(|error| error.to_string())?;
            let (status, generation) = (&object["status"], &object["metadata"]["generation"]);
            let entries = status["replicas"].as_array().cloned().unwrap_or_default();
            let ours = |entry: &Value| {
                entry["podName"] == pod
                    && entry["state"] == "Programmed"
                    && entry["observedGeneration"] == *generation
            };
            let settled = status["programmedReplicas"] == "1/1"
                && status["programmedGeneration"] == *generation
                && entries.len() == 1
                && entries.iter().all(ours);
            if settled { Ok(()) } else { Err(status.to_string()) }
        })
        .await?;
        self.stage.condition("Ready", "True", "Ready").await?;
        arrives(&self.stage.collector, edition, PATIENCE).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_process_killed_at_any_step_of_a_reload_converges() -> anyhow::Result<()>
{
    let setup = Setup::start().await?;
    let pharos = setup.pharos(POD).await?;
    setup.apply("first").await?;
    setup.converges(POD, "first").await?;

    let pharos = killed_before_it_prepared(&setup, pharos).await?;
    let pharos = killed_around_the_commit(&setup, pharos).await?;
    let pharos = killed_before_it_reported(&setup, pharos).await?;
    let pharos = killed_before_status(&setup, pharos).await?;
    let pharos = killed_while_status_was_on_its_way(&setup, pharos).await?;
    another_pod_follows(&setup, pharos).await?;

    // No process took up again what had been replaced.
    let seen = editions(&setup.stage.collector)?;
    let asked = ["first", "waiting", "committing", "unreported", "unwritten", "unanswered", "last"];
    ensure!(seen == asked, "the Collector received {seen:?}");
    Ok(())
}

/// It saw the object and waited for a Secret: nothing of it was in force.
async fn killed_before_it_prepared(setup: &Setup, pharos: Pharos) -> anyhow::Result<Pharos> {
    let hold = setup.proxy.inject(Matching::path("/secrets").method(Method::GET), Fault::Hold);
    let yaml = edition(&setup.stage.collector.endpoint(), "waiting");
    setup.stage.cluster.apply(&yaml.replace("{name: token,", "{name: other,")).await?;
    setup.reports_applying().await?;
    hold.befell(1, PATIENCE).await?;
    pharos.kill();
    let seen = editions(&setup.stage.collector)?;
    ensure!(!seen.iter().any(|edition| edition == "waiting"), "it was in force: {seen:?}");
    hold.end();
    set_token(&setup.stage, "other", "any").await?;
    let pharos = setup.pharos(POD).await?;
    setup.converges(POD, "waiting").await?;
    Ok(pharos)
}

/// Within milliseconds of the commit, before or after it.
async fn killed_around_the_commit(setup: &Setup, pharos: Pharos) -> anyhow::Result<Pharos> {
    setup.apply("committing").await?;
    setup.reports_applying().await?;
    pharos.kill();
    let pharos = setup.pharos(POD).await?;
    setup.converges(POD, "committing").await?;
    Ok(pharos)
}

/// It was in force, and only the Collector knew.
async fn killed_before_it_reported(setup: &Setup, pharos: Pharos) -> anyhow::Result<Pharos> {
    let hold = setup.hold_report("programmed");
    setup.apply("unreported").await?;
    arrives(&setup.stage.collector, "unreported", PATIENCE).await?;
    hold.befell(1, PATIENCE).await?;
    pharos.kill();
    hold.end();
    let object = setup.stage.telemetryconfig().await?;
    let programmed = &object["status"]["programmedGeneration"];
    ensure!(*programmed != object["metadata"]["generation"], "nobody reported {programmed}");
    let pharos = setup.pharos(POD).await?;
    setup.converges(POD, "unreported").await?;
    Ok(pharos)
}

/// It reported that it is applying or has applied it, and wrote nothing about it.
async fn killed_before_status(setup: &Setup, pharos: Pharos) -> anyhow::Result<Pharos> {
    let hold = setup.hold_status();
    let reported = reports(&setup.proxy)?.len();
    setup.apply("unwritten").await?;
    eventually("the report that it is programmed", PATIENCE, async || {
        let reports = reports(&setup.proxy).map_err(|error| error.to_string())?;
        let last = reports[reported..].last().context("no report").map_err(|it| it.to_string())?;
        let programmed = last["config"]["state"]["state"] == "programmed";
        if programmed { Ok(()) } else { Err(last.to_string()) }
    })
    .await?;
    pharos.kill();
    hold.end();
    let pharos = setup.pharos(POD).await?;
    setup.converges(POD, "unwritten").await?;
    Ok(pharos)
}

/// Its last write of status never left, or arrived without its knowing.
async fn killed_while_status_was_on_its_way(
    setup: &Setup,
    pharos: Pharos,
) -> anyhow::Result<Pharos> {
    let status = Matching::path("/telemetryconfigs/default/status").method(Method::PATCH);
    let swallow = setup.proxy.inject(status, Fault::Swallow);
    setup.apply("unanswered").await?;
    swallow.befell(1, PATIENCE).await?;
    pharos.kill();
    swallow.end();
    let pharos = setup.pharos(POD).await?;
    setup.converges(POD, "unanswered").await?;
    Ok(pharos)
}

/// A Pod that is gone for good, and with it its entry.
async fn another_pod_follows(setup: &Setup, pharos: Pharos) -> anyhow::Result<()> {
    let hold = setup.hold_report("programmed");
    setup.apply("last").await?;
    arrives(&setup.stage.collector, "last", PATIENCE).await?;
    pharos.kill();
    hold.end();
    let _pharos = setup.pharos("pharos-1").await?;
    setup.converges("pharos-1", "last").await
}
