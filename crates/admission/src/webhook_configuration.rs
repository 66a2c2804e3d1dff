//! What is registered with the API server: one ValidatingWebhookConfiguration, or none.
//!
//! [`desired`] derives it, purely, from the policies in force; [`step`] says, purely, what the
//! leader does about what stands there; [`keep`] does it. Written by server-side apply and only
//! when it differs, so that what somebody edits or deletes is repaired and nothing else is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ValidatingWebhook, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions};
use pharos_api::policy::{FailurePolicy, NamedRuleWithOperations, OperationType, ResourceScope};
use pharos_cluster::election::Leadership;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::{Observed, View};
use pharos_policy::PolicySet;
use rustls::pki_types::UnixTime;
use tokio::sync::watch;

use crate::certificate::{CaBundle, Material};
use crate::policies::Policies;
use crate::target::WebhookTarget;
use crate::webhook;

/// The owner of the fields that we apply, the same for every leader.
const FIELD_MANAGER: &str = "pharos-admission";
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "pharos");
/// How long the API server waits, where no policy says.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that it admits.
const MAX_TIMEOUT_SECONDS: i32 = 30;
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Requests that no policy sees, whatever its rules. Pharos must not stand in the way of its own
/// leadership and configuration, of the repair of any policy, or of who may enter the cluster.
const NEVER_MATCHED: &str = "!(request.resource.group in ['policies.kyverno.io', \
     'telemetry.pharos.dev', 'admissionregistration.k8s.io', 'authentication.k8s.io', \
     'authorization.k8s.io']) && \
     !(request.resource.group == 'coordination.k8s.io' && request.resource.resource == 'leases')";

/// What does not change while the process runs.
pub(crate) struct Registration {
    pub(crate) target: WebhookTarget,
    /// The engine's own namespace, which no policy sees: Pharos must be able to start again.
    pub(crate) namespace: String,
}

/// What stands in the API server, as far as trust in us goes.
pub(crate) enum Published {
    /// Not read yet.
    Unknown,
    /// No configuration: nobody calls.
    Nothing,
    /// The `caBundle` of each webhook; `None` where it holds no CA in its time.
    Bundles(Vec<Option<CaBundle>>),
}

/// What the leader does next.
#[derive(Debug, PartialEq)]
enum Step {
    Rest,
    Apply(Box<ValidatingWebhookConfiguration>),
    Delete { uid: String },
}

// === impl Published ===

impl Published {
    /// Reads what stands there.
    pub(crate) fn of(view: &View<ValidatingWebhookConfiguration>, now: UnixTime) -> Self {
        let Some(objects) = &view.objects else {
            return Self::Unknown;
        };
        let Some(observed) = objects.values().next() else {
            return Self::Nothing;
        };
        // One that cannot be decoded publishes nothing that we could rely on.
        let Ok(found) = &observed.object else {
            return Self::Bundles(vec![None]);
        };
        let bundle = |webhook: &ValidatingWebhook| {
            let pem = webhook.client_config.ca_bundle.as_ref()?;
            CaBundle::parse(&pem.0, now).ok()
        };
        Self::Bundles(found.webhooks.iter().flatten().map(bundle).collect())
    }

    /// Whether a caller who goes by it accepts `material`; `None` if there is no such caller.
    pub(crate) fn trusts(&self, material: &Material, now: UnixTime) -> Option<bool> {
        let Self::Bundles(bundles) = self else {
            return None;
        };
        let trusts = |bundle: &Option<CaBundle>| {
            bundle
                .as_ref()
                .is_some_and(|bundle| bundle.trusts(material, now))
        };
        Some(bundles.iter().all(trusts))
    }
}

// === impl Registration ===

impl Registration {
    /// The configuration's name: the namespace keeps two engines from fighting over one.
    pub(crate) fn name_in(namespace: &str) -> String {
        format!("pharos-validating-{namespace}")
    }

    fn name(&self) -> String {
        Self::name_in(&self.namespace)
    }

