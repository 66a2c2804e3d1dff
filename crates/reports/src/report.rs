//! The report of one object: made of results, told apart by a digest, laid over the one that is there.
//! Pure.
//!
//! [`Desired`] is what a report should be. Its [`Digest`] covers all that it says but the times, and is
//! written into it, so that a report which is as it should be is known by its metadata alone.
//! [`Desired::over`] keeps what did not change about an older one, above all since when a result is
//! what it is: an unchanged verdict makes an unchanged report.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use pharos_api::report::{
    Report, ReportApi, ReportKind, ReportResult, ResourceReference, Summary, Timestamp,
};

use crate::admitted::{ADMISSION, Admitted, Standing};
use crate::digest::{self, Digest};
use crate::verdict::{Process, order};

/// The label by which our reports are found, and its value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "pharos");
/// What the label says on reports that Kyverno left behind. A name belongs to a resource, so that of two
/// engines one has to take the other's reports over.
pub const KYVERNO: &str = "kyverno";
/// Where a report keeps its digest.
pub const DIGEST: &str = "reports.pharos.dev/digest";
/// How many results one report holds, those of admissions included; the API server takes objects of about a megabyte.
const MAX_RESULTS: usize = 1000;

/// An object, as far as its report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// As in `apps/v1`.
    pub api_version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Empty for one that is in no namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What names its report.
    pub uid: &'a str,
}

/// What a scan wants the report of an object to say; none where no policy is about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The kind of the report.
    pub kind: ReportKind,
    /// Of all that the scan says.
    pub digest: Digest,
    report: Report,
}

/// What is to be done about a report that is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is as it should be.
    Nothing,
    /// It is to be replaced, in the version that it has.
    Replace(Box<Report>),
    /// Nothing is left of it.
    Delete,
}

/// What becomes of what scans say in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// It stays.
    Keep,
    /// No policy that scans ask is about the object any more.
    Drop,
}

/// A report that says nothing.
pub(crate) fn empty(subject: &Subject<'_>, api: ReportApi) -> Report {
    let in_namespace = !subject.namespace.is_empty();
    let kind = if in_namespace { api.in_namespaces() } else { api.of_cluster() };
    let (managed_by, pharos) = MANAGED_BY;
    let metadata = ObjectMeta {
        name: Some(subject.uid.to_owned()),
        namespace: in_namespace.then(|| subject.namespace.to_owned()),
        labels: Some(BTreeMap::from([(managed_by.to_owned(), pharos.to_owned())])),
        owner_references: Some(vec![OwnerReference {
            api_version: subject.api_version.to_owned(),
            kind: subject.kind.to_owned(),
            name: subject.name.to_owned(),
            uid: subject.uid.to_owned(),
            ..OwnerReference::default()
        }]),
        ..ObjectMeta::default()
    };
    let scope = ResourceReference {
        api_version: subject.api_version.to_owned(),
        kind: subject.kind.to_owned(),
        namespace: subject.namespace.to_owned(),
        name: subject.name.to_owned(),
        uid: subject.uid.to_owned(),
    };
    Report { types: Some(kind.types()), metadata, scope: Some(scope), ..Report::default() }
}

/// Has a report say this: what a scan says, and what admissions say beside.
pub(crate) fn compose(report: &mut Report, mut own: Vec<ReportResult>, admitted: Admitted) {
    let mut admitted = admitted.beside(&own);
    admitted.results.truncate(MAX_RESULTS.saturating_sub(own.len()));
    let annotations = &mut report.metadata.annotations;
    if let Some(written) = admitted.annotation() {
        annotations.get_or_insert_default().insert(ADMISSION.to_owned(), written);
        own.extend(admitted.results);
        own.sort_by(|one, other| order(one).cmp(&order(other)));
    } else if let Some(annotations) = annotations {
        annotations.remove(ADMISSION);
    }
    report.summary = Summary::of(&own);
    report.results = own;
}

