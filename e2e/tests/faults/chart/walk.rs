//! A walk through all that Pharos does to a cluster, with exactly the rights of the chart: none is
//! missing, and none is never used. A second release beside it shows that they do not meet.

use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_e2e::manifests::POLICY;
use pharos_testkit::pki::{Authority, Leaf};
use pharos_testkit::{AuditRecord, ControlPlane, Helm, eventually};
use serde_json::{Value, json};

use super::release::Release;
use super::replica::a_replica_writes_what_is_its_own;
use super::rights;

const PATIENCE: Duration = Duration::from_secs(60);
const SHOP: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
const CONDITIONAL: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: conditional}
spec:
  failurePolicy: Ignore
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}
  matchConditions:
  - {name: named, expression: \"object.metadata.name.startsWith('a')\"}
  validations:
  - {expression: 'true'}
";
const SECRETS: [&str; 2] = ["token", "client"];
const OTHER_VALUES: &str = "{crds: {enabled: false}, admission: {exemptNamespaces: [one]}}";

/// A walk on one control plane.
struct Walk<'a> {
    cluster: &'a ControlPlane,
    authority: Authority,
}

/// With a reference of each sort.
fn spec(period: u32) -> Value {
    json!({
        "exporters": [{"name": "gateway", "type": "OTLP", "otlp": {
            "protocol": "GRPC", "endpoint": "https://127.0.0.1:9", "timeoutSeconds": 1,
            "headers": [{"name": "authorization", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}}],
            "tls": {"caRef": {"name": "ca"}, "clientCertificateRef": {"name": "client"}},
        }}],
        "metrics": {"exporters": ["gateway"], "exportPeriodSeconds": period},
    })
}

/// The first release has its leader make a TelemetryConfig that names Secrets.
fn values() -> String {
    let telemetry = json!({"secretNames": SECRETS, "configMapNames": ["ca"], "config": spec(5)});
    json!({"telemetry": telemetry}).to_string()
}

// === impl Walk ===