    /// What should stand in the API server; nothing without a policy that matches anything.
    pub(crate) fn desired(
        &self,
        policies: &Policies,
        bundle: &CaBundle,
    ) -> Option<ValidatingWebhookConfiguration> {
        let webhooks: Vec<_> = webhook::GROUPS
            .into_iter()
            .filter_map(|group| self.webhook(group, policies.of(group), bundle))
            .collect();
        (!webhooks.is_empty()).then(|| ValidatingWebhookConfiguration {
            metadata: ObjectMeta {
                name: Some(self.name()),
                labels: Some(BTreeMap::from([(
                    MANAGED_BY.0.to_owned(),
                    MANAGED_BY.1.to_owned(),
                )])),
                ..ObjectMeta::default()
            },
            webhooks: Some(webhooks),
        })
    }

    /// Every field that the API server would default is set, so that what it stores can be compared.
    fn webhook(
        &self,
        group: FailurePolicy,
        policies: &PolicySet,
        bundle: &CaBundle,
    ) -> Option<ValidatingWebhook> {
        let rules = rules(policies.rules().map(|registered| registered.rule));
        (!rules.is_empty()).then(|| ValidatingWebhook {
            name: webhook::name(group).to_owned(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: WebhookClientConfig {
                ca_bundle: Some(ByteString(bundle.pem().to_owned())),
                ..self.target.client_config(webhook::path(group))
            },
            failure_policy: Some(webhook::failure_policy(group).to_owned()),
            match_conditions: Some(vec![MatchCondition {
                name: "never-matched".to_owned(),
                expression: NEVER_MATCHED.to_owned(),
            }]),
            match_policy: Some("Equivalent".to_owned()),
            namespace_selector: Some(LabelSelector {
                match_expressions: Some(vec![LabelSelectorRequirement {
                    key: "kubernetes.io/metadata.name".to_owned(),
                    operator: "NotIn".to_owned(),
                    values: Some(vec![self.namespace.clone()]),
                }]),
                match_labels: None,
            }),
            object_selector: Some(LabelSelector::default()),
            rules: Some(rules),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(timeout_seconds(policies)),
        })
    }
}

/// The union of what the policies match, one rule per resource.
///
/// Single groups, versions and resources are always a valid rule; the lists that policies hold need
/// not be (`["*", "apps"]`), and one refused rule would refuse all policies. Selectors and names
/// cannot be united: each policy applies its own.
fn rules<'a>(rules: impl Iterator<Item = &'a NamedRuleWithOperations>) -> Vec<RuleWithOperations> {
    let mut union: BTreeMap<(&str, &str, &str, &str), BTreeSet<&str>> = BTreeMap::new();
    for rule in rules {
        for key in resources(rule) {
            union
                .entry(key)
                .or_default()
                .extend(rule.operations.iter().map(operation));
        }
    }
    union.retain(|_, operations| !operations.is_empty());
    union
        .into_iter()
        .map(
            |((group, version, resource, scope), operations)| RuleWithOperations {
                api_groups: Some(vec![group.to_owned()]),
                api_versions: Some(vec![version.to_owned()]),
                resources: Some(vec![resource.to_owned()]),
                scope: Some(scope.to_owned()),
                operations: Some(if operations.contains("*") {
                    vec!["*".to_owned()]
                } else {
                    operations.into_iter().map(str::to_owned).collect()
                }),
            },
        )
        .collect()
}

fn resources(rule: &NamedRuleWithOperations) -> Vec<(&str, &str, &str, &'static str)> {
    let scope = match rule.scope.unwrap_or_default() {
        ResourceScope::Cluster => "Cluster",
        ResourceScope::Namespaced => "Namespaced",
        ResourceScope::All => "*",
    };
    let mut keys = Vec::new();
    for group in &rule.api_groups {
        for version in rule
            .api_versions
            .iter()
            .filter(|version| !version.is_empty())
        {
            for resource in rule
                .resources
                .iter()
                .filter(|resource| !resource.is_empty())
            {
                keys.push((&**group, &**version, &**resource, scope));
            }
        }
    }
    keys
}

/// The longest that any of them asks for: one webhook serves them all.
fn timeout_seconds(policies: &PolicySet) -> i32 {
    let asked = policies
        .iter()
        .map(|policy| policy.webhook_timeout().unwrap_or(TIMEOUT));
    asked
        .max()
        .and_then(|longest| longest.as_secs().try_into().ok())
        .unwrap_or(MAX_TIMEOUT_SECONDS)
}

fn operation(operation: &OperationType) -> &'static str {
    match operation {
        OperationType::Create => "CREATE",
        OperationType::Update => "UPDATE",
        OperationType::Delete => "DELETE",
        OperationType::Connect => "CONNECT",
        OperationType::All => "*",
    }
}

