//! What is owned goes with its owner, and stays while that lives, as the garbage collector of a real
//! kube-controller-manager sees it.

use anyhow::{Context, ensure};
use pharos_e2e::manifests::TELEMETRYCONFIG_PROMETHEUS;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::{ControllerManager, Pharos, eventually};
use serde_json::{Value, json};

const LEASE: &str = "pharos-replica-pharos-0";
const REVISIONS: &str = "controllerrevisions";

/// The names of the objects of a kind that are owned by this uid.
async fn owned_by(stage: &Stage, kind: &str, uid: &str) -> anyhow::Result<Vec<String>> {
    let list = stage.cluster.kubectl(&["get", kind, "-n", ENGINE, "-o", "json"]).await?;
    let list: Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array().context("a list")?;
    let owned = items.iter().filter(|item| {
        let owners = item["metadata"]["ownerReferences"].as_array();
        owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid))
    });
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Ok(owned.map(name).collect())
}

/// Waits until so many objects of a kind are owned by this uid.
async fn owned(stage: &Stage, kind: &str, uid: &str, count: usize) -> anyhow::Result<Vec<String>> {
    eventually(&format!("{count} {kind} of {uid}"), PATIENCE, async || {
        let names = owned_by(stage, kind, uid).await.map_err(|error| error.to_string())?;
        if names.len() == count { Ok(names) } else { Err(format!("{names:?}")) }
    })
    .await
}

/// The uid of what was created from this.
async fn create(stage: &Stage, object: &Value) -> anyhow::Result<String> {
    let create = ["create", "-f", "-", "-o", "jsonpath={.metadata.uid}"];
    stage.kubectl().run_with_input(&create, &object.to_string()).await
}

fn pod(name: &str) -> Value {
    let containers = json!([{"name": "pharos", "image": "pharos"}]);
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": ENGINE},
        "spec": {"containers": containers, "terminationGracePeriodSeconds": 0},
    })
}

/// Waits until the collector has looked at everything that was there before: an orphan that is made
/// now has gone.
async fn collected_once(stage: &Stage, name: &str) -> anyhow::Result<()> {
    let owner = json!({
        "apiVersion": "v1", "kind": "Pod", "name": name, "uid": "no-pod-ever-had-this-uid",
    });
    for kind in ["Lease", "ControllerRevision"] {
        let group = if kind == "Lease" { "coordination.k8s.io/v1" } else { "apps/v1" };
        let mut orphan = json!({
            "apiVersion": group, "kind": kind,
            "metadata": {"name": name, "namespace": ENGINE, "ownerReferences": [owner.clone()]},
        });
        if kind == "ControllerRevision" {
            orphan["revision"] = json!(1);
            orphan["data"] = json!({});
        }
        create(stage, &orphan).await?;
    }
    owned(stage, "leases", "no-pod-ever-had-this-uid", 0).await?;
    owned(stage, REVISIONS, "no-pod-ever-had-this-uid", 0).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owned_goes_with_its_owner_and_stays_while_it_lives() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _collector: ControllerManager = stage.cluster.start_controller_manager().await?;
    let pod_uid = create(&stage, &pod("pharos-0")).await?;
    let pharos = Pharos::builder(&stage.cluster)
        .environment("POD_NAME", "pharos-0")
        .environment("POD_UID", &pod_uid)
        .environment("POD_NAMESPACE", ENGINE)
        .start()
        .await?;
    stage.configure(TELEMETRYCONFIG_PROMETHEUS).await?;
    let uid = stage.telemetryconfig().await?["metadata"]["uid"].clone();
    let uid = uid.as_str().context("a uid")?.to_owned();

    // While they live.
    ensure!(owned(&stage, "leases", &pod_uid, 1).await? == [LEASE]);
    let revision = owned(&stage, REVISIONS, &uid, 1).await?;
    let unowned = owners(&stage).await?;
    collected_once(&stage, "first").await?;
    ensure!(owned_by(&stage, "leases", &pod_uid).await? == [LEASE], "the Lease went");
    ensure!(owned_by(&stage, REVISIONS, &uid).await? == revision, "the revision went");

    // Another object of the same name has a revision of its own.
    stage.cluster.kubectl(&["delete", "telcfg", "default", "-n", ENGINE]).await?;
    stage.configure(TELEMETRYCONFIG_PROMETHEUS).await?;
    owned(&stage, REVISIONS, &uid, 0).await?;
    let next = stage.telemetryconfig().await?["metadata"]["uid"].clone();
    owned(&stage, REVISIONS, next.as_str().context("a uid")?, 1).await?;

    // The Pod dies with its process; nobody says farewell.
    pharos.kill();
    collected_once(&stage, "second").await?;
    ensure!(owned_by(&stage, "leases", &pod_uid).await? == [LEASE], "the Pod is still there");
    stage.cluster.kubectl(&["delete", "pod", "pharos-0", "-n", ENGINE]).await?;
    owned(&stage, "leases", &pod_uid, 0).await?;
    collected_once(&stage, "third").await?;
    ensure!(owners(&stage).await? == unowned, "something went that nobody owns");
    Ok(())
}

/// What outlives every replica: it has no owner. The names, by kind.
async fn owners(stage: &Stage) -> anyhow::Result<Vec<String>> {
    let names = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.ownerReferences}{\"\\n\"}{end}";
    let get = "secrets,validatingwebhookconfigurations";
    let list = stage.cluster.kubectl(&["get", get, "-n", ENGINE, "-o", names]).await?;
    let list: Vec<_> = list.lines().map(|line| line.trim().to_owned()).collect();
    ensure!(list.len() >= 2, "the certificate and the webhooks are there: {list:?}");
    ensure!(list.iter().all(|line| !line.contains(' ')), "{list:?}");
    Ok(list)
}
