//! Child processes that cannot outlive their owner.
//!
//! Owns starting, logging, signalling and reaping. Each [`Process`] leads a process group of its
//! own, is killed and reaped on drop, and has a lifeline: a tiny shell that reads from a pipe held
//! by this process and kills the group when the pipe closes. So nothing is left behind even when a
//! test is ended by Ctrl-C or `kill -9`, where no destructor runs.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::mem::ManuallyDrop;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::eventually::eventually;

mod identity;

pub use identity::Identity;

const TAIL_LINES: usize = 15;
/// These would send loopback traffic elsewhere, or change what a child says about itself.
const FOREIGN_VARIABLES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
];

/// A running child with its log file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lifeline: Lifeline,
    log: PathBuf,
    log_start: u64,
}

/// Kills a process group when this process ends, however it ends.
#[derive(Debug)]
struct Lifeline(Child);

/// Why a child did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else has one of its ports; with other ports it would have started.
    #[error("{0}")]
    AddressInUse(String),
    /// Anything else.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

// === impl Process ===

impl Process {
    /// Starts a child with its output appended to the file `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::options()
            .append(true)
            .create(true)
            .open(log)
            .with_context(|| format!("cannot write the log file {}", log.display()))?;
        let log_start = output.metadata()?.len();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        match Lifeline::tie(child.id()) {
            Ok(lifeline) => {
                Ok(Self { name: name.to_owned(), child, lifeline, log: log.to_owned(), log_start })
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with everything that it wrote.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What tells it from a later process with the same id.
    pub fn identity(&self) -> anyhow::Result<Identity> {
        Identity::of(self.pid())
            .with_context(|| format!("{} has ended. {}", self.name, self.last_words()))
    }

    /// The exit status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        self.lifeline.cut();
        Some(status)
    }

    /// Waits until `probe` succeeds, and no longer than the child lives.
    pub async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut probe: impl AsyncFnMut() -> Result<T, String>,
    ) -> Result<T, StartError> {
        let what = format!("{} {what}", self.name);
        let outcome = eventually(&what, within, async || match self.exited() {
            Some(status) => Ok(Err(status)),
            None => probe().await.map(Ok),
        });
        match outcome.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(status)) => Err(self.start_error(status)),
            Err(late) => Err(StartError::Failed(anyhow::anyhow!("{late}. {}", self.last_words()))),
        }
    }

    /// Waits until it logs this, which nobody else on the same port can do in its place.
    pub async fn until_it_logs(&mut self, text: &str, within: Duration) -> Result<(), StartError> {
        let (log, start) = (self.log.clone(), self.log_start);
        self.until(&format!("logs {text:?}"), within, async || {
            let written = read_from(&log, start).map_err(|error| error.to_string())?;
            written.contains(text).then_some(()).ok_or_else(|| "not yet".to_owned())
        })
        .await
    }

    /// Waits for the end.
    pub async fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("{} to end", self.name);
        eventually(&what, within, async || self.exited().ok_or_else(|| "it runs on".to_owned()))
            .await
            .map_err(|late| anyhow::anyhow!("{late}. {}", self.last_words()))
    }

    /// Sends SIGTERM to the process alone and waits for its end.
    pub async fn terminate(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        if self.exited().is_none()
            && let Some(pid) = group(&self.child)
        {
            rustix::process::kill_process(pid, Signal::TERM)
                .with_context(|| format!("cannot send SIGTERM to {}", self.name))?;
        }
        self.wait(within).await
    }

    /// Stops it where it stands, until [`Process::resume`]: its connections stay open, its clocks go
    /// on.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal_group(Signal::STOP)
    }

    /// Lets a stopped process go on.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal_group(Signal::CONT)
    }

    /// Kills the process and its whole group at once and reaps it.
    pub fn kill(&mut self) {
        if self.exited().is_some() {
            return;
        }
        self.lifeline.cut();
        if let Some(group) = group(&self.child) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    /// Lets it run on after this process.
    pub fn leave_running(self) {
        ManuallyDrop::new(self).lifeline.cut();
    }

    /// The end of its log and where to find the rest.
    #[must_use]
    pub fn last_words(&self) -> String {
        let written = self.written();
        let lines: Vec<&str> = written.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  ");
        let log = self.log.display();
        if tail.is_empty() {
            return format!("Its log {log} is empty.");
        }
        format!("The end of its log {log}:\n  {tail}")
    }

    fn signal_group(&self, signal: Signal) -> anyhow::Result<()> {
        let group = group(&self.child).context("a child has a process id")?;
        kill_process_group(group, signal)
            .with_context(|| format!("cannot send {signal:?} to {}", self.name))
    }

    fn start_error(&self, status: ExitStatus) -> StartError {
        let message = format!("{} ended with {status}. {}", self.name, self.last_words());
        if self.written().to_ascii_lowercase().contains("address already in use") {
            return StartError::AddressInUse(message);
        }
        StartError::Failed(anyhow::anyhow!(message))
    }

    /// What this child wrote, without what an earlier one wrote to the same file.
    fn written(&self) -> String {
        let read = read_from(&self.log, self.log_start);
        read.unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

// === impl Lifeline ===

impl Lifeline {
    fn tie(group: u32) -> anyhow::Result<Self> {
        // `read` returns when the write end, which no other child inherits, is closed.
        Command::new("/bin/sh")
            .args(["-c", r#"read -r _; kill -KILL "-$0""#, &group.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
            .context("cannot start /bin/sh")
    }

    /// Ends it without effect. Must come before the child is reaped, or soon after: from then on
    /// its number may belong to somebody else.
    fn cut(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps variables of the user's environment from a child that talks to this machine only. To be
/// called before others are set.
pub fn keep_to_this_machine(command: &mut Command) {
    for variable in FOREIGN_VARIABLES {
        command.env_remove(variable);
    }
}

fn read_from(path: &Path, start: u64) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn group(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id().try_into().ok()?)
}

/// Creates the directory for a run, readable by its owner only: it holds keys and tokens.
pub(crate) fn private_directory(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create the directory {}", path.display()))
}

#[cfg(test)]
mod tests;
