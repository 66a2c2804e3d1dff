//! What is registered with the API server: one ValidatingWebhookConfiguration, or none.
//!
//! [`Registration::desired`] derives it, purely, from the policies in force; [`keep`] makes it so
//! while this process leads. [`Published`] is what others make of it: whom callers trust.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ObjectMeta;
use pharos_api::policy::FailurePolicy;
use pharos_cluster::view::View;
use pharos_policy::PolicySet;
use rustls::pki_types::UnixTime;

use crate::certificate::{CaBundle, Material};
use crate::policies::Policies;
use crate::target::WebhookTarget;
use crate::webhook;

use exempt::OwnUser;

mod exempt;
mod leader;
mod rules;

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

    /// What should stand in the API server; nothing without a policy that matches anything.
    pub(crate) fn desired(
        &self,
        policies: &Policies,
        bundle: &CaBundle,
        own_user: Option<&OwnUser>,
    ) -> Option<ValidatingWebhookConfiguration> {
        let webhooks: Vec<_> = webhook::GROUPS
            .into_iter()
            .filter_map(|group| self.webhook(group, policies.of(group), bundle, own_user))
            .collect();
        (!webhooks.is_empty()).then(|| ValidatingWebhookConfiguration {
            metadata: ObjectMeta {
                name: Some(self.name()),
                labels: Some(BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned())])),
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
        own_user: Option<&OwnUser>,
    ) -> Option<ValidatingWebhook> {
        let rules = rules::union(policies.rules().map(|registered| registered.rule));
        (!rules.is_empty()).then(|| ValidatingWebhook {
            name: webhook::name(group).to_owned(),
            admission_review_versions: vec!["v1".to_owned()],
            client_config: WebhookClientConfig {
                ca_bundle: Some(ByteString(bundle.pem().to_owned())),
                ..self.target.client_config(webhook::path(group))
            },
            failure_policy: Some(webhook::failure_policy(group).to_owned()),
            match_conditions: Some(exempt::match_conditions(own_user)),
            match_policy: Some("Equivalent".to_owned()),
            namespace_selector: Some(exempt::namespace_selector(
                &self.namespace,
                &self.exempt_namespaces,
            )),
            object_selector: Some(LabelSelector::default()),
            rules: Some(rules),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(timeout_seconds(policies)),
        })
    }
}

/// What is ours in a configuration of our name.
fn ours(
    configuration: &ValidatingWebhookConfiguration,
) -> impl Iterator<Item = &ValidatingWebhook> {
    configuration.webhooks.iter().flatten().filter(|webhook| webhook::is_ours(webhook))
}

/// The longest that any of them asks for: one webhook serves them all.
fn timeout_seconds(policies: &PolicySet) -> i32 {
    let asked = policies.iter().map(|policy| policy.webhook_timeout().unwrap_or(TIMEOUT));
    asked.max().and_then(|longest| longest.as_secs().try_into().ok()).unwrap_or(MAX_TIMEOUT_SECONDS)
}

#[cfg(test)]
mod tests;
