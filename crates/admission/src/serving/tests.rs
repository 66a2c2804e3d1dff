use pharos_api::policy::FailurePolicy;
use serde_json::{Value, json};

use super::*;
use crate::testing::{observed, policy};

fn policies(specs: &[(&str, Value)]) -> Arc<Policies> {
    let policies = specs.iter().map(|(name, spec)| policy(name, spec.clone()));
    Arc::new(Policies::default().succeed(&observed(policies)))
}

fn called(serving: &Serving, path: &str) -> Vec<String> {
    let set = serving.called(&Endpoint::parse(path).unwrap());
    set.iter().map(|policy| policy.name().to_owned()).collect()
}

/// What each path evaluates, step by step.
struct Scene {
    ledger: Ledger,
    now: Instant,
}

impl Scene {
    fn start() -> Self {
        let now = Instant::now();
        Self { ledger: Ledger::starting(now), now }
    }

    fn step(&mut self, policies: &Arc<Policies>, seen: Seen, after: Duration) -> Serving {
        self.now += after;
        let plan = Plan::of(policies, &Resources::default(), &|_| false);
        self.ledger.step(&plan, seen, self.now);
        Serving::new(policies.clone(), &plan, &self.ledger)
    }
}

const NONE: Duration = Duration::ZERO;
const IGNORE: &str = "/validate/ignore";
const FAIL: &str = "/validate/fail";

#[test]
fn a_policy_that_moves_is_evaluated_at_both_places_until_the_new_one_has_settled() {
    let fail = json!({"failurePolicy": "Fail"});
    let before = policies(&[("moves", json!({})), ("stays", json!({})), ("other", fail.clone())]);
    let after = policies(&[("moves", fail.clone()), ("stays", json!({})), ("other", fail)]);
    let mut scene = Scene::start();
    scene.step(&before, Seen::Nothing, NONE);
    let serving = scene.step(&before, Seen::AsPlanned, NONE);
    assert_eq!(called(&serving, IGNORE), ["moves", "stays"]);
    assert_eq!(called(&serving, FAIL), ["other"]);

    // The API server still calls the old place, and for a while either.
    let serving = scene.step(&after, Seen::Otherwise, NONE);
    assert_eq!(called(&serving, IGNORE), ["moves", "stays"]);
    assert_eq!(called(&serving, FAIL), ["moves", "other"]);
    let serving = scene.step(&after, Seen::AsPlanned, Duration::from_secs(1));
    assert_eq!(called(&serving, IGNORE), ["moves", "stays"]);
    let serving = scene.step(&after, Seen::AsPlanned, SETTLING);
    assert_eq!(called(&serving, IGNORE), ["stays"]);
    assert_eq!(called(&serving, FAIL), ["moves", "other"]);
}

#[test]
fn without_a_known_past_and_where_others_plan_otherwise_every_call_is_for_everything() {
    let both = policies(&[("a", json!({})), ("b", json!({"failurePolicy": "Fail"}))]);
    let mut scene = Scene::start();
    for (seen, after, everything) in [
        (Seen::AsPlanned, NONE, true),
        (Seen::AsPlanned, SETTLING, false),
        (Seen::Otherwise, NONE, false),
        (Seen::Otherwise, REGISTERING, true),
        (Seen::AsPlanned, NONE, true),
        (Seen::AsPlanned, SETTLING / 2, true),
        (Seen::AsPlanned, SETTLING / 2, false),
    ] {
        let serving = scene.step(&both, seen, after);
        let expected: &[&str] = if everything { &["a", "b"] } else { &["a"] };
        assert_eq!(called(&serving, IGNORE), expected, "{seen:?} after {after:?}");
    }
}

#[test]
fn a_call_for_one_policy_is_for_that_one_whatever_is_planned() {
    let two = policies(&[("a", json!({})), ("b", json!({"failurePolicy": "Fail"}))]);
    let path = "/validate/ignore/validatingpolicies/b";
    for serving in [Serving::of(two.clone()), Serving::settled(two.clone())] {
        assert_eq!(called(&serving, path), ["b"]);
        assert!(called(&serving, "/validate/ignore/validatingpolicies/c").is_empty());
    }
    let unheard = called(&Serving::settled(two), "/validate/ignore/7");
    assert_eq!(unheard, ["a", "b"], "a place that only others know is for everything");
}

#[tokio::test(start_paused = true)]
async fn what_is_published_follows_the_registration() {
    let both = policies(&[("a", json!({})), ("b", json!({"failurePolicy": "Fail"}))]);
    let (compiled, policies) = watch::channel(None);
    let (discovered, resources) = watch::channel(None);
    let (views, view) = watch::channel(View::default());
    let (sender, mut serving) = watch::channel(None);
    let keeping = tokio::spawn(keep(Sources { policies, resources, view }, sender));
    let everywhere = |serving: &Option<Arc<Serving>>| {
        serving.as_ref().is_some_and(|it| called(it, IGNORE) == ["a", "b"])
    };
    let apart = |serving: &Option<Arc<Serving>>| {
        serving.as_ref().is_some_and(|it| called(it, IGNORE) == ["a"])
    };
    compiled.send_replace(Some(both.clone()));
    serving.wait_for(everywhere).await.unwrap();
    discovered.send_replace(Some(Arc::default()));
    views.send_replace(View { objects: Some(Arc::default()), trouble: None });
    serving.wait_for(apart).await.unwrap();
    assert_eq!(both.in_force().filter(|it| it.failure_policy() == FailurePolicy::Fail).count(), 1);
    keeping.abort();
}

#[test]
fn a_part_of_a_resource_has_the_kind_of_the_whole_as_far_as_that_is_known() {
    let part = |plural: &str, part: &str| {
        json!({
            "uid": "1", "operation": "UPDATE", "subResource": part,
            "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
            "resource": {"group": "toys.example", "version": "v1", "resource": plural},
        })
    };
    let groups = json!([{"metadata": {"name": "toys.example"}, "versions": [{
        "version": "v1", "resources": [{"resource": "toys", "responseKind": {"kind": "Toy"}}],
    }]}]);
    let resources = serde_json::from_value::<Vec<_>>(groups).unwrap().into_iter().collect();
    let serving =
        Serving { resources: Arc::new(resources), ..Serving::of(policies(&[("a", json!({}))])) };
    for (raw, expected) in [
        (part("toys", "scale"), "Toy"),
        (part("dolls", "scale"), "Scale"),
        (part("toys", ""), "Scale"),
    ] {
        let raw = raw.into();
        let request = serving.of_the_whole(Request::parse(&raw).unwrap());
        assert_eq!(request.resource_kind.kind, expected, "{raw}");
    }
}
