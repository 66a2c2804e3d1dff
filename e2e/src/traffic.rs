//! Objects created all along, while a test does something else.

use std::sync::Arc;

use anyhow::{Context, ensure};
use pharos_testkit::ControlPlane;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::stage::{SHOP, Stage};

/// How many clients create at the same time, so that the API server opens several connections.
const CLIENTS: usize = 6;
/// Every so many objects lack the label that the policy requires.
const UNLABELLED: usize = 5;

/// Clients that create ConfigMaps until they are told to stop.
pub struct Traffic {
    stop: CancellationToken,
    clients: JoinSet<anyhow::Result<Created>>,
}

/// What became of the objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Created {
    /// Stored.
    pub admitted: usize,
    /// Refused by the policy, each lacking the label.
    pub denied: usize,
}

// === impl Traffic ===

impl Traffic {
    /// Starts creating objects whose names start with `prefix`.
    #[must_use]
    pub fn start(stage: &Arc<Stage>, prefix: &str) -> Self {
        Self::of(CLIENTS, stage, prefix)
    }

    /// The same by so many clients.
    #[must_use]
    pub fn of(count: usize, stage: &Arc<Stage>, prefix: &str) -> Self {
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for client in 0..count {
            let (stage, stop) = (Arc::clone(stage), stop.clone());
            let prefix = format!("{prefix}-{client}");
            clients.spawn(async move { create_until(&stage.cluster, &prefix, &stop).await });
        }
        Self { stop, clients }
    }

    /// Lets the last objects be answered; an error if any review failed.
    pub async fn stop(mut self) -> anyhow::Result<Created> {
        self.stop.cancel();
        let mut all = Created::default();
        while let Some(created) = self.clients.join_next().await {
            let created = created.context("a client died")??;
            all.admitted += created.admitted;
            all.denied += created.denied;
        }
        Ok(all)
    }
}

async fn create_until(
    cluster: &ControlPlane,
    prefix: &str,
    stop: &CancellationToken,
) -> anyhow::Result<Created> {
    let path = format!("/api/v1/namespaces/{SHOP}/configmaps");
    let mut created = Created::default();
    for index in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let labelled = !usize::is_multiple_of(index, UNLABELLED);
        let labels = if labelled { json!({"team": "web"}) } else { json!({}) };
        let object = json!({"metadata": {"name": format!("{prefix}-{index}"), "labels": labels}});
        let (status, answer) = cluster.create(&path, &object).await?;
        if labelled {
            ensure!(status == 201, "an object with the label got {status}: {answer}");
            created.admitted += 1;
        } else {
            ensure!(answer.contains("require-team"), "one without got {status}: {answer}");
            created.denied += 1;
        }
    }
    Ok(created)
}
