//! The report of one object: made of results, told apart by a digest, laid over the one that is there.
//! Pure.
//!
//! [`Desired`] is what a report should be. Its [`Digest`] covers all that it says but the times, and is
//! written into it, so that a report which is as it should be is known by its metadata alone.
//! [`Desired::over`] keeps what did not change about an older one, above all since when a result is
//! what it is: an unchanged verdict makes an unchanged report.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use pharos_api::report::{Report, ReportApi, ReportKind, ReportResult, ResourceReference, Summary};

use crate::digest;
use crate::known::{Digest, Uid};
use crate::target::Target;

/// The label by which our reports are found, and its value.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "pharos");
/// What the label says on reports that Kyverno left behind. A name belongs to a resource, so that of two
/// engines one has to take the other's reports over.
pub(crate) const KYVERNO: &str = "kyverno";
/// Where a report keeps its digest.
pub(crate) const DIGEST: &str = "reports.pharos.dev/digest";
/// How many results one report holds; the API server takes objects of about a megabyte.
const MAX_RESULTS: usize = 1000;

/// An object, as far as its report names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) uid: Uid,
    /// Empty for one that is in no namespace.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What the report of an object should be; none where no policy is about it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Desired {
    pub(crate) kind: ReportKind,
    pub(crate) digest: Digest,
    report: Report,
}

/// What is to be done about a report that is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// It is as it should be.
    Nothing,
    /// It is to be replaced, in the version that it has.
    Replace(Box<Report>),
}

// === impl Desired ===

impl Desired {
    /// The report of an object about which policies say this, if they say anything.
    pub(crate) fn of(
        subject: &Subject,
        target: &Target,
        api: ReportApi,
        mut results: Vec<ReportResult>,
    ) -> Option<Self> {
        if results.is_empty() {
            return None;
        }
        if results.len() > MAX_RESULTS {
            let count = results.len();
            results.truncate(MAX_RESULTS);
            tracing::debug!(count, "the results of an object do not fit into one report");
        }
        let in_namespace = !subject.namespace.is_empty();
        let kind = if in_namespace { api.in_namespaces() } else { api.of_cluster() };
        let uid = subject.uid.to_string();
        let digest = digest_of(subject, target, &results);
        let (managed_by, pharos) = MANAGED_BY;
        let metadata = ObjectMeta {
            name: Some(uid.clone()),
            namespace: in_namespace.then(|| subject.namespace.clone()),
            labels: Some(BTreeMap::from([(managed_by.to_owned(), pharos.to_owned())])),
            annotations: Some(BTreeMap::from([(DIGEST.to_owned(), digest.to_string())])),
            owner_references: Some(vec![OwnerReference {
                api_version: target.api_version(),
                kind: target.kind.to_string(),
                name: subject.name.clone(),
                uid: uid.clone(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        };
        let scope = ResourceReference {
            api_version: target.api_version(),
            kind: target.kind.to_string(),
            namespace: subject.namespace.clone(),
            name: subject.name.clone(),
            uid,
        };
        let summary = Summary::of(&results);
        let (types, scope) = (Some(kind.types()), Some(scope));
        let report = Report { types, metadata, scope, summary, results, ..Report::default() };
        Some(Self { kind, digest, report })
    }

    /// As it is created.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// What it takes to make this of a report that is there. Labels and annotations of others stay.
    pub(crate) fn over(&self, there: &Report) -> Change {
        let mut report = self.report.clone();
        for result in &mut report.results {
            if let Some(same) = there.results.iter().find(|it| is_same(it, result)) {
                result.timestamp = same.timestamp;
            }
        }
        let ours = std::mem::take(&mut report.metadata);
        report.metadata = there.metadata.clone();
        let add = |all: &mut Option<BTreeMap<String, String>>, more| {
            all.get_or_insert_default().extend(more);
        };
        add(&mut report.metadata.labels, ours.labels.unwrap_or_default());
        add(&mut report.metadata.annotations, ours.annotations.unwrap_or_default());
        report.metadata.owner_references = ours.owner_references;
        report.metadata.managed_fields.clone_from(&there.metadata.managed_fields);
        let unchanged = report.metadata == there.metadata
            && report.results == there.results
            && (&report.scope, report.summary) == (&there.scope, there.summary);
        if unchanged { Change::Nothing } else { Change::Replace(Box::new(report)) }
    }
}

/// Whether two results differ in nothing but since when they are.
fn is_same(one: &ReportResult, other: &ReportResult) -> bool {
    let timeless = |result: &ReportResult| ReportResult {
        timestamp: pharos_api::report::Timestamp::default(),
        ..result.clone()
    };
    (&one.policy, &one.rule, &one.source) == (&other.policy, &other.rule, &other.source)
        && timeless(one) == timeless(other)
}

/// What the digest of a report covers: the object as it is named, and the results without their times.
fn digest_of(subject: &Subject, target: &Target, results: &[ReportResult]) -> Digest {
    let names =
        [&*target.group, &*target.version, &*target.kind, &subject.namespace, &subject.name];
    let mut parts: Vec<Vec<u8>> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
    for result in results {
        let mut timeless = result.clone();
        timeless.timestamp = pharos_api::report::Timestamp::default();
        // Maps and fields are written in one order.
        parts.push(serde_json::to_vec(&timeless).unwrap_or_default());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    // No report is the digest zero.
    Digest(digest::of_parts(&parts).max(1))
}

#[cfg(test)]
mod tests;
