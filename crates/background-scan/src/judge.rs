//! Objects as they were read, judged: the only place where policies are asked. It computes and does no
//! I/O; whoever calls it sees to it that nothing waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use pharos_api::report::Timestamp;
use pharos_policy::{Json, NotJson, Request, SystemClock, evaluate};
use pharos_reports::{Desired, Subject, verdict};

use crate::known::{Uid, Version};
use crate::record::{Facts, record};
use crate::request::{NO_ROLES, creation};
use crate::scan::{Judged, Keeping};
use crate::snapshot::Snapshot;
use crate::target::Target;

/// Namespaces by name, as expressions see them.
pub(crate) type Namespaces = Arc<BTreeMap<String, Arc<Json<'static>>>>;

/// What objects are judged by.
#[derive(Clone)]
pub(crate) struct Judge {
    pub(crate) policies: Arc<Snapshot>,
    pub(crate) namespaces: Namespaces,
    pub(crate) keeping: Keeping,
    pub(crate) facts: Arc<dyn Facts>,
}

/// A list that was judged.
#[derive(Debug, PartialEq)]
pub(crate) struct JudgedList {
    /// Its objects, but those that could own no report because they have no uid of their own.
    pub(crate) objects: Vec<Judged>,
    /// How many objects it held.
    pub(crate) held: usize,
    /// Where it goes on.
    pub(crate) more: Option<String>,
    /// How many objects follow, if the server says so.
    pub(crate) remaining: Option<u64>,
}

// === impl Judge ===

impl Judge {
    /// What policies say about the objects of a list, as it was sent.
    pub(crate) fn list(&self, target: &Target, written: &[u8]) -> Result<JudgedList, NotJson> {
        let list = Json::parse(written)?;
        let text = |path| list.pointer(path).and_then(Json::as_str);
        let more = text("/metadata/continue").filter(|token| !token.is_empty());
        let more = more.map(ToOwned::to_owned);
        let remaining = match list.pointer("/metadata/remainingItemCount") {
            Some(Json::Int(count)) => u64::try_from(*count).ok(),
            _ => None,
        };
        let items = match list {
            Json::Object(fields) => fields.into_iter().find(|(name, _)| name == "items"),
            _ => None,
        };
        let items = match items {
            Some((_, Json::Array(items))) => items,
            _ => Box::default(),
        };
        let held = items.len();
        let objects = items.into_iter().filter_map(|item| self.judge(target, item)).collect();
        Ok(JudgedList { objects, held, more, remaining })
    }

    /// What policies say about an object, as it was sent.
    pub(crate) fn object(
        &self,
        target: &Target,
        written: &[u8],
    ) -> Result<Option<Judged>, NotJson> {
        Ok(self.judge(target, Json::parse(written)?))
    }

    fn judge(&self, target: &Target, object: Json<'_>) -> Option<Judged> {
        let text = |path| object.pointer(path).and_then(Json::as_str).unwrap_or_default();
        let uid = Uid::parse(text("/metadata/uid"))?;
        let version = Version::parse(text("/metadata/resourceVersion"));
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let (namespace, name, text) = (namespace.to_owned(), name.to_owned(), uid.to_string());
        let (api_version, kind) = (&*target.api_version(), &*target.kind);
        let subject = Subject { api_version, kind, namespace: &namespace, name: &name, uid: &text };
        let desired = self.desired(target, &subject, object);
        Some(Judged { uid, version, desired })
    }

    fn desired(&self, target: &Target, subject: &Subject<'_>, object: Json<'_>) -> Option<Desired> {
        let raw = creation(typed(object, target), target);
        // Made of strings here; what is not in it is not there.
        let request = Request::parse(&raw).ok()?;
        let namespace = self.namespaces.get(subject.namespace).map(AsRef::as_ref);
        let request =
            Request { user_roles: Some(NO_ROLES), namespace_object: namespace, ..request };
        let evaluation = evaluate(&self.policies.set, &request, &SystemClock);
        let in_namespace = (!subject.namespace.is_empty()).then_some(subject.namespace);
        record(&*self.facts, &target.kind, in_namespace, &evaluation);
        let Keeping::In(api) = self.keeping else { return None };
        let results = verdict::results(&evaluation, &self.policies.abouts, now());
        Desired::of(subject, api, results)
    }
}

/// The object with what it is, which an object of a list does not say itself.
fn typed<'a>(object: Json<'a>, target: &'a Target) -> Json<'a> {
    let Json::Object(fields) = object else { return object };
    if fields.get("kind").is_some() && fields.get("apiVersion").is_some() {
        return Json::Object(fields);
    }
    let types = [
        ("apiVersion".into(), Json::String(target.api_version().into())),
        ("kind".into(), (&*target.kind).into()),
    ];
    types.into_iter().chain(fields).collect()
}

