use std::sync::Mutex;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request as HttpRequest;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use pharos_instruments::{AdmissionReviewFacts, Subject};
use pharos_policy::{Json, Request};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::configuration::SuccessEvents;
use crate::enforce::enforce;
use crate::policies::Policies;
use crate::testing::{observed, policy};

#[derive(Default)]
struct Noted(Mutex<Vec<&'static str>>);

impl Facts for Noted {
    fn review(&self, _: &Subject, _: &AdmissionReviewFacts<'_>) {}
    fn refusal(&self, _: &'static str) {}
    fn event_dropped(&self, reason: &'static str) {
        self.0.lock().unwrap().push(reason);
    }
}

/// An API server that answers so, and what it is sent.
fn api(
    answer: impl Fn(usize) -> StatusCode + Clone + Send + Sync + 'static,
) -> (Client, Arc<Mutex<Vec<Value>>>) {
    let sent: Arc<Mutex<Vec<Value>>> = Arc::default();
    let noted = sent.clone();
    let respond = move |request: HttpRequest| {
        let (noted, answer) = (noted.clone(), answer.clone());
        async move {
            let body = to_bytes(request.into_body(), usize::MAX).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let count = {
                let mut noted = noted.lock().unwrap();
                noted.push(body.clone());
                noted.len()
            };
            let code = answer(count);
            if code == StatusCode::CREATED {
                return axum::Json(body).into_response();
            }
            let status = json!({"kind": "Status", "status": "Failure", "code": code.as_u16(),
                "reason": "No", "message": "no"});
            let refused: Response = (code, axum::Json(status)).into_response();
            refused
        }
    };
    (Client::new(Router::new().fallback(respond), "default"), sent)
}

fn notice(note: &str) -> Notice {
    Notice {
        reason: EventReason::PolicyViolation,
        action: Action::Blocked,
        regarding: ObjectReference { name: Some("p".to_owned()), ..ObjectReference::default() },
        related: None,
        note: note.to_owned(),
    }
}

fn options(queued: usize, rate: u32, burst: u32) -> EventOptions {
    EventOptions {
        queued: queued.try_into().unwrap(),
        rate: rate.try_into().unwrap(),
        burst: burst.try_into().unwrap(),
        ..EventOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_published_at_the_rate_and_what_does_not_fit_is_counted() {
    let (client, sent) = api(|_| StatusCode::CREATED);
    let noted = Arc::new(Noted::default());
    let (events, publisher) = events(client, &options(10, 2, 4), "pod", noted.clone());
    for number in 0..12 {
        events.hand_in(notice(&number.to_string()));
    }
    assert_eq!(*noted.0.lock().unwrap(), ["QueueFull", "QueueFull"]);
    drop(events);
    let start = Instant::now();
    publisher.run().await;
    let sent = sent.lock().unwrap();
    assert_eq!(sent.len(), 10);
    assert_eq!(start.elapsed().as_secs(), 3, "four at once, six at two a second");
    let names: BTreeSet<_> =
        sent.iter().map(|event| event["metadata"]["name"].to_string()).collect();
    assert_eq!(names.len(), 10, "no two have one name");
    let first = &sent[0];
    assert_eq!(first["metadata"]["namespace"], "default");
    assert_eq!(first["reportingController"], "kyverno-admission");
    assert_eq!(first["reportingInstance"], "kyverno-admission-pod");
    assert_eq!(first["type"], "Warning");
    assert_eq!(first["action"], "Resource Blocked");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_tried_again_where_that_may_help_and_counted_where_not() {
    let codes = [
        (StatusCode::SERVICE_UNAVAILABLE, 3, &["Refused"][..]),
        (StatusCode::FORBIDDEN, 1, &["Refused"]),
        (StatusCode::NOT_FOUND, 1, &[]),
    ];
    for (code, tries, dropped) in codes {
        let (client, sent) = api(move |_| code);
        let noted = Arc::new(Noted::default());
        let (events, publisher) = events(client, &EventOptions::default(), "p", noted.clone());
        events.hand_in(notice("n"));
        drop(events);
        publisher.run().await;
        assert_eq!(sent.lock().unwrap().len(), tries, "{code}");
        assert_eq!(*noted.0.lock().unwrap(), dropped, "{code}");
    }
    let (client, sent) = api(|count| match count {
        1 => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::CREATED,
    });
    let noted = Arc::new(Noted::default());
    let (events, publisher) = events(client, &EventOptions::default(), "p", noted.clone());
    events.hand_in(notice("n"));
    drop(events);
    publisher.run().await;
    assert_eq!(sent.lock().unwrap().len(), 2);
    assert!(noted.0.lock().unwrap().is_empty());
}

/// What is told of a review of a Pod by one policy.
fn told_of(spec: Value, request: &Value, omitted: &[EventReason]) -> Vec<Notice> {
    let policies = Policies::default().succeed(&observed([policy("labels", spec)]));
    let request = Json::from(request.clone());
    let request = Request::parse(&request).unwrap();
    let set = &policies.set(|_| true);
    let evaluation = pharos_policy::evaluate(set, &request, &pharos_policy::SystemClock);
    let verdict = enforce(&evaluation, &request);
    let (sender, mut queue) = mpsc::channel(10);
    let omitted = Arc::new(omitted.iter().copied().collect());
    let events = Events { queue: sender, omitted, facts: Arc::new(Noted::default()) };
    told(&events, &SuccessEvents::All, &policies, &request, &evaluation, &verdict);
    let mut notices = Vec::new();
    while let Ok(notice) = queue.try_recv() {
        notices.push(notice);
    }
    notices
}

fn review(labels: Value) -> Value {
    json!({
        "uid": "1", "operation": "UPDATE", "name": "web", "namespace": "shop",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "object": {"metadata": {"uid": "pod-uid", "labels": labels}},
    })
}

fn updates() -> Value {
    json!({"resourceRules": [{
        "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["*"],
    }]})
}

#[test]
fn a_violation_is_told_on_the_policy_and_on_the_object_that_exists_for_all_that() {
    let deny = json!({"matchConstraints": updates()});
    let told = told_of(deny, &review(json!({})), &[]);
    let [blocked] = &told[..] else { panic!("{told:?}") };
    assert_eq!(blocked.note, "Pod shop/web: fail (blocked); a label app is needed");
    assert_eq!((blocked.reason, blocked.action), (EventReason::PolicyViolation, Action::Blocked));
    let regarding = &blocked.regarding;
    assert_eq!(regarding.kind.as_deref(), Some("ValidatingPolicy"));
    assert_eq!(regarding.uid.as_deref(), Some("labels"));
    let related = blocked.related.as_ref().unwrap();
    assert_eq!(related.uid.as_deref(), Some("pod-uid"));
    assert_eq!(related.namespace.as_deref(), Some("shop"));

    let audit = json!({"matchConstraints": updates(), "validationActions": ["Audit"]});
    let told = told_of(audit, &review(json!({})), &[]);
    let [on_policy, on_object] = &told[..] else { panic!("{told:?}") };
    assert_eq!(on_policy.note, "Pod shop/web: fail; a label app is needed");
    assert_eq!(on_object.note, "policy labels fail: a label app is needed");
    assert_eq!(on_object.regarding.kind.as_deref(), Some("Pod"));
}

#[test]
fn obedience_errors_and_dry_runs_are_told_as_asked() {
    let spec = || json!({"matchConstraints": updates()});
    let obeyed = told_of(spec(), &review(json!({"app": "web"})), &[]);
    assert_eq!(obeyed[0].reason, EventReason::PolicyApplied);
    assert_eq!(obeyed[0].note, "Pod shop/web: pass");
    assert_eq!(obeyed.len(), 1);
    let omitted = [EventReason::PolicyApplied];
    assert!(told_of(spec(), &review(json!({"app": "web"})), &omitted).is_empty());

    let failing = told_of(spec(), &review(json!(null)), &[]);
    assert_eq!(failing[0].reason, EventReason::PolicyError);

    let mut dry = review(json!({}));
    dry["dryRun"] = json!(true);
    assert!(told_of(spec(), &dry, &[]).is_empty());
    let mut nameless = review(json!({}));
    nameless["name"] = json!("");
    assert!(told_of(spec(), &nameless, &[]).is_empty());
}

#[test]
fn reasons_are_read_as_they_are_written() {
    for reason in EventReason::ALL {
        assert_eq!(reason.as_str().parse(), Ok(reason));
    }
    let error = "Applied".parse::<EventReason>().unwrap_err();
    assert!(error.contains("PolicyApplied"), "{error}");
}
