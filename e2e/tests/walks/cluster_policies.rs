//! ClusterPolicies and Policies at a real API server: who asks and in which namespace decides, what
//! makes Pods is judged as Pods are, and what comes to a Pod later, too.

use anyhow::ensure;
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::{Pharos, eventually};
use serde_json::{Value, json};

/// Jane and whoever is a free spirit need no label, and in the attic nobody does.
const TEAM: &str = "
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: wants-team}
spec:
  rules:
  - name: team
    match:
      any:
      - resources: {kinds: [v1/Config*], namespaces: [yard, attic], operations: [CREATE]}
    exclude:
      any:
      - subjects: [{kind: User, name: jane}]
      - clusterRoles: [free-spirit]
    validate:
      failureAction: Enforce
      failureActionOverrides: [{action: Audit, namespaces: [att*]}]
      message: every ConfigMap needs the label team
      cel:
        expressions:
        - expression: has(object.metadata.labels) && 'team' in object.metadata.labels
";

/// Pods as they come, and as they become.
const PODS: &str = "
apiVersion: kyverno.io/v1
kind: Policy
metadata: {name: pods, namespace: yard}
spec:
  rules:
  - name: images
    match:
      any:
      - resources: {kinds: [Pod]}
    validate:
      failureAction: Enforce
      cel:
        expressions:
        - expression: object.spec.containers.all(c, c.image != 'bad')
          messageExpression: \"'not ' + object.spec.containers[0].image\"
        - expression: '!has(object.spec.ephemeralContainers)'
          message: nobody looks in
";

const NAMESPACES: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: yard}
---
apiVersion: v1
kind: Namespace
metadata: {name: attic}
";

const BINDING: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: joe, namespace: yard}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: free-spirit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: joe}]
";

fn pod(namespace: &str, image: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": namespace},
        "spec": {"containers": [{"name": "web", "image": image}]},
    })
    .to_string()
}

fn deployment(image: &str) -> String {
    let labels = json!({"app": "web"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "yard"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "web", "image": image}]},
        }},
    })
    .to_string()
}

/// A stage, and what a walk asks about it.
struct Walk(Stage);

// === impl Walk ===

impl Walk {
    /// The answer to a ConfigMap without a label, of which nothing is left behind.
    async fn asked(&self, namespace: &str, user: &str) -> Result<String, String> {
        let create = ["create", "configmap", "bare", "-n", namespace, "--dry-run=server"];
        let user = ["--as", user, "--as-group", "system:masters"];
        let answer = self.0.cluster.kubectl(&[&create[..], &user].concat()).await;
        answer.map_err(|error| format!("{error:#}"))
    }

    async fn admitted(&self, namespace: &str, user: &str) -> anyhow::Result<()> {
        let what = format!("{user} to be let into {namespace}");
        eventually(&what, PATIENCE, async || self.asked(namespace, user).await.map(drop)).await
    }

    async fn refused(&self, namespace: &str, user: &str, words: &[&str]) -> anyhow::Result<()> {
        let what = format!("{user} to be refused in {namespace}");
        eventually(&what, PATIENCE, async || match self.asked(namespace, user).await {
            Err(error) if words.iter().all(|word| error.contains(word)) => Ok(()),
            answer => Err(format!("{answer:?}")),
        })
        .await
    }

    /// What the API server says against an object.
    async fn against(&self, object: &str) -> anyhow::Result<String> {
        let output = self.0.kubectl().output(&["apply", "-f", "-"], object).await?;
        ensure!(!output.status.success(), "it was admitted: {object}");
        Ok(String::from_utf8(output.stderr)?)
    }

    /// Kyverno's columns, and the rules that were generated.
    async fn status_tells(&self) -> anyhow::Result<()> {
        let get = ["get", "pol", "pods", "-n", "yard", "-o", "json"];
        eventually("the status of the policy", PATIENCE, async || {
            let text = self.0.cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
            let policy: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let status = &policy["status"];
            let generated = status["autogen"]["rules"].as_array().into_iter().flatten();
            let generated: Vec<_> = generated.filter_map(|rule| rule["name"].as_str()).collect();
            let told = status["conditions"][0]["type"] == "Ready"
                && status["conditions"][0]["status"] == "True"
                && status["rulecount"]["validate"] == 1
                && generated == ["autogen-images", "autogen-cronjob-images"];
            if told { Ok(()) } else { Err(status.to_string()) }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_where_and_what_makes_pods_decide() -> anyhow::Result<()> {
    let walk = Walk(Stage::set().await?);
    let cluster = &walk.0.cluster;
    for yaml in [NAMESPACES, TEAM, PODS] {
        cluster.apply(yaml).await?;
    }
    let _pharos = Pharos::builder(cluster).start().await?;
    let words = [
        "resource ConfigMap/yard/bare was blocked due to the following policies",
        "wants-team:",
        "team: every ConfigMap needs the label team",
    ];
    walk.refused("yard", "joe", &words).await?;
    walk.admitted("yard", "jane").await?;
    walk.admitted("attic", "joe").await?;
    walk.admitted("default", "joe").await?;

    // A role that somebody gets, and loses.
    cluster
        .kubectl(&["create", "clusterrole", "free-spirit", "--verb=get", "--resource=pods"])
        .await?;
    cluster.apply(BINDING).await?;
    walk.admitted("yard", "joe").await?;
    cluster.kubectl(&["delete", "rolebinding", "joe", "-n", "yard"]).await?;
    walk.refused("yard", "joe", &words).await?;

    // Pods, what makes them, and what they become.
    let error = walk.against(&pod("yard", "bad")).await?;
    ensure!(error.contains("images: not bad"), "{error}");
    let error = walk.against(&deployment("bad")).await?;
    ensure!(error.contains("autogen-images: not bad"), "{error}");
    for good in [pod("yard", "good"), pod("attic", "bad"), deployment("good")] {
        cluster.apply(&good).await?;
    }
    for (namespace, refused) in [("yard", true), ("attic", false)] {
        let debug = ["debug", "web", "-n", namespace, "--image=looking", "--quiet"];
        let answer = cluster.kubectl(&debug).await.map_err(|error| format!("{error:#}"));
        let is_refused = matches!(&answer, Err(error) if error.contains("nobody looks in"));
        ensure!(is_refused == refused, "a container to look into {namespace}: {answer:?}");
    }
    walk.status_tells().await
}
