//! One TelemetryConfig that is checked: what is wrong with it by itself, and with what was read of
//! its references. Pure but for [`Inspector`], which is a pipeline that exports nowhere.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pharos_api::condition::{AcceptedReason, ResolvedRefsReason};
use pharos_api::telemetryconfig::{TelemetryConfig, TelemetryConfigSpec};
use pharos_cluster::references::References;
use pharos_instruments::Instruments;
use pharos_operator::resolve::{
    Problem, ProblemKind, Problems, Reference, ReferenceProblem, Resolved, ViewRemark, judge_views,
    references_of, resolve, scraped_views,
};
use pharos_operator::select::Scope;
use pharos_telemetry::config::Config;
use pharos_telemetry::{Catalogue, Identity, Pipeline, Reloader};
use serde_json::Value;

use super::schema::violations;
use super::verdict::{Finding, Severity};
use crate::documents::Document;

/// A TelemetryConfig as a file has it.
#[derive(Debug)]
pub(super) struct Subject {
    /// The file.
    pub(super) file: String,
    /// Where it would be applied.
    pub(super) namespace: String,
    /// Its name; empty if it has none.
    pub(super) name: String,
    /// The components that it asks for.
    pub(super) scope: Scope,
    /// Its spec, unless it cannot be decoded.
    pub(super) spec: Option<TelemetryConfigSpec>,
    /// What is wrong with it so far.
    pub(super) findings: Vec<Finding>,
}

/// What is to be known about the references of a spec.
#[derive(Clone, Copy, Debug)]
pub(super) enum Readings<'a> {
    /// Nobody looked.
    Offline,
    /// What the API server holds; not read where the caller may not.
    Read(&'a References),
}

/// What the configuration would be, as far as it can be told.
pub(super) struct Judged {
    /// The reason of ResolvedRefs, or that nobody looked.
    pub(super) resolved_refs: &'static str,
    /// The configuration to probe, without the exporters of `unresolved`.
    pub(super) config: Option<Config>,
    /// Exporters that refer to something that is not there as it should be, or was not read.
    pub(super) unresolved: BTreeSet<String>,
}

/// Knows the instruments, so that it can judge views.
pub(super) struct Inspector {
    pipeline: Pipeline,
    /// Dropped with it: it owns the pipeline's threads.
    _reloader: Reloader,
}

/// The reason of ResolvedRefs where nobody looked.
pub(super) const NOT_READ: &str = "NotRead";

// === impl Inspector ===

impl Inspector {
    /// Declares the instruments of a replica.
    pub(super) fn start() -> anyhow::Result<Self> {
        let identity = Identity::from_environment(env!("CARGO_PKG_VERSION"), &|_| None);
        let mut catalogue = Catalogue::new();
        let _ = Instruments::declare(&mut catalogue);
        catalogue.observe_pipeline();
        let (pipeline, reloader) = Pipeline::start(identity, catalogue)?;
        Ok(Self { pipeline, _reloader: reloader })
    }

    fn remarks(&self, config: &Config) -> Vec<ViewRemark> {
        let findings = self.pipeline.check(&config.metrics.shape);
        let mut remarks: Vec<_> = findings.iter().map(ViewRemark::from).collect();
        remarks.extend(scraped_views(&config.metrics));
        remarks
    }
}

// === impl Subject ===

impl Subject {
    /// Holds a document against the schema and decodes it.
    pub(super) fn of(document: Document, namespace: &str) -> Self {
        let Document { file, value } = document;
        let text = |field: &str| value["metadata"][field].as_str().map(str::to_owned);
        let (name, named) = (text("name").or_else(|| text("generateName")), text("namespace"));
        let mut findings: Vec<_> =
            violations(&value).into_iter().map(|it| invalid(it.field, it.message)).collect();
        let spec = decoded(value).map_err(|error| {
            // Or it would be said twice, and worse.
            if findings.is_empty() {
                findings.extend(Problems::undecodable(&error).iter().map(problem));
            }
        });
        let spec = spec.ok();
        Self {
            file,
            namespace: named.unwrap_or_else(|| namespace.to_owned()),
            name: name.unwrap_or_default(),
            scope: spec.as_ref().map_or(Scope::All, |spec| Scope::of(&spec.components)),
            spec,
            findings,
        }
    }

    /// What it refers to.
    pub(super) fn references(&self) -> BTreeSet<Reference> {
        self.spec.as_ref().map(references_of).unwrap_or_default()
    }

    /// Lists what it refers to, which nobody reads.
    pub(super) fn note_unread(&mut self) {
        for Reference { field, object, keys, .. } in self.references() {
            let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
            let message = format!("not read: {object}, {}", keys.join(" and "));
            self.findings.push(Finding::new(Severity::Note, NOT_READ, field, message));
        }
    }

    /// The gravest of what is wrong with it by itself, as a reason of Accepted.
    pub(super) fn accepted(&self) -> AcceptedReason {
        let reasons = [AcceptedReason::Invalid, AcceptedReason::UnsupportedValue];
        let found = |reason: &AcceptedReason| {
            self.findings.iter().any(|finding| finding.reason == reason.as_str())
        };
        reasons.into_iter().find(found).unwrap_or(AcceptedReason::Accepted)
    }

