//! Three hundred replicas report to the real API server, one real pharos makes status of it.
//!
//! The simulated ones are the real heartbeat with reports of their own making: what is measured is
//! the leader and the API server, not three hundred pipelines on one machine.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use kube::runtime::watcher;
use kube::{Api, Client};
use pharos_api::telemetryconfig::{Component, Signal, TelemetryConfig, TelemetryConfigStatus};
use pharos_cluster::heartbeat::Heartbeat;
use pharos_cluster::view::{self, View};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_e2e::writes::Writes;
use pharos_operator::report::{
    ConfigReport, ExporterHealth, ExporterReport, ReferencesReport, Report, SpecReport, State,
};
use pharos_testkit::{Pharos, eventually, prometheus};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const FLEET: u32 = 300;
/// The last replica reports so long after the first.
const SPREAD: Duration = Duration::from_secs(10);
const WRITES_OF_ONE_APPLY: f64 = 10.0;
/// With `managedFields`; etcd takes 1.5 MiB.
const LARGEST_OBJECT: usize = 512 * 1024;
/// A replica that says no farewell is missed after 40 s; everything else takes less.
const LAPSE: Duration = Duration::from_secs(120);
/// How many of the fleet die without a farewell.
const DYING: usize = 50;

type Objects = watch::Receiver<View<TelemetryConfig>>;

/// The simulated replicas, and the one watch that they share.
struct Fleet {
    objects: Objects,
    /// Ended on drop.
    _tasks: JoinSet<()>,
    replicas: Vec<AbortHandle>,
    leaving: CancellationToken,
}

impl Fleet {
    async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(stage.client().await?);
        }
        let (mut tasks, leaving) = (JoinSet::new(), CancellationToken::new());
        let (view, objects) = watch::channel(View::default());
        let api = Api::namespaced(stage.client().await?, ENGINE);
        tasks.spawn(view::keep(api, watcher::Config::default(), "TelemetryConfigs", view));
        let replicas = (0..FLEET)
            .zip(clients.into_iter().cycle())
            .map(|(number, client)| {
                tasks.spawn(simulate(number, client, objects.clone(), leaving.clone()))
            })
            .collect();
        Ok(Self { objects, _tasks: tasks, replicas, leaving })
    }

    /// Waits for a status, and says how long that took.
    async fn status(
        &mut self,
        what: &str,
        wanted: impl Fn(&TelemetryConfigStatus, i64) -> bool,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let there = self.objects.wait_for(|view| {
            status(view).is_some_and(|(status, generation)| wanted(&status, generation))
        });
        let there = tokio::time::timeout(LAPSE, there).await.map(|there| there.is_ok());
        ensure!(there == Ok(true), "{what} is not there: {:?}", status(&self.objects.borrow()));
        Ok(began.elapsed())
    }

    /// Waits until every live replica runs the object as it is now.
    async fn programmed(&mut self, generation: i64, replicas: u32) -> anyhow::Result<Duration> {
        let programmed = format!("{replicas}/{replicas}");
        self.status(&programmed, |status, now| {
            now == generation
                && status.observed_generation == Some(generation)
                && status.programmed_generation == Some(generation)
                && status.programmed_replicas.as_deref() == Some(&programmed)
        })
        .await
    }
}

/// The status of the one object, and its generation.
fn status(view: &View<TelemetryConfig>) -> Option<(TelemetryConfigStatus, i64)> {
    let observed = view.objects.as_ref()?.values().next()?;
    let status = observed.object.as_ref().ok()?.status.clone()?;
    Some((status, observed.generation()))
}

