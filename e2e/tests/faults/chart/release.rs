//! A release of the chart whose replicas run on this machine: Pods that are objects only, and
//! processes with the tokens, arguments and environment that a kubelet would give them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_testkit::{
    Balancer, ControlPlane, Helm, Kubectl, Pharos, WebhookTarget, external_name_service,
};
use serde_json::{Value, json};

use super::folder;

/// One release in one namespace.
pub(super) struct Release<'a> {
    cluster: &'a ControlPlane,
    pub(super) namespace: &'static str,
    /// What its Pods are named after.
    name: &'static str,
    deployment: Value,
    balancer: Balancer,
    pub(super) replicas: Vec<Replica>,
    started: usize,
}

/// One of its replicas.
pub(super) struct Replica {
    pub(super) pod: String,
    pub(super) pharos: Pharos,
    /// kubectl with the replica's own token.
    pub(super) kubectl: Kubectl,
}

// === impl Release ===

impl<'a> Release<'a> {
    /// Installs the release `first` into a namespace that admits restricted Pods only, and leads its
    /// Service to where its replicas will be.
    pub(super) async fn install(
        helm: &Helm,
        cluster: &'a ControlPlane,
        namespace: &'static str,
        values: &str,
    ) -> anyhow::Result<Self> {
        let labels = json!({
            "telemetry.pharos.dev/engine": "true",
            "pod-security.kubernetes.io/enforce": "restricted",
        });
        let labelled = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "labels": labels},
        });
        cluster.apply(&labelled.to_string()).await?;
        helm.upgrade(cluster, "first", &folder(), namespace, values).await?;
        let name = "first-pharos";
        cluster.kubectl(&["delete", "service", name, "-n", namespace]).await?;
        cluster.apply(&external_name_service(namespace, name)).await?;
        Self::of(cluster, namespace).await
    }

    /// The release `first` of this namespace as it is installed now. Its Service leads nowhere.
    pub(super) async fn of(
        cluster: &'a ControlPlane,
        namespace: &'static str,
    ) -> anyhow::Result<Self> {
        Self::of_deployment(cluster, namespace, "first-pharos").await
    }

    /// What of it scans, as it is installed now.
    pub(super) async fn scans(
        cluster: &'a ControlPlane,
        namespace: &'static str,
    ) -> anyhow::Result<Self> {
        Self::of_deployment(cluster, namespace, "first-pharos-scan").await
    }

    async fn of_deployment(
        cluster: &'a ControlPlane,
        namespace: &'static str,
        name: &'static str,
    ) -> anyhow::Result<Self> {
        let deployment = ["get", "deployment", name, "-n", namespace, "-o", "json"];
        let deployment = serde_json::from_str(&cluster.kubectl(&deployment).await?)?;
        let balancer = Balancer::start(Vec::new()).await?;
        let replicas = Vec::new();
        Ok(Self { cluster, namespace, name, deployment, balancer, replicas, started: 0 })
    }

    /// The user that its replicas are.
    pub(super) fn user(&self) -> String {
        let account = &self.deployment["spec"]["template"]["spec"]["serviceAccountName"];
        format!("system:serviceaccount:{}:{}", self.namespace, account.as_str().unwrap_or_default())
    }

    /// Starts one more replica.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        self.started += 1;
        let pod = format!("{}-{}", self.name, self.started);
        let (uid, kubectl) = self.create_pod(&pod).await?;
        let port = self.balancer.address().port();
        let service = format!("{}/first-pharos", self.namespace);
        let mut builder = Pharos::builder(&kubectl)
            .name(&format!("{}-{pod}", self.namespace))
            .namespace(self.namespace)
            .arguments(&self.arguments()?)
            .target(WebhookTarget::ServicePort(service, port));
        for (variable, value) in
            [("POD_NAME", pod.as_str()), ("POD_UID", &uid), ("POD_NAMESPACE", self.namespace)]
        {
            builder = builder.environment(variable, value);
        }
        let pharos = builder.start().await?;
        self.replicas.push(Replica { pod, pharos, kubectl });
        self.balance();
        Ok(())
    }

    /// Ends the first replica in order, and its Pod.
    pub(super) async fn stop(&mut self, within: Duration) -> anyhow::Result<()> {
        let leaving = self.replicas.remove(0);
        self.balance();
        let status = leaving.pharos.terminate(within).await?;
        ensure!(status.success(), "pharos ended with {status}");
        self.delete_pod(&leaving.pod).await
    }

    /// Kills the first replica; its Pod stays.
    pub(super) fn kill(&mut self) {
        let dying = self.replicas.remove(0);
        self.balance();
        dying.pharos.kill();
    }

    /// A Pod as the Deployment's template has it, and a kubectl with its token.
    async fn create_pod(&self, name: &str) -> anyhow::Result<(String, Kubectl)> {
        let namespace = self.namespace;
        let mut pod = self.deployment["spec"]["template"].clone();
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["namespace"] = json!(namespace);
        self.cluster.apply(&pod.to_string()).await?;
        let uid = ["get", "pod", name, "-n", namespace, "-o", "jsonpath={.metadata.uid}"];
        let uid = self.cluster.kubectl(&uid).await?;
        let account = pod["spec"]["serviceAccountName"].as_str().context("no ServiceAccount")?;
        let token = ["create", "token", account, "-n", namespace, "--bound-object-kind", "Pod"];
        let bound = ["--bound-object-name", name, "--bound-object-uid", uid.as_str()];
        let token = self.cluster.kubectl(&[&token[..], &bound].concat()).await?;
        let admin: &Kubectl = self.cluster.as_ref();
        Ok((uid, admin.with_token(&format!("{namespace}-{name}"), token.trim())?))
    }

    async fn delete_pod(&self, name: &str) -> anyhow::Result<()> {
        let delete = ["delete", "pod", name, "-n", self.namespace, "--grace-period=0", "--force"];
        self.cluster.kubectl(&delete).await?;
        Ok(())
    }

    /// The arguments of the Deployment, but for where a process listens and is reached on this
    /// machine, and for how long it waits until the API server has learnt that it leaves.
    fn arguments(&self) -> anyhow::Result<Vec<&str>> {
        let container = &self.deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().context("no arguments")?;
        let local =
            ["serve", "--webhook-", "--metrics-listen", "--admin-listen", "--shutdown-delay"];
        let arguments = arguments.iter().filter_map(Value::as_str);
        Ok(arguments.filter(|it| !local.iter().any(|local| it.starts_with(local))).collect())
    }

    /// Whether its replicas are given a TelemetryConfig to make.
    pub(super) fn creates_a_telemetryconfig(&self) -> anyhow::Result<bool> {
        Ok(self.arguments()?.iter().any(|it| it.starts_with("--create-telemetry-config")))
    }

    fn balance(&self) {
        let webhook = |it: &Replica| SocketAddr::from(([127, 0, 0, 1], it.pharos.ports().webhook));
        self.balancer.set_backends(self.replicas.iter().map(webhook).collect());
    }
}
