//! One expression over one object, as a policy and a request, with everything that is promised of it
//! asserted on the way.

use std::sync::Arc;
use std::thread;

use allocation_counter::measure;
use pharos_api::policy::ValidatingPolicy;
use pharos_policy::{
    CompiledPolicy, Json, Lookups, Origin, PolicySet, Request, RuleResult, SystemClock,
    compile_validating_policy, evaluate,
};
use serde_json::{Value, json};

/// What the stack of a server's worker holds.
const STACK: usize = 2 << 20;
/// How many steps a rule may take, and how many bytes it may be charged for.
const STEPS: u64 = 5_000_000;
const BYTES: u64 = 64 << 20;

/// What became of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// The policy is not accepted: the reason, and the message.
    Refused(String),
    Pass,
    Fail,
    Error(String),
}

/// Runs a test as a server's worker would.
pub(crate) fn on_a_workers_stack(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, test);
        let ended = thread.expect("a thread can be started").join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// A policy about Pods with these validations.
pub(crate) fn policy(expression: &str) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": "hostile"},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"],
            }]},
            "validations": [{"expression": expression}],
        },
    })
}

pub(crate) fn compiled(expression: &str) -> Result<CompiledPolicy, String> {
    let policy: ValidatingPolicy = serde_json::from_value(policy(expression)).expect("it decodes");
    compile_validating_policy(&policy, &Lookups::Refused).map_err(|errors| {
        let one = errors.iter().next().expect("there is one");
        format!("{}: {one}", one.reason())
    })
}

/// The request that creates an object.
pub(crate) fn request(object: &Value) -> Value {
    json!({
        "uid": "3c0bd9ca",
        "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "web", "namespace": "shop",
        "userInfo": {"username": "mallory", "groups": ["dev"]},
        "object": object,
    })
}

/// What the policies say about an object, and how many steps each took.
pub(crate) fn judged(set: &PolicySet, object: &Value) -> Vec<(RuleResult, u64)> {
    let raw = request(object);
    let raw = Json::from(raw);
    let request = Request::parse(&raw).expect("the request is well-formed");
    let mut results = Vec::new();
    let held = measure(|| {
        let outcomes = evaluate(set, &request, &SystemClock).outcomes;
        let rules = outcomes.into_iter().flat_map(|outcome| outcome.rules);
        results = rules.map(|rule| (rule.result, rule.steps)).collect();
    });
    assert!(held.bytes_max < 2 * BYTES + (1 << 20), "{} bytes were held", held.bytes_max);
    for (_, steps) in &results {
        assert!(*steps <= STEPS, "{steps} steps");
    }
    results
}

/// What becomes of an expression over an object.
pub(crate) fn said(expression: &str, object: &Value) -> Said {
    let policy = match compiled(expression) {
        Ok(policy) => policy,
        Err(message) => return Said::Refused(message),
    };
    let set = PolicySet::new(Origin::Admission, [Arc::new(policy)], []);
    let (result, _) = judged(&set, object).pop().expect("the policy is about it");
    match result {
        RuleResult::Pass => Said::Pass,
        RuleResult::Fail { .. } => Said::Fail,
        RuleResult::Error { message, .. } => {
            assert!(message.len() < 2 << 10, "the answer is {} bytes long", message.len());
            Said::Error(message)
        }
        RuleResult::Skip { because } => panic!("{because:?}"),
    }
}
