use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use pharos_api::policy::FailurePolicy;
use pharos_cluster::discovery::Resources;
use pharos_cluster::view::Observed;
use serde_json::{Value, json};

use super::leader::{Step, step};
use super::*;
use crate::policies::Policies;
use crate::testing::{material, policy};

fn registration() -> Registration {
    let target = "pharos/webhook:443".parse().unwrap();
    let exempt_namespaces = ["other", "pharos"].map(str::to_owned).into();
    Registration { target, namespace: "pharos".to_owned(), exempt_namespaces, owner: None }
}

fn desired(specs: &[Value]) -> ValidatingWebhookConfiguration {
    let named = specs.iter().enumerate();
    let policies = named.map(|(index, spec)| policy(&format!("p{index}"), spec.clone()));
    let policies = Policies::default().succeed(&crate::testing::observed(policies));
    let apart = |policy: &CompiledPolicy| !policy.match_conditions().is_empty();
    let plan = Plan::of(&policies, &Resources::default(), &apart);
    registration().desired(&plan, material().bundle(), None)
}

fn for_resources(specs: &[Value]) -> Vec<ValidatingWebhook> {
    let webhooks = desired(specs).webhooks.unwrap();
    webhooks.into_iter().filter(webhook::is_for_resources).collect()
}

#[test]
fn without_a_policy_nothing_is_registered_for_resources() {
    let for_scans_only = json!({"evaluation": {"admission": {"enabled": false}}});
    let broken = json!({"validations": [{"expression": "object."}]});
    for none in [vec![], vec![for_scans_only], vec![broken]] {
        let desired = desired(&none);
        assert!(calls_for_nothing(&desired), "{none:?}");
        let names: Vec<_> = desired.webhooks.iter().flatten().map(|it| &*it.name).collect();
        assert_eq!(names, ["policies.validate.pharos.dev"]);
    }
}

#[test]
fn policies_can_always_be_repaired() {
    let registered = desired(&[]).webhooks.unwrap();
    let for_policies = &registered[0];
    assert_eq!(for_policies.failure_policy.as_deref(), Some("Ignore"));
    let service = for_policies.client_config.service.as_ref().unwrap();
    assert_eq!(service.path.as_deref(), Some(policy_review::PATH));
    for rule in for_policies.rules.as_ref().unwrap() {
        assert_eq!(rule.operations.as_ref().unwrap(), &["CREATE", "UPDATE"]);
        let group = &rule.api_groups.as_ref().unwrap()[0];
        assert!(["policies.kyverno.io", "kyverno.io"].contains(&&**group), "{group}");
    }
}

#[test]
fn conditions_of_a_policy_come_after_those_that_keep_the_cluster_alive() {
    let condition = json!({"name": "c", "expression": "object.metadata.name == 'a'"});
    let spec = json!({"matchConditions": [condition], "failurePolicy": "Fail"});
    let webhooks = for_resources(&[spec.clone(), json!({"failurePolicy": "Fail"})]);
    let names: Vec<_> = webhooks.iter().map(|webhook| &*webhook.name).collect();
    assert_eq!(
        names,
        ["fail.validate.pharos.dev", "p0.validatingpolicies.fail.validate.pharos.dev"]
    );
    let conditions = webhooks[1].match_conditions.as_ref().unwrap();
    let names: Vec<_> = conditions.iter().map(|condition| &*condition.name).collect();
    assert_eq!(names, ["not-vital", "not-our-own", "c"]);

    let policies = Policies::default().succeed(&crate::testing::observed([policy("p0", spec)]));
    let compiled = policies.in_force().next().unwrap();
    assert!(has_apart(&desired(&[spec_of(compiled)]), compiled));
    let mut changed = desired(&[spec_of(compiled)]);
    changed.webhooks.as_mut().unwrap()[0].match_conditions.as_mut().unwrap()[2].expression =
        "true".to_owned();
    assert!(!has_apart(&changed, compiled), "what is registered is what it was");
}

fn spec_of(policy: &CompiledPolicy) -> Value {
    json!({"matchConditions": policy.match_conditions(), "failurePolicy": "Fail"})
}