/// A replica that sees an object at once and runs it later: the last of the fleet after [`SPREAD`].
async fn simulate(number: u32, client: Client, mut objects: Objects, leaving: CancellationToken) {
    let (reports, reported) = watch::channel(report(None, State::Applying).encode());
    let delay = SPREAD * number / FLEET;
    tokio::time::sleep(delay / 4).await;
    let heartbeat = Heartbeat::new(client, ENGINE, &format!("simulated-{number:03}"), None);
    let running = async {
        loop {
            let object = objects.borrow_and_update().objects.clone();
            let object = object.and_then(|it| it.values().next().cloned());
            let seen = object.map(|it| (it.uid().to_owned(), it.generation()));
            let applying = report(seen.clone(), State::Applying).encode();
            let programmed = report(seen, State::Programmed).encode();
            if *reports.borrow() != programmed {
                reports.send_replace(applying);
                tokio::time::sleep(delay).await;
                reports.send_replace(programmed);
            }
            if objects.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    };
    tokio::select! {
        () = heartbeat.run(reported, leaving) => {}
        () = running => {}
    }
}

fn report(object: Option<(String, i64)>, state: State) -> Report {
    let config = object.map(|(uid, generation)| ConfigReport {
        config_hash: format!("{generation:016x}"),
        uid,
        generation,
        state,
        // A replica says when it changed; an equal report has to be equal.
        since: Timestamp::UNIX_EPOCH,
        spec: SpecReport::accepted(String::new()),
        references: ReferencesReport::resolved(&Default::default()),
        restarts: String::new(),
        exporters: vec![ExporterReport {
            name: "prometheus".to_owned(),
            signal: Signal::Metrics,
            health: ExporterHealth::Scraped,
            since: Timestamp::UNIX_EPOCH,
        }],
    });
    Report { components: BTreeSet::from([Component::Admission]), config }
}

async fn apply(stage: &Stage, limit: u32) -> anyhow::Result<()> {
    let spec = format!(
        "exporters: [{{name: prometheus, type: Prometheus}}]\n  \
         metrics: {{exporters: [prometheus], cardinalityLimit: {limit}}}"
    );
    stage.cluster.apply(&telemetryconfig(&spec)).await.map(drop)
}

/// Seconds of CPU that the API server used so far.
async fn cpu(stage: &Stage) -> anyhow::Result<f64> {
    Ok(prometheus::sum(&stage.cluster.metrics().await?, "process_cpu_seconds_total", &[]))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_replicas_are_few_writes_and_a_bounded_status() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let start = Writes::so_far(&stage).await?;
    let _leader = Pharos::builder(&stage.cluster).environment("POD_NAME", "real").start().await?;
    let mut fleet = Fleet::start(&stage).await?;
    apply(&stage, 2000).await?;
    fleet.programmed(1, FLEET + 1).await?;

    let before = Writes::so_far(&stage).await?;
    apply(&stage, 3000).await?;
    let settled = fleet.programmed(2, FLEET + 1).await?;
    they_are_told_of_once(&stage).await?;
    let rest = at_rest(&stage, &mut fleet).await?;
    let written = Writes::so_far(&stage).await?.since(&before);
    let object = stage.telemetryconfig().await?;
    let size = object.to_string().len();
    println!(
        "{FLEET} replicas reporting over {SPREAD:?} settled after {settled:?}: {written}; \
         the object has {size} bytes; at rest the API server uses {rest:.3} CPU seconds per second"
    );
    let status = written.to("telemetryconfigs/status");
    ensure!((1.0..=WRITES_OF_ONE_APPLY).contains(&status), "status was written {status} times");
    ensure!(size <= LARGEST_OBJECT, "{size} bytes");
    let shown = object["status"]["replicas"].as_array().context("entries")?.len();
    ensure!(shown == 64, "{shown} entries");

    let before = Writes::so_far(&stage).await?;
    die_and_leave(&mut fleet).await?;
    let written = Writes::so_far(&stage).await?.since(&before);
    println!("{DYING} died, then the others left: {written}");
    let all = Writes::so_far(&stage).await?.since(&start);
    let failed = all.only(|kind| kind.code >= 500);
    ensure!(failed == Writes::default(), "{failed}");
    Ok(())
}

/// While every replica renews its Lease twice, nothing else is written; what that costs the API server
/// in CPU seconds per second.
async fn at_rest(stage: &Stage, fleet: &mut Fleet) -> anyhow::Result<f64> {
    let before = Writes::so_far(stage).await?;
    let (used, began) = (cpu(stage).await?, Instant::now());
    eventually("every replica to renew its Lease twice", PATIENCE, async || {
        let now = Writes::so_far(stage).await.map_err(|error| error.to_string())?;
        let renewals = now.since(&before).to("leases");
        if renewals >= f64::from(FLEET * 2) { Ok(()) } else { Err(renewals.to_string()) }
    })
    .await?;
    let used = cpu(stage).await? - used;
    let others = Writes::so_far(stage).await?.since(&before).only(|it| it.resource != "leases");
    ensure!(others == Writes::default(), "{others}");
    fleet.programmed(2, FLEET + 1).await?;
    Ok(used / began.elapsed().as_secs_f64())
}

/// One Event for what happened to all, and one revision for what all run. Both come after the status.
async fn they_are_told_of_once(stage: &Stage) -> anyhow::Result<()> {
    eventually("an Event and a revision of it", PATIENCE, async || {
        told(stage).await.map_err(|error| error.to_string())
    })
    .await
}

async fn told(stage: &Stage) -> anyhow::Result<()> {
    let events = list(stage, "events").await?;
    let about = |event: &&Value| event["involvedObject"]["kind"] == "TelemetryConfig";
    let reasons: Vec<_> = events.iter().filter(about).map(|it| it["reason"].as_str()).collect();
    ensure!(reasons.contains(&Some("Accepted")), "{reasons:?}");
    ensure!(reasons.contains(&Some("Programmed")), "{reasons:?}");
    ensure!(reasons.len() <= 6, "{reasons:?}");
    let revisions = list(stage, "controllerrevisions").await?;
    let numbers: Vec<_> = revisions.iter().map(|it| it["revision"].as_i64()).collect();
    ensure!(numbers == [Some(2)], "{numbers:?}");
    Ok(())
}

async fn list(stage: &Stage, kind: &str) -> anyhow::Result<Vec<Value>> {
    let list = stage.cluster.kubectl(&["get", kind, "-n", ENGINE, "-o", "json"]).await?;
    let list: Value = serde_json::from_str(&list)?;
    Ok(list["items"].as_array().context("a list")?.clone())
}

/// The entries of those that die go when their Leases lapse, those of the others with their Leases.
async fn die_and_leave(fleet: &mut Fleet) -> anyhow::Result<()> {
    for replica in fleet.replicas.drain(..DYING) {
        replica.abort();
    }
    let left = FLEET - u32::try_from(DYING)?;
    fleet.programmed(2, left + 1).await?;
    fleet.leaving.cancel();
    fleet.programmed(2, 1).await?;
    let object = fleet.objects.borrow().clone();
    let (status, _) = status(&object).context("a status")?;
    ensure!(status.replicas.len() == 1, "{:?}", status.replicas);
    Ok(())
}
