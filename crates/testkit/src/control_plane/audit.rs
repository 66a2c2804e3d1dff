//! What the API server writes down about every request.
//!
//! Enter at `ControlPlane::audit`. The log names requests and who made them, never their bodies.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;

use super::flag;

/// Requests by the API server to itself say nothing about anybody else.
const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: Metadata
"#;

/// One request, in the terms of Kubernetes' authorization. What a request does not have, such as
/// the namespace of a Node or the group of a Secret, is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Who asked: `admin`, or `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group.
    pub api_group: String,
    /// The resource in the plural, such as `leases`.
    pub resource: String,
    /// The subresource, such as `status`.
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
    /// The name of the object.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// Whether RBAC refused it. An admission policy may answer 403 as well.
    pub forbidden: bool,
    /// The path and query.
    pub request_uri: String,
    /// When the request arrived.
    pub timestamp: Timestamp,
}

/// The audit logs of the API servers of one control plane.
#[derive(Debug)]
pub(super) struct AuditLog {
    dir: PathBuf,
}

/// An event as the API server writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
    #[serde(default)]
    annotations: HashMap<String, String>,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

// === impl AuditLog ===

impl AuditLog {
    pub(super) fn create(dir: &Path) -> anyhow::Result<Self> {
        let log = Self { dir: dir.to_owned() };
        fs::write(log.policy(), POLICY).context("cannot write the audit policy")?;
        Ok(log)
    }

    /// The flags of the API server of this name.
    pub(super) fn flags(&self, server: &str) -> [OsString; 3] {
        [
            flag("--audit-policy-file", &self.policy()),
            flag("--audit-log-path", &self.path(server)),
            // In MB; what is rotated away would be missing.
            "--audit-log-maxsize=10000".into(),
        ]
    }

    /// What the API server of this name has written.
    pub(super) fn read(&self, server: &str) -> anyhow::Result<Vec<AuditRecord>> {
        let path = self.path(server);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        parse(&text)
    }

    fn policy(&self) -> PathBuf {
        self.dir.join("audit-policy.yaml")
    }

    fn path(&self, server: &str) -> PathBuf {
        self.dir.join(format!("{server}-audit.jsonl"))
    }
}

/// A request that takes long, a watch above all, is written twice: when its answer begins and when
/// it ends. It is one record. A last line without its end is still being written.
fn parse(text: &str) -> anyhow::Result<Vec<AuditRecord>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut records = Vec::new();
    let mut seen = HashMap::new();
    for line in whole.lines() {
        let event: Event =
            serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
        let index = *seen.entry(event.audit_id.clone()).or_insert(records.len());
        let record = AuditRecord::from(event);
        match records.get_mut(index) {
            Some(earlier) => *earlier = record,
            None => records.push(record),
        }
    }
    Ok(records)
}

// === impl AuditRecord ===

impl From<Event> for AuditRecord {
    fn from(event: Event) -> Self {
        let decision = event.annotations.get("authorization.k8s.io/decision");
        Self {
            user: event.user.username,
            user_agent: event.user_agent,
            verb: event.verb,
            api_group: event.object_ref.api_group,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            code: event.response_status.code,
            forbidden: decision.is_some_and(|decision| decision == "forbid"),
            request_uri: event.request_uri,
            timestamp: event.request_received_timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, stage: &str, verb: &str, code: u16) -> String {
        serde_json::json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "auditID": id, "stage": stage, "requestURI": "/api/v1/secrets?watch=true",
            "verb": verb, "user": {"username": "admin", "groups": ["system:masters"]},
            "sourceIPs": ["127.0.0.1"], "userAgent": "pharos",
            "objectRef": {"resource": "secrets", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": code},
            "requestReceivedTimestamp": "2026-11-23T06:00:00.000001Z",
            "stageTimestamp": "2026-11-23T06:00:01.000001Z",
            "annotations": {"authorization.k8s.io/decision": if code == 403 { "forbid" } else { "allow" }},
        })
        .to_string()
    }

    #[test]
    fn a_watch_is_one_record_from_its_start_on() {
        let text = [
            line("a", "ResponseStarted", "watch", 200),
            line("b", "ResponseComplete", "get", 403),
            line("a", "ResponseComplete", "watch", 410),
        ]
        .map(|line| line + "\n")
        .concat();
        let records = parse(&text).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!((records[0].verb.as_str(), records[0].code), ("watch", 410));
        assert_eq!((records[1].verb.as_str(), records[1].forbidden), ("get", true));
        assert_eq!(records[0].namespace, "");
    }

    #[test]
    fn a_line_that_is_still_being_written_waits() {
        let mut text = line("a", "ResponseComplete", "get", 200);
        assert!(parse(&text).unwrap().is_empty());
        text.push_str("\n{\"auditID\": \"b");
        assert_eq!(parse(&text).unwrap().len(), 1);
        text.push('\n');
        assert!(parse(&text).is_err());
    }
}
