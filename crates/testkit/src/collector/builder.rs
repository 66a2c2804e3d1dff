//! What a Collector is started with.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Collector;
use super::config::{Config, Exporter, Signal};
use crate::jaeger::Jaeger;
use crate::pki::PairFiles;
use crate::prometheus_server::PrometheusServer;

/// A Collector to be started: OTLP receivers for gRPC and HTTP without TLS on free ports, and a
/// file exporter for each signal, unless told otherwise.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    dir: PathBuf,
    grpc_port: Option<u16>,
    http_port: Option<u16>,
    config: Config,
}

// === impl Builder ===

impl Builder {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), grpc_port: None, http_port: None, config: Config::default() }
    }

    /// With OTLP/gRPC on this port.
    pub fn grpc_port(self, port: u16) -> Self {
        Self { grpc_port: Some(port), ..self }
    }

    /// With OTLP/HTTP on this port.
    pub fn http_port(self, port: u16) -> Self {
        Self { http_port: Some(port), ..self }
    }

    /// With TLS on both receivers.
    pub fn tls(mut self, server: &PairFiles) -> Self {
        self.config.tls = Some(server.clone());
        self
    }

    /// With TLS on both receivers, for clients with a certificate of this authority only.
    pub fn mutual_tls(mut self, server: &PairFiles, client_ca: &Path) -> Self {
        self.config.client_ca = Some(client_ca.to_owned());
        self.tls(server)
    }

    /// For clients that show this bearer token only.
    pub fn bearer_token(mut self, token: &str) -> Self {
        self.config.bearer_token = Some(token.to_owned());
        self
    }

    /// With this processor in the pipelines of all signals, after those named before.
    pub fn processor(mut self, name: &str, config: Value) -> Self {
        self.config.processors.push((name.to_owned(), config));
        self
    }

    /// With this exporter beside the files.
    pub fn exporter(mut self, name: &str, config: Value, signals: &[Signal]) -> Self {
        let signals = signals.to_vec();
        self.config.exporters.push(Exporter { name: name.to_owned(), config, signals });
        self
    }

    /// Passes traces on.
    pub fn to_jaeger(self, jaeger: &Jaeger) -> Self {
        let config = json!({"endpoint": jaeger.endpoint(), "tls": {"insecure": true}});
        self.exporter("otlp/jaeger", config, &[Signal::Traces])
    }

    /// Passes metrics on.
    pub fn to_prometheus(self, prometheus: &PrometheusServer) -> Self {
        let config = json!({"endpoint": prometheus.otlp_endpoint()});
        self.exporter("otlphttp/prometheus", config, &[Signal::Metrics])
    }

    /// With this configuration and nothing of what else was said about receivers, processors and
    /// exporters, except that TLS still decides the scheme of the endpoints.
    ///
    /// Placeholders: `@grpc@` and `@http@` for the addresses on which to receive, `@metrics@`,
    /// `@traces@` and `@logs@` for the paths of the files that are read here, which file exporters
    /// have to append to with a `flush_interval` of 50 ms. `service::telemetry::metrics::level` has
    /// to be `none`, or it listens on port 8888.
    pub fn config(mut self, yaml: &str) -> Self {
        self.config.complete = Some(yaml.to_owned());
        self
    }

    /// Builds what is not built yet and starts it.
    pub async fn start(self) -> anyhow::Result<Collector> {
        Collector::start_with(&self.dir, self.grpc_port, self.http_port, self.config).await
    }
}
