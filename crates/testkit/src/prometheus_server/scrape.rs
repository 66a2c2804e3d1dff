//! What Prometheus scrapes.

use std::path::{Path, PathBuf};

use anyhow::Context;
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::pki::PairFiles;

const INTERVAL: &str = "1s";

/// A target.
#[derive(Clone, Debug)]
#[must_use]
pub struct Scrape {
    job: String,
    url: String,
    ca: Option<PathBuf>,
    client: Option<PairFiles>,
    server_name: Option<String>,
    bearer_token: Option<String>,
    protocols: Option<Vec<String>>,
}

// === impl Scrape ===

impl Scrape {
    /// The page at `url`, which is scraped as `job`; jobs have different names.
    pub fn new(job: &str, url: &str) -> Self {
        Self {
            job: job.to_owned(),
            url: url.to_owned(),
            ca: None,
            client: None,
            server_name: None,
            bearer_token: None,
            protocols: None,
        }
    }

    /// Trusting servers of this authority only.
    pub fn trusting(self, ca: &Path) -> Self {
        Self { ca: Some(ca.to_owned()), ..self }
    }

    /// Showing this certificate.
    pub fn client_certificate(self, client: &PairFiles) -> Self {
        Self { client: Some(client.clone()), ..self }
    }

    /// Expecting a certificate for this name in place of the host's.
    pub fn server_name(self, name: &str) -> Self {
        Self { server_name: Some(name.to_owned()), ..self }
    }

    /// Showing this token.
    pub fn bearer_token(self, token: &str) -> Self {
        Self { bearer_token: Some(token.to_owned()), ..self }
    }

    /// Asking for these formats, such as `OpenMetricsText1.0.0`, and no others. Native histograms
    /// come by `PrometheusProto` alone, which is asked for first if nothing is said here.
    pub fn protocols(self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|&protocol| protocol.to_owned()).collect();
        Self { protocols: Some(protocols), ..self }
    }

    fn config(&self) -> anyhow::Result<Value> {
        let url = Url::parse(&self.url).with_context(|| format!("cannot scrape {:?}", self.url))?;
        let host = url.host_str().with_context(|| format!("no host in {url}"))?;
        let port = url.port_or_known_default().with_context(|| format!("no port in {url}"))?;
        let mut config = json!({
            "job_name": self.job,
            "scheme": url.scheme(),
            "metrics_path": url.path(),
            "static_configs": [{"targets": [format!("{host}:{port}")]}],
        });
        let mut tls = Map::new();
        if let Some(ca) = &self.ca {
            tls.insert("ca_file".to_owned(), json!(ca));
        }
        if let Some(PairFiles { certificate, key }) = &self.client {
            tls.insert("cert_file".to_owned(), json!(certificate));
            tls.insert("key_file".to_owned(), json!(key));
        }
        if let Some(name) = &self.server_name {
            tls.insert("server_name".to_owned(), json!(name));
        }
        if !tls.is_empty() {
            config["tls_config"] = Value::Object(tls);
        }
        if let Some(token) = &self.bearer_token {
            config["authorization"] = json!({"credentials": token});
        }
        if let Some(protocols) = &self.protocols {
            config["scrape_protocols"] = json!(protocols);
        }
        Ok(config)
    }
}

/// The configuration of a Prometheus; JSON is YAML.
pub(super) fn config(scrapes: &[Scrape]) -> anyhow::Result<Value> {
    Ok(json!({
        "global": {
            "scrape_interval": INTERVAL,
            "scrape_timeout": INTERVAL,
            "scrape_native_histograms": true,
            // The buckets of classic histograms are kept beside the native ones.
            "always_scrape_classic_histograms": true,
        },
        "scrape_configs": scrapes.iter().map(Scrape::config).collect::<anyhow::Result<Vec<_>>>()?,
        // Exports of several writers come in any order.
        "storage": {"tsdb": {"out_of_order_time_window": "30m"}},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_taken_from_its_url() {
        let plain = Scrape::new("pharos", "http://127.0.0.1:9090/metrics");
        let expected = json!({
            "job_name": "pharos",
            "scheme": "http",
            "metrics_path": "/metrics",
            "static_configs": [{"targets": ["127.0.0.1:9090"]}],
        });
        assert_eq!(plain.config().unwrap(), expected);
        let error = Scrape::new("pharos", "metrics").config().unwrap_err();
        assert_eq!(error.to_string(), "cannot scrape \"metrics\"");
    }

    #[test]
    fn what_is_shown_and_expected_stands_in_the_config() {
        let client = PairFiles { certificate: "a.crt".into(), key: "a.key".into() };
        let scrape = Scrape::new("pharos", "https://localhost/metrics")
            .trusting(Path::new("ca.crt"))
            .client_certificate(&client)
            .server_name("pharos.svc")
            .bearer_token("secret")
            .protocols(&["PrometheusText0.0.4"]);
        let config = scrape.config().unwrap();
        assert_eq!(config["static_configs"][0]["targets"], json!(["localhost:443"]));
        let tls = json!({
            "ca_file": "ca.crt",
            "cert_file": "a.crt",
            "key_file": "a.key",
            "server_name": "pharos.svc",
        });
        assert_eq!(config["tls_config"], tls);
        assert_eq!(config["authorization"]["credentials"], "secret");
        assert_eq!(config["scrape_protocols"], json!(["PrometheusText0.0.4"]));
    }
}
