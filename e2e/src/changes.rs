//! Changes of a cluster, drawn at random from a seed: objects, policies, exceptions and namespaces are
//! created, changed and deleted.
//!
//! Enter at [`Changes::prepare`]. What is drawn depends on the seed alone; what becomes of it does on
//! what is there: nothing is created in a namespace that is not, or that is being deleted.

use anyhow::Context;
use fastrand::Rng;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::scans::resource;
use crate::stage::Stage;

mod policies;

/// What is changed and policies are about.
pub const OBJECTS: [(&str, &str); 5] = [
    ("v1", "Namespace"),
    ("v1", "Pod"),
    ("v1", "ConfigMap"),
    ("apps/v1", "Deployment"),
    ("example.com/v1", "Widget"),
];
/// Those that are in namespaces.
const NAMESPACED: [(&str, &str); 4] = [OBJECTS[1], OBJECTS[2], OBJECTS[3], OBJECTS[4]];
const NAMESPACES: [&str; 4] = ["amber", "blue", "coral", "dun"];
const NAMES: [&str; 3] = ["x", "y", "z"];
const TEAMS: [Option<&str>; 3] = [None, Some("web"), Some("data")];
/// What defines the custom resource.
pub const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

/// Changes that are made one after the other.
pub struct Changes {
    client: Client,
    random: Rng,
    /// By which they are drawn.
    pub seed: u64,
}

/// One change.
enum Change {
    /// There is this object, and it is so.
    Put(Value),
    /// There is none of this kind, namespace and name.
    Delete(ApiResource, Option<&'static str>, &'static str),
}

// === impl Changes ===

impl Changes {
    /// Defines the custom resource and has one object of every name, and every policy. What is drawn
    /// goes by this seed, unless `PHAROS_E2E_SEED` is another one.
    pub async fn prepare(stage: &Stage, seed: u64) -> anyhow::Result<Self> {
        let seed = match std::env::var("PHAROS_E2E_SEED") {
            Ok(other) => other.parse().context("PHAROS_E2E_SEED is no number")?,
            Err(_) => seed,
        };
        stage.cluster.apply(DEFINITION).await?;
        let established = ["wait", "--for=condition=Established", "crd/widgets.example.com"];
        stage.cluster.kubectl(&established).await?;
        let mut changes =
            Self { client: stage.client().await?, random: Rng::with_seed(seed), seed };
        for namespace in NAMESPACES {
            let namespace = namespace_of(&mut changes.random, namespace);
            changes.put(&namespace).await?;
        }
        for policy in policies::every(&mut changes.random) {
            changes.put(&policy).await?;
        }
        for namespace in NAMESPACES {
            for name in NAMES {
                for kind in NAMESPACED {
                    let object = object(&mut changes.random, kind, namespace, name);
                    changes.put(&object).await?;
                }
            }
        }
        Ok(changes)
    }

    /// Makes so many. Namespaces that are deleted go only where a controller manager runs.
    pub async fn make(&mut self, count: usize) -> anyhow::Result<()> {
        for _ in 0..count {
            match Change::draw(&mut self.random) {
                Change::Put(object) => self.put(&object).await?,
                Change::Delete(resource, namespace, name) => {
                    let outcome = self.api(&resource, namespace);
                    let outcome = outcome.delete(name, &DeleteParams::default()).await;
                    tolerated(outcome.map(drop)).with_context(|| format!("to delete {name}"))?;
                }
            }
        }
        Ok(())
    }

    /// Changes what a policy says about every Pod and Deployment, so that all their reports have to be
    /// written.
    pub async fn of_all_pods(&mut self, message: &str) -> anyhow::Result<()> {
        self.put(&policies::labelled(message)).await
    }

    /// Has a policy about ConfigMaps, which no other is about, so that all their reports have to be
    /// created.
    pub async fn of_config_maps(&mut self) -> anyhow::Result<()> {
        let policy = policies::sized(&mut self.random);
        self.put(&policy).await
    }

    /// Has none any more, so that all their reports have to be deleted.
    pub async fn of_no_config_maps(&mut self) -> anyhow::Result<()> {
        let policies = self.api(&resource("policies.kyverno.io/v1", "ValidatingPolicy"), None);
        let deleted = policies.delete("sized", &DeleteParams::default()).await;
        Ok(tolerated(deleted.map(drop))?)
    }

    /// A number below this one.
    pub fn below(&mut self, end: usize) -> usize {
        self.random.usize(..end)
    }

    async fn put(&self, object: &Value) -> anyhow::Result<()> {
        let text = |path| object.pointer(path).and_then(Value::as_str);
        let (version, kind) = text("/apiVersion").zip(text("/kind")).context("no types")?;
        let name = text("/metadata/name").context("no name")?;
        let api = self.api(&resource(version, kind), text("/metadata/namespace"));
        let parameters = PatchParams::apply("changes").force();
        let outcome = api.patch(name, &parameters, &Patch::Apply(object)).await;
        tolerated(outcome.map(drop)).with_context(|| format!("to make {object}"))
    }

    fn api(&self, resource: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }
}

/// What is not there cannot be deleted, and nothing is made in a namespace that is not, or goes.
fn tolerated(outcome: kube::Result<()>) -> kube::Result<()> {
    match outcome {
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 409) => Ok(()),
        outcome => outcome,
    }
}

// === impl Change ===

impl Change {
    fn draw(random: &mut Rng) -> Self {
        let namespace = NAMESPACES[random.usize(..NAMESPACES.len())];
        let name = NAMES[random.usize(..NAMES.len())];
        match random.u32(..100) {
            0..55 => {
                let kind = NAMESPACED[random.usize(..NAMESPACED.len())];
                Self::Put(object(random, kind, namespace, name))
            }
            55..66 => {
                let (version, kind) = NAMESPACED[random.usize(..NAMESPACED.len())];
                Self::Delete(resource(version, kind), Some(namespace), name)
            }
            66..84 => Self::Put(policies::draw(random)),
            84..86 => policies::delete(random),
            86..89 => Self::Put(policies::exception(random, namespace, name)),
            89..91 => {
                let exceptions = resource("policies.kyverno.io/v1", "PolicyException");
                Self::Delete(exceptions, Some(namespace), name)
            }
            91..98 => Self::Put(namespace_of(random, namespace)),
            _ => Self::Delete(resource("v1", "Namespace"), None, namespace),
        }
    }
}

fn namespace_of(random: &mut Rng, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels(random, "team")}})
}

fn object(random: &mut Rng, kind: (&str, &str), namespace: &str, name: &str) -> Value {
    let (version, kind) = kind;
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels(random, "app")});
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    let (field, content) = match kind {
        "Pod" => ("spec", pod),
        "ConfigMap" => ("data", json!({"size": random.u32(..6).to_string()})),
        "Deployment" => {
            let template = json!({"metadata": {"labels": {"of": name}}, "spec": pod});
            ("spec", json!({"selector": {"matchLabels": {"of": name}}, "template": template}))
        }
        _ => {
            let team = TEAMS[random.usize(..TEAMS.len())];
            ("spec", json!({"size": random.u32(..6), "team": team}))
        }
    };
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, field: content})
}

fn labels(random: &mut Rng, label: &str) -> Value {
    match TEAMS[random.usize(..TEAMS.len())] {
        Some(value) => json!({label: value}),
        None => json!({}),
    }
}
