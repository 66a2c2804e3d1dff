//! The Collector's configuration.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::pki::PairFiles;

const AUTHENTICATOR: &str = "bearertokenauth";

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Traces.
    Traces,
    /// Logs.
    Logs,
}

/// What the configuration depends on beside addresses and directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Config {
    pub(super) tls: Option<PairFiles>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) bearer_token: Option<String>,
    pub(super) processors: Vec<(String, Value)>,
    pub(super) exporters: Vec<Exporter>,
    /// In place of all that.
    pub(super) complete: Option<String>,
}

/// An exporter beside the files.
#[derive(Clone, Debug)]
pub(super) struct Exporter {
    pub(super) name: String,
    pub(super) config: Value,
    pub(super) signals: Vec<Signal>,
}

/// Where it receives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
}

// === impl Signal ===

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// Its name in a configuration.
    fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }
}

// === impl Config ===

impl Config {
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    pub(super) fn render(&self, dir: &Path, addresses: Addresses) -> String {
        match &self.complete {
            Some(yaml) => fill(yaml, dir, addresses),
            // JSON is YAML, and quotes whatever is in a path.
            None => self.generate(dir, addresses).to_string(),
        }
    }

    fn generate(&self, dir: &Path, addresses: Addresses) -> Value {
        let mut exporters = Map::new();
        let mut pipelines = Map::new();
        let processors: Vec<_> = self.processors.iter().map(|(name, _)| name).collect();
        for signal in Signal::ALL {
            let file = format!("file/{}", signal.name());
            let path = received(dir, signal);
            exporters.insert(
                file.clone(),
                json!({"path": path, "append": true, "flush_interval": "50ms"}),
            );
            let wanted = self.exporters.iter().filter(|other| other.signals.contains(&signal));
            let exporters: Vec<_> = [&file].into_iter().chain(wanted.map(|it| &it.name)).collect();
            pipelines.insert(
                signal.name().to_owned(),
                json!({"receivers": ["otlp"], "processors": processors, "exporters": exporters}),
            );
        }
        let others = self.exporters.iter().map(|other| (other.name.clone(), other.config.clone()));
        exporters.extend(others);
        let extensions = self.extensions();
        json!({
            "receivers": {"otlp": {"protocols": {
                "grpc": self.receiver(addresses.grpc),
                "http": self.receiver(addresses.http),
            }}},
            "processors": Map::from_iter(self.processors.iter().cloned()),
            "exporters": exporters,
            "service": {
                // Or it would listen on port 8888.
                "telemetry": {"metrics": {"level": "none"}},
                "extensions": extensions.keys().collect::<Vec<_>>(),
                "pipelines": pipelines,
            },
            "extensions": extensions,
        })
    }

    fn receiver(&self, address: SocketAddr) -> Value {
        let mut receiver = Map::from_iter([("endpoint".to_owned(), json!(address))]);
        if let Some(PairFiles { certificate, key }) = &self.tls {
            let mut tls = json!({"cert_file": certificate, "key_file": key});
            if let Some(client_ca) = &self.client_ca {
                tls["client_ca_file"] = json!(client_ca);
            }
            receiver.insert("tls".to_owned(), tls);
        }
        if self.bearer_token.is_some() {
            receiver.insert("auth".to_owned(), json!({"authenticator": AUTHENTICATOR}));
        }
        Value::Object(receiver)
    }

    fn extensions(&self) -> Map<String, Value> {
        let authenticator = |token: &String| (AUTHENTICATOR.to_owned(), json!({"token": token}));
        self.bearer_token.iter().map(authenticator).collect()
    }
}

/// The file with what was received of this signal.
pub(super) fn received(dir: &Path, signal: Signal) -> PathBuf {
    dir.join(format!("otelcol-{}.json", signal.name()))
}

/// Replaces the placeholders; paths are quoted.
fn fill(yaml: &str, dir: &Path, addresses: Addresses) -> String {
    let yaml = yaml
        .replace("@grpc@", &addresses.grpc.to_string())
        .replace("@http@", &addresses.http.to_string());
    Signal::ALL.into_iter().fold(yaml, |yaml, signal| {
        let path = json!(received(dir, signal)).to_string();
        yaml.replace(&format!("@{}@", signal.name()), &path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::loopback;

    const ADDRESSES: Addresses = Addresses { grpc: loopback(4317), http: loopback(4318) };

    fn generate(config: &Config) -> Value {
        serde_json::from_str(&config.render(Path::new("/run"), ADDRESSES)).unwrap()
    }

    #[test]
    fn each_signal_has_its_file_and_the_exporters_that_are_meant_for_it() {
        let exporter = |name: &str, signals: &[Signal]| Exporter {
            name: name.to_owned(),
            config: json!({"of": name}),
            signals: signals.to_vec(),
        };
        let config = generate(&Config {
            processors: vec![("batch".to_owned(), json!({}))],
            exporters: vec![exporter("otlp/x", &[Signal::Traces]), exporter("debug", &Signal::ALL)],
            ..Config::default()
        });
        let pipelines = &config["service"]["pipelines"];
        assert_eq!(pipelines["metrics"]["exporters"], json!(["file/metrics", "debug"]));
        assert_eq!(pipelines["traces"]["exporters"], json!(["file/traces", "otlp/x", "debug"]));
        assert_eq!(pipelines["logs"]["processors"], json!(["batch"]));
        assert_eq!(config["exporters"]["file/logs"]["path"], "/run/otelcol-logs.json");
        assert_eq!(config["exporters"]["otlp/x"], json!({"of": "otlp/x"}));
    }

    #[test]
    fn both_receivers_demand_what_was_asked_for() {
        let files = PairFiles { certificate: "a.crt".into(), key: "a.key".into() };
        let config = Config {
            tls: Some(files),
            client_ca: Some("ca.crt".into()),
            bearer_token: Some("secret".to_owned()),
            ..Config::default()
        };
        assert_eq!((Config::default().scheme(), config.scheme()), ("http", "https"));
        let config = generate(&config);
        for (protocol, endpoint) in [("grpc", "127.0.0.1:4317"), ("http", "127.0.0.1:4318")] {
            let expected = json!({
                "endpoint": endpoint,
                "tls": {"cert_file": "a.crt", "key_file": "a.key", "client_ca_file": "ca.crt"},
                "auth": {"authenticator": "bearertokenauth"},
            });
            assert_eq!(config["receivers"]["otlp"]["protocols"][protocol], expected);
        }
        assert_eq!(config["service"]["extensions"], json!(["bearertokenauth"]));
        assert_eq!(config["extensions"]["bearertokenauth"]["token"], "secret");
    }

    #[test]
    fn placeholders_of_a_complete_configuration_are_replaced() {
        let yaml = "{a: @grpc@, b: @http@, c: @metrics@, d: @traces@, e: @logs@}".to_owned();
        let config = Config { complete: Some(yaml), ..Config::default() };
        assert_eq!(
            config.render(Path::new("/my run"), ADDRESSES),
            "{a: 127.0.0.1:4317, b: 127.0.0.1:4318, c: \"/my run/otelcol-metrics.json\", \
             d: \"/my run/otelcol-traces.json\", e: \"/my run/otelcol-logs.json\"}"
        );
    }
}