/// What scans say in a report.
pub(crate) fn of_scan(report: &Report) -> Vec<ReportResult> {
    let of_admission = |result: &&ReportResult| Process::AdmissionReview.made(result);
    report.results.iter().filter(|it| !of_admission(it)).cloned().collect()
}

/// What it takes to leave in a report what is of policies that there are, and what scans say or nothing
/// of it.
pub fn tidied(there: &Report, own: Own, standing: &Standing, now: Timestamp) -> Change {
    let admitted = Admitted::of(there).keep(standing, now);
    let mut report = there.clone();
    let own = match own {
        Own::Keep => of_scan(there),
        Own::Drop => {
            report.metadata.annotations.iter_mut().for_each(|it| drop(it.remove(DIGEST)));
            Vec::new()
        }
    };
    compose(&mut report, own, admitted);
    Change::between(there, report)
}

// === impl Change ===

impl Change {
    /// From one to the other, in the version of the first.
    pub(crate) fn between(there: &Report, report: Report) -> Self {
        if report.results.is_empty() {
            Self::Delete
        } else if report.metadata == there.metadata
            && report.results == there.results
            && (&report.scope, report.summary) == (&there.scope, there.summary)
        {
            Self::Nothing
        } else {
            Self::Replace(Box::new(report))
        }
    }
}

// === impl Desired ===

impl Desired {
    /// The report of an object about which policies say this, if they say anything.
    pub fn of(
        subject: &Subject<'_>,
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
        let digest = digest_of(subject, &results);
        let mut report = empty(subject, api);
        let annotations = BTreeMap::from([(DIGEST.to_owned(), digest.to_string())]);
        report.metadata.annotations = Some(annotations);
        report.summary = Summary::of(&results);
        report.results = results;
        Some(Self { kind, digest, report })
    }

    /// As it is created.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What it takes to make this of a report that is there. Labels and annotations of others stay, and
    /// so do results of admissions, of policies that there are.
    pub fn over(&self, there: &Report, standing: &Standing, now: Timestamp) -> Change {
        let mut report = self.report.clone();
        for result in &mut report.results {
            if let Some(same) = there.results.iter().find(|it| is_same(it, result)) {
                result.timestamp = same.timestamp;
            }
        }
        let ours = std::mem::replace(&mut report.metadata, there.metadata.clone());
        let add = |all: &mut Option<BTreeMap<String, String>>, more| {
            all.get_or_insert_default().extend(more);
        };
        add(&mut report.metadata.labels, ours.labels.unwrap_or_default());
        add(&mut report.metadata.annotations, ours.annotations.unwrap_or_default());
        report.metadata.owner_references = ours.owner_references;
        let own = std::mem::take(&mut report.results);
        compose(&mut report, own, Admitted::of(there).keep(standing, now));
        Change::between(there, report)
    }
}

/// Whether two results differ in nothing but since when they are.
pub(crate) fn is_same(one: &ReportResult, other: &ReportResult) -> bool {
    (&one.policy, &one.rule, &one.source) == (&other.policy, &other.rule, &other.source)
        && timeless(one) == timeless(other)
}

/// A result as if it had always been.
pub(crate) fn timeless(result: &ReportResult) -> ReportResult {
    ReportResult { timestamp: Timestamp::default(), ..result.clone() }
}

/// What the digest of a report covers: the object as it is named, and the results without their times.
fn digest_of(subject: &Subject<'_>, results: &[ReportResult]) -> Digest {
    let Subject { api_version, kind, namespace, name, uid: _ } = *subject;
    let mut parts: Vec<Vec<u8>> =
        [api_version, kind, namespace, name].iter().map(|it| it.as_bytes().to_vec()).collect();
    // Maps and fields are written in one order.
    parts.extend(results.iter().map(|it| serde_json::to_vec(&timeless(it)).unwrap_or_default()));
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    // No report is the digest zero.
    Digest(digest::of_parts(&parts).max(1))
}

#[cfg(test)]
mod tests;
