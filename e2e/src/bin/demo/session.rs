//! The record of what runs, so that it can be ended by another process and after any death of this
//! one.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use pharos_e2e::manifests;
use pharos_testkit::process::{Identity, Process};
use pharos_testkit::{Kubectl, eventually};
use serde::{Deserialize, Serialize};

use crate::ClusterKind;
use crate::teardown;

/// The one demo of this clone, held by whoever starts or ends it.
pub(crate) struct Session {
    dir: PathBuf,
    state: State,
    _lock: File,
}

/// What was started. Written before or at the start of each part, never after.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) owner: Identity,
    pub(crate) cluster: ClusterKind,
    pub(crate) kubectl: Option<Kubectl>,
    pub(crate) processes: BTreeMap<String, Identity>,
}

/// What was found where a demo was to be ended.
pub(crate) enum TakenOver {
    Nothing,
    /// The process that showed it ended all when it was asked to.
    EndedByItself,
    Session(Session),
}

// === impl Session ===

impl Session {
    /// Begins a new demo, where none runs.
    pub(crate) async fn open(cluster: ClusterKind) -> anyhow::Result<Self> {
        let dir = directory();
        let lock = lock(&dir)?
            .context("a demo is running; end it with Ctrl-C in its terminal or with `make down`")?;
        if let Some(earlier) = State::read(&dir)? {
            if earlier.runs() {
                bail!("a demo was left running by KEEP=1 or a kill; `make down` ends it");
            }
            teardown::end(&earlier).await?;
        }
        let owner = Identity::of(std::process::id()).context("this process has no start time")?;
        let state = State { owner, cluster, kubectl: None, processes: BTreeMap::new() };
        let session = Self { dir, state, _lock: lock };
        remove(&session.run_dir())?;
        fs::create_dir_all(session.run_dir())?;
        session.save()?;
        Ok(session)
    }

    /// Takes over from whoever runs a demo, ending its process.
    pub(crate) async fn take_over(patience: Duration) -> anyhow::Result<TakenOver> {
        let dir = directory();
        let Some(state) = State::read(&dir)? else {
            return Ok(TakenOver::Nothing);
        };
        let lock = match lock(&dir)? {
            Some(lock) => lock,
            None => {
                state.owner.end(patience).await?;
                eventually("the running demo to let go", patience, async || {
                    let lock = lock(&dir).map_err(|error| format!("{error:#}"))?;
                    lock.ok_or_else(|| "it holds its lock".to_owned())
                })
                .await?
            }
        };
        // What the owner ended by itself it took out of the record.
        Ok(match State::read(&dir)? {
            Some(state) => TakenOver::Session(Self { dir, state, _lock: lock }),
            None => TakenOver::EndedByItself,
        })
    }

    /// Where logs and data of this run are.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub(crate) fn cluster(&self) -> ClusterKind {
        self.state.cluster
    }

    pub(crate) fn record_kubectl(&mut self, kubectl: &Kubectl) -> anyhow::Result<()> {
        self.state.kubectl = Some(kubectl.clone());
        self.save()
    }

    pub(crate) fn record(&mut self, name: &str, process: &Process) -> anyhow::Result<()> {
        self.state.processes.insert(name.to_owned(), process.identity()?);
        self.save()
    }

    /// Ends everything recorded. The logs stay.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        teardown::end(&self.state).await?;
        remove(&self.dir.join("state.json"))
    }

    /// Removes the logs and data.
    pub(crate) fn discard(&self) -> anyhow::Result<()> {
        remove(&self.run_dir())
    }

    fn save(&self) -> anyhow::Result<()> {
        let (path, unfinished) = (self.dir.join("state.json"), self.dir.join("state.json.new"));
        fs::write(&unfinished, serde_json::to_vec_pretty(&self.state)?)
            .and_then(|()| fs::rename(&unfinished, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

// === impl State ===

impl State {
    fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = dir.join("state.json");
        match fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json)
                .map(Some)
                .with_context(|| format!("{} is not a demo's record; delete it", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn runs(&self) -> bool {
        self.processes.values().any(Identity::is_alive)
    }
}

fn directory() -> PathBuf {
    manifests::repository().join(".demo")
}

/// The right to start or end a demo in this clone; `None` while somebody else has it.
fn lock(dir: &Path) -> anyhow::Result<Option<File>> {
    let path = dir.join("lock");
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let file = File::options().append(true).create(true).open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
