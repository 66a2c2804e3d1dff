//! Results of admissions in reports: what policies said about a request, where a scan never asks.
//!
//! [`Said`] is what one policy said; [`report`] and [`over`] write it into the report of the object. Such a
//! result stays while the policy is the one that said it: a report's annotation has the [`Revision`] of
//! each, and whoever knows which policies there are ([`Standing`]) takes away what is of no policy any
//! more. The annotation changes with every such result, so that a watch of metadata tells who wrote.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pharos_api::report::{Report, ReportApi, ReportResult, Timestamp};
use pharos_policy::{PolicyKey, RuleOutcome};
use serde::{Deserialize, Serialize};

use crate::digest::{self, Digest};
use crate::report::{self, Change, DIGEST, Subject, is_same, timeless};
use crate::verdict::{self, About, OF_RULES, Process, Scoring};

/// Where a report keeps which policies its results of admissions are of.
pub const ADMISSION: &str = "reports.pharos.dev/admission";
/// How many results of admissions one report holds.
const MAX_RESULTS: usize = 250;
/// How long a policy that nobody knows of may be one that is not known yet, in seconds.
const YOUNG: i64 = 60;
/// How many revisions that are no more are remembered.
const REMEMBERED: usize = 1024;

/// A policy as it was at one time. Another generation is another one, and so is another policy of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(Digest);

/// The policies that there are, and some that there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    now: HashSet<Revision>,
    gone: VecDeque<Revision>,
}

/// What one policy said about a request that was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    name: String,
    revision: Revision,
    asked: Asked,
    results: Vec<ReportResult>,
}

/// Which rules of a policy were asked: what they said before is void.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// The one that it is.
    Policy,
    Rules(BTreeSet<String>),
}

/// The results of admissions in a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admitted {
    policies: BTreeMap<String, Revision>,
    pub(crate) results: Vec<ReportResult>,
}

/// The annotation as it is written.
#[derive(Default, Serialize, Deserialize)]
struct Annotation {
    /// Of the results without their times.
    #[serde(default)]
    digest: String,
    /// The revisions by policy.
    #[serde(default)]
    policies: BTreeMap<String, String>,
}

/// The report of an object that has none; none where nothing was said.
pub fn report(subject: &Subject<'_>, api: ReportApi, said: &[Said]) -> Option<Report> {
    let mut admitted = Admitted::default();
    said.iter().for_each(|said| admitted.lay(said));
    let mut report = report::empty(subject, api);
    report::compose(&mut report, Vec::new(), admitted);
    (!report.results.is_empty()).then_some(report)
}

/// What it takes to have this said in a report that is there. What a scan says stays; what another
/// engine left goes.
pub fn over(there: &Report, subject: &Subject<'_>, api: ReportApi, said: &[Said]) -> Change {
    let mut admitted = Admitted::of(there);
    said.iter().for_each(|said| admitted.lay(said));
    let mut report = there.clone();
    let annotations = there.metadata.annotations.as_ref();
    let is_scanned = annotations.is_some_and(|it| it.contains_key(DIGEST));
    let own = if is_scanned {
        report::of_scan(there)
    } else {
        let empty = report::empty(subject, api);
        report.scope = empty.scope;
        report.metadata.owner_references = empty.metadata.owner_references;
        let labels = empty.metadata.labels.unwrap_or_default();
        report.metadata.labels.get_or_insert_default().extend(labels);
        Vec::new()
    };
    report::compose(&mut report, own, admitted);
    Change::between(there, report)
}

/// The name of a policy: its source and the name that its results have.
fn name_in(result: &ReportResult) -> String {
    format!("{}/{}", result.source, result.policy)
}

// === impl Revision ===

impl Revision {
    /// That of a policy with this metadata.
    pub fn of(metadata: &ObjectMeta) -> Self {
        let About { category, severity, scoring } = About::of(metadata.annotations.as_ref());
        let severity = serde_json::to_vec(&severity).unwrap_or_default();
        let generation = metadata.generation.unwrap_or_default().to_be_bytes();
        let uid = metadata.uid.as_deref().unwrap_or_default().as_bytes();
        let scored = [u8::from(scoring == Scoring::Counts)];
        let parts = [uid, &generation, category.as_bytes(), &severity, &scored];
        Self(Digest(digest::of_parts(&parts)))
    }
}

// === impl Standing ===

impl Standing {
    /// These policies, and of none is known that it was.
    pub fn of(revisions: impl IntoIterator<Item = Revision>) -> Self {
        Self { now: revisions.into_iter().collect(), gone: VecDeque::new() }
    }

    /// These policies, after those.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        let gone = before.now.iter().filter(|it| !self.now.contains(it));
        let gone = gone.chain(&before.gone).filter(|it| !self.now.contains(it));
        self.gone = gone.copied().take(REMEMBERED).collect();
        self
    }

    /// Whether policies are gone that were there before.
    pub fn has_lost_some(&self, before: &Self) -> bool {
        !before.now.is_subset(&self.now)
    }

    /// Whether a result of that time is of a policy that there is. One that is not known of may have come
    /// a moment ago.
    fn holds(&self, revision: Revision, since: Timestamp, now: Timestamp) -> bool {
        let is_young = || since.seconds.abs_diff(now.seconds) <= YOUNG.unsigned_abs();
        self.now.contains(&revision) || (!self.gone.contains(&revision) && is_young())
    }
}

