//! An export of nothing: tells whether a receiver can be reached, and takes it from us.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::{Client, ClientError, ClientSpec, Proxies};
use crate::config::OtlpReceiver;
use crate::health::{SinkHealth, failure};
use crate::request::Request;
use crate::signal::Signal;

/// What a receiver makes of an export of nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeReport {
    /// The kind of the outcome, from the closed set that counters of exports use too.
    pub outcome: &'static str,
    /// `Healthy`, or what is wrong: the same text while the same is wrong.
    pub health: SinkHealth,
    /// What the receiver says about it in its own words, if it does.
    pub said: Option<String>,
    /// How long the answer took, or the failure.
    pub took: Duration,
}

/// Exports nothing to `receiver`, once, as a sink of `signal` would: by its protocol, with its
/// headers and its TLS. It informs only: a receiver may come later.
///
/// # Errors
/// If no client can be built for it.
pub async fn probe(
    receiver: &OtlpReceiver,
    signal: Signal,
    proxies: &Proxies,
) -> Result<ProbeReport, ClientError> {
    let client = Client::new(ClientSpec::new(receiver, proxies)?);
    let began = Instant::now();
    let outcome = client.send(&Request::probe(signal)).await;
    let health = match failure(&outcome) {
        None => SinkHealth::Healthy,
        Some((reason, message)) => SinkHealth::Failing { reason, message },
    };
    Ok(ProbeReport {
        outcome: outcome.reason(),
        health,
        said: outcome.message().map(str::to_owned),
        took: began.elapsed(),
    })
}
