//! Background scans at scale, on a real control plane: what the first full set of reports takes, what a
//! second scan does where nothing changed, the same for twice the Pods, and beside Kyverno's reports
//! controller at a size that it finishes. `make bench-scan` runs it.
//!
//! Nothing runs the Pods; they are there. [`cluster`] makes them and reads the reports, [`engine`] is
//! what scans, [`figures`] what it comes to. [`Sizes`] are read from the environment.

use std::env;
use std::time::Duration;

use anyhow::Context;
use pharos_testkit::bench::Section;
use pharos_testkit::parts::{self, Part};

use cluster::Cluster;
use engine::{Engine, Scan};
use figures::Figures;

mod cluster;
mod engine;
mod figures;

/// How many Pods there are, and how long is waited for.
struct Sizes {
    /// `PHAROS_BENCH_PODS`: of the first scan, and of the second; then twice as many.
    pods: usize,
    /// `PHAROS_BENCH_PODS_BESIDE`: where Kyverno scans, too.
    beside: usize,
    /// `PHAROS_BENCH_DEADLINE`, in seconds: what Kyverno has not done by then is told as not done.
    deadline: Duration,
}

/// A scan of Pharos that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1800);

fn main() -> anyhow::Result<()> {
    let sizes = Sizes::of_environment()?;
    let mut section = Section::new(
        "scan",
        "Background scans",
        "Pods of two containers, a hundred in a namespace (then two hundred), one in ten in violation, under 14 \
         ValidatingPolicies of Kyverno's library for the Pod Security Standards and two ClusterPolicies \
         in CEL, on an API server and an etcd on the same machine. One replica, which does nothing \
         else, from its start to the report that completes the set; then all reports are read and \
         their results counted. CPU time is that of the engine's process, and of the kernel for it; \
         writes are those of reports of any kind, as the API server counts them. How far a second scan \
         is, Pharos says every ten seconds. Kyverno waits 30 s before it scans what it finds, and tells \
         no telemetry.",
    );
    let figures = tokio::runtime::Runtime::new()?.block_on(measure(&sizes))?;
    figures.publish(&mut section);
    Ok(section.publish()?)
}

async fn measure(sizes: &Sizes) -> anyhow::Result<Figures> {
    // Not while anything is measured.
    parts::ensure(&[Part::KyvernoReports]).await?;
    let dir = tempfile::tempdir()?;
    let mut cluster = Cluster::for_pharos(sizes.beside).await?;
    cluster.populate(sizes.beside).await?;
    let ours = first_scan(&cluster).await?;
    drop(cluster);
    let mut cluster = Cluster::for_kyverno(sizes.beside).await?;
    cluster.populate(sizes.beside).await?;
    let theirs = Engine::kyverno(&cluster, dir.path()).await?;
    let theirs = theirs.first_scan(&cluster, sizes.deadline).await?;
    drop(cluster);
    let mut cluster = Cluster::for_pharos(sizes.pods).await?;
    cluster.populate(sizes.pods).await?;
    let bytes = cluster.bytes_of_a_pod().await?;
    let once = first_scan(&cluster).await?;
    let again = Engine::pharos(&cluster).await?;
    let (again, rewritten) = again.second_scan(&cluster, PATIENCE).await?;
    cluster.delete_reports().await?;
    cluster.populate(sizes.pods * 2).await?;
    let double = first_scan(&cluster).await?;
    Ok(Figures { once, again, rewritten, double, ours, theirs, bytes })
}

/// Pharos's, to its end.
async fn first_scan(cluster: &Cluster) -> anyhow::Result<Scan> {
    let scan = Engine::pharos(cluster).await?.first_scan(cluster, PATIENCE).await?;
    scan.ensure_whole()?;
    Ok(scan)
}

// === impl Sizes ===

impl Sizes {
    fn of_environment() -> anyhow::Result<Self> {
        let pods = number("PHAROS_BENCH_PODS", 20_000)?;
        let beside = number("PHAROS_BENCH_PODS_BESIDE", pods.min(500))?;
        let seconds = number("PHAROS_BENCH_DEADLINE", 300)?;
        Ok(Self { pods, beside, deadline: Duration::from_secs(seconds.try_into()?) })
    }
}

fn number(name: &str, default: usize) -> anyhow::Result<usize> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is no number: {text:?}")),
        Err(_) => Ok(default),
    }
}
