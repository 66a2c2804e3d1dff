use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Response};
use kube::client::Body;
use pharos_api::report::{Outcome, ReportApi, ReportResult};
use pharos_instruments::Instruments;
use pharos_reports::Subject;
use pharos_reports::admitted::ADMISSION;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::known::Uid;

const UID: &str = "2e8b0e9c-0cbd-4f6c-a1a3-5a4d41ba3a37";

/// What an API server was asked, and answers: the nth answer to the nth request, or its metadata where
/// that is asked for.
struct Server {
    edge: Edge,
    asked: Arc<Mutex<Vec<(Method, String, Value)>>>,
}

impl Server {
    fn answering(answers: Vec<(u16, Value)>) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let journal = Arc::clone(&asked);
        let answers = Arc::new(answers);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let (journal, answers) = (Arc::clone(&journal), Arc::clone(&answers));
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let nth = {
                    let mut journal = journal.lock().unwrap();
                    journal.push((parts.method, parts.uri.path().to_owned(), body));
                    journal.len() - 1
                };
                let (code, mut answer) = answers[nth].clone();
                let accepted = parts.headers.get(http::header::ACCEPT);
                if code < 300 && accepted.is_some_and(|it| it == METADATA) {
                    answer = json!({"metadata": answer["metadata"]});
                }
                let answer = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(code).body(answer).unwrap())
            }
        });
        let client = Client::new(service, "default");
        Self { edge: Edge::new(client, Instruments::default()), asked }
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(method, path, _)| format!("{method} {path}")).collect()
    }

    fn body(&self, nth: usize) -> Value {
        self.asked.lock().unwrap()[nth].2.clone()
    }
}

fn write(outcome: Outcome, is_there: bool) -> Write {
    let uid = Uid::parse(UID).unwrap();
    let subject =
        Subject { api_version: "v1", kind: "Pod", namespace: "shop", name: "web", uid: UID };
    let result = ReportResult { result: Some(outcome), ..ReportResult::default() };
    let desired = Desired::of(&subject, ReportApi::PolicyReports, vec![result]).unwrap();
    Write { uid, desired, is_there }
}

fn stamp(write: &Write) -> Stamp {
    Stamp::of(write.desired.report().metadata.annotations.as_ref())
}

fn stored(write: &Write, version: &str) -> Value {
    let mut report = serde_json::to_value(write.desired.report()).unwrap();
    report["metadata"]["resourceVersion"] = json!(version);
    report
}

fn refused(code: u16, cause: &str) -> (u16, Value) {
    let details = json!({"causes": [{"reason": cause, "message": "", "field": ""}]});
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "reason": "no", "code": code, "details": details,
    });
    (code, status)
}

fn all() -> String {
    "/apis/wgpolicyk8s.io/v1alpha2/namespaces/shop/policyreports".to_owned()
}

fn one() -> String {
    format!("{}/{UID}", all())
}

fn is(version: &str) -> Version {
    Version::parse(version)
}

#[tokio::test]
async fn a_report_that_is_not_there_is_created() {
    let wanted = write(Outcome::Fail, false);
    let server = Server::answering(vec![(201, stored(&wanted, "7"))]);
    let written = server.edge.write(&wanted, &Standing::default()).await;
    assert_eq!(written, Written::Stored(is("7"), stamp(&wanted)));
    assert_eq!(server.asked(), [format!("POST {}", all())]);
    assert_eq!(server.body(0)["kind"], "PolicyReport");
}

#[test]
fn a_server_that_answers_with_the_whole_report_is_understood() {
    let wanted = write(Outcome::Fail, false);
    let answer: Stored = serde_json::from_value(stored(&wanted, "7")).unwrap();
    assert_eq!(answer.written(), Written::Stored(is("7"), stamp(&wanted)));
}

#[tokio::test]
async fn one_that_is_there_is_replaced_in_the_version_that_was_read_if_it_differs() {
    let (wanted, before) = (write(Outcome::Fail, true), write(Outcome::Pass, true));
    let answers = vec![(200, stored(&before, "7")), (200, stored(&wanted, "8"))];
    let server = Server::answering(answers);
    assert_eq!(
        server.edge.write(&wanted, &Standing::default()).await,
        Written::Stored(is("8"), stamp(&wanted))
    );
    assert_eq!(server.asked(), [format!("GET {}", one()), format!("PUT {}", one())]);
    assert_eq!(server.body(1)["metadata"]["resourceVersion"], "7");

    let same = Server::answering(vec![(200, stored(&wanted, "7"))]);
    let written = same.edge.write(&wanted, &Standing::default()).await;
    assert_eq!(written, Written::Unchanged(is("7"), stamp(&wanted)));
    assert_eq!(same.asked().len(), 1);
}

