//! What one replica says about the configuration that it runs.
//!
//! The report travels as JSON in the annotation of the replica's heartbeat Lease and changes only
//! when something happened: no times of exports, no counters.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pharos_api::condition::{AcceptedReason, ConditionStatus, ResolvedRefsReason};
use pharos_api::telemetryconfig::{Component, Signal};
use pharos_cluster::references::{DataObject, Reading, References};
use pharos_cluster::view::Uid;
use serde::{Deserialize, Serialize};

use crate::resolve::{Expiry, Problems};

/// The report of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The components that the process runs.
    pub components: BTreeSet<Component>,
    /// The object that it obeys; `None` while the command line's defaults run.
    pub config: Option<ConfigReport>,
}

/// How far a replica is with the object that it obeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReport {
    /// The object.
    pub uid: Uid,
    /// The generation that `state` is about.
    pub generation: i64,
    /// Covers uid, generation and the versions of what it refers to, never content: of the object
    /// that is in force, or of this one while none is.
    pub config_hash: String,
    /// Programmed, being programmed, or refused.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Whether it can be used, but for what it refers to.
    pub spec: SpecReport,
    /// What it refers to.
    pub references: ReferencesReport,
    /// Which metrics started again from zero with this generation, and why; mostly empty.
    pub restarts: String,
    /// The sinks of the configuration that runs.
    pub exporters: Vec<ExporterReport>,
}

/// What a replica found in the object that it obeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpecReport {
    /// A reason of the condition Accepted.
    pub reason: String,
    /// What is wrong with it, or only odd.
    pub message: String,
}

/// What a replica found where the object that it obeys refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferencesReport {
    /// A reason of the condition ResolvedRefs.
    pub reason: String,
    /// Field paths, objects and remedies; never a byte of a Secret.
    pub message: String,
    /// When the first certificate of what runs expires.
    pub next_certificate_expiry: Option<Timestamp>,
    /// The certificates that run, by the Secrets that they were read from.
    #[serde(default)]
    pub certificates: Vec<CertificateReport>,
}

/// A certificate that a replica runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateReport {
    /// The name of its Secret.
    pub secret: String,
    /// The resourceVersion of the Secret in which this content was read first: it stays when only
    /// metadata changes, and tells nothing of the content.
    pub version: String,
    /// When it expires.
    pub not_after: Timestamp,
}

/// How far a replica is with one generation of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum State {
    /// Seen, not yet in force.
    Applying,
    /// In force.
    Programmed,
    /// Not in force; something else runs on.
    Failed {
        /// What runs instead.
        running: Running,
        /// Why.
        message: String,
    },
}

/// What runs where an object is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Running {
    /// What was programmed before.
    PreviousConfig,
    /// What the command line says.
    Defaults,
}

/// The health of one sink of one signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExporterReport {
    /// The exporter's name.
    pub name: String,
    /// What it exports.
    pub signal: Signal,
    /// Whether it arrives.
    pub health: ExporterHealth,
    /// Since when.
    pub since: Timestamp,
}

/// Whether what a sink exports arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum ExporterHealth {
    /// Nothing was sent yet.
    NotYetExported,
    /// The last exports arrived.
    Healthy,
    /// Others come and fetch.
    Scraped,
    /// Several exports in a row did not arrive.
    Failing {
        /// A reason of the condition ExportHealthy.
        reason: String,
        /// What the other side, or the network, said.
        message: String,
    },
}

// === impl Report ===

impl Report {
    /// The report as the annotation holds it.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a report has string keys only")
    }

    /// Reads an annotation; a report of another version may not be readable.
    ///
    /// # Errors
    /// What keeps it from being a report.
    pub fn decode(annotation: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(annotation)
    }
}

// === impl SpecReport ===

impl SpecReport {
    /// It can be used; what is odd about it.
    pub fn accepted(odd: String) -> Self {
        Self { reason: AcceptedReason::Accepted.as_str().to_owned(), message: odd }
    }

    /// What is wrong with it, if anything is.
    pub fn of(problems: &Problems) -> Self {
        let wrong = problems.of_spec().and_then(|it| Some((it.accepted_reason()?, it.summary())));
        match wrong {
            Some((reason, message)) => Self { reason: reason.as_str().to_owned(), message },
            None => Self::accepted(String::new()),
        }
    }

    /// The reason, if this version knows it.
    pub fn reason(&self) -> Option<AcceptedReason> {
        AcceptedReason::parse(&self.reason)
    }
}

// === impl ReferencesReport ===

