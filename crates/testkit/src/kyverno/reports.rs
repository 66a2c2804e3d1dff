//! Kyverno's reports controller: what scans in the background and keeps reports.

use std::path::Path;
use std::process::{Command, ExitStatus};

use super::{KyvernoTelemetry, OMIT_EVENTS, of_kyverno, prepare};
use crate::control_plane::ControlPlane;
use crate::parts::{self, Part};
use crate::process::{Process, private_directory};

/// A running Kyverno reports controller, ended on drop.
#[derive(Debug)]
pub struct KyvernoReports {
    process: Process,
}

// === impl KyvernoReports ===

impl KyvernoReports {
    /// Builds it if need be, and gives the API server what it watches.
    pub async fn prepare(cluster: &ControlPlane) -> anyhow::Result<()> {
        parts::ensure(&[Part::KyvernoReports]).await?;
        prepare(cluster).await
    }

    /// Starts it, with its files in `dir` and as its chart does but without telemetry, where
    /// [`Self::prepare`] was. Waits for nothing.
    pub async fn spawn(cluster: &ControlPlane, dir: &Path) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::KyvernoReports]).await?;
        private_directory(dir)?;
        let name = "kyverno-reports-controller";
        let mut command = Command::new(parts.path(Part::KyvernoReports));
        of_kyverno(&mut command, cluster, name);
        command
            .args(["--backgroundScan=true", "--backgroundScanWorkers=2"])
            .args(["--backgroundScanInterval=1h", "--skipResourceFilters=true"])
            .args(["--admissionReports=true", "--aggregateReports=true", "--policyReports=true"])
            .arg("--enableReporting=validate,mutate,mutateExisting,imageVerify,generate")
            .arg("--enablePolicyException=false")
            .arg(OMIT_EVENTS)
            .args(KyvernoTelemetry::Off.arguments());
        let process = Process::spawn(name, &mut command, &dir.join(format!("{name}.log")))?;
        Ok(Self { process })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The exit status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// The end of its log and where to find the rest.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.process.last_words()
    }
}
