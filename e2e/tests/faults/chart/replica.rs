//! What a replica may write: what is its own, and nothing else.

use anyhow::{Context, bail, ensure};
use serde_json::json;

use super::release::Release;

/// A replica that was broken into cannot speak for another, nor write another Secret.
pub(super) async fn a_replica_writes_what_is_its_own(release: &Release<'_>) -> anyhow::Result<()> {
    let [first, second, ..] = &release.replicas[..] else { bail!("two replicas run") };
    let label = json!({"telemetry.pharos.dev/heartbeat": "true"});
    let write = async |kind: &str, version: &str, name: &str| {
        let metadata = json!({"name": name, "namespace": release.namespace, "labels": label});
        let object = json!({"apiVersion": version, "kind": kind, "metadata": metadata});
        let apply = ["apply", "--server-side", "--force-conflicts", "--dry-run=server"];
        let apply = [&apply[..], &["--validate=false", "-f", "-"]].concat();
        let output = first.kubectl.output(&apply, &object.to_string()).await?;
        anyhow::Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
    };
    let lease = async |pod: &str| {
        write("Lease", "coordination.k8s.io/v1", &format!("pharos-replica-{pod}")).await
    };
    let own = lease(&first.pod).await?;
    ensure!(own.contains("serverside-applied"), "its own heartbeat: {own}");
    for pod in [second.pod.as_str(), "made-up"] {
        let told = lease(pod).await?;
        let denied = told.contains("only the heartbeat Lease of the Pod that its token names");
        ensure!(denied && told.contains(&first.pod), "the heartbeat of {pod}: {told}");
    }
    let others = ["delete", "lease", "pharos-admission-leader", "--dry-run=server"];
    let others = [&others[..], &["--wait=false", "-n", release.namespace]].concat();
    let told = first.kubectl.run(&others).await.err().context("it deletes any Lease")?.to_string();
    ensure!(told.contains("may delete only heartbeat Leases"), "{told}");
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "pharos-webhook-tls", "namespace": release.namespace,
            "annotations": {"kubernetes.io/service-account.name": "default"},
        },
    });
    let create = ["create", "--dry-run=server", "--validate=false", "-f", "-"];
    let output = first.kubectl.output(&create, &token.to_string()).await?;
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.contains("no Secret of type kubernetes.io/service-account-token"), "{told}");
    let create = ["create", "secret", "generic", "another", "-n", release.namespace];
    let told = first.kubectl.run(&create).await.err().context("it makes any Secret")?.to_string();
    ensure!(told.contains("only the Secret pharos-webhook-tls"), "{told}");
    Ok(())
}