impl ReferencesReport {
    /// Everything could be resolved, with certificates that expire like this.
    pub fn resolved(expiry: &Expiry) -> Self {
        let reason = if expiry.soon.is_empty() {
            ResolvedRefsReason::ResolvedRefs
        } else {
            ResolvedRefsReason::CertificateExpiringSoon
        };
        Self {
            reason: reason.as_str().to_owned(),
            message: expiry.soon.join("; "),
            next_certificate_expiry: expiry.next,
            certificates: expiry.certificates.clone(),
        }
    }

    /// Something could not.
    pub fn of(problems: &Problems) -> Self {
        let Some(problems) = problems.of_references() else {
            return Self::resolved(&Expiry::default());
        };
        let reason = problems.references_reason().unwrap_or(ResolvedRefsReason::Pending);
        Self {
            reason: reason.as_str().to_owned(),
            message: problems.summary(),
            next_certificate_expiry: None,
            certificates: Vec::new(),
        }
    }

    /// This, while what was read before stays in force.
    #[must_use]
    pub fn staying(mut self) -> Self {
        self.message.push_str(" (what was read before stays in force)");
        self
    }

    /// This, where nothing runs that has certificates.
    #[must_use]
    pub fn without_certificates(self) -> Self {
        Self { next_certificate_expiry: None, certificates: Vec::new(), ..self }
    }

    /// Whether nothing is wrong with the references.
    pub fn is_resolved(&self) -> bool {
        self.reason().is_some_and(|reason| reason.status() == ConditionStatus::True)
    }

    /// The reason, if this version knows it.
    pub fn reason(&self) -> Option<ResolvedRefsReason> {
        ResolvedRefsReason::parse(&self.reason)
    }
}

/// The pipeline's signal, as the API names it.
pub fn signal(signal: pharos_telemetry::Signal) -> Signal {
    match signal {
        pharos_telemetry::Signal::Metrics => Signal::Metrics,
        pharos_telemetry::Signal::Traces => Signal::Traces,
        pharos_telemetry::Signal::Logs => Signal::Logs,
    }
}

/// A short name for one generation of one object with certain versions of what it refers to: equal
/// on all replicas, and telling nothing. FNV-1a, 64 bits.
pub fn config_hash<'a>(
    uid: &str,
    generation: i64,
    objects: impl IntoIterator<Item = &'a DataObject>,
    references: &References,
) -> String {
    let mut covered = format!("{uid}\n{generation}\n");
    for object in objects {
        covered.push_str(&format!("{}/{}", object.kind, object.name));
        if let Reading::Found(found) = references.of(object) {
            covered.push_str(&format!("/{}/{}", found.uid, found.resource_version));
        }
        covered.push('\n');
    }
    let hash = covered.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_cluster::references::{Content, Found};

    #[test]
    fn a_report_survives_its_annotation() {
        let report = Report {
            components: BTreeSet::from([Component::Admission]),
            config: Some(ConfigReport {
                uid: "u".to_owned(),
                generation: 3,
                config_hash: config_hash("u", 3, [], &References::default()),
                state: State::Failed {
                    running: Running::PreviousConfig,
                    message: "spec.traces: no".to_owned(),
                },
                since: Timestamp::UNIX_EPOCH,
                spec: SpecReport::accepted(String::new()),
                references: ReferencesReport::resolved(&Expiry::default()),
                restarts: String::new(),
                exporters: vec![ExporterReport {
                    name: "gateway".to_owned(),
                    signal: Signal::Traces,
                    health: ExporterHealth::NotYetExported,
                    since: Timestamp::UNIX_EPOCH,
                }],
            }),
        };
        assert_eq!(Report::decode(&report.encode()).unwrap(), report);
    }

    #[test]
    fn the_hash_tells_generations_objects_and_versions_apart() {
        let nothing = References::default();
        let secret = DataObject::secret("s");
        let read = |uid: &str, version: &str, value: &'static [u8]| -> References {
            let values = [("k".to_owned(), Some(Content::from(value)))];
            let found = Found::new(uid, version, values);
            [(secret.clone(), Reading::Found(found))].into_iter().collect()
        };
        let hashes = [
            config_hash("a", 1, [], &nothing),
            config_hash("a", 2, [], &nothing),
            config_hash("b", 1, [], &nothing),
            config_hash("a", 1, [&secret], &nothing),
            config_hash("a", 1, [&secret], &read("u", "1", b"x")),
            config_hash("a", 1, [&secret], &read("u", "2", b"x")),
            config_hash("a", 1, [&secret], &read("v", "2", b"x")),
        ];
        let apart: BTreeSet<_> = hashes.iter().collect();
        assert_eq!(apart.len(), hashes.len(), "{hashes:?}");
        assert_eq!(hashes[4], config_hash("a", 1, [&secret], &read("u", "1", b"y")), "no content");
    }
}
