//! Telling a process from a later one that got the same id.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::eventually::eventually;

/// A process id together with the time at which that process started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pid: i32,
    started: String,
}

// === impl Identity ===

impl Identity {
    /// The identity of the process that has this id now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let pid = pid.try_into().ok()?;
        Some(Self { pid, started: start_time(pid)? })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether that very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_time(self.pid).as_ref() == Some(&self.started)
    }

    /// Ends that process with its group, politely first. Does nothing when it has ended.
    pub async fn end(&self, patience: Duration) -> anyhow::Result<()> {
        let gone = async || {
            if self.is_alive() { Err("it runs on".to_owned()) } else { Ok(()) }
        };
        let what = format!("process {} to end", self.pid);
        self.signal(Signal::TERM);
        if eventually(&what, patience, gone).await.is_ok() {
            return Ok(());
        }
        self.signal(Signal::KILL);
        eventually(&what, Duration::from_secs(5), gone).await
    }

    fn signal(&self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // Our children lead a group; whoever does not is signalled alone.
            if rustix::process::kill_process_group(pid, signal).is_err() {
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
    }
}

/// When the process started, in whatever unit this system has for it; `None` once it has ended,
/// reaped or not.
fn start_time(pid: i32) -> Option<String> {
    if cfg!(target_os = "linux") {
        return parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    }
    let output = Command::new("ps")
        .args(["-o", "stat=,lstart=", "-p", &pid.to_string()])
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, started) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// Field 22 of /proc/PID/stat. The second field is a command name in parentheses that may itself
/// contain spaces and parentheses.
fn parse_stat(stat: &str) -> Option<String> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ');
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then_some(())?;
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_cannot_confuse_the_start_time() {
        let stat = "42 (a b) c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(parse_stat(stat).as_deref(), Some("4711"));
    }

    #[test]
    fn a_zombie_has_ended() {
        let stat = "42 (x) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        assert_eq!(parse_stat(stat), None);
    }

    #[test]
    fn another_start_time_is_another_process() {
        let ourselves = Identity::of(std::process::id()).unwrap();
        assert!(ourselves.is_alive());
        let earlier = Identity { started: "long ago".into(), ..ourselves };
        assert!(!earlier.is_alive());
    }
}
