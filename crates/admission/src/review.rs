//! The AdmissionReview on the wire: bytes to a request, a verdict to bytes.
//!
//! The body is parsed once; [`request`] only points into it, and every policy reads it there.

use std::collections::BTreeMap;

use pharos_policy::{Json, MalformedRequest, NotJson, Request, Unread};
use serde::Serialize;

use crate::enforce::{Decision, Verdict};

pub(crate) mod memory;

use memory::{Share, Shortage};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";
/// How much of what a client sent is repeated to it.
const QUOTED: usize = 64;

/// Why a body was not parsed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unparsed {
    #[error(transparent)]
    Malformed(Malformed),
    #[error(transparent)]
    Memory(Shortage),
}

/// Why bytes are not a review that can be judged, and whose review it is, if that much is known.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", .uid.as_ref().map(|uid| format!("AdmissionReview {uid}: ")).unwrap_or_default())]
pub(crate) struct Malformed {
    uid: Option<String>,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the body is not JSON: {0}")]
    Json(NotJson),
    #[error(
        "the body must be an AdmissionReview of admission.k8s.io/v1, is {kind:?} of {version:?}"
    )]
    Type { kind: String, version: String },
    #[error("an AdmissionReview must have a request")]
    NoRequest,
    #[error(transparent)]
    Request(MalformedRequest),
}

/// The answer, as `AdmissionReview.response`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: &'a str,
}

/// Parses a body, whatever it is, within the memory that there is for it.
pub(crate) fn parse<'a>(body: &'a [u8], share: &mut Share) -> Result<Json<'a>, Unparsed> {
    let mut taken = Ok(());
    let read = Json::parse_within(body, &mut |bytes| {
        taken = share.take(bytes);
        taken.is_ok()
    });
    taken.map_err(Unparsed::Memory)?;
    match read {
        Ok(read) => {
            share.keep(read.bytes);
            Ok(read.document)
        }
        Err(Unread::NotJson(error)) => {
            Err(Unparsed::Malformed(Malformed { uid: None, problem: Problem::Json(error) }))
        }
        Err(Unread::NoMemory) => Err(Unparsed::Memory(Shortage::Taken)),
    }
}

/// The request in a body.
pub(crate) fn request<'a>(document: &'a Json<'a>) -> Result<Request<'a>, Malformed> {
    let malformed = |problem| {
        let uid = document.pointer("/request/uid").and_then(Json::as_str).map(quoted);
        Malformed { uid, problem }
    };
    let text = |field| document.get(field).and_then(Json::as_str).unwrap_or_default();
    if (text("kind"), text("apiVersion")) != (KIND, API_VERSION) {
        let (kind, version) = (quoted(text("kind")), quoted(text("apiVersion")));
        return Err(malformed(Problem::Type { kind, version }));
    }
    let request = document.get("request").filter(|request| request.is_object());
    let request = request.ok_or_else(|| malformed(Problem::NoRequest))?;
    Request::parse(request).map_err(|error| malformed(Problem::Request(error)))
}

/// The answer to a request.
pub(crate) fn answer<'a>(request: &Request<'a>, verdict: &'a Verdict) -> Review<'a> {
    let status = match &verdict.decision {
        Decision::Allow => None,
        Decision::Deny { message, reason } => {
            Some(Status { code: reason.code(), reason: reason.as_str(), message })
        }
    };
    let response = Response {
        uid: request.uid,
        allowed: status.is_none(),
        status,
        warnings: &verdict.warnings,
        audit_annotations: &verdict.audit_annotations,
    };
    Review { api_version: API_VERSION, kind: KIND, response }
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

#[cfg(test)]
mod hostile;

#[cfg(test)]
mod tests {
    use super::memory::Memory;
    use super::*;
    use pharos_policy::StatusReason;
    use serde_json::{Value, json};

    fn share() -> Share {
        Memory::new(0).share()
    }

    fn review() -> Value {
        crate::testing::review(json!({}))
    }

    #[test]
    fn a_request_points_into_the_body() {
        let body = review().to_string();
        let review = parse(body.as_bytes(), &mut share()).unwrap();
        let request = request(&review).unwrap();
        assert_eq!(request.uid, "705ab4f5");
        assert!(body.as_bytes().as_ptr_range().contains(&request.uid.as_ptr()));
        assert!(std::ptr::eq(request.object, review.pointer("/request/object").unwrap()));
    }

    type Spoil = &'static dyn Fn(&mut Value);

    #[test]
    fn what_cannot_be_judged_is_refused_with_the_uid_where_known() {
        let cases: [(&str, Spoil, &str); 7] = [
            (
                "another version",
                &|it| it["apiVersion"] = json!("admission.k8s.io/v1beta1"),
                "AdmissionReview 705ab4f5: the body must be an AdmissionReview of admission.k8s.io/v1, is \"AdmissionReview\" of \"admission.k8s.io/v1beta1\"",
            ),
            ("another kind", &|it| it["kind"] = json!("Pod"), "is \"Pod\" of"),
            ("no object", &|it| *it = json!([1]), "is \"\" of \"\""),
            ("no request", &|it| it["request"] = Value::Null, "must have a request"),
            ("no uid", &|it| it["request"]["uid"] = Value::Null, "request.uid must be a string"),
            (
                "a number as kind",
                &|it| it["request"]["kind"]["kind"] = json!(1),
                "AdmissionReview 705ab4f5: request.kind.kind must be a string",
            ),
            (
                "another operation",
                &|it| it["request"]["operation"] = json!("PATCH"),
                "AdmissionReview 705ab4f5: request.operation must be",
            ),
        ];
        for (what, spoil, part) in cases {
            let mut review = review();
            spoil(&mut review);
            let error = request(&review.into()).unwrap_err().to_string();
            assert!(error.contains(part), "{what}: {error}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = "[".repeat(100_000);
        for body in ["", "{", "\u{0}", "{\"a\": 1} x", &deep] {
            let error = parse(body.as_bytes(), &mut share()).unwrap_err().to_string();
            assert!(error.contains("not JSON"), "{error}");
        }
        assert!(parse(b"{\"a\": \"\xff\"}", &mut share()).is_err());
    }

    #[test]
    fn a_refusal_does_not_repeat_all_that_was_sent() {
        let mut review = review();
        review["kind"] = json!("x".repeat(1 << 20));
        review["request"]["uid"] = json!("y".repeat(1 << 20));
        assert!(request(&review.into()).unwrap_err().to_string().len() < 500);
    }

    #[test]
    fn the_answer_is_an_admission_review_with_the_uid() {
        let review = review().into();
        let request = request(&review).unwrap();
        let shown = |verdict: &Verdict| serde_json::to_value(answer(&request, verdict)).unwrap();
        let allow = Verdict::default();
        assert_eq!(
            shown(&allow),
            json!({
                "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                "response": {"uid": "705ab4f5", "allowed": true},
            })
        );
        let message = "policy p: no".to_owned();
        let deny = Verdict {
            decision: Decision::Deny { message, reason: StatusReason::Forbidden },
            warnings: vec!["policy w: hm".to_owned()],
            audit_annotations: [("p.k".to_owned(), "v".to_owned())].into(),
        };
        assert_eq!(
            shown(&deny)["response"],
            json!({
                "uid": "705ab4f5", "allowed": false, "warnings": ["policy w: hm"],
                "auditAnnotations": {"p.k": "v"},
                "status": {"code": 403, "reason": "Forbidden", "message": "policy p: no"},
            })
        );
    }
}