// === step, keep ===

fn step(
    desired: Option<ValidatingWebhookConfiguration>,
    found: Option<&Observed<ValidatingWebhookConfiguration>>,
) -> Step {
    match (desired, found) {
        (None, None) => Step::Rest,
        (None, Some(found)) => Step::Delete {
            uid: found.uid().to_owned(),
        },
        (Some(desired), Some(found)) if stands(&desired, found) => Step::Rest,
        (Some(desired), _) => Step::Apply(Box::new(desired)),
    }
}

/// Whether all that we would apply stands there. Labels that others add are theirs; webhooks that
/// others add are not, but apply cannot remove them.
fn stands(
    desired: &ValidatingWebhookConfiguration,
    found: &Observed<ValidatingWebhookConfiguration>,
) -> bool {
    let Ok(object) = &found.object else {
        return false;
    };
    let ours = |webhook: &&ValidatingWebhook| {
        webhook::GROUPS
            .into_iter()
            .any(|group| webhook::name(group) == webhook.name)
    };
    let labelled = found
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(MANAGED_BY.0));
    labelled.is_some_and(|by| by == MANAGED_BY.1)
        && object
            .webhooks
            .iter()
            .flatten()
            .filter(ours)
            .eq(desired.webhooks.iter().flatten())
}

/// What [`keep`] derives the configuration from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) policies: watch::Receiver<Option<Arc<Policies>>>,
    /// What the Secret holds: its bundle is what is published.
    pub(crate) newest: watch::Receiver<Option<Arc<Material>>>,
    /// What this process serves: nothing is registered before it serves.
    pub(crate) served: watch::Receiver<Option<Arc<Material>>>,
    pub(crate) view: watch::Receiver<View<ValidatingWebhookConfiguration>>,
}

impl Sources {
    fn step(&mut self, registration: &Registration) -> Step {
        if *self.leadership.borrow_and_update() == Leadership::Follower {
            return Step::Rest;
        }
        let policies = self.policies.borrow_and_update().clone();
        let newest = self.newest.borrow_and_update().clone();
        let serving = self.served.borrow_and_update().is_some();
        let objects = self.view.borrow_and_update().objects.clone();
        match (policies, newest, objects) {
            (Some(policies), Some(newest), Some(objects)) if serving => {
                let desired = registration.desired(&policies, newest.bundle());
                step(desired, objects.values().next())
            }
            _ => Step::Rest,
        }
    }

    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.leadership.changed() => changed,
            changed = self.policies.changed() => changed,
            changed = self.newest.changed() => changed,
            changed = self.served.changed() => changed,
            changed = self.view.changed() => changed,
        }
    }
}

/// Keeps what stands in the API server equal to what should, while this process leads.
pub(crate) async fn keep(
    api: Api<ValidatingWebhookConfiguration>,
    registration: Registration,
    mut sources: Sources,
) {
    let mut failing = None;
    loop {
        match write(&api, &registration, sources.step(&registration)).await {
            Ok(()) => failing = None,
            Err(error) => {
                let trouble = Trouble::of(&error);
                if failing.replace(trouble) != Some(trouble) {
                    tracing::warn!(
                        reason = trouble.reason(),
                        %error,
                        "cannot write the ValidatingWebhookConfiguration {}, retrying",
                        registration.name(),
                    );
                }
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        }
        if sources.changed().await.is_err() {
            return;
        }
    }
}

async fn write(
    api: &Api<ValidatingWebhookConfiguration>,
    registration: &Registration,
    step: Step,
) -> Result<(), kube::Error> {
    let name = registration.name();
    match step {
        Step::Rest => Ok(()),
        Step::Apply(desired) => {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            api.patch(&name, &params, &Patch::Apply(&*desired)).await?;
            tracing::info!(name, "registered the webhook");
            Ok(())
        }
        Step::Delete { uid } => {
            let preconditions = Preconditions {
                uid: Some(uid),
                resource_version: None,
            };
            let params = DeleteParams::default().preconditions(preconditions);
            match api.delete(&name, &params).await {
                Ok(_) => tracing::info!(name, "no policy is in force: unregistered the webhook"),
                // Gone, or another object by now: the watch brings the news.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