#[tokio::test]
async fn what_was_believed_about_a_report_may_be_wrong_either_way() {
    let (unknown, known) = (write(Outcome::Fail, false), write(Outcome::Fail, true));
    let answers = vec![
        refused(409, "AlreadyExists"),
        (200, stored(&write(Outcome::Pass, true), "7")),
        (200, stored(&unknown, "8")),
    ];
    let server = Server::answering(answers);
    assert!(matches!(server.edge.write(&unknown, &Standing::default()).await, Written::Stored(..)));
    let gone = Server::answering(vec![refused(404, "NotFound"), (201, stored(&known, "9"))]);
    assert!(matches!(gone.edge.write(&known, &Standing::default()).await, Written::Stored(..)));
    assert_eq!(gone.asked()[1], format!("POST {}", all()));
}

#[tokio::test(start_paused = true)]
async fn who_writes_at_the_same_time_wins() {
    let wanted = write(Outcome::Fail, true);
    let before = stored(&write(Outcome::Pass, true), "7");
    let server = Server::answering(vec![(200, before), refused(409, "Conflict")]);
    let began = Instant::now();
    assert_eq!(server.edge.write(&wanted, &Standing::default()).await, Written::Failed);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_being_deleted_is_waited_for_a_moment() {
    let server = Server::answering(vec![refused(403, "NamespaceTerminating")]);
    let began = Instant::now();
    assert_eq!(
        server.edge.write(&write(Outcome::Fail, false), &Standing::default()).await,
        Written::Failed
    );
    assert_eq!(began.elapsed(), TERMINATING);
}

#[tokio::test]
async fn a_report_is_deleted_in_the_version_that_was_seen_or_left() {
    let removal = Removal {
        uid: Uid::parse(UID).unwrap(),
        kind: ReportKind::PolicyReport,
        namespace: "shop".to_owned(),
        version: is("7"),
    };
    for (answer, expected) in [
        ((200, json!({"kind": "Status", "status": "Success"})), Written::Deleted),
        (refused(404, "NotFound"), Written::Deleted),
        (refused(409, "Conflict"), Written::Failed),
    ] {
        let server = Server::answering(vec![answer]);
        assert_eq!(server.edge.remove(&removal).await, expected);
        assert_eq!(server.asked(), [format!("DELETE {}", one())]);
        assert_eq!(server.body(0)["preconditions"]["resourceVersion"], "7");
    }
}

/// The report of `write`, in which an admission says something, too, as of long ago.
fn admitted(write: &Write, version: &str) -> Value {
    let mut report = stored(write, version);
    let said = json!({"policies": {"/a": "1f"}}).to_string();
    report["metadata"]["annotations"][ADMISSION] = json!(said);
    let result = json!({"policy": "a", "result": "fail", "timestamp": {"seconds": 1, "nanos": 0},
        "properties": {"process": "admission review"}});
    report["results"].as_array_mut().unwrap().push(result);
    report["summary"]["fail"] = json!(1);
    report
}

#[tokio::test]
async fn what_is_of_no_policy_any_more_is_taken_out_in_the_version_that_was_read() {
    let of_scan = write(Outcome::Pass, true);
    let removal = Removal {
        uid: Uid::parse(UID).unwrap(),
        kind: ReportKind::PolicyReport,
        namespace: "shop".to_owned(),
        version: is("5"),
    };
    let nothing = Standing::default();
    let answers = vec![(200, admitted(&of_scan, "7")), (200, stored(&of_scan, "8"))];
    let server = Server::answering(answers);
    let tidied = server.edge.tidy(&removal, Own::Keep, &nothing).await;
    assert_eq!(tidied, Written::Stored(is("8"), stamp(&of_scan)));
    assert_eq!(server.asked(), [format!("GET {}", one()), format!("PUT {}", one())]);
    assert_eq!(server.body(1)["results"].as_array().unwrap().len(), 1);

    let answers = vec![(200, admitted(&of_scan, "7")), (200, json!({"kind": "Status"}))];
    let server = Server::answering(answers);
    assert_eq!(server.edge.tidy(&removal, Own::Drop, &nothing).await, Written::Deleted);
    assert_eq!(server.asked()[1], format!("DELETE {}", one()));
    assert_eq!(server.body(1)["preconditions"]["resourceVersion"], "7");

    for (answer, expected) in [
        ((200, stored(&of_scan, "7")), Written::Unchanged(is("7"), stamp(&of_scan))),
        (refused(404, "NotFound"), Written::Deleted),
        (refused(500, "InternalError"), Written::Failed),
    ] {
        let server = Server::answering(vec![answer]);
        assert_eq!(server.edge.tidy(&removal, Own::Keep, &nothing).await, expected);
    }
}
