//! An OpenTelemetry Collector that receives OTLP and keeps what it got in files.
//!
//! Owns starting it and reading the files. Enter at [`Collector::start`], or at
//! [`Collector::builder`] for TLS, a token, more exporters or a configuration of the test's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, StartError, keep_to_this_machine, private_directory};

mod builder;
mod config;
mod logs;
mod metrics;
mod otlp_json;
mod reader;
mod traces;

pub use builder::Builder;
pub use config::Signal;
use config::{Addresses, Config};
pub use logs::LogRecord;
pub use metrics::{Export, Point, Series, Value};
use reader::Reader;
pub use traces::{Event, Kind, Link, Span, SpanStatus};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);

/// A Collector with OTLP receivers on loopback ports, ended on drop.
#[derive(Debug)]
pub struct Collector {
    process: Option<Process>,
    program: PathBuf,
    dir: PathBuf,
    config: Config,
    addresses: Addresses,
    metrics: Reader<Export>,
    spans: Reader<Span>,
    logs: Reader<LogRecord>,
}

// === impl Collector ===

impl Collector {
    /// Builds what is not built yet and starts a Collector with its files in `dir`, without TLS,
    /// with OTLP/gRPC on `port` or else on a free one.
    pub async fn start(dir: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        let builder = Self::builder(dir);
        match port {
            Some(port) => builder.grpc_port(port).start().await,
            None => builder.start().await,
        }
    }

    /// A Collector with its files in `dir`.
    pub fn builder(dir: &Path) -> Builder {
        Builder::new(dir)
    }

    async fn start_with(
        dir: &Path,
        grpc_port: Option<u16>,
        http_port: Option<u16>,
        config: Config,
    ) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::Collector]).await?;
        private_directory(dir)?;
        let dir = dir.canonicalize()?;
        let program = parts.path(Part::Collector).to_owned();
        let on_free_ports = async |[grpc, http]: [u16; 2]| {
            let addresses = Addresses {
                grpc: loopback(grpc_port.unwrap_or(grpc)),
                http: loopback(http_port.unwrap_or(http)),
            };
            let process = launch(&program, &dir, &config, addresses).await?;
            Ok((process, addresses))
        };
        let (process, addresses) =
            ports::with_free(on_free_ports).await.context("the Collector does not start")?;
        let file = |signal| config::received(&dir, signal);
        Ok(Self {
            metrics: Reader::new(file(Signal::Metrics), otlp_json::metrics),
            spans: Reader::new(file(Signal::Traces), otlp_json::traces),
            logs: Reader::new(file(Signal::Logs), otlp_json::logs),
            process: Some(process),
            program,
            dir,
            config,
            addresses,
        })
    }

    /// The endpoint for OTLP/gRPC.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.config.scheme(), self.addresses.grpc)
    }

    /// The port of that endpoint.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addresses.grpc.port()
    }

    /// The endpoint for OTLP/HTTP, without the path of a signal.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("{}://{}", self.config.scheme(), self.addresses.http)
    }

    /// The port of that endpoint.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.addresses.http.port()
    }

    /// The file of all metrics received, one export per line.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.file_of(Signal::Metrics)
    }

    /// The file of everything received of this signal, one request per line.
    #[must_use]
    pub fn file_of(&self, signal: Signal) -> PathBuf {
        config::received(&self.dir, signal)
    }

    /// All exports of metrics so far, in the order of their arrival, across restarts. They are seen
    /// here at most 50 ms after the Collector answered them.
    pub fn exports(&self) -> anyhow::Result<Vec<Arc<Export>>> {
        self.metrics.read()
    }

    /// All spans so far, as [`Self::exports`] has the metrics.
    pub fn spans(&self) -> anyhow::Result<Vec<Arc<Span>>> {
        self.spans.read()
    }

    /// All log records so far, as [`Self::exports`] has the metrics.
    pub fn logs(&self) -> anyhow::Result<Vec<Arc<LogRecord>>> {
        self.logs.read()
    }

    /// Stops it, with everything received written out. Does nothing when it is stopped.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOP).await.map(drop),
            None => Ok(()),
        }
    }

    /// Starts it again, on the same ports. Does nothing when it runs.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if self.process.is_none() {
            let launched = launch(&self.program, &self.dir, &self.config, self.addresses);
            self.process = Some(launched.await?);
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

async fn launch(
    program: &Path,
    dir: &Path,
    config: &Config,
    addresses: Addresses,
) -> Result<Process, StartError> {
    let config_file = dir.join("otelcol.yaml");
    std::fs::write(&config_file, config.render(dir, addresses))
        .context("cannot write the Collector's config")?;
    let mut command = Command::new(program);
    keep_to_this_machine(&mut command);
    command.arg("--config").arg(&config_file);
    let mut process = Process::spawn("otelcol", &mut command, &dir.join("otelcol.log"))?;
    process.until_it_logs("Everything is ready", START).await?;
    Ok(process)
}
