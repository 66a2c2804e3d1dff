//! Several processes behind one Service, as in a cluster.
//!
//! Enter at [`Replicas::start`]. Each has the name and uid of a Pod that exists, though nothing runs
//! it: owner references are real.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use pharos_testkit::{Balancer, Kubectl, Pharos, WebhookTarget};
use serde_json::{Value, json};

use crate::stage::{ENGINE, PATIENCE, Stage};

/// Running replicas, killed on drop.
pub struct Replicas {
    /// Those that run, by the name of their Pod.
    pub running: Vec<(String, Pharos)>,
    balancer: Balancer,
    started: usize,
}

// === impl Replicas ===

impl Replicas {
    /// Starts so many at once and waits until their webhook is called.
    pub async fn start(stage: &Stage, count: usize) -> anyhow::Result<Self> {
        let mut replicas = Self::none().await?;
        replicas.add(stage, count).await?;
        stage.webhook_in_force().await?;
        Ok(replicas)
    }

    /// The Service, without anybody behind it.
    pub async fn none() -> anyhow::Result<Self> {
        let balancer = Balancer::start(Vec::new()).await?;
        Ok(Self { balancer, running: Vec::new(), started: 0 })
    }

    /// Starts so many more at once, and waits until they are ready.
    pub async fn add(&mut self, stage: &Stage, count: usize) -> anyhow::Result<()> {
        self.add_through(stage, stage.kubectl(), count).await
    }

    /// The same for replicas that reach the API server like this.
    pub async fn add_through(
        &mut self,
        stage: &Stage,
        cluster: &impl AsRef<Kubectl>,
        count: usize,
    ) -> anyhow::Result<()> {
        let first = self.started + 1;
        self.started += count;
        let start = (first..first + count).map(async |number| {
            let name = format!("pharos-{number}");
            let uid = pod(stage, &name).await?;
            let service = format!("{ENGINE}/pharos");
            let target = WebhookTarget::ServicePort(service, self.balancer.address().port());
            let builder = Pharos::builder(cluster)
                .name(&name)
                .environment("POD_NAME", &name)
                .environment("POD_UID", &uid)
                .target(target)
                .arguments(&["--shutdown-delay", "1"]);
            anyhow::Ok((name, builder.start().await?))
        });
        let started = try_join_all(start).await?;
        self.running.extend(started);
        self.balance();
        Ok(())
    }

    /// Takes the oldest out of the Service, then ends it in order.
    pub async fn remove(&mut self) -> anyhow::Result<String> {
        let (name, leaving) = self.take(0)?;
        let status = leaving.terminate(PATIENCE).await?;
        ensure!(status.success(), "pharos ended with {status}");
        Ok(name)
    }

    /// Takes this one out of the Service; it runs on.
    pub fn take(&mut self, index: usize) -> anyhow::Result<(String, Pharos)> {
        ensure!(index < self.running.len(), "there are {} replicas", self.running.len());
        let taken = self.running.remove(index);
        self.balance();
        Ok(taken)
    }

    /// The index of this one.
    pub fn position(&self, name: &str) -> anyhow::Result<usize> {
        let named = self.running.iter().position(|(replica, _)| replica == name);
        named.with_context(|| format!("{name} is none of ours"))
    }

    fn balance(&self) {
        let webhook =
            |(_, pharos): &(_, Pharos)| SocketAddr::from(([127, 0, 0, 1], pharos.ports().webhook));
        self.balancer.set_backends(self.running.iter().map(webhook).collect());
    }
}

/// The uid of a new Pod that nobody schedules.
async fn pod(stage: &Stage, name: &str) -> anyhow::Result<String> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "pharos", "image": "pharos"}]},
    });
    let path = format!("/api/v1/namespaces/{ENGINE}/pods");
    let (status, answer) = stage.cluster.create(&path, &pod).await?;
    ensure!(status == 201, "the Pod {name}: {status} {answer}");
    let created: Value = serde_json::from_str(&answer)?;
    Ok(created["metadata"]["uid"].as_str().context("a uid")?.to_owned())
}

/// The replica that leads: that writes status.
pub async fn leader(stage: &Stage) -> anyhow::Result<String> {
    let path = "jsonpath={.spec.holderIdentity}";
    let lease = ["get", "lease", "pharos-telemetry-leader", "-n", ENGINE, "-o", path];
    let candidate = stage.cluster.kubectl(&lease).await?;
    // The replica's name, and what tells its processes apart.
    Ok(candidate.split('_').next().unwrap_or_default().to_owned())
}
