//! `kill -9` of any replica at any point of its work, while everything changes: reports come to say what
//! the command line says, and nothing is written again after that.
#![expect(clippy::print_stdout, reason = "what was measured is printed")]

use std::time::Duration;

use anyhow::ensure;
use pharos_e2e::changes::{Changes, OBJECTS};
use pharos_e2e::scans::{Comparison, scanner, status};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_e2e::writes::Writes;
use pharos_testkit::fault_proxy::Injection;
use pharos_testkit::{Fault, FaultProxy, Matching, Pharos, eventually};
use reqwest::Method;

const SEED: u64 = 11;
const REPLICAS: usize = 3;
/// How many changes there are before each kill.
const CHANGES: usize = 8;
/// The share of one that is lost is taken over after 15 s.
pub(super) const LAPSE: Duration = Duration::from_secs(120);
/// A share may have nothing to do at a point that was drawn: then it dies where it is.
const UNREACHED: Duration = Duration::from_secs(15);
/// Where replicas die, one after the other.
const POINTS: [Point; 7] = [
    Point {
        what: "before it deletes a report",
        method: Method::DELETE,
        path: REPORTS,
        fault: Fault::Hold,
    },
    Point {
        what: "before it creates a report",
        method: Method::POST,
        path: REPORTS,
        fault: Fault::Hold,
    },
    Point {
        what: "after it deleted a report",
        method: Method::DELETE,
        path: REPORTS,
        fault: Fault::Swallow,
    },
    Point {
        what: "after it created a report",
        method: Method::POST,
        path: REPORTS,
        fault: Fault::Swallow,
    },
    Point {
        what: "before it replaces a report",
        method: Method::PUT,
        path: REPORTS,
        fault: Fault::Hold,
    },
    Point {
        what: "after it replaced a report",
        method: Method::PUT,
        path: REPORTS,
        fault: Fault::Swallow,
    },
    Point {
        what: "while it reads objects",
        method: Method::GET,
        path: "/pods",
        fault: Fault::Hold,
    },
];
const REPORTS: &str = "policyreports";

/// Where a replica dies: at a request.
struct Point {
    what: &'static str,
    method: Method,
    path: &'static str,
    fault: Fault,
}

/// Replicas, each with what stands between it and the API server.
struct Fleet<'a> {
    stage: &'a Stage,
    running: Vec<(Pharos, FaultProxy)>,
    started: usize,
}

// === impl Fleet ===

impl Fleet<'_> {
    async fn start(&mut self) -> anyhow::Result<()> {
        self.started += 1;
        let name = format!("scan-{}", self.started);
        let proxy = FaultProxy::start(&self.stage.cluster, &name).await?;
        let pharos = scanner(&proxy, &name).start().await?;
        self.running.push((pharos, proxy));
        Ok(())
    }

    fn doom(&self, victim: usize, point: &Point, nth: usize) -> Injection {
        let matching = Matching::path(point.path).method(point.method.clone()).no_watches();
        self.running[victim].1.inject(matching.nth(nth), point.fault.clone())
    }

    fn kill(&mut self, victim: usize) {
        let (pharos, _) = self.running.remove(victim);
        pharos.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_replica_is_killed_wherever_it_is_reports_come_to_be_right() -> anyhow::Result<()>
{
    let stage = Stage::set().await?;
    let _controllers = stage.cluster.start_controller_manager().await?;
    let mut changes = Changes::prepare(&stage, SEED).await?;
    let mut fleet = Fleet { stage: &stage, running: Vec::new(), started: 0 };
    for _ in 0..REPLICAS {
        fleet.start().await?;
    }
    let mut comparison = Comparison::of(&stage, &OBJECTS).await?;
    comparison.converges("before anybody dies").await?;

    let mut reached = 0;
    for (round, point) in POINTS.iter().enumerate() {
        let (victim, nth) = (changes.below(REPLICAS), 1 + changes.below(2));
        let doom = fleet.doom(victim, point, nth);
        changes.make(CHANGES).await?;
        match round % 2 {
            0 => changes.of_no_config_maps().await?,
            _ => changes.of_config_maps().await?,
        }
        changes.of_all_pods(&format!("round {round}")).await?;
        let is_reached = doom.befell(1, UNREACHED).await.is_ok();
        reached += usize::from(is_reached);
        fleet.kill(victim);
        drop(doom);
        let what = if is_reached { point.what } else { "somewhere" };
        println!("{victim} of {REPLICAS} was killed {what} (the {nth}. time)");
        fleet.start().await?;
    }
    ensure!(reached > POINTS.len() / 2, "only {reached} points were reached");
    let results = comparison.converges_within("after all were killed", LAPSE).await?;
    println!("{results} results");

    for (pharos, _proxy) in fleet.running.drain(..) {
        ensure!(pharos.terminate(PATIENCE).await?.success());
    }
    nothing_is_written(&stage, &mut comparison).await
}

/// Scans again and again.
async fn nothing_is_written(stage: &Stage, comparison: &mut Comparison) -> anyhow::Result<()> {
    let before = Writes::so_far(stage).await?;
    let scanner = scanner(&stage.cluster, "again").arguments(&["--background-scan-interval=2s"]);
    let pharos = scanner.start().await?;
    let reports = comparison.versions().await?.len();
    let judged = eventually("everything to be judged again and again", LAPSE, async || {
        let status = status(stage).map_err(|error| format!("{error:#}"))?;
        let count = |field: &str| status["again"][field].as_u64().unwrap_or_default();
        // One that has just started does not know of all objects yet.
        let knows_all = count("objects") >= reports as u64 && count("unlisted") == 0;
        let judged = count("judged");
        if knows_all && judged > 3 * count("objects") {
            Ok(judged)
        } else {
            Err(status.to_string())
        }
    })
    .await?;
    comparison.converges("after it was judged again").await?;
    let written = Writes::so_far(stage).await?.since(&before);
    let reports = written.only(|kind| kind.resource.ends_with("policyreports"));
    ensure!(reports.total() == 0.0, "{judged} were judged again, and {reports} were written");
    println!("{judged} objects were judged again, and no report was written");
    ensure!(pharos.terminate(PATIENCE).await?.success());
    Ok(())
}
