//! Judging objects in files by policies in files, with the engine that admission runs on.
//!
//! ```text
//! documents -> policies: compiled, unsupported or invalid -+
//! documents -> object: a resource of a cluster             +-> review: the request that an API server
//! values, user -> circumstances                            +   would send -> evaluate -> judgements
//! context -> what policies may look up: compiled with it
//! ```
//!
//! Enter at [`Policies`] and [`Circumstances::judge`]. Nothing here knows what is expected, what is
//! printed or which exit code follows, and no cluster is asked.

use pharos_policy::Operation;
use serde_json::Value;

mod context;
mod kinds;
mod object;
mod policies;
mod review;
mod user;
mod values;

pub(crate) use context::lookups;
pub(crate) use kinds::Kinds;
pub(crate) use object::{Object, ObjectId, Objects};
pub(crate) use policies::{Judgement, Policies, Policy, PolicyId, Refusal, RuleResult, Verdict};
pub(crate) use user::UserInfo;
pub(crate) use values::{Values, operation};

use review::Review;

/// What is known beside policies and objects.
#[derive(Debug, Default)]
pub(crate) struct Circumstances {
    /// Who asks.
    pub(crate) user: UserInfo,
    /// What is done, and in which namespaces.
    pub(crate) values: Values,
    /// The Namespaces among the objects.
    pub(crate) namespaces: Vec<Value>,
}

// === impl Circumstances ===

impl Circumstances {
    /// What each policy says about an object, in the order of the policies. An operation that is
    /// asked for counts for more than those of the values.
    pub(crate) fn judge(
        &self,
        policies: &Policies,
        object: &Object,
        asked_for: Option<Operation>,
    ) -> Vec<Verdict> {
        policies.iter().map(|policy| self.judge_by(policy, object, asked_for)).collect()
    }

    fn judge_by(&self, policy: &Policy, object: &Object, asked_for: Option<Operation>) -> Verdict {
        // Kyverno reads the values of one object for its older kinds only.
        let of_object = || match policy.id().is_ruleless() {
            true => None,
            false => self.values.operation_for(&policy.id().name, &object.id.name),
        };
        let operation = asked_for
            .or_else(of_object)
            .or_else(|| self.values.operation())
            .unwrap_or(Operation::Create);
        policy.judge(&Review::of(object, operation, self))
    }

    /// The Namespace of that name: of the values, of the objects, or one that has but a name.
    fn namespace(&self, name: &str) -> Value {
        let of_objects = || self.namespaces.iter().find(|it| it["metadata"]["name"] == name);
        self.values
            .namespace(name)
            .or_else(|| of_objects().cloned().map(review::with_its_own_label))
            .unwrap_or_else(|| review::minimal_namespace(name))
    }
}