/// The second, as Kyverno writes it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: 0 }
}

#[cfg(test)]
mod tests {
    use pharos_api::report::{Outcome, ReportApi};
    use pharos_cluster::discovery::Scope;
    use pharos_policy_cache::Policies;
    use pharos_policy_cache::testing::{observed, policy};
    use serde_json::{Value, json};

    use super::*;
    use crate::record::testing::Journal;

    fn pods() -> Target {
        Target {
            group: "".into(),
            resource: "pods".into(),
            version: "v1".into(),
            kind: "Pod".into(),
            scope: Scope::Namespaced,
        }
    }

    fn pod(labels: &Value) -> Value {
        json!({"metadata": {
            "name": "web", "namespace": "shop", "resourceVersion": "7", "labels": labels,
            "uid": "2e8b0e9c-0cbd-4f6c-a1a3-5a4d41ba3a37",
        }})
    }

    fn judge(spec: Value, keeping: Keeping, journal: &Arc<Journal>) -> Judge {
        let policies = Policies::default().succeed(&observed([policy("a", spec)]));
        let shop = json!({"metadata": {"name": "shop", "labels": {"team": "x"}}});
        Judge {
            policies: Arc::new(Snapshot::of(&policies)),
            namespaces: Arc::new([("shop".to_owned(), Arc::new(shop.into()))].into()),
            keeping,
            facts: journal.clone(),
        }
    }

    fn judged(judge: &Judge, items: &Value) -> Vec<Judged> {
        let list = json!({"kind": "PodList", "metadata": {}, "items": items}).to_string();
        judge.list(&pods(), list.as_bytes()).unwrap().objects
    }

    fn outcomes(judged: &[Judged]) -> Vec<Outcome> {
        let results = judged.iter().filter_map(|it| it.desired.as_ref());
        let results = results.flat_map(|desired| &desired.report().results);
        results.filter_map(|result| result.result).collect()
    }

    #[test]
    fn objects_are_judged_and_every_result_is_recorded() {
        let journal = Arc::<Journal>::default();
        let judge = judge(json!({}), Keeping::In(ReportApi::PolicyReports), &journal);
        let judged = judged(&judge, &json!([pod(&json!({"app": "x"})), pod(&json!({}))]));
        assert_eq!(outcomes(&judged), [Outcome::Pass, Outcome::Fail]);
        assert_eq!(journal.lines(), ["Pod shop a pass", "Pod shop a fail"]);
    }

    #[test]
    fn an_object_of_a_list_says_what_it_is_and_its_namespace_is_known() {
        let journal = Arc::<Journal>::default();
        let spec = json!({"validations": [{"expression":
            "object.kind == 'Pod' && object.apiVersion == 'v1' && namespaceObject.metadata.labels.team == 'x'",
        }]});
        let judge = judge(spec, Keeping::In(ReportApi::PolicyReports), &journal);
        assert_eq!(outcomes(&judged(&judge, &json!([pod(&json!({}))]))), [Outcome::Pass]);
    }

    #[test]
    fn where_no_reports_are_kept_results_are_recorded_all_the_same() {
        let journal = Arc::<Journal>::default();
        let judge = judge(json!({}), Keeping::Nowhere, &journal);
        let pod = pod(&json!({"app": "x"})).to_string();
        let judged = judge.object(&pods(), pod.as_bytes()).unwrap().unwrap();
        assert_eq!(judged.desired, None);
        assert_eq!(journal.lines(), ["Pod shop a pass"]);
    }

    #[test]
    fn what_is_no_object_with_a_uid_is_left_out() {
        let journal = Arc::<Journal>::default();
        let judge = judge(json!({}), Keeping::In(ReportApi::PolicyReports), &journal);
        let mut anonymous = pod(&json!({}));
        anonymous["metadata"]["uid"] = json!("web");
        let hostile = json!([1, {}, {"metadata": []}, anonymous]);
        assert_eq!(judged(&judge, &hostile), []);
        for list in ["1", "{}", r#"{"items": {}}"#] {
            assert_eq!(judge.list(&pods(), list.as_bytes()).unwrap().objects, [], "{list}");
        }
        assert!(judge.list(&pods(), b"{").is_err());
    }

    #[test]
    fn a_list_says_where_it_goes_on_and_how_much_is_left() {
        let judge = judge(json!({}), Keeping::Nowhere, &Arc::default());
        let of = |metadata: Value| {
            let list = json!({"metadata": metadata, "items": [1]}).to_string();
            let list = judge.list(&pods(), list.as_bytes()).unwrap();
            (list.held, list.more, list.remaining)
        };
        let first = of(json!({"continue": "abc", "remainingItemCount": 7}));
        assert_eq!(first, (1, Some("abc".to_owned()), Some(7)));
        assert_eq!(of(json!({"continue": ""})), (1, None, None));
    }
}
