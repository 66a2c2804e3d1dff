//! Where the match conditions of policies are evaluated: by the API server, which then calls less
//! often, or here.
//!
//! The API server refuses a whole configuration for one expression that it does not take. So each is
//! tried out by itself, by a dry run that leaves nothing behind, and only what was taken is
//! registered: no policy stands in the way of another's registration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::{Patch, PatchParams};
use pharos_cluster::discovery::Resources;
use pharos_cluster::in_time;
use pharos_policy::{CompiledPolicy, PolicyKey};

use super::exempt::OwnUser;
use super::{Registration, configuration};
use crate::certificate::CaBundle;
use crate::plan::{self, Planned};
use crate::policies::Policies;
use crate::webhook::Endpoint;

/// How many policies have webhooks of their own at most: each is another call per request.
const MAX_APART: usize = 16;
/// A variable that webhooks' conditions may name, and that is always null there.
const NAMESPACE_OBJECT: &str = "namespaceObject";
const FIELD_MANAGER: &str = "pharos-admission-dry-run";

/// Where the match conditions of each policy that has any are evaluated.
pub(crate) type Places = Arc<BTreeMap<PolicyKey, MatchConditionsPlace>>;

/// Where the match conditions of one policy are evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MatchConditionsPlace {
    /// The API server evaluates them, and does not call where they are false.
    ApiServer,
    /// Pharos does, because the API server refuses them, with these words.
    Refused(String),
    /// Pharos does, because they ask about the namespace: the API server takes that and knows none.
    AsksAboutNamespace,
    /// Pharos does, because they are not to be asked about all that a webhook would match: the API
    /// server may refuse a request for which they have no value.
    NotOfAll,
    /// Pharos does, because enough policies have webhooks of their own.
    TooMany,
    /// Pharos does, because the API server could not be asked.
    NotAsked,
}

/// What is known of conditions.
#[derive(Default)]
pub(super) struct Trials {
    /// The answer to each list of conditions, as name and expression.
    answers: BTreeMap<Conditions, Result<(), String>>,
    places: Places,
}

type Conditions = Vec<(String, String)>;

/// What it takes to ask the API server about a webhook that nobody registers.
pub(super) struct DryRun<'a> {
    pub(super) api: &'a Api<ValidatingWebhookConfiguration>,
    pub(super) registration: &'a Registration,
    pub(super) resources: &'a Resources,
    pub(super) bundle: &'a CaBundle,
    pub(super) own_user: Option<&'a OwnUser>,
}

// === impl Trials ===

impl Trials {
    /// Tries out what was not tried yet; whether all of it could be.
    pub(super) async fn run(&mut self, policies: &Policies, dry_run: &DryRun<'_>) -> bool {
        let conditional = plan::ordered(policies).into_iter();
        let conditional = conditional.filter(|policy| !policy.match_conditions().is_empty());
        let candidates: Vec<_> = conditional
            .filter_map(|policy| Some((policy, Planned::alone(policy, dry_run.resources)?)))
            .collect();
        let in_use: BTreeSet<_> = candidates.iter().map(|(policy, _)| listed(policy)).collect();
        self.answers.retain(|conditions, _| in_use.contains(conditions));
        let (mut places, mut apart, mut complete) = (BTreeMap::new(), 0, true);
        for (policy, planned) in candidates {
            let place = if apart < MAX_APART {
                self.place(policy, &planned, dry_run).await
            } else {
                MatchConditionsPlace::TooMany
            };
            apart += usize::from(place == MatchConditionsPlace::ApiServer);
            complete &= place != MatchConditionsPlace::NotAsked;
            places.insert(policy.key().clone(), place);
        }
        self.places = Arc::new(places);
        complete
    }

    async fn place(
        &mut self,
        policy: &CompiledPolicy,
        planned: &Planned,
        dry_run: &DryRun<'_>,
    ) -> MatchConditionsPlace {
        let conditions = listed(policy);
        if conditions.iter().any(|(_, expression)| expression.contains(NAMESPACE_OBJECT)) {
            return MatchConditionsPlace::AsksAboutNamespace;
        }
        if !policy.conditions_are_of_the_webhook() {
            return MatchConditionsPlace::NotOfAll;
        }
        let answer = match self.answers.get(&conditions) {
            Some(answer) => answer.clone(),
            None => match dry_run.try_out(policy, planned).await {
                Ok(answer) => {
                    self.answers.insert(conditions, answer.clone());
                    answer
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot try out match conditions");
                    return MatchConditionsPlace::NotAsked;
                }
            },
        };
        match answer {
            Ok(()) => MatchConditionsPlace::ApiServer,
            Err(message) => MatchConditionsPlace::Refused(message),
        }
    }

    /// The whole was refused though each part was taken: from now on, none is.
    pub(super) fn distrust(&mut self, message: &str) {
        for answer in self.answers.values_mut() {
            *answer = Err(message.to_owned());
        }
    }

    /// Where each is evaluated.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Whether a policy has a webhook of its own.
    pub(super) fn is_apart(&self, policy: &PolicyKey) -> bool {
        self.places.get(policy) == Some(&MatchConditionsPlace::ApiServer)
    }
}

fn listed(policy: &CompiledPolicy) -> Conditions {
    let listed = policy.match_conditions().iter();
    listed.map(|it| (it.name.clone(), it.expression.clone())).collect()
}

// === impl DryRun ===

impl DryRun<'_> {
    /// Whether the API server takes the webhook that the policy would have of its own, else what it
    /// says against it.
    async fn try_out(
        &self,
        policy: &CompiledPolicy,
        planned: &Planned,
    ) -> kube::Result<Result<(), String>> {
        let endpoint = Endpoint::alone(policy);
        let webhook = self.registration.webhook(&endpoint, planned, self.bundle, self.own_user);
        let object = format!("{}-dry-run", self.registration.name());
        let alone = configuration(object.clone(), vec![webhook]);
        let params = PatchParams::apply(FIELD_MANAGER).force().dry_run();
        match in_time(self.api.patch(&object, &params, &Patch::Apply(alone))).await {
            Ok(_) => Ok(Ok(())),
            // It is not that it was refused: it has not been looked at.
            Err(kube::Error::Api(status)) if !matches!(status.code, 401 | 429 | 503 | 504) => {
                Ok(Err(status.message.clone()))
            }
            Err(error) => Err(error),
        }
    }
}
