//! What of a review is told in reports. Pure.
//!
//! Not told is what leaves no object behind (deletions, parts of objects, dry runs, what is denied), and
//! what a scan finds by itself within a second: what a policy for background scans says about creations.

use pharos_api::report::Timestamp;
use pharos_policy::{Evaluation, Json, Operation, Origin, PolicyOutcome, Request};
use pharos_reports::admitted::Said;
use pharos_reports::scanned::{self, Served};

use super::{Admission, Awaited, Place};
use crate::enforce::{Decision, Verdict};
use crate::policies::Policies;

/// What is told of a request, if anything is.
pub(crate) fn told(
    policies: &Policies,
    request: &Request<'_>,
    evaluation: &Evaluation<'_>,
    verdict: &Verdict,
    now: impl Fn() -> Timestamp,
) -> Option<Admission> {
    let resource = request.resource;
    let leaves_none = request.is_dry_run()
        || request.sub_resource.is_some()
        || verdict.decision != Decision::Allow
        || scanned::is_never_reported(resource.group, resource.resource);
    if leaves_none {
        return None;
    }
    let awaited = awaited(request)?;
    let is_created = matches!(awaited, Awaited::Created { .. });
    let said =
        evaluation.outcomes.iter().filter_map(|outcome| said(policies, request, outcome, &now));
    // What was said before is void only where there was something before.
    let said: Vec<_> = said.filter(|said| said.tells() || !is_created).collect();
    let name = match request.name {
        "" => text(request.object, "/metadata/name")?,
        name => name,
    };
    let namespace = request.namespace.filter(|_| !request.is_namespace()).unwrap_or_default();
    let place = || Place {
        group: resource.group.to_owned(),
        version: resource.version.to_owned(),
        resource: resource.resource.to_owned(),
        kind: request.kind.kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    (!said.is_empty()).then(|| Admission { place: place(), awaited, said })
}

fn awaited(request: &Request<'_>) -> Option<Awaited> {
    match request.operation {
        Operation::Create => {
            let uid = text(request.object, "/metadata/uid").map(ToOwned::to_owned);
            Some(Awaited::Created { uid })
        }
        Operation::Update => Some(Awaited::Updated {
            uid: text(request.old_object, "/metadata/uid")?.to_owned(),
            version: text(request.old_object, "/metadata/resourceVersion")?.to_owned(),
        }),
        Operation::Delete | Operation::Connect => None,
    }
}

/// What one policy said that no scan asks it.
fn said(
    policies: &Policies,
    request: &Request<'_>,
    outcome: &PolicyOutcome<'_>,
    now: &impl Fn() -> Timestamp,
) -> Option<Said> {
    let policy = outcome.policy;
    let Request { resource, kind, .. } = *request;
    let (group, version, resource) = (resource.group, resource.version, resource.resource);
    let served = Served { group, version, resource, kind: kind.kind };
    let is_scanned = policy.is_evaluated_for(Origin::BackgroundScan);
    let rules = outcome.rules.iter();
    let rules = rules.filter(|it| !is_scanned || !scanned::rule_names(it.rule, served));
    let mut rules = rules.peekable();
    rules.peek()?;
    let entry = policies.entry_of(policy).filter(|entry| entry.is_reported())?;
    Some(Said::of(policy.key(), &entry.metadata, rules, now()))
}

fn text<'a>(object: &'a Json<'a>, path: &str) -> Option<&'a str> {
    object.pointer(path).and_then(Json::as_str).filter(|text| !text.is_empty())
}
