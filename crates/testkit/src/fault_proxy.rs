//! A proxy between Pharos and the API server that breaks what a test asks it to break.
//!
//! Plain HTTP/1.1 on loopback in, HTTPS to the API server out; credentials are passed on. Enter at
//! [`FaultProxy::start`] and give it to [`Pharos::builder`](crate::Pharos::builder) in place of the
//! control plane. [`FaultProxy::inject`] decides what becomes of requests that arrive from then on,
//! [`FaultProxy::cut`] and [`FaultProxy::silence`] what becomes of those being answered now, and
//! [`FaultProxy::requests`] says what was asked.
//!
//! It changes no request: what it lets through is what Pharos sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::StatusCode;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::kubectl::Kubectl;
use crate::ports::loopback;

mod answer;
mod matching;
mod serve;
mod shared;

pub use matching::{Matching, ProxiedRequest};

use shared::{Flow, Shared};

/// A running proxy, ended on drop together with its connections.
#[derive(Debug)]
pub struct FaultProxy {
    kubectl: Kubectl,
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// What becomes of a request. What a fault keeps open is closed when its [`Injection`] ends.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is answered with this status and does not reach the API server.
    Answer(StatusCode),
    /// A watch is answered with 200 and an event of type ERROR that says 410: how an API server
    /// tells that it no longer knows the resourceVersion.
    Expire,
    /// It waits until the injection ends, and is passed on then, unless the client has gone.
    Hold,
    /// It reaches the API server; the answer does not come back.
    Swallow,
    /// It reaches the API server; the connection closes in the middle of the answer.
    Cut,
    /// It reaches the API server; the answer begins, and nothing follows. The connection is
    /// half-open.
    Silence,
    /// The connection closes without an answer, and the API server is not asked.
    Close,
    /// A list is answered with this older one, and a watch with its objects and then nothing: the
    /// view of an API server that lags behind. The objects are those of the name that a field
    /// selector asks for, where one does. What is neither list nor watch passes.
    Replay(Value),
}

/// A fault in force. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "a fault ends when its injection is dropped"]
pub struct Injection {
    shared: Arc<Shared>,
    id: usize,
}

// === impl FaultProxy ===

impl FaultProxy {
    /// Starts a proxy to the API server of `cluster`. Its kubeconfig, and the log of a Pharos that is
    /// started with it, are kept in a folder `name` beside the cluster's.
    pub async fn start(cluster: &ControlPlane, name: &str) -> anyhow::Result<Self> {
        let (address, shared, task) = listen(cluster.url(), cluster.patient_client()?).await?;
        let kubectl = AsRef::<Kubectl>::as_ref(cluster).at_address(name, address)?;
        Ok(Self { kubectl, shared, task })
    }

    /// Lets this fault befall the requests that match and arrive from now on. Of several injections
    /// that match, the newest decides.
    pub fn inject(&self, matching: Matching, fault: Fault) -> Injection {
        let id = self.shared.inject(matching, fault);
        Injection { shared: Arc::clone(&self.shared), id }
    }

    /// Closes the connections of the matching requests that wait for an answer or are being answered
    /// now, and says how many there were.
    pub fn cut(&self, matching: &Matching) -> usize {
        self.shared.redirect(matching, Flow::Cut)
    }

    /// Delivers nothing more on the connections of the matching requests that are being answered now,
    /// neither bytes nor an end, for as long as their client holds on; says how many there were.
    pub fn silence(&self, matching: &Matching) -> usize {
        self.shared.redirect(matching, Flow::Silent)
    }

    /// Every request that arrived, in that order.
    #[must_use]
    pub fn requests(&self) -> Vec<ProxiedRequest> {
        self.shared.requests()
    }

    /// How many of them match. The `nth` of the matching does not count here.
    #[must_use]
    pub fn count(&self, matching: &Matching) -> usize {
        self.shared.requests().iter().filter(|request| matching.selects(request)).count()
    }
}

impl AsRef<Kubectl> for FaultProxy {
    fn as_ref(&self) -> &Kubectl {
        &self.kubectl
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(
    upstream: String,
    client: Client,
) -> anyhow::Result<(SocketAddr, Arc<Shared>, AbortHandle)> {
    let listener = TcpListener::bind(loopback(0)).await.context("no free loopback port")?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared::new(upstream, client));
    let task = tokio::spawn(serve::serve(listener, Arc::clone(&shared))).abort_handle();
    Ok((address, shared, task))
}

// === impl Injection ===

impl Injection {
    /// How many requests it has befallen.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.shared.hits(self.id)
    }

    /// Waits until it has befallen this many requests.
    pub async fn befell(&self, requests: usize, within: Duration) -> anyhow::Result<()> {
        let what = format!("a fault to befall {requests} requests");
        eventually(&what, within, async || {
            let hits = self.hits();
            if hits >= requests { Ok(()) } else { Err(format!("it befell {hits}")) }
        })
        .await
    }

    /// Ends it.
    pub fn end(self) {}
}

impl Drop for Injection {
    fn drop(&mut self) {
        self.shared.end(self.id);
    }
}

#[cfg(test)]
mod tests;
