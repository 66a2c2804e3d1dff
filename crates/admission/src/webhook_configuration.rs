//! What is registered with the API server: one ValidatingWebhookConfiguration, or none.
//!
//! [`Registration::desired`] derives it, purely, from the policies in force; [`keep`] makes it so
//! while this process leads. [`Published`] is what others make of it: whom callers trust.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, RuleWithOperations, ValidatingWebhook, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ObjectMeta;
use pharos_api::policy::MatchPolicy;
use pharos_cluster::served::CustomKind;
use pharos_cluster::view::View;
use pharos_policy::CompiledPolicy;
use rustls::pki_types::UnixTime;

use crate::certificate::{CaBundle, Material};
use crate::plan::{Plan, Planned};
use crate::policies::Kind;
use crate::policy_review;
use crate::target::WebhookTarget;
use crate::webhook::{self, Endpoint, Serves};

use exempt::OwnUser;

mod conditions;
mod exempt;
mod leader;

pub(crate) use conditions::{MatchConditionsPlace, Places};
pub(crate) use leader::{Sources, keep};

/// The label by which people find what we registered, too.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "pharos");
/// How long the API server waits, where no policy says.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that it admits.
const MAX_TIMEOUT_SECONDS: i32 = 30;

/// What does not change while the process runs.
pub(crate) struct Registration {
    pub(crate) target: WebhookTarget,
    /// The engine's own namespace, which no policy sees: Pharos must be able to start again.
    pub(crate) namespace: String,
    /// Others that no policy sees, such as those of other engines: two that judge each other could
    /// not start again after both are away.
    pub(crate) exempt_namespaces: BTreeSet<String>,
    /// The ClusterRole that goes when Pharos is uninstalled, and the configuration with it: a webhook
    /// that nobody answers any more must not stay.
    pub(crate) owner: Option<String>,
}

/// What stands in the API server, as far as trust in us goes.
pub(crate) enum Published {
    /// Not read yet.
    Unknown,
    /// No webhook of ours: nobody calls.
    Nothing,
    /// The `caBundle` of each webhook of ours; `None` where it holds no CA in its time.
    Bundles(Vec<Option<CaBundle>>),
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
        let bundles: Vec<_> = ours(found).map(bundle).collect();
        if bundles.is_empty() { Self::Nothing } else { Self::Bundles(bundles) }
    }

    /// Whether a caller who goes by it accepts `material`; `None` if there is no such caller.
    pub(crate) fn trusts(&self, material: &Material, now: UnixTime) -> Option<bool> {
        let Self::Bundles(bundles) = self else {
            return None;
        };
        let trusts = |bundle: &Option<CaBundle>| {
            bundle.as_ref().is_some_and(|bundle| bundle.trusts(material, now))
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

    /// What should stand in the API server: a webhook for policies, and those that policies ask for.
    pub(crate) fn desired(
        &self,
        plan: &Plan,
        bundle: &CaBundle,
        own_user: Option<&OwnUser>,
    ) -> ValidatingWebhookConfiguration {
        let planned = plan.webhooks();
        let webhooks =
            planned.map(|(endpoint, planned)| self.webhook(endpoint, planned, bundle, own_user));
        let webhooks = webhooks.chain([self.for_policies(bundle, own_user)]).collect();
        configuration(self.name(), webhooks)
    }

    /// Every field that the API server would default is set, so that what it stores can be compared.
    fn webhook(
        &self,
        endpoint: &Endpoint,
        planned: &Planned,
        bundle: &CaBundle,
        own_user: Option<&OwnUser>,
    ) -> ValidatingWebhook {
        let mut match_conditions = exempt::match_conditions(own_user);
        let namespace = match &endpoint.serves {
            Serves::One(policy) => policy.namespace.as_deref(),
            Serves::Equivalent(_) | Serves::Exact => None,
        };
        if let (Serves::One(_), [policy]) = (&endpoint.serves, &*planned.policies) {
            match_conditions.extend(conditions(policy));
        }
        ValidatingWebhook {
            name: endpoint.name(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: self.client_config(&endpoint.path(), bundle),
            failure_policy: Some(endpoint.failure_policy().to_owned()),
            match_conditions: Some(match_conditions),
            match_policy: Some(match_policy(endpoint, planned).to_owned()),
            namespace_selector: Some(exempt::namespace_selector(
                &self.namespace,
                &self.exempt_namespaces,
                namespace,
            )),
            object_selector: Some(LabelSelector::default()),
            rules: Some(planned.rules.clone()),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(timeout_seconds(&planned.policies)),
        }
    }

    /// It fails open and sees no deletion: nothing is ever in the way of repairing a policy.
    fn for_policies(&self, bundle: &CaBundle, own_user: Option<&OwnUser>) -> ValidatingWebhook {
        let of = |kind: CustomKind| RuleWithOperations {
            api_groups: Some(vec![kind.group.to_owned()]),
            api_versions: Some(vec!["*".to_owned()]),
            resources: Some(vec![kind.plural.to_owned()]),
            scope: Some("*".to_owned()),
            operations: Some(vec!["CREATE".to_owned(), "UPDATE".to_owned()]),
        };
        let evaluated = Kind::all().filter(|kind| kind.is_evaluated());
        ValidatingWebhook {
            name: webhook::FOR_POLICIES.to_owned(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: self.client_config(policy_review::PATH, bundle),
            failure_policy: Some("Ignore".to_owned()),
            match_conditions: Some(vec![exempt::not_our_own(own_user)]),
            match_policy: Some("Equivalent".to_owned()),
            namespace_selector: Some(LabelSelector::default()),
            object_selector: Some(LabelSelector::default()),
            rules: Some(evaluated.map(|kind| of(kind.custom())).collect()),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(timeout_seconds(&[])),
        }
    }

    fn client_config(&self, path: &str, bundle: &CaBundle) -> WebhookClientConfig {
        let ca_bundle = Some(ByteString(bundle.pem().to_owned()));
        WebhookClientConfig { ca_bundle, ..self.target.client_config(path) }
    }
}

fn configuration(name: String, webhooks: Vec<ValidatingWebhook>) -> ValidatingWebhookConfiguration {
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(name),
            labels: Some(BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())])),
            ..ObjectMeta::default()
        },
        webhooks: Some(webhooks),
    }
}

