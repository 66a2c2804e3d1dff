//! What the API server holds about a namespace's telemetry, read once.
//!
//! Needs to list TelemetryConfigs, and to list and get Leases. What may not be read is an error that
//! prints the rule that is missing.

use anyhow::bail;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::heartbeat;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::Observed;

use crate::serve::TELEMETRY_LEASE;

/// The rule that lets somebody read all of this.
const RULES: &str = "{apiGroups: [telemetry.pharos.dev], resources: [telemetryconfigs], verbs: [list]} \
     and {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list]}";

/// What there is.
pub(super) struct Gathered {
    /// The TelemetryConfigs, broken ones included.
    pub(super) objects: Vec<Observed<TelemetryConfig>>,
    /// The heartbeats.
    pub(super) leases: Vec<Lease>,
    /// Who writes status.
    pub(super) leader: Option<Lease>,
}

// === impl Gathered ===

impl Gathered {
    /// Reads a namespace.
    pub(super) async fn of(client: &Client, namespace: &str) -> anyhow::Result<Self> {
        let objects =
            Api::<DeserializeGuard<TelemetryConfig>>::namespaced(client.clone(), namespace);
        let leases = Api::<Lease>::namespaced(client.clone(), namespace);
        let beats = ListParams {
            label_selector: heartbeat::selection().label_selector,
            ..ListParams::default()
        };
        let everything = ListParams::default();
        let (objects, beats, leader) = tokio::join!(
            objects.list(&everything),
            leases.list(&beats),
            leases.get_opt(TELEMETRY_LEASE),
        );
        let refused = |what: &str, error: &kube::Error| refused(what, namespace, error);
        let objects = objects.map_err(|error| refused("list TelemetryConfigs", &error))?;
        let leases = beats.map_err(|error| refused("list Leases", &error))?;
        let leader = leader.map_err(|error| refused("get the leader's Lease", &error))?;
        let gathered = Self {
            objects: objects.items.into_iter().map(Observed::from).collect(),
            leases: leases.items,
            leader,
        };
        if gathered.objects.is_empty() && gathered.leases.is_empty() {
            ensure_namespace_exists(client, namespace).await?;
        }
        Ok(gathered)
    }
}

/// Refuses a namespace that does not exist: it lists like an empty one.
async fn ensure_namespace_exists(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let found = Api::<Namespace>::all(client.clone()).get_opt(namespace).await;
    // Who may not look at namespaces is told that there is nothing.
    if matches!(found, Ok(None)) {
        bail!("there is no namespace {namespace:?}; name that of the engine with --namespace");
    }
    Ok(())
}

fn refused(what: &str, namespace: &str, error: &kube::Error) -> anyhow::Error {
    let remedy = match Trouble::of(error) {
        Trouble::Forbidden => format!("a Role in namespace {namespace:?} needs {RULES}"),
        trouble => trouble.remedy().to_owned(),
    };
    anyhow::anyhow!("cannot {what}: {error}; {remedy}")
}