// === impl Said ===

impl Said {
    /// What these rules of a policy said.
    pub fn of<'a, 'p: 'a>(
        key: &PolicyKey,
        metadata: &ObjectMeta,
        rules: impl IntoIterator<Item = &'a RuleOutcome<'p>>,
        now: Timestamp,
    ) -> Self {
        let about = About::of(metadata.annotations.as_ref());
        let process = Process::AdmissionReview;
        let mut asked = BTreeSet::new();
        let mut results = Vec::new();
        for rule in rules {
            asked.insert(rule.rule.name().to_string());
            results.extend(verdict::result_of(key, &about, rule, process, now));
        }
        results.truncate(MAX_RESULTS);
        let (source, policy) = verdict::named(key);
        let asked =
            if verdict::is_of_rules(key.kind) { Asked::Rules(asked) } else { Asked::Policy };
        let revision = Revision::of(metadata);
        Self { name: format!("{source}/{policy}"), revision, asked, results }
    }

    /// Whether both are of one policy.
    pub fn is_of_policy_of(&self, other: &Self) -> bool {
        self.name == other.name
    }

    /// Whether there is anything to be told, and not only to be taken away.
    pub fn tells(&self) -> bool {
        !self.results.is_empty()
    }

    /// This after what the same policy said about an earlier request.
    #[must_use]
    pub fn after(mut self, earlier: Self) -> Self {
        if self.revision != earlier.revision {
            return self;
        }
        let stays = |result: &ReportResult| !self.asked.voids(result);
        let stays: Vec<_> = earlier.results.into_iter().filter(stays).collect();
        self.results.extend(stays);
        if let (Asked::Rules(rules), Asked::Rules(more)) = (&mut self.asked, earlier.asked) {
            rules.extend(more);
        }
        self
    }
}

// === impl Asked ===

impl Asked {
    fn voids(&self, result: &ReportResult) -> bool {
        match self {
            Self::Policy => true,
            Self::Rules(rules) => rules.contains(&result.rule),
        }
    }
}

// === impl Admitted ===

impl Admitted {
    /// Those that a report has. What its annotation does not tell of is somebody else's.
    pub(crate) fn of(report: &Report) -> Self {
        let annotations = report.metadata.annotations.as_ref();
        let written = annotations.and_then(|it| it.get(ADMISSION));
        let annotation = written.and_then(|it| serde_json::from_str::<Annotation>(it).ok());
        let policies = annotation.unwrap_or_default().policies.into_iter();
        let policies: BTreeMap<_, _> = policies
            .filter_map(|(name, hex)| Some((name, Revision(Digest::parse(&hex)?))))
            .collect();
        let is_known = |result: &&ReportResult| {
            Process::AdmissionReview.made(result) && policies.contains_key(&name_in(result))
        };
        let results = report.results.iter().filter(is_known).cloned().collect();
        Self { policies, results }
    }

    /// What this policy said before is void, and this is what it says.
    fn lay(&mut self, said: &Said) {
        let Said { name, revision, asked, results } = said;
        let is_other = self.policies.insert(name.clone(), *revision) != Some(*revision);
        let mut before = Vec::new();
        self.results.retain(|result| {
            let is_void = name_in(result) == *name && (is_other || asked.voids(result));
            if is_void {
                before.push(result.clone());
            }
            !is_void
        });
        let since = |result: &ReportResult| {
            let same = before.iter().find(|it| is_same(it, result));
            let timestamp = same.map_or(result.timestamp, |it| it.timestamp);
            ReportResult { timestamp, ..result.clone() }
        };
        self.results.extend(results.iter().map(since));
        self.results.truncate(MAX_RESULTS);
    }

    /// Leaves out what is of no policy any more.
    pub(crate) fn keep(mut self, standing: &Standing, now: Timestamp) -> Self {
        let policies = &self.policies;
        self.results.retain(|result| {
            let revision = policies.get(&name_in(result)).copied();
            revision.is_some_and(|it| standing.holds(it, result.timestamp, now))
        });
        self
    }

    /// Leaves out what a scan tells itself.
    pub(crate) fn beside(mut self, own: &[ReportResult]) -> Self {
        let is_told = |result: &ReportResult| {
            own.iter().any(|it| {
                (&it.source, &it.policy) == (&result.source, &result.policy)
                    && (it.source != OF_RULES || it.rule == result.rule)
            })
        };
        self.results.retain(|result| !is_told(result));
        self
    }

    /// What a report says of these in its metadata, if there are any.
    pub(crate) fn annotation(&self) -> Option<String> {
        if self.results.is_empty() {
            return None;
        }
        let mut policies = BTreeMap::new();
        let mut parts = Vec::new();
        for result in &self.results {
            let name = name_in(result);
            if let Some(Revision(revision)) = self.policies.get(&name) {
                policies.insert(name, revision.to_string());
            }
            parts.push(serde_json::to_vec(&timeless(result)).unwrap_or_default());
        }
        // In whatever order they came.
        parts.sort_unstable();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let digest = Digest(digest::of_parts(&parts)).to_string();
        serde_json::to_string(&Annotation { digest, policies }).ok()
    }
}

#[cfg(test)]
mod tests;
