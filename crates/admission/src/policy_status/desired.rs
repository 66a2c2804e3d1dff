//! What should be said of a policy. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use pharos_api::policy::cluster_policy::{ClusterPolicySpec, RuleCount};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::policies::{Entry, Outcome};
use crate::webhook_configuration::MatchConditionsPlace;

/// Our condition, where the status is one of `policies.kyverno.io`.
pub(super) const COMPILED: &str = "pharos.dev/Compiled";
/// Kyverno's, which its columns show, where the status is one of `kyverno.io`.
const READY: &str = "Ready";
/// Where the match conditions are evaluated. It is always true, because Kyverno calls a policy ready
/// if all conditions are.
const MATCH_CONDITIONS: &str = "pharos.dev/MatchConditions";
/// What the CRD admits.
const LONGEST_MESSAGE: usize = 32_768;

/// What one condition says.
struct Said {
    r#type: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

/// The status of a policy as far as it is ours, with the transition times of what stands where
/// nothing changed.
pub(super) fn desired(
    entry: &Entry,
    place: Option<&MatchConditionsPlace>,
    now: Timestamp,
) -> Value {
    let (ready, message) = (entry.outcome.is_ready(), shortened(&entry.outcome.message()));
    let (path, r#type) = if entry.kind.is_of_kyverno_io() {
        ("/conditions", READY)
    } else {
        ("/conditionStatus/conditions", COMPILED)
    };
    let compiled = Said {
        r#type,
        status: if ready { "True" } else { "False" },
        reason: entry.outcome.reason(),
        message: message.clone(),
    };
    let ours = [Some(compiled), place.map(Said::of_place)].into_iter().flatten();
    let standing = standing(entry, path);
    let ours: Vec<_> = ours.map(|said| said.condition(entry, &standing, now)).collect();
    let others =
        standing.into_iter().filter(|it| ![r#type, MATCH_CONDITIONS].contains(&&*it.type_));
    let conditions: Vec<_> = others.chain(ours).collect();
    let mut status = if entry.kind.is_of_kyverno_io() {
        json!({"conditions": conditions, "rulecount": rule_count(entry)})
    } else {
        let summary = json!({"ready": ready, "message": message, "conditions": conditions});
        json!({"conditionStatus": summary})
    };
    if let Some(generated) = generated(entry) {
        status["autogen"] = generated;
    }
    status
}

/// What is generated for the controllers of Pods, if anything is.
fn generated(entry: &Entry) -> Option<Value> {
    let Outcome::InForce(policy) = &entry.outcome else { return None };
    if !entry.kind.is_of_kyverno_io() {
        return (!policy.autogen().configs.is_empty()).then(|| json!(policy.autogen()));
    }
    let spec = ClusterPolicySpec::deserialize(entry.field("spec")).ok()?;
    let rules = pharos_policy::generated_rules(&entry.metadata, &spec);
    (!rules.is_empty()).then(|| json!({"rules": rules}))
}

/// How many rules there are of each kind, as Kyverno counts them: those that were written.
fn rule_count(entry: &Entry) -> RuleCount {
    let rules = entry.field("spec").get("rules").and_then(Value::as_array);
    let count = |field: &str| {
        let is = |rule: &&Value| rule.get(field).is_some_and(|it| !it.is_null());
        let count = rules.into_iter().flatten().filter(is).count();
        count.try_into().unwrap_or(i32::MAX)
    };
    RuleCount {
        validate: count("validate"),
        mutate: count("mutate"),
        generate: count("generate"),
        verifyimages: count("verifyImages"),
    }
}

/// The conditions that stand; those that are none are nobody's.
fn standing(entry: &Entry, path: &str) -> Vec<Condition> {
    let conditions = entry.field("status").pointer(path).and_then(Value::as_array);
    let conditions = conditions.into_iter().flatten();
    conditions.filter_map(|it| serde_json::from_value(it.clone()).ok()).collect()
}

fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned()
}

// === impl Said ===

impl Said {
    fn of_place(place: &MatchConditionsPlace) -> Self {
        let (reason, message) = match place {
            MatchConditionsPlace::ApiServer => {
                ("APIServer", "the API server evaluates the match conditions".to_owned())
            }
            MatchConditionsPlace::Refused(error) => (
                "RefusedByAPIServer",
                format!("Pharos evaluates the match conditions, the API server refuses them: {error}"),
            ),
            MatchConditionsPlace::AsksAboutNamespace => (
                "AsksAboutNamespace",
                "Pharos evaluates the match conditions: the API server knows no namespaceObject there"
                    .to_owned(),
            ),
            MatchConditionsPlace::NotOfAll => (
                "NotOfAllRequests",
                "Pharos evaluates the match conditions: the policy is about less than a webhook \
                 matches, or rules for controllers of Pods have other conditions"
                    .to_owned(),
            ),
            MatchConditionsPlace::TooMany => (
                "TooManyWebhooks",
                "Pharos evaluates the match conditions: enough policies have a webhook of their own"
                    .to_owned(),
            ),
            MatchConditionsPlace::NotAsked => (
                "NotAsked",
                "Pharos evaluates the match conditions until the API server can be asked about them"
                    .to_owned(),
            ),
        };
        Self { r#type: MATCH_CONDITIONS, status: "True", reason, message: shortened(&message) }
    }

    fn condition(self, entry: &Entry, standing: &[Condition], now: Timestamp) -> Condition {
        let Self { r#type, status, reason, message } = self;
        let same = |was: &&Condition| was.type_ == r#type && was.status == status;
        let since = standing.iter().find(same);
        Condition {
            type_: r#type.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: entry.metadata.generation,
            last_transition_time: since.map_or(Time(now), |was| was.last_transition_time.clone()),
        }
    }
}
