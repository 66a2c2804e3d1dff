//! The caller: what an API server does with a review, over and over.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhook, WebhookClientConfig};
use reqwest::Client;
use rustls::CipherSuite::TLS13_AES_128_GCM_SHA256;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, SupportedCipherSuite};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval_at};

/// Callers of a load without pauses: as many as cores, so that percentiles tell more of the engine
/// than of waiting for one.
const CALLERS: u32 = 2;
/// Callers of a paced load, so that a slow answer does not keep the next review waiting.
const PACED_CALLERS: u32 = 8;

/// Whether a connection serves more than one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    KeptAlive,
    Churning,
}

/// How reviews follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each caller sends the next one once it has its answer.
    Unpaced,
    /// So many in a second.
    PerSecond(u32),
}

/// Calls every webhook of an engine for each review, one after the other.
pub(crate) struct Caller {
    client: Client,
    urls: Arc<[String]>,
}

/// What a caller saw.
pub(crate) struct Sample {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) elapsed: Duration,
}

// === impl Caller ===

impl Caller {
    pub(crate) fn new(
        webhooks: &[ValidatingWebhook],
        connections: Connections,
    ) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        let mut client = Client::builder().no_proxy();
        let mut urls = Vec::new();
        for webhook in webhooks {
            let config = &webhook.client_config;
            let bundle = config.ca_bundle.as_ref().context("a webhook without a caBundle")?;
            for authority in CertificateDer::pem_slice_iter(&bundle.0) {
                roots.add(authority?)?;
            }
            let (url, host) = url(config)?;
            if let Some((host, address)) = host {
                client = client.resolve(&host, address);
            }
            urls.push(url);
        }
        if connections == Connections::Churning {
            client = client.pool_max_idle_per_host(0);
        }
        let client = client.tls_backend_preconfigured(tls(roots)?).build()?;
        Ok(Self { client, urls: urls.into() })
    }

    /// Sends the review for that long. Whatever is not allowed is an error.
    pub(crate) async fn call(
        &self,
        review: &Bytes,
        pace: Pace,
        lasting: Duration,
    ) -> anyhow::Result<Sample> {
        let started = Instant::now();
        let callers = match pace {
            Pace::Unpaced => CALLERS,
            Pace::PerSecond(_) => PACED_CALLERS,
        };
        let callers: Vec<_> = (0..callers)
            .map(|index| {
                let (client, urls) = (self.client.clone(), self.urls.clone());
                let review = review.clone();
                let first = match pace {
                    Pace::Unpaced => Duration::ZERO,
                    Pace::PerSecond(rate) => Duration::from_secs(1) * index / rate,
                };
                let period = match pace {
                    // As good as none.
                    Pace::Unpaced => Duration::from_nanos(1),
                    Pace::PerSecond(rate) => Duration::from_secs(1) * callers / rate,
                };
                tokio::spawn(async move {
                    let mut turns = interval_at((started + first).into(), period);
                    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    let mut latencies = Vec::new();
                    while started.elapsed() < lasting {
                        if let Pace::PerSecond(_) = pace {
                            turns.tick().await;
                        }
                        let sent = Instant::now();
                        for url in &*urls {
                            let answer = answer(&client, url, &review).await?;
                            ensure!(allowed(&answer), "refused: {answer}");
                        }
                        latencies.push(sent.elapsed());
                    }
                    Ok(latencies)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for caller in callers {
            latencies.extend(caller.await??);
        }
        Ok(Sample { latencies, elapsed: started.elapsed() })
    }

    /// What the webhooks say to whoever made the request.
    pub(crate) async fn messages(&self, review: &Bytes) -> anyhow::Result<String> {
        let mut messages = String::new();
        for url in &*self.urls {
            let answer = answer(&self.client, url, review).await?;
            messages += answer["response"]["status"]["message"].as_str().unwrap_or_default();
        }
        Ok(messages)
    }
}

/// What an API server would call, and where that is if it asked its Service: every engine is on this
/// machine.
fn url(config: &WebhookClientConfig) -> anyhow::Result<(String, Option<(String, SocketAddr)>)> {
    if let Some(url) = &config.url {
        return Ok((url.clone(), None));
    }
    let service = config.service.as_ref().context("a webhook with neither a URL nor a Service")?;
    let port = u16::try_from(service.port.unwrap_or(443))?;
    let host = format!("{}.{}.svc", service.name, service.namespace);
    let url = format!("https://{host}:{port}{}", service.path.as_deref().unwrap_or_default());
    Ok((url, Some((host, SocketAddr::from(([127, 0, 0, 1], port))))))
}

/// HTTP/1.1, no resumption, and AES-128 before others: what an API server does with the Service of a
/// webhook.
fn tls(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    let others = |suite: &SupportedCipherSuite| suite.suite() != TLS13_AES_128_GCM_SHA256;
    provider.cipher_suites.sort_by_key(others);
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let mut config = builder
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn answer(client: &Client, url: &str, review: &Bytes) -> anyhow::Result<Value> {
    let request = client.post(url).header("content-type", "application/json");
    let response = request.body(review.clone()).send().await?.error_for_status()?;
    Ok(response.json().await?)
}

fn allowed(answer: &Value) -> bool {
    answer["response"]["allowed"].as_bool().unwrap_or_default()
}

// === impl Connections ===

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeptAlive => "kept alive",
            Self::Churning => "one each",
        })
    }
}
