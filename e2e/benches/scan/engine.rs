//! What scans, and what it takes until there is a report of every Pod.

use std::io::{Write as _, stderr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use pharos_e2e::writes::Writes;
use pharos_testkit::bench::{cpu_time_of, peak_memory_of};
use pharos_testkit::{KyvernoReports, Pharos};
use serde_json::{Map, Value};
use tokio::time::{MissedTickBehavior, interval};

use crate::cluster::Cluster;

/// How often reports are counted.
const LOOK: Duration = Duration::from_millis(500);
const TOLD_EVERY: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(30);

/// An engine that scans from now on, ended on drop.
pub(crate) struct Engine {
    running: Running,
    started: Instant,
    before: Writes,
}

enum Running {
    Pharos(Pharos),
    Kyverno(KyvernoReports),
}

/// What a scan took.
pub(crate) struct Scan {
    pub(crate) engine: &'static str,
    pub(crate) pods: usize,
    /// Reports that have a result of each policy.
    pub(crate) whole: usize,
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
    /// The most memory that was resident, in bytes.
    pub(crate) memory: u64,
    /// Requests that wrote reports.
    pub(crate) writes: Writes,
}

/// What Pharos says of a scan, as it says it to people.
struct Told {
    is_complete: bool,
    /// Objects.
    judged: u64,
    /// Reports.
    written: u64,
}

// === impl Engine ===

impl Engine {
    /// Starts a Pharos that scans and does nothing else.
    pub(crate) async fn pharos(cluster: &Cluster) -> anyhow::Result<Self> {
        let before = cluster.writes().await?;
        let builder = Pharos::builder(&cluster.stage.cluster);
        let started = Instant::now();
        let pharos = builder.arguments(&["--components=background-scan"]).spawn()?;
        Ok(Self { running: Running::Pharos(pharos), started, before })
    }

    /// Starts Kyverno's reports controller, with its files in `dir`.
    pub(crate) async fn kyverno(cluster: &Cluster, dir: &Path) -> anyhow::Result<Self> {
        let before = cluster.writes().await?;
        let started = Instant::now();
        let kyverno = KyvernoReports::spawn(&cluster.stage.cluster, dir).await?;
        Ok(Self { running: Running::Kyverno(kyverno), started, before })
    }

    /// Until every Pod has a whole report, or the deadline; ends the engine.
    pub(crate) async fn first_scan(
        mut self,
        cluster: &Cluster,
        deadline: Duration,
    ) -> anyhow::Result<Scan> {
        let mut turns = interval(LOOK);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Instant::now();
        loop {
            turns.tick().await;
            self.ensure_lives()?;
            let reports = cluster.reports().await?;
            let late = self.started.elapsed() >= deadline;
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                let (name, pods) = (self.name(), cluster.pods);
                writeln!(stderr(), "{name}: {reports} reports of {pods} Pods")?;
            }
            if reports < cluster.pods && !late {
                continue;
            }
            let mut scan = self.so_far(cluster).await?;
            scan.whole = cluster.whole_reports().await?;
            if scan.whole >= cluster.pods || late {
                return self.ended_with(scan).await;
            }
        }
    }

    /// Until Pharos says that it has judged every Pod and that nothing is left; ends it. Says how many
    /// reports it wrote as it counts them.
    pub(crate) async fn second_scan(
        mut self,
        cluster: &Cluster,
        deadline: Duration,
    ) -> anyhow::Result<(Scan, u64)> {
        let mut turns = interval(LOOK);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            self.ensure_lives()?;
            let told = Told::of(cluster)?;
            if told.is_complete && told.judged >= cluster.pods.try_into()? {
                let mut scan = self.so_far(cluster).await?;
                scan.whole = cluster.whole_reports().await?;
                return Ok((self.ended_with(scan).await?, told.written));
            }
            ensure!(self.started.elapsed() < deadline, "the second scan does not end");
        }
    }

    async fn so_far(&self, cluster: &Cluster) -> anyhow::Result<Scan> {
        let elapsed = self.started.elapsed();
        let cpu = cpu_time_of(self.pid())?;
        let memory = peak_memory_of(self.pid())?;
        let writes = cluster.writes().await?.since(&self.before);
        let (engine, pods) = (self.name(), cluster.pods);
        Ok(Scan { engine, pods, whole: 0, elapsed, cpu, memory, writes })
    }

    async fn ended_with(self, scan: Scan) -> anyhow::Result<Scan> {
        let Scan { engine, pods, whole, elapsed, cpu, memory, writes } = &scan;
        let memory = *memory as f64 / 1e6;
        writeln!(
            stderr(),
            "{engine}: {whole} whole reports of {pods} Pods after {elapsed:.1?}, {cpu:.2?} of CPU \
             time, {memory:.0} MB; wrote {writes}"
        )?;
        match self.running {
            // Its Lease goes, so that the next one need not wait for it to lapse.
            Running::Pharos(pharos) => drop(pharos.terminate(END).await?),
            Running::Kyverno(kyverno) => drop(kyverno),
        }
        Ok(scan)
    }

    fn name(&self) -> &'static str {
        match self.running {
            Running::Pharos(_) => "Pharos",
            Running::Kyverno(_) => "Kyverno",
        }
    }

    fn pid(&self) -> u32 {
        match &self.running {
            Running::Pharos(pharos) => pharos.pid(),
            Running::Kyverno(kyverno) => kyverno.pid(),
        }
    }

    fn ensure_lives(&mut self) -> anyhow::Result<()> {
        let (exited, last_words) = match &mut self.running {
            Running::Pharos(pharos) => (pharos.exited(), pharos.process().last_words()),
            Running::Kyverno(kyverno) => (kyverno.exited(), kyverno.last_words()),
        };
        match exited {
            Some(status) => bail!("{} ended: {status}. {last_words}", self.name()),
            None => Ok(()),
        }
    }
}

// === impl Told ===

impl Told {
    fn of(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut command = Command::new(Pharos::binary()?);
        command.args(["scan", "status", "-o", "json", "--kubeconfig"]);
        let output = command.arg(cluster.stage.cluster.kubeconfig()).output()?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        let replicas: Map<String, Value> =
            serde_json::from_slice(&output.stdout).with_context(said)?;
        let sum = |count: &str| replicas.values().filter_map(|it| it[count].as_u64()).sum();
        let (judged, written) = (sum("judged"), sum("written"));
        Ok(Self { is_complete: output.status.success(), judged, written })
    }
}

// === impl Scan ===

impl Scan {
    /// Figures of a scan that did not do all would be figures of something else.
    pub(crate) fn ensure_whole(&self) -> anyhow::Result<()> {
        let Self { engine, whole, pods, elapsed, .. } = self;
        ensure!(whole >= pods, "{engine}: {whole} whole reports of {pods} Pods after {elapsed:?}");
        Ok(())
    }
}
