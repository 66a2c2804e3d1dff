//! The real parts, built from the Go modules in `e2e/tools`.
//!
//! Owns where they are kept: in the user's cache folder, under a hash of everything that decides
//! the binary, so that all clones on a machine share one build and a changed module file is never
//! answered by an old binary. Enter at [`ensure`]. Builds run one after the other (linking
//! kube-apiserver takes much memory) and under a lock that other clones see.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::process::Process;

mod progress;
mod recipe;

use progress::Progress;
use recipe::Recipe;

/// A build that takes longer has hung: on a slow machine the largest part takes minutes.
const BUILD: Duration = Duration::from_secs(3600);
const POLL: Duration = Duration::from_millis(250);
const GO_REMEDY: &str = "install Go 1.26 or newer from https://go.dev/dl and put it on the PATH";

/// A program that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// etcd.
    Etcd,
    /// kube-apiserver.
    KubeApiserver,
    /// kube-controller-manager, for the garbage collection of owner references.
    KubeControllerManager,
    /// kubectl: the one on the PATH if it works.
    Kubectl,
    /// Helm.
    Helm,
    /// The OpenTelemetry Collector.
    Collector,
    /// Prometheus, without service discovery and user interface.
    Prometheus,
    /// Jaeger 2, without user interface.
    Jaeger,
    /// Kyverno's admission controller, for benches only.
    Kyverno,
    /// Kyverno's reports controller, for benches only.
    KyvernoReports,
}

/// Parts that are ready to run.
#[derive(Clone, Debug)]
pub struct Parts {
    paths: BTreeMap<Part, PathBuf>,
    built: usize,
}

/// A part, what it is built from and where it belongs.
struct Planned {
    part: Part,
    recipe: Recipe,
    program: PathBuf,
}

/// The folder of a part's Go module.
pub(crate) fn tools(module: &str) -> PathBuf {
    Path::new(recipe::TOOLS).join(module)
}

/// Makes sure that these parts are there, building what is missing with progress on standard error.
pub async fn ensure(parts: &[Part]) -> anyhow::Result<Parts> {
    let cache = cache()?;
    let mut paths = BTreeMap::new();
    let mut planned = Vec::new();
    for &part in parts {
        if part == Part::Kubectl && kubectl_works().await {
            paths.insert(part, "kubectl".into());
            continue;
        }
        let recipe = Recipe::of(part)?;
        let hash = recipe.hash(&go_version(recipe.module()).await?)?;
        let folder = format!("{}-{hash}", recipe.name());
        let program = cache.join(folder).join(recipe.name());
        paths.insert(part, program.clone());
        planned.push(Planned { part, recipe, program });
    }
    let built = if planned.iter().all(|planned| planned.program.is_file()) {
        0
    } else {
        build_missing(&cache, planned).await?
    };
    Ok(Parts { paths, built })
}

// === impl Part ===

impl Part {
    /// Every part that tests and the demo use, in the order in which they are built.
    pub const ALL: [Self; 8] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::Kubectl,
        Self::Helm,
        Self::Collector,
        Self::Prometheus,
        Self::Jaeger,
    ];
}

// === impl Parts ===

impl Parts {
    /// Where the program is.
    ///
    /// # Panics
    /// If it was not asked for.
    #[must_use]
    pub fn path(&self, part: Part) -> &Path {
        self.paths.get(&part).expect("a part is used only where it was asked for")
    }

    /// How many of them had to be built.
    #[must_use]
    pub fn built(&self) -> usize {
        self.built
    }
}

async fn build_missing(cache: &Path, planned: Vec<Planned>) -> anyhow::Result<usize> {
    fs::create_dir_all(cache)
        .with_context(|| format!("cannot create the cache folder {}", cache.display()))?;
    let mut progress = Progress::start();
    let _lock = lock(&cache.join("lock"), &mut progress).await?;
    let missing: Vec<_> = planned.into_iter().filter(|part| !part.program.is_file()).collect();
    for (index, planned) in missing.iter().enumerate() {
        progress.step(format!("[{}/{}] {}", index + 1, missing.len(), planned.recipe.name()));
        build(planned, &mut progress).await?;
        progress.built(fs::metadata(&planned.program)?.len());
    }
    progress.finish(missing.len());
    Ok(missing.len())
}

/// Builds beside the final place and moves the finished binary there, so that what has the final
/// name is always whole.
async fn build(planned: &Planned, progress: &mut Progress) -> anyhow::Result<()> {
    let Planned { part, recipe, program } = planned;
    let folder = program.parent().context("a program lies in a folder")?;
    fs::create_dir_all(folder)?;
    let (unfinished, log) = (folder.join("unfinished"), folder.join("build.log"));
    let _ = fs::remove_file(&log);
    let mut command = recipe.command(&unfinished);
    let name = format!("building {}", recipe.name());
    let mut go = Process::spawn(&name, &mut command, &log)?;
    let deadline = Instant::now() + BUILD;
    let status = loop {
        if let Some(status) = go.exited() {
            break status;
        }
        if Instant::now() > deadline {
            bail!("{name} does not end. {}", go.last_words());
        }
        progress.tick();
        sleep(POLL).await;
    };
    if !status.success() {
        bail!("{name} failed ({part:?}, {status}). {}", go.last_words());
    }
    fs::rename(&unfinished, program)?;
    fs::remove_file(&log)?;
    Ok(())
}

/// Waits until no other process builds. The lock ends with the file, however this process ends.
async fn lock(path: &Path, progress: &mut Progress) -> anyhow::Result<File> {
    let file = File::options().create(true).append(true).open(path)?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if !told => {
                told = true;
                progress
                    .step("another build of the parts is running, waiting for its end".to_owned());
            }
            Err(TryLockError::WouldBlock) => progress.tick(),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        sleep(POLL).await;
    }
}

fn cache() -> anyhow::Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let ours = set("PHAROS_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("pharos")))
        .or_else(|| Some(set("HOME")?.join(".cache/pharos")));
    let ours = ours.context("neither PHAROS_CACHE, XDG_CACHE_HOME nor HOME says where to build")?;
    Ok(std::path::absolute(ours)?.join("parts"))
}

/// The version of the Go that builds this module, which may differ from that on the PATH.
async fn go_version(module: &Path) -> anyhow::Result<String> {
    let output = Command::new("go").arg("version").current_dir(module).output().await;
    let output = output.with_context(|| format!("there is no Go here; {GO_REMEDY}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("this Go cannot build the parts ({}); {GO_REMEDY}", error.trim());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

async fn kubectl_works() -> bool {
    let output = Command::new("kubectl").args(["version", "--client"]).output().await;
    output.is_ok_and(|output| output.status.success())
}