#[test]
fn the_api_server_waits_as_long_as_any_policy_asks() {
    let asking = |seconds: i32| json!({"webhookConfiguration": {"timeoutSeconds": seconds}});
    for (policies, seconds) in [
        (vec![json!({})], 10),
        (vec![asking(5)], 5),
        (vec![asking(5), json!({})], 10),
        (vec![asking(20), json!({})], 20),
    ] {
        let webhooks = for_resources(&policies);
        assert_eq!(webhooks[0].timeout_seconds, Some(seconds), "{policies:?}");
    }
}

type Registered = &'static [(&'static str, &'static str, &'static str)];

#[test]
fn each_failure_policy_in_use_has_its_webhook() {
    let unset = json!({});
    let (ignore, fail) = (json!({"failurePolicy": "Ignore"}), json!({"failurePolicy": "Fail"}));
    let cases: [(&[&Value], Registered); 4] = [
        (&[&unset], &[("ignore.validate.pharos.dev", "Ignore", "/validate/ignore")]),
        (&[&ignore, &unset], &[("ignore.validate.pharos.dev", "Ignore", "/validate/ignore")]),
        (&[&fail], &[("fail.validate.pharos.dev", "Fail", "/validate/fail")]),
        (
            &[&fail, &ignore],
            &[
                ("ignore.validate.pharos.dev", "Ignore", "/validate/ignore"),
                ("fail.validate.pharos.dev", "Fail", "/validate/fail"),
            ],
        ),
    ];
    for (asked, expected) in cases {
        let policies: Vec<_> = asked.iter().map(|spec| (*spec).clone()).collect();
        let webhooks = for_resources(&policies);
        let found: Vec<_> = webhooks
            .iter()
            .map(|webhook| {
                let service = webhook.client_config.service.as_ref().unwrap();
                let path = service.path.as_deref().unwrap();
                (&*webhook.name, webhook.failure_policy.as_deref().unwrap(), path)
            })
            .collect();
        assert_eq!(found, expected, "{asked:?}");
    }
}

#[test]
fn what_keeps_the_cluster_alive_is_never_matched() {
    let configuration = desired(&[json!({})]);
    let webhook = &configuration.webhooks.as_ref().unwrap()[0];
    let selector = serde_json::to_value(&webhook.namespace_selector).unwrap();
    assert_eq!(
        selector,
        json!({"matchExpressions": [{
            "key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["pharos", "other"],
        }]})
    );
    assert_eq!(webhook.timeout_seconds, Some(10));
    assert_eq!(webhook.side_effects, "None");
    assert_eq!(configuration.metadata.name.as_deref(), Some("pharos-validating-pharos"));
}

#[test]
fn a_policy_of_one_namespace_is_called_for_in_that_one_alone() {
    let conditions = json!([{"name": "c", "expression": "true"}]);
    let spec = json!({"matchConditions": conditions, "matchConstraints": {"resourceRules": [
        {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]},
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["nodes"], "operations": ["*"],
            "scope": "Cluster"},
    ]}});
    let mut namespaced = serde_json::to_value(policy("p", spec)).unwrap();
    namespaced["kind"] = json!("NamespacedValidatingPolicy");
    namespaced["metadata"]["namespace"] = json!("shop");
    let objects = Arc::new([crate::testing::object(namespaced)].into());
    let objects = BTreeMap::from([(Kind::NamespacedValidatingPolicy, objects)]);
    let policies = Policies::default().succeed(&objects);
    let plan = Plan::of(&policies, &Resources::default(), &|_| true);
    let desired = registration().desired(&plan, material().bundle(), None);
    let webhook = &desired.webhooks.as_ref().unwrap()[0];
    let selector = serde_json::to_value(&webhook.namespace_selector).unwrap();
    assert_eq!(
        selector["matchExpressions"][1],
        json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]})
    );
    let rules = webhook.rules.as_ref().unwrap();
    let scopes: Vec<_> = rules.iter().map(|rule| rule.scope.as_deref()).collect();
    assert_eq!(scopes, [Some("Namespaced")], "and not for nodes");
}

