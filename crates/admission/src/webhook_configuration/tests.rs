use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use pharos_api::policy::NamedRuleWithOperations;
use pharos_cluster::view::Observed;
use serde_json::{Value, json};

use super::leader::{Step, step};
use super::rules::union;
use super::*;
use crate::testing::{material, policy};

fn registration() -> Registration {
    let target = "pharos/webhook:443".parse().unwrap();
    let exempt_namespaces = ["other", "pharos"].map(str::to_owned).into();
    Registration { target, namespace: "pharos".to_owned(), exempt_namespaces, owner: None }
}

fn desired(specs: &[Value]) -> Option<ValidatingWebhookConfiguration> {
    let named = specs.iter().enumerate();
    let policies = named.map(|(index, spec)| policy(&format!("p{index}"), spec.clone()));
    let policies = Policies::default().succeed(&crate::testing::observed(policies));
    registration().desired(&policies, material().bundle(), None)
}

fn merged(policies: &[Value]) -> Vec<String> {
    let lists: Vec<Vec<NamedRuleWithOperations>> =
        policies.iter().map(|rules| serde_json::from_value(rules.clone()).unwrap()).collect();
    let line = |list: &Option<Vec<String>>| list.as_ref().unwrap().join(",");
    union(lists.iter().flatten())
        .iter()
        .map(|rule| {
            format!(
                "{}/{}/{} {} {}",
                line(&rule.api_groups),
                line(&rule.api_versions),
                line(&rule.resources),
                rule.scope.as_ref().unwrap(),
                line(&rule.operations),
            )
        })
        .collect()
}

fn rule(group: &[&str], versions: &[&str], resources: &[&str], operations: &[&str]) -> Value {
    json!({
        "apiGroups": group, "apiVersions": versions,
        "resources": resources, "operations": operations,
    })
}

#[test]
fn rules_about_the_same_are_united() {
    let cases: [(&str, Vec<Value>, &[&str]); 10] = [
        ("none", vec![json!([])], &[]),
        (
            "one",
            vec![json!([rule(&[""], &["v1"], &["pods"], &["CREATE"])])],
            &["/v1/pods * CREATE"],
        ),
        (
            "operations of two policies",
            vec![
                json!([rule(&[""], &["v1"], &["pods"], &["UPDATE", "CREATE"])]),
                json!([rule(&[""], &["v1"], &["pods"], &["DELETE", "CREATE"])]),
            ],
            &["/v1/pods * CREATE,DELETE,UPDATE"],
        ),
        (
            "any operation outdoes single ones, which would be refused beside it",
            vec![json!([rule(&[""], &["v1"], &["pods"], &["CREATE", "*"])])],
            &["/v1/pods * *"],
        ),
        (
            "lists that would be refused as they are",
            vec![json!([
                rule(&["apps", "*"], &["v1", "*"], &["pods", "*/*", "*", "pods/*"], &["CREATE"]),
                rule(&[""], &["v1"], &["pods", "*", "pods/log"], &["CREATE"]),
                rule(&[""], &["v1"], &["pods/log", "pods", "pods/*", "a/log"], &["CREATE"]),
                rule(&[""], &["v1"], &["pods/log", "pods/*", "*/log", "a/b"], &["CREATE"]),
            ])],
            &[
                "/v1/*,pods/log * CREATE",
                "/v1/*/log,a/b,pods/* * CREATE",
                "/v1/a/log,pods,pods/* * CREATE",
                "*/*/*/* * CREATE",
            ],
        ),
        (
            "lists in another order, with repetitions",
            vec![
                json!([rule(&["a", "b"], &["v1", "v2"], &["x", "y"], &["CREATE"])]),
                json!([rule(&["b", "a", "b"], &["v2", "v1"], &["y", "x", "y"], &["DELETE"])]),
            ],
            &["a,b/v1,v2/x,y * CREATE,DELETE"],
        ),
        (
            "overlapping lists stay apart",
            vec![json!([
                rule(&["a"], &["v1"], &["x", "y"], &["CREATE"]),
                rule(&["a"], &["v1"], &["x"], &["CREATE"]),
            ])],
            &["a/v1/x * CREATE", "a/v1/x,y * CREATE"],
        ),
        (
            "any operation of one policy",
            vec![
                json!([rule(&["a"], &["v1"], &["x"], &["CREATE"])]),
                json!([rule(&["a"], &["v1"], &["x"], &["*"])]),
            ],
            &["a/v1/x * *"],
        ),
        (
            "scopes stay apart",
            vec![json!([
                rule(&[""], &["v1"], &["*"], &["CREATE"]),
                {
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["*"],
                    "operations": ["CREATE"], "scope": "Namespaced",
                },
            ])],
            &["/v1/* * CREATE", "/v1/* Namespaced CREATE"],
        ),
        (
            "what matches nothing is no rule, nor is what the API server would refuse",
            vec![json!([
                rule(&[""], &["v1"], &["pods"], &[]),
                rule(&[], &["v1"], &["pods"], &["CREATE"]),
                rule(&[""], &[""], &["pods"], &["CREATE"]),
                rule(&[""], &["v1"], &[""], &["CREATE"]),
            ])],
            &[],
        ),
    ];
    for (what, policies, expected) in cases {
        assert_eq!(merged(&policies), expected, "{what}");
    }
}

