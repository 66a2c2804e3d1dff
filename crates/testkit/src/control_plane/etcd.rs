//! An etcd that can be stopped and started again with its data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::{START, STOP, flag};
use crate::ports::loopback;
use crate::process::{Process, StartError, keep_to_this_machine};

/// The most that it takes, 8 GiB; beyond that its makers warn.
const QUOTA_BYTES: u64 = 8 << 30;

/// One etcd, its ports and its data.
#[derive(Debug)]
pub(super) struct Etcd {
    process: Option<Process>,
    program: PathBuf,
    dir: PathBuf,
    client: u16,
    peer: u16,
}

// === impl Etcd ===

impl Etcd {
    /// Starts an empty one with its files in `dir`.
    pub(super) async fn create(
        program: &Path,
        dir: &Path,
        client: u16,
        peer: u16,
    ) -> Result<Self, StartError> {
        let (program, dir) = (program.to_owned(), dir.to_owned());
        let mut etcd = Self { process: None, program, dir, client, peer };
        etcd.start().await?;
        Ok(etcd)
    }

    /// The port for clients.
    pub(super) fn port(&self) -> u16 {
        self.client
    }

    pub(super) fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    pub(super) async fn start(&mut self) -> Result<(), StartError> {
        if self.process.is_some() {
            return Ok(());
        }
        let (client, peer) = (loopback(self.client), loopback(self.peer));
        let data = self.dir.join(format!("etcd-{}", client.port()));
        fs::create_dir_all(&data).context("cannot create etcd's folder")?;
        let mut command = Command::new(&self.program);
        keep_to_this_machine(&mut command);
        command
            .arg(flag("--data-dir", &data))
            .arg("--unsafe-no-fsync")
            // Benches fill it with more than its 2 GiB by default.
            .arg(format!("--quota-backend-bytes={QUOTA_BYTES}"))
            .arg(format!("--listen-client-urls=http://{client}"))
            .arg(format!("--advertise-client-urls=http://{client}"))
            .arg(format!("--listen-peer-urls=http://{peer}"))
            .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
            .arg(format!("--initial-cluster=default=http://{peer}"));
        let mut process = Process::spawn("etcd", &mut command, &self.dir.join("etcd.log"))?;
        process.until_it_logs("ready to serve client requests", START).await?;
        self.process = Some(process);
        Ok(())
    }

    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.terminate(STOP).await?;
        }
        Ok(())
    }

    pub(super) fn leave_running(self) {
        if let Some(process) = self.process {
            process.leave_running();
        }
    }
}