#[test]
fn a_policy_for_everything_does_not_see_what_the_control_plane_lives_on() {
    let registered = for_resources(&[json!({})]);
    let conditions = serde_json::to_value(&registered[0].match_conditions).unwrap();
    let everything = json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"],
        }]},
        "matchConditions": conditions,
    });
    let policies =
        Policies::default().succeed(&crate::testing::observed([policy("p", everything)]));
    let matched = |username: &str, group: &str, resource: &str, sub_resource: &str| {
        let request = json!({
            "uid": "1", "operation": "UPDATE", "userInfo": {"username": username},
            "kind": {"group": group, "version": "v1", "kind": "K"},
            "resource": {"group": group, "version": "v1", "resource": resource},
            "subResource": sub_resource, "object": {"metadata": {"labels": {}}},
        });
        let request = request.into();
        let request = pharos_policy::Request::parse(&request).unwrap();
        let clock = pharos_policy::SystemClock;
        let set = policies.set(|_| true);
        let evaluation = pharos_policy::evaluate(&set, &request, &clock);
        !matches!(evaluation.outcomes[0].rules[0].result, pharos_policy::RuleResult::Skip { .. })
    };
    for (group, resource, sub_resource, expected) in [
        ("", "pods", "", true),
        ("", "pods", "status", true),
        ("", "secrets", "", true),
        ("apps", "deployments", "", true),
        ("example.com", "nodes", "", true),
        ("coordination.k8s.io", "leasecandidates", "", true),
        ("", "nodes", "", false),
        ("", "nodes", "status", false),
        ("", "events", "", false),
        ("events.k8s.io", "events", "", false),
        ("coordination.k8s.io", "leases", "", false),
        ("policies.kyverno.io", "validatingpolicies", "", false),
        ("telemetry.pharos.dev", "telemetryconfigs", "status", false),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "", false),
        ("apiregistration.k8s.io", "apiservices", "status", false),
        ("authentication.k8s.io", "tokenreviews", "", false),
        ("authorization.k8s.io", "subjectaccessreviews", "", false),
        ("storage.k8s.io", "storageclasses", "", true),
        ("storage.k8s.io", "csinodes", "", false),
        ("kyverno.io", "clusterpolicies", "status", false),
        ("wgpolicyk8s.io", "policyreports", "", false),
        ("openreports.io", "reports", "", false),
        ("reports.kyverno.io", "ephemeralreports", "", false),
        ("authorization.k8s.io", "localsubjectaccessreviews", "", false),
        ("certificates.k8s.io", "certificatesigningrequests", "approval", false),
        ("flowcontrol.apiserver.k8s.io", "flowschemas", "status", false),
    ] {
        let what = format!("{group}/{resource}/{sub_resource}");
        assert_eq!(matched("jane", group, resource, sub_resource), expected, "{what}");
        assert!(!matched("system:apiserver", group, resource, sub_resource), "{what}");
    }
}

fn observed(
    configuration: &ValidatingWebhookConfiguration,
) -> Observed<ValidatingWebhookConfiguration> {
    Observed {
        metadata: ObjectMeta {
            uid: Some("u".to_owned()),
            resource_version: Some("9".to_owned()),
            ..configuration.metadata.clone()
        },
        object: Ok(Arc::new(configuration.clone())),
    }
}

enum Expected {
    Rest,
    Apply,
    Replace,
}