#[test]
fn the_longest_lists_make_one_rule() {
    let names = |prefix: &str, count| {
        (0..count).map(|index| format!("{prefix}{index}")).collect::<Vec<_>>()
    };
    let longest = json!([{
        "apiGroups": names("g", 64), "apiVersions": names("v", 64),
        "resources": names("r", 128), "operations": ["CREATE"],
    }]);
    assert_eq!(merged(&[longest]).len(), 1);
}

#[test]
fn without_a_policy_nothing_is_registered() {
    assert_eq!(desired(&[]), None);
    let for_scans_only = json!({"evaluation": {"admission": {"enabled": false}}});
    assert_eq!(desired(&[for_scans_only]), None);
    let broken = json!({"validations": [{"expression": "object."}]});
    assert_eq!(desired(&[broken]), None);
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
        let webhooks = desired(&policies).unwrap().webhooks.unwrap();
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
        let webhooks = desired(&policies).unwrap().webhooks.unwrap();
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
    let configuration = desired(&[json!({})]).unwrap();
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
fn a_policy_for_everything_does_not_see_what_the_control_plane_lives_on() {
    let registered = desired(&[json!({})]).unwrap().webhooks.unwrap();
    let conditions = serde_json::to_value(&registered[0].match_conditions).unwrap();
    let everything = json!({
        "matchConstraints": {"resourceRules": [rule(&["*"], &["*"], &["*/*"], &["*"])]},
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
        let request = pharos_policy::Request::parse(&request).unwrap();
        let clock = pharos_policy::SystemClock;
        let evaluation =
            pharos_policy::evaluate(policies.of(FailurePolicy::Ignore), &request, &clock);
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

#[test]
fn what_stands_is_written_only_if_it_differs() {
    let registered = desired(&[json!({})]).unwrap();
    let edited = |edit: fn(&mut ValidatingWebhookConfiguration)| {
        let mut edited = registered.clone();
        edit(&mut edited);
        observed(&edited)
    };
    let apply = Step::Apply(Box::new(registered.clone()));
    let broken = Observed { object: Err("broken".to_owned()), ..observed(&registered) };
    let cases = [
        ("nothing yet", None, &apply),
        ("the same", Some(observed(&registered)), &Step::Rest),
        ("unreadable", Some(broken), &apply),
        ("no webhook", Some(edited(|it| it.webhooks = None)), &apply),
        ("no label", Some(edited(|it| it.metadata.labels = None)), &apply),
        (
            "another label too",
            Some(edited(|it| {
                it.metadata.labels.as_mut().unwrap().insert("a".to_owned(), "b".to_owned());
            })),
            &Step::Rest,
        ),
        (
            "another bundle",
            Some(edited(|it| {
                let webhook = &mut it.webhooks.as_mut().unwrap()[0];
                webhook.client_config.ca_bundle = Some(ByteString(b"other".to_vec()));
            })),
            &apply,
        ),
        (
            "a group that is no longer needed",
            Some(edited(|it| {
                let webhooks = it.webhooks.as_mut().unwrap();
                let name = webhook::name(FailurePolicy::Fail).to_owned();
                webhooks.push(ValidatingWebhook { name, ..webhooks[0].clone() });
            })),
            &apply,
        ),
        (
            "a webhook of somebody else's",
            Some(edited(|it| {
                let webhooks = it.webhooks.as_mut().unwrap();
                let name = "theirs.example.com".to_owned();
                webhooks.push(ValidatingWebhook { name, ..webhooks[0].clone() });
            })),
            &Step::Rest,
        ),
    ];
    for (what, found, expected) in cases {
        assert_eq!(&step(Some(registered.clone()), found.as_ref(), None), expected, "{what}");
    }
    let unowned = observed(&registered);
    assert_eq!(step(Some(registered.clone()), Some(&unowned), Some("role")), apply);
    let owned = edited(|it| {
        let (kind, name) = ("ClusterRole".to_owned(), "role".to_owned());
        let owner = OwnerReference { kind, name, ..OwnerReference::default() };
        it.metadata.owner_references = Some(vec![owner]);
    });
    assert_eq!(step(Some(registered.clone()), Some(&owned), Some("role")), Step::Rest);
    assert_eq!(step(Some(registered.clone()), Some(&owned), Some("another")), apply);
    assert_eq!(step(None, None, None), Step::Rest);
    let found = observed(&registered);
    assert_eq!(step(None, Some(&found), None), Step::Delete { uid: "u".to_owned() });
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
    let name = webhook::name(FailurePolicy::Fail);
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
