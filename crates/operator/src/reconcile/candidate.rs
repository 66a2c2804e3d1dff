//! What may run, and what it is made of.

use std::sync::Arc;

use jiff::Timestamp;
use pharos_api::telemetryconfig::TelemetryConfigSpec;
use pharos_cluster::references::{References, Wanted};
use pharos_cluster::view::Uid;
use pharos_telemetry::Config;

use crate::report::{CertificateReport, ReferencesReport, config_hash};
use crate::resolve::{Resolved, references_of, wanted};

/// A configuration that runs, or is to.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What the pipeline gets.
    pub config: Config,
    pub(super) source: Option<Source>,
}

/// One generation of one object, with what was read for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub(super) uid: Uid,
    pub(super) name: String,
    pub(super) generation: i64,
    pub(super) spec: Arc<TelemetryConfigSpec>,
    /// Of what the spec refers to, and nothing else.
    pub(super) references: References,
    next_expiry: Option<Timestamp>,
    certificates: Vec<CertificateReport>,
    /// Which metrics started again from zero when it was put in force.
    pub(super) restarts: String,
}

/// Which generation of which object.
#[derive(Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) uid: &'a str,
    pub(super) name: &'a str,
    pub(super) generation: i64,
}

/// What has to be read for a spec.
pub(super) fn wanted_by(spec: &TelemetryConfigSpec) -> Wanted {
    wanted(&references_of(spec))
}

// === impl Candidate ===

impl Candidate {
    /// A configuration that is made of no object.
    pub(super) fn without_source(config: Config) -> Self {
        Self { config, source: None }
    }

    /// What `resolved` made of a spec and of `references`.
    pub(super) fn of(
        identity: Identity<'_>,
        spec: &Arc<TelemetryConfigSpec>,
        references: &References,
        resolved: Resolved,
    ) -> Self {
        let read = |object| {
            let reading = references.of(&object).clone();
            (object, reading)
        };
        let Resolved { config, expiry } = resolved;
        let source = Source {
            uid: identity.uid.to_owned(),
            name: identity.name.to_owned(),
            generation: identity.generation,
            spec: Arc::clone(spec),
            references: wanted_by(spec).into_keys().map(read).collect(),
            next_expiry: expiry.next,
            certificates: expiry.certificates,
            restarts: String::new(),
        };
        Self { config, source: Some(source) }
    }

    /// The object that it is made of, by name and generation; `None` for the defaults.
    pub fn object(&self) -> Option<(&str, i64)> {
        self.source.as_ref().map(|source| (source.name.as_str(), source.generation))
    }

    /// What was written anew and says the same: this, in force since `before` was put in force.
    pub(super) fn adopted(mut self, before: &Self) -> Self {
        if let (Some(before), Some(source)) = (&before.source, &mut self.source) {
            source.inherit(before);
            // The certificates are the same ones, in whichever version they were read again.
            for certificate in &mut source.certificates {
                let same = |it: &&CertificateReport| it.secret == certificate.secret;
                if let Some(known) = before.certificates.iter().find(same) {
                    certificate.version.clone_from(&known.version);
                }
            }
        }
        self
    }

    /// This, put in force in the place of `before`, with these metrics started again.
    pub(super) fn committed(mut self, before: &Self, restarts: String) -> Self {
        if let Some(source) = &mut self.source {
            if let Some(before) = &before.source {
                source.inherit(before);
            }
            if !restarts.is_empty() {
                source.restarts = restarts;
            }
        }
        self
    }
}

// === impl Source ===

impl Source {
    pub(super) fn identity(&self) -> Identity<'_> {
        Identity { uid: &self.uid, name: &self.name, generation: self.generation }
    }

    pub(super) fn is_of(&self, uid: &str, generation: i64) -> bool {
        self.uid == uid && self.generation == generation
    }

    pub(super) fn hash(&self) -> String {
        let objects = wanted_by(&self.spec);
        config_hash(&self.uid, self.generation, objects.keys(), &self.references)
    }

    /// `report` with the certificates of this, which runs.
    pub(super) fn certificates_in(&self, report: ReferencesReport) -> ReferencesReport {
        let next_certificate_expiry = self.next_expiry;
        ReferencesReport {
            next_certificate_expiry,
            certificates: self.certificates.clone(),
            ..report
        }
    }

    /// What started again with a generation is told as long as that generation runs.
    fn inherit(&mut self, before: &Self) {
        if before.is_of(&self.uid, self.generation) {
            self.restarts.clone_from(&before.restarts);
        }
    }
}
