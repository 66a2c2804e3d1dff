//! An OpenTelemetry Collector that receives OTLP and keeps what it got in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, StartError, keep_to_this_machine, private_directory};

mod exports;

use exports::Reader;
pub use exports::{Export, Point, Series, Value};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);

/// A Collector with an OTLP/gRPC receiver on a loopback port, ended on drop.
#[derive(Debug)]
pub struct Collector {
    process: Option<Process>,
    program: PathBuf,
    dir: PathBuf,
    port: u16,
    reader: Mutex<Reader>,
}

// === impl Collector ===

impl Collector {
    /// Builds what is not built yet and starts a Collector with its files in `dir`, on `port` or
    /// else on a free one.
    pub async fn start(dir: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::Collector]).await?;
        private_directory(dir)?;
        let dir = dir.canonicalize()?;
        let program = parts.path(Part::Collector).to_owned();
        let (process, port) = match port {
            Some(port) => (launch(&program, &dir, port).await?, port),
            None => {
                let on_free_port = async |[port]: [u16; 1]| {
                    launch(&program, &dir, port).await.map(|process| (process, port))
                };
                ports::with_free(on_free_port).await.context("the Collector does not start")?
            }
        };
        let reader = Mutex::new(Reader::new(received(&dir)));
        Ok(Self { process: Some(process), program, dir, port, reader })
    }

    /// The endpoint for OTLP/gRPC without TLS.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", loopback(self.port))
    }

    /// The port of that endpoint.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file of everything received, one export per line.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        received(&self.dir)
    }

    /// All exports of metrics so far, in the order of their arrival, across restarts. They are seen
    /// here at most 50 ms after the Collector answered them.
    pub fn exports(&self) -> anyhow::Result<Vec<Arc<Export>>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(reader.read()?.to_vec())
    }

    /// Stops it, with everything received written out. Does nothing when it is stopped.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOP).await.map(drop),
            None => Ok(()),
        }
    }

    /// Starts it again, on the same port. Does nothing when it runs.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if self.process.is_none() {
            self.process = Some(launch(&self.program, &self.dir, self.port).await?);
        }
        Ok(())
    }

    /// The child process, to be recorded.
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Lets it run on after this process.
    pub fn leave_running(self) {
        if let Some(process) = self.process {
            process.leave_running();
        }
    }
}

async fn launch(program: &Path, dir: &Path, port: u16) -> Result<Process, StartError> {
    let address = loopback(port);
    let file = json!({"path": received(dir), "append": true, "flush_interval": "50ms"});
    // JSON is YAML, and quotes whatever is in a path.
    let config = json!({
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": address}}}},
        "exporters": {"file": file},
        "service": {
            // Or it would listen on port 8888.
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["file"]}},
        },
    });
    let config_file = dir.join("otelcol.yaml");
    fs::write(&config_file, config.to_string()).context("cannot write the Collector's config")?;
    let mut command = Command::new(program);
    keep_to_this_machine(&mut command);
    command.arg("--config").arg(&config_file);
    let mut process = Process::spawn("otelcol", &mut command, &dir.join("otelcol.log"))?;
    process.until_it_logs("Everything is ready", START).await?;
    Ok(process)
}

fn received(dir: &Path) -> PathBuf {
    dir.join("otelcol-metrics.json")
}