/// Whether no policy is called for.
pub(crate) fn calls_for_nothing(found: &ValidatingWebhookConfiguration) -> bool {
    !ours(found).any(webhook::is_for_resources)
}

/// Whether a configuration calls for what is planned: so that no policy misses a request, whatever
/// else is different.
pub(crate) fn is_as_planned(found: &ValidatingWebhookConfiguration, plan: &Plan) -> bool {
    let found = ours(found).filter(|webhook| webhook::is_for_resources(webhook));
    let found: BTreeMap<_, _> = found.map(|webhook| (&*webhook.name, webhook)).collect();
    let stands = |(endpoint, planned): (&Endpoint, &Planned)| {
        found.get(&*endpoint.name()).is_some_and(|webhook| {
            webhook.rules.as_ref() == Some(&planned.rules)
                && webhook.failure_policy.as_deref() == Some(endpoint.failure_policy())
                && webhook.match_policy.as_deref() == Some(match_policy(endpoint, planned))
                && calls(webhook, &endpoint.path())
        })
    };
    found.len() == plan.webhooks().count() && plan.webhooks().all(stands)
}

/// Whether a configuration has a webhook for this policy alone, with the conditions that it has now.
pub(crate) fn has_apart(found: &ValidatingWebhookConfiguration, policy: &CompiledPolicy) -> bool {
    let name = Endpoint::alone(policy).name();
    let webhook = ours(found).find(|webhook| webhook.name == name);
    let found = webhook.and_then(|webhook| webhook.match_conditions.as_deref());
    let wanted: Vec<_> = conditions(policy).collect();
    !wanted.is_empty() && found.is_some_and(|found| found.ends_with(&wanted))
}

fn calls(webhook: &ValidatingWebhook, path: &str) -> bool {
    let config = &webhook.client_config;
    let service = config.service.as_ref().and_then(|service| service.path.as_deref());
    service == Some(path) || config.url.as_deref().is_some_and(|url| url.ends_with(path))
}

fn conditions(policy: &CompiledPolicy) -> impl Iterator<Item = MatchCondition> {
    policy.match_conditions().iter().map(|condition| MatchCondition {
        name: condition.name.clone(),
        expression: condition.expression.clone(),
    })
}

fn match_policy(endpoint: &Endpoint, planned: &Planned) -> &'static str {
    let match_policy = match (&endpoint.serves, &*planned.policies) {
        (Serves::One(_), [policy]) => policy.match_policy(),
        (Serves::Exact, _) => MatchPolicy::Exact,
        _ => MatchPolicy::Equivalent,
    };
    match match_policy {
        MatchPolicy::Equivalent => "Equivalent",
        MatchPolicy::Exact => "Exact",
    }
}

/// What is ours in a configuration of our name.
fn ours(
    configuration: &ValidatingWebhookConfiguration,
) -> impl Iterator<Item = &ValidatingWebhook> {
    configuration.webhooks.iter().flatten().filter(|webhook| webhook::is_ours(webhook))
}

/// The longest that any of them asks for: one webhook serves them all.
fn timeout_seconds(policies: &[Arc<CompiledPolicy>]) -> i32 {
    let asked = policies.iter().map(|policy| policy.webhook_timeout().unwrap_or(TIMEOUT));
    let longest = asked.max().unwrap_or(TIMEOUT).as_secs();
    i32::try_from(longest).unwrap_or(MAX_TIMEOUT_SECONDS).clamp(1, MAX_TIMEOUT_SECONDS)
}

#[cfg(test)]
mod tests;