impl Walk<'_> {
    async fn read(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let json = ["-o", "json"];
        let text = self.cluster.kubectl(&[&["get"][..], arguments, &json].concat()).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until a condition of a TelemetryConfig has this status for the current generation.
    async fn condition(&self, namespace: &str, r#type: &str, reason: &str) -> anyhow::Result<()> {
        eventually(&format!("{namespace}: {type} with {reason}"), PATIENCE, async || {
            let object = self.read(&["telcfg", "default", "-n", namespace]).await;
            let object = object.map_err(|error| error.to_string())?;
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let found = conditions.iter().find(|it| it["type"] == r#type);
            let found = found.ok_or("the condition is not there")?;
            let current = found["observedGeneration"] == object["metadata"]["generation"];
            if current && found["reason"] == reason { Ok(()) } else { Err(object.to_string()) }
        })
        .await
    }

    /// Waits until as many replicas run the TelemetryConfig, and no other one is counted.
    async fn programmed(&self, namespace: &str, replicas: &str) -> anyhow::Result<()> {
        eventually(&format!("{namespace}: {replicas} programmed"), PATIENCE * 2, async || {
            let object = self.read(&["telcfg", "default", "-n", namespace]).await;
            let object = object.map_err(|error| error.to_string())?;
            let programmed = object["status"]["programmedReplicas"].as_str().unwrap_or_default();
            let current =
                object["status"]["programmedGeneration"] == object["metadata"]["generation"];
            if current && programmed == replicas {
                Ok(())
            } else {
                Err(object["status"].to_string())
            }
        })
        .await
    }

    /// Waits until the API server refuses what the policy refuses.
    async fn policy_in_force(&self) -> anyhow::Result<()> {
        eventually("the policy to be in force", PATIENCE, async || {
            let create = ["create", "configmap", "probe", "-n", "shop", "--dry-run=server"];
            match self.cluster.kubectl(&create).await {
                Err(error) if error.to_string().contains("require-team") => Ok(()),
                answer => Err(format!("{answer:?}")),
            }
        })
        .await
    }

    /// What the TelemetryConfig of the walk refers to; the certificate is another one every time.
    async fn materials(&self, token: &str) -> anyhow::Result<()> {
        let namespace = "one";
        let pair = self.authority.issue(&Leaf::client("pharos"))?;
        for object in [
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token", "namespace": namespace},
                "stringData": {"value": token}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "client", "namespace": namespace},
                "type": "kubernetes.io/tls",
                "stringData": {"tls.crt": pair.certificate_pem, "tls.key": pair.key_pem}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": namespace},
                "data": {"ca.crt": self.authority.pem()}}),
        ] {
            self.cluster.apply(&object.to_string()).await?;
        }
        Ok(())
    }

    async fn configure(&self, period: u32) -> anyhow::Result<()> {
        let config = json!({
            "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
            "metadata": {"name": "default", "namespace": "one"},
            "spec": spec(period),
        });
        self.cluster.apply(&config.to_string()).await?;
        Ok(())
    }

    /// Asks a replica about an object in a namespace that no watch can tell of.
    async fn review_in_unknown_namespace(&self, release: &Release<'_>) -> anyhow::Result<()> {
        let gvk = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
        let gvr = json!({"group": "", "version": "v1", "resource": "configmaps"});
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "walk", "kind": gvk, "resource": gvr, "requestKind": gvk, "requestResource": gvr,
                "name": "a", "namespace": "unheard-of", "operation": "CREATE", "userInfo": {},
                "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "unheard-of"}},
                "oldObject": null, "dryRun": false, "options": null,
            },
        });
        let client =
            reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().build()?;
        let port = release.replicas[0].pharos.ports().webhook;
        let url = format!("https://127.0.0.1:{port}/validate/ignore");
        client
            .post(url)
            .body(review.to_string())
            .header("content-type", "application/json")
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }

    /// A policy of every kind; the leader says of each what becomes of it.
    async fn policies_of_every_kind(&self) -> anyhow::Result<()> {
        let cel = json!({"validations": [{"expression": "true"}]});
        let about = json!({"any": [{"resources": {"kinds": ["Secret"]}}]});
        let validate = json!({"cel": {"expressions": [{"expression": "true"}]}});
        let rules = json!({"rules": [{"name": "r", "match": about, "validate": validate}]});
        let (policies, kyverno) = ("policies.kyverno.io/v1", "kyverno.io/v1");
        let kinds = [
            (policies, "ValidatingPolicy", "validatingpolicies", &cel),
            (policies, "MutatingPolicy", "mutatingpolicies", &json!({})),
            (policies, "GeneratingPolicy", "generatingpolicies", &json!({})),
            (policies, "ImageValidatingPolicy", "imagevalidatingpolicies", &json!({})),
            (policies, "DeletingPolicy", "deletingpolicies", &json!({})),
            (kyverno, "ClusterPolicy", "clusterpolicies", &rules),
        ];
        for (api_version, kind, plural, spec) in kinds {
            let (group, _) = api_version.split_once('/').context("a group")?;
            let in_namespace = match kind {
                "ClusterPolicy" => ("Policy".to_owned(), "policies".to_owned()),
                kind => (format!("Namespaced{kind}"), format!("namespaced{plural}")),
            };
            for (kind, plural) in [(kind.to_owned(), plural.to_owned()), in_namespace] {
                let object = json!({
                    "apiVersion": api_version, "kind": kind,
                    "metadata": {"name": "every-kind", "namespace": "one"}, "spec": spec,
                });
                self.cluster.apply(&object.to_string()).await?;
                let resource = format!("{plural}.{group}");
                eventually(&format!("the status of {kind}"), PATIENCE, async || {
                    let get = [resource.as_str(), "every-kind", "-n", "one"];
                    let object = self.read(&get).await.map_err(|error| error.to_string())?;
                    if object["status"].is_object() { Ok(()) } else { Err(object.to_string()) }
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Kyverno's settings name a role, so that who has which has to be known; and a refusal is told.
    async fn roles_and_events(&self) -> anyhow::Result<()> {
        let settings = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "kyverno", "namespace": "one"}, "data": {"excludeRoles": "shop:nobody"},
        });
        self.cluster.apply(&settings.to_string()).await?;
        let refused = self.cluster.kubectl(&["create", "configmap", "bare", "-n", "shop"]).await;
        ensure!(refused.is_err(), "it was admitted");
        eventually("an Event about the refusal", PATIENCE, async || {
            let list = self.read(&["events.events.k8s.io", "-n", "default"]).await;
            let list = list.map_err(|error| error.to_string())?;
            let told = list.to_string().contains("PolicyViolation");
            if told { Ok(()) } else { Err(list.to_string()) }
        })
        .await
    }

    /// What the replicas of this release asked for, from the start until now.
    fn requests(&self, release: &Release<'_>) -> anyhow::Result<Vec<AuditRecord>> {
        let user = release.user();
        let theirs = |it: &AuditRecord| it.user == user && !it.user_agent.starts_with("kubectl");
        Ok(self.cluster.audit()?.into_iter().filter(theirs).collect())
    }

    /// Waits until the revision of this generation is kept, and no other one.
    async fn revision_kept(&self, generation: i64) -> anyhow::Result<()> {
        eventually(&format!("generation {generation} to be kept"), PATIENCE * 2, async || {
            let list = self.read(&["controllerrevisions", "-n", "one"]).await;
            let list = list.map_err(|error| error.to_string())?;
            let kept = list["items"].as_array().into_iter().flatten().map(|it| &it["revision"]);
            let kept: Vec<_> = kept.collect();
            if kept == [&json!(generation)] { Ok(()) } else { Err(format!("{kept:?}")) }
        })
        .await
    }

    /// Waits for such an Event.
    async fn event(&self, what: &str, is: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        eventually(&format!("an Event {what}"), PATIENCE, async || {
            let list = self.read(&["events.events.k8s.io", "-n", "one"]).await;
            let list = list.map_err(|error| error.to_string())?;
            let found = list["items"].as_array().into_iter().flatten().any(&is);
            if found { Ok(()) } else { Err(list.to_string()) }
        })
        .await
    }

    /// The certificate goes bad, and is replaced.
    async fn break_the_certificate(&self) -> anyhow::Result<()> {
        let secret = ["secret", "pharos-webhook-tls", "-n", "one"];
        let remove = r#"[{"op": "replace", "path": "/data/tls.key", "value": ""}]"#;
        let patch = [&["patch"][..], &secret, &["--type=json", "-p", remove]].concat();
        self.cluster.kubectl(&patch).await?;
        eventually("the certificate to be replaced", PATIENCE, async || {
            let secret = self.read(&secret).await.map_err(|error| error.to_string())?;
            let key = secret["data"]["tls.key"].as_str().unwrap_or_default();
            if key.is_empty() { Err("it is as it was".to_owned()) } else { Ok(()) }
        })
        .await
    }

    /// Waits until the names of the webhooks are so.
    async fn webhooks(&self, are: &str, so: impl Fn(&[&str]) -> bool) -> anyhow::Result<()> {
        eventually(&format!("webhooks: {are}"), PATIENCE, async || {
            let all = "jsonpath={.items[*].webhooks[*].name}";
            let get = ["get", "validatingwebhookconfigurations", "-o", all];
            let names = self.cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
            let found: Vec<_> = names.split(' ').collect();
            if so(&found) { Ok(()) } else { Err(names) }
        })
        .await
    }

    /// Waits until both releases have registered their webhooks, or neither.
    async fn registered(&self, expected: &[&str]) -> anyhow::Result<()> {
        eventually(&format!("{expected:?} to be registered"), PATIENCE, async || {
            let get = ["get", "validatingwebhookconfigurations", "-o", "name"];
            let names = self.cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
            let names: Vec<_> = names.lines().filter_map(|it| it.split('/').nth(1)).collect();
            if names == expected { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pharos_runs_with_exactly_the_rights_of_the_chart() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = ControlPlane::builder(&dir.path().join("cluster")).audit().start().await?;
    let _controllers = cluster.start_controller_manager().await?;
    let helm = Helm::ensure().await?;
    cluster.apply(SHOP).await?;
    let mut one = Release::install(&helm, &cluster, "one", &values()).await?;
    let mut two = Release::install(&helm, &cluster, "two", OTHER_VALUES).await?;
    let walk = Walk { cluster: &cluster, authority: Authority::new("walk")? };
    walk.materials("first").await?;
    one.start().await?;
    one.start().await?;
    // Before another engine writes the same.
    walk.policies_of_every_kind().await?;
    two.start().await?;

    cluster.apply(POLICY).await?;
    walk.registered(&["pharos-validating-one", "pharos-validating-two"]).await?;
    walk.policy_in_force().await?;
    walk.roles_and_events().await?;
    let two_sees = walk.read(&["validatingwebhookconfiguration", "pharos-validating-two"]).await?;
    let selector = &two_sees["webhooks"][0]["namespaceSelector"]["matchExpressions"][0];
    ensure!(selector["values"] == json!(["two", "one"]), "it judges the other: {selector}");
    walk.review_in_unknown_namespace(&one).await?;
    walk.programmed("one", "2/2").await?;
    walk.programmed("two", "1/1").await?;
    a_replica_writes_what_is_its_own(&one).await?;

    // Twice alike is one Event, changed.
    walk.revision_kept(1).await?;
    walk.materials("second").await?;
    walk.event("to be told of the rotation", |event| event["reason"] == "CertificateRotated")
        .await?;
    walk.materials("third").await?;
    walk.event("to be one of a series", |event| event["series"].is_object()).await?;
    walk.configure(6).await?;
    walk.revision_kept(2).await?;
    walk.break_the_certificate().await?;
    // The first one led; the second one dies, and its heartbeat lapses.
    one.start().await?;
    one.stop(PATIENCE).await?;
    one.start().await?;
    one.kill();
    walk.programmed("one", "2/2").await?;
    walk.condition("one", "Ready", "Ready").await?;

    // The other one goes while it runs; what it registered goes with it, and nothing else.
    let of_two = walk.requests(&two)?;
    helm.uninstall(&cluster, "first", "two").await?;
    walk.registered(&["pharos-validating-one"]).await?;
    two.kill();
    walk.configure(7).await?;
    walk.programmed("one", "2/2").await?;
    walk.policy_in_force().await?;
    // Match conditions are tried out before they are registered.
    cluster.apply(CONDITIONAL).await?;
    let own = "conditional.validatingpolicies.ignore.validate.pharos.dev";
    walk.webhooks("one with the conditions", |names| names.contains(&own)).await?;
    for policies in ["validatingpolicies", "clusterpolicies"] {
        cluster.kubectl(&["delete", policies, "--all"]).await?;
    }
    for policies in ["namespacedvalidatingpolicies", "policies.kyverno.io"] {
        cluster.kubectl(&["delete", policies, "--all", "-n", "one"]).await?;
    }
    walk.webhooks("of no policy", |names| names == ["policies.validate.pharos.dev"]).await?;

    let granted = rights::granted(&cluster, &one).await?;
    while !one.replicas.is_empty() {
        one.stop(PATIENCE).await?;
    }
    let of_one = walk.requests(&one)?;
    for (release, requests) in [(&one, &of_one), (&two, &of_two)] {
        ensure!(!requests.is_empty(), "nothing was asked for by {}", release.user());
        for request in requests {
            ensure!(!request.forbidden && request.code != 403, "a right is missing: {request:?}");
            let home = ["", release.namespace, "unheard-of"].contains(&request.namespace.as_str());
            // Events are where what they are about is.
            let abroad = ["namespaces", "events"].contains(&request.resource.as_str());
            ensure!(home || abroad, "not at home: {request:?}");
        }
    }
    let unused = rights::unused(&granted, &of_one);
    let unused = unused.iter().filter(|right| !right.lets_name(&SECRETS));
    let unused: Vec<_> = unused.map(ToString::to_string).collect();
    ensure!(unused.is_empty(), "granted and never used: {unused:#?}");
    Ok(())
}