#[test]
fn what_stands_is_written_only_if_it_differs() {
    let registered = desired(&[json!({})]);
    let edited = |edit: fn(&mut ValidatingWebhookConfiguration)| {
        let mut edited = registered.clone();
        edit(&mut edited);
        observed(&edited)
    };
    let apply = Step::Apply(Box::new(registered.clone()));
    let replace = |found: &Observed<ValidatingWebhookConfiguration>| {
        let (version, labels) = (&found.metadata.resource_version, &found.metadata.labels);
        let mut whole = registered.clone();
        whole.metadata.uid = Some("u".to_owned());
        whole.metadata.resource_version = version.clone();
        whole.metadata.labels.as_mut().unwrap().extend(labels.clone().unwrap_or_default());
        whole.metadata.owner_references = found.metadata.owner_references.clone();
        Step::Replace(Box::new(whole))
    };
    let broken = Observed { object: Err("broken".to_owned()), ..observed(&registered) };
    use Expected::{Apply, Replace, Rest};
    let cases = [
        ("nothing yet", None, Apply),
        ("the same", Some(observed(&registered)), Rest),
        ("unreadable", Some(broken), Replace),
        ("no webhook", Some(edited(|it| it.webhooks = None)), Replace),
        ("no label", Some(edited(|it| it.metadata.labels = None)), Replace),
        (
            "another label too",
            Some(edited(|it| {
                it.metadata.labels.as_mut().unwrap().insert("a".to_owned(), "b".to_owned());
            })),
            Rest,
        ),
        (
            "another bundle",
            Some(edited(|it| {
                let webhook = &mut it.webhooks.as_mut().unwrap()[0];
                webhook.client_config.ca_bundle = Some(ByteString(b"other".to_vec()));
            })),
            Replace,
        ),
        (
            "a group that is no longer needed",
            Some(edited(|it| {
                let webhooks = it.webhooks.as_mut().unwrap();
                let name = Endpoint::shared(FailurePolicy::Fail).name();
                webhooks.push(ValidatingWebhook { name, ..webhooks[0].clone() });
            })),
            Replace,
        ),
        (
            "a condition that nothing meets",
            Some(edited(|it| {
                let webhook = &mut it.webhooks.as_mut().unwrap()[0];
                let (name, expression) = ("never".to_owned(), "false".to_owned());
                let condition = MatchCondition { name, expression };
                webhook.match_conditions.as_mut().unwrap().push(condition);
            })),
            Replace,
        ),
        (
            "a webhook of somebody else's",
            Some(edited(|it| {
                let webhooks = it.webhooks.as_mut().unwrap();
                let name = "theirs.example.com".to_owned();
                webhooks.push(ValidatingWebhook { name, ..webhooks[0].clone() });
            })),
            Replace,
        ),
    ];
    for (what, found, expected) in cases {
        let expected = match (&expected, &found) {
            (Expected::Replace, Some(found)) => replace(found),
            (Expected::Rest, _) => Step::Rest,
            _ => apply.clone(),
        };
        assert_eq!(step(registered.clone(), found.as_ref(), None), expected, "{what}");
    }
    let unowned = observed(&registered);
    assert_eq!(step(registered.clone(), Some(&unowned), Some("role")), replace(&unowned));
    let owned = edited(|it| {
        let (kind, name) = ("ClusterRole".to_owned(), "role".to_owned());
        let owner = OwnerReference { kind, name, ..OwnerReference::default() };
        it.metadata.owner_references = Some(vec![owner]);
    });
    assert_eq!(step(registered.clone(), Some(&owned), Some("role")), Step::Rest);
    assert_eq!(step(registered.clone(), Some(&owned), Some("another")), replace(&owned));
}

#[test]
fn a_bundle_is_trusted_where_every_webhook_publishes_it() {
    let now = UnixTime::now();
    let ours = material();
    let view_of = |webhooks: &[(&str, &[u8])]| {
        let webhook = |(name, bundle): &(&str, &[u8])| ValidatingWebhook {
            name: (*name).to_owned(),
            client_config: WebhookClientConfig {
                ca_bundle: Some(ByteString(bundle.to_vec())),
                ..WebhookClientConfig::default()
            },
            ..ValidatingWebhook::default()
        };
        let webhooks = Some(webhooks.iter().map(webhook).collect());
        let configuration = ValidatingWebhookConfiguration {
            webhooks,
            ..ValidatingWebhookConfiguration::default()
        };
        let objects = BTreeMap::from([("u".to_owned(), observed(&configuration))]);
        View { objects: Some(Arc::new(objects)), trouble: None }
    };
    let name = Endpoint::shared(FailurePolicy::Fail).name();
    let name = name.as_str();
    let view = |bundles: &[&[u8]]| {
        view_of(&bundles.iter().map(|bundle| (name, *bundle)).collect::<Vec<_>>())
    };
    let trusts = |view: &View<_>| Published::of(view, now).trusts(&ours, now);
    let (own, other) = (ours.bundle().pem().to_owned(), material().bundle().pem().to_owned());
    assert_eq!(trusts(&view(&[&own])), Some(true));
    assert_eq!(trusts(&view(&[&own, &own])), Some(true));
    assert_eq!(trusts(&view(&[&own, &other])), Some(false));
    assert_eq!(trusts(&view(&[b"garbage"])), Some(false));
    let foreign: (&str, &[u8]) = ("theirs.example.com", b"garbage");
    assert_eq!(trusts(&view_of(&[(name, &own), foreign])), Some(true), "theirs is not ours");
    assert!(matches!(Published::of(&view_of(&[foreign]), now), Published::Nothing));
    let empty = View { objects: Some(Arc::default()), trouble: None };
    assert_eq!(trusts(&empty), None);
    assert!(matches!(Published::of(&View::default(), now), Published::Unknown));
}
