//! The caller: what an API server does with a review, over and over.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhook;
use reqwest::{Certificate, Client};
use serde_json::Value;

/// Whether a connection serves more than one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    KeptAlive,
    Churning,
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
        let mut client = Client::builder().http1_only().no_proxy();
        let mut urls = Vec::new();
        for webhook in webhooks {
            let config = &webhook.client_config;
            let bundle = config.ca_bundle.as_ref().context("a webhook without a caBundle")?;
            for authority in Certificate::from_pem_bundle(&bundle.0)? {
                client = client.add_root_certificate(authority);
            }
            urls.push(config.url.clone().context("a webhook without a URL")?);
        }
        if connections == Connections::Churning {
            client = client.pool_max_idle_per_host(0);
        }
        Ok(Self { client: client.build()?, urls: urls.into() })
    }

    /// Sends the review that often.
    pub(crate) async fn call(
        &self,
        review: &[u8],
        times: usize,
        workers: usize,
    ) -> anyhow::Result<Sample> {
        let left = Arc::new(AtomicUsize::new(times));
        let started = Instant::now();
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                let (client, urls) = (self.client.clone(), self.urls.clone());
                let (left, review) = (left.clone(), review.to_vec());
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1))
                        .is_ok()
                    {
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
        let mut latencies = Vec::with_capacity(times);
        for worker in workers {
            latencies.extend(worker.await??);
        }
        Ok(Sample { latencies, elapsed: started.elapsed() })
    }

    /// How many policies refuse the review.
    pub(crate) async fn refused(&self, review: &[u8]) -> anyhow::Result<usize> {
        let mut refusals = 0;
        for url in &*self.urls {
            let answer = answer(&self.client, url, review).await?;
            let message = answer["response"]["status"]["message"].as_str().unwrap_or_default();
            refusals += message.matches("olicy ").count();
        }
        Ok(refusals)
    }
}

async fn answer(client: &Client, url: &str, review: &[u8]) -> anyhow::Result<Value> {
    let request = client.post(url).header("content-type", "application/json");
    let response = request.body(review.to_vec()).send().await?.error_for_status()?;
    Ok(response.json().await?)
}

fn allowed(answer: &Value) -> bool {
    answer["response"]["allowed"].as_bool().unwrap_or_default()
}

// === impl Connections ===

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeptAlive => "kept-alive",
            Self::Churning => "a connection each",
        })
    }
}