    /// Says what the controller would say of it.
    pub(super) fn judge(
        &mut self,
        readings: Readings<'_>,
        inspector: &Inspector,
        now: Timestamp,
    ) -> Judged {
        let Some(spec) = self.spec.take() else {
            let pending = ResolvedRefsReason::Pending.as_str();
            return Judged { resolved_refs: pending, config: None, unresolved: BTreeSet::new() };
        };
        let nothing = References::default();
        let references = match readings {
            Readings::Offline => &nothing,
            Readings::Read(references) => references,
        };
        let resolved = resolve(&spec, references, now);
        let resolved_refs = self.note(&resolved, readings, &spec);
        let (config, unresolved) = match resolved {
            Ok(resolved) => (Some(resolved.config), BTreeSet::new()),
            Err(problems) => without_unresolved(&spec, &problems, references, now),
        };
        if let Some(config) = &config {
            self.judge_views(inspector, config);
        }
        self.spec = Some(spec);
        Judged { resolved_refs, config, unresolved }
    }

    /// Takes over what `resolve` found; the reason of ResolvedRefs.
    fn note(
        &mut self,
        resolved: &Result<Resolved, Problems>,
        readings: Readings<'_>,
        spec: &TelemetryConfigSpec,
    ) -> &'static str {
        match resolved {
            Ok(Resolved { expiry, .. }) if expiry.soon.is_empty() => {
                ResolvedRefsReason::ResolvedRefs.as_str()
            }
            Ok(Resolved { expiry, .. }) => {
                let reason = ResolvedRefsReason::CertificateExpiringSoon.as_str();
                for said in &expiry.soon {
                    let (field, message) = said.split_once(": ").unwrap_or(("spec", said));
                    self.findings.push(Finding::new(Severity::Warning, reason, field, message));
                }
                reason
            }
            Err(problems) => {
                let known: BTreeSet<_> =
                    self.findings.iter().map(|finding| finding.field.clone()).collect();
                let news = problems.iter().filter(|it| !is_pending(it.kind));
                let news = news.filter(|it| !known.contains(&it.field));
                self.findings.extend(news.map(problem));
                match (readings, problems.references_reason()) {
                    (_, None) if references_of(spec).is_empty() => {
                        ResolvedRefsReason::ResolvedRefs.as_str()
                    }
                    (Readings::Offline, _) => NOT_READ,
                    (Readings::Read(_), Some(ResolvedRefsReason::Pending)) => NOT_READ,
                    (Readings::Read(_), reason) => {
                        reason.unwrap_or(ResolvedRefsReason::ResolvedRefs).as_str()
                    }
                }
            }
        }
    }

    fn judge_views(&mut self, inspector: &Inspector, config: &Config) {
        let remarks = inspector.remarks(config);
        if let Err(problems) = judge_views(&remarks) {
            self.findings.extend(problems.iter().map(problem));
        }
        for ViewRemark { view, message, .. } in remarks.iter().filter(|remark| !remark.refuses) {
            let field = format!("spec.metrics.views[{view}]");
            let reason = AcceptedReason::Accepted.as_str();
            self.findings.push(Finding::new(Severity::Warning, reason, field, message));
        }
    }
}

fn decoded(object: Value) -> Result<TelemetryConfigSpec, String> {
    let object: TelemetryConfig =
        serde_json::from_value(object).map_err(|error| error.to_string())?;
    Ok(object.spec)
}

/// The configuration where the exporters that a problem of a reference names lack all that they refer
/// to, and which exporters those are: views can be judged all the same, and other exporters probed.
fn without_unresolved(
    spec: &TelemetryConfigSpec,
    problems: &Problems,
    references: &References,
    now: Timestamp,
) -> (Option<Config>, BTreeSet<String>) {
    let mut spec = spec.clone();
    let mut unresolved = BTreeSet::new();
    let fields = || {
        let of_references =
            problems.iter().filter(|it| matches!(it.kind, ProblemKind::Reference(_)));
        of_references.map(|it| it.field.as_str())
    };
    for exporter in &mut spec.exporters {
        let path = format!("spec.exporters[{}].", exporter.name);
        if fields().any(|field| field.starts_with(&path)) {
            unresolved.insert(exporter.name.clone());
            exporter.prometheus = None;
            if let Some(otlp) = &mut exporter.otlp {
                otlp.tls = None;
                otlp.headers.retain(|header| header.value_from.is_none());
            }
        }
    }
    let resolved = resolve(&spec, references, now);
    (resolved.ok().map(|resolved| resolved.config), unresolved)
}

fn is_pending(kind: ProblemKind) -> bool {
    kind == ProblemKind::Reference(ReferenceProblem::Pending)
}

fn problem(problem: &Problem) -> Finding {
    let Problem { field, kind, object: _, message } = problem;
    let reason = match kind {
        ProblemKind::Invalid => AcceptedReason::Invalid.as_str(),
        ProblemKind::UnsupportedValue => AcceptedReason::UnsupportedValue.as_str(),
        ProblemKind::Reference(reference) => reference.reason().as_str(),
    };
    Finding::new(Severity::Problem, reason, field, message)
}

fn invalid(field: String, message: String) -> Finding {
    Finding::new(Severity::Problem, AcceptedReason::Invalid.as_str(), field, message)
}

#[cfg(test)]
mod tests;
