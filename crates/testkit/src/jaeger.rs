//! A Jaeger that receives OTLP and answers what became of it.
//!
//! Owns starting it and its query API. Enter at [`Jaeger::start`]; it keeps traces in memory.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Value, json};

use crate::http;
use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, StartError, keep_to_this_machine, private_directory};

mod json;
mod trace;

pub use trace::{Span, Trace};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(10);
/// As many traces of one service as it gives at once.
const LIMIT: &str = "1500";

/// A Jaeger on loopback ports, ended on drop.
#[derive(Debug)]
pub struct Jaeger {
    process: Process,
    client: Client,
    addresses: Addresses,
}

#[derive(Clone, Copy, Debug)]
struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
    query: SocketAddr,
    /// The query API over gRPC; not used, but it listens on a fixed port if not told another.
    query_grpc: SocketAddr,
}

// === impl Jaeger ===

impl Jaeger {
    /// Builds what is not built yet and starts a Jaeger with its files in `dir`.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::Jaeger]).await?;
        private_directory(dir)?;
        let program = parts.path(Part::Jaeger);
        let on_free_ports = async |ports: [u16; 4]| {
            let [grpc, http, query, query_grpc] = ports.map(loopback);
            let addresses = Addresses { grpc, http, query, query_grpc };
            launch(program, dir, addresses).await.map(|process| (process, addresses))
        };
        let (process, addresses) =
            ports::with_free(on_free_ports).await.context("Jaeger does not start")?;
        Ok(Self { process, client: http::plain()?, addresses })
    }

    /// The endpoint for OTLP/gRPC without TLS.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    /// The endpoint for OTLP/HTTP without TLS, without the path of a signal.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// Where its query API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses.query)
    }

    /// The services of which it has spans.
    pub async fn services(&self) -> anyhow::Result<Vec<String>> {
        let body = http::get_ok(&self.client, &self.page(&["services"])?).await?;
        json::services(&body).context("Jaeger's services are not as expected")
    }

    /// The trace with this id in hexadecimal, as far as it has arrived.
    pub async fn trace(&self, id: &str) -> anyhow::Result<Option<Trace>> {
        let page = self.page(&["traces", id])?;
        match http::get(&self.client, &page).await? {
            (StatusCode::OK, body) => Ok(parse(&body)?.pop()),
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => bail!("GET {page}: {status}: {}", body.trim()),
        }
    }

    /// The traces with a span of this service.
    pub async fn traces(&self, service: &str) -> anyhow::Result<Vec<Trace>> {
        let page = self.page(&["traces"])?;
        // Else it looks at the last two days only.
        let parameters = [("service", service), ("limit", LIMIT), ("start", "1")];
        let url = Url::parse_with_params(&page, parameters)?;
        parse(&http::get_ok(&self.client, url.as_str()).await?)
    }

    /// Stops it; its traces are gone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.process.terminate(STOP).await.map(drop)
    }

    /// The child process, with its log.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Lets it run on after this process.
    pub fn leave_running(self) {
        self.process.leave_running();
    }

    fn page(&self, segments: &[&str]) -> anyhow::Result<String> {
        let mut url = Url::parse(&self.url())?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.push("api").extend(segments);
        }
        Ok(url.into())
    }
}

async fn launch(program: &Path, dir: &Path, addresses: Addresses) -> Result<Process, StartError> {
    let config_file = dir.join("jaeger.yaml");
    fs::write(&config_file, config(addresses).to_string())
        .context("cannot write Jaeger's config")?;
    let mut command = Command::new(program);
    keep_to_this_machine(&mut command);
    command.arg("--config").arg(&config_file);
    let mut process = Process::spawn("jaeger", &mut command, &dir.join("jaeger.log"))?;
    process.until_it_logs("Everything is ready", START).await?;
    Ok(process)
}

/// Without a batch processor: what was answered can be asked for.
fn config(addresses: Addresses) -> Value {
    json!({
        "receivers": {"otlp": {"protocols": {
            "grpc": {"endpoint": addresses.grpc},
            "http": {"endpoint": addresses.http},
        }}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
        "extensions": {
            "jaeger_storage": {"backends": {"memory": {"memory": {"max_traces": 100_000}}}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "http": {"endpoint": addresses.query},
                "grpc": {"endpoint": addresses.query_grpc},
            },
        },
        "service": {
            // Or it would listen on port 8888.
            "telemetry": {"metrics": {"level": "none"}},
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]},
            },
        },
    })
}

fn parse(body: &str) -> anyhow::Result<Vec<Trace>> {
    json::traces(body).context("Jaeger's traces are not as expected")
}
