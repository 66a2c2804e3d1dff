//! From a TelemetryConfig's spec, and what was read of the Secrets and ConfigMaps that it refers
//! to, to a configuration of the pipeline. Pure.
//!
//! Every problem is found at once, each with its field path and the condition that it belongs to.
//! Enter at [`resolve()`]; [`references_of`] says what has to be read for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pharos_api::telemetryconfig::{ResourceAttribute, ResourceSpec, TelemetryConfigSpec};
use pharos_cluster::references::{DataObject, References};
use pharos_telemetry::config::{Config, Logs, Traces};

mod destinations;
mod exporter;
mod material;
mod metrics;
mod problem;
mod records;
mod reference;
mod view;

pub use material::Expiry;
pub use problem::{Problem, ProblemKind, Problems, ReferenceProblem};
pub use reference::{Place, Reference, references_of, wanted};
pub use view::{ViewRemark, judge_views, scraped_views};

use destinations::Destinations;
use material::Reader;
use problem::Findings;

/// What a spec asks of the pipeline, with everything that it refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// What should run.
    pub config: Config,
    /// When the certificates in it expire.
    pub expiry: Expiry,
}

/// Resolves a spec with what was read of its references.
///
/// # Errors
/// Every [`Problem`] of the spec and of its references.
pub fn resolve(
    spec: &TelemetryConfigSpec,
    references: &References,
    now: Timestamp,
) -> Result<Resolved, Problems> {
    resolve_keeping(spec, references, &BTreeSet::new(), now)
}

/// The same where some objects are `remembered`: what was good when it was read stays so, even if
/// it has expired since.
///
/// # Errors
/// As [`resolve`].
pub(crate) fn resolve_keeping(
    spec: &TelemetryConfigSpec,
    references: &References,
    remembered: &BTreeSet<&DataObject>,
    now: Timestamp,
) -> Result<Resolved, Problems> {
    // Destructured without `..`: a new field must be resolved here.
    let TelemetryConfigSpec { components: _, resource, exporters, metrics, traces, logs } = spec;
    let mut findings = Findings::default();
    let mut reader = Reader::new(references, remembered, now);
    let destinations = Destinations::of(exporters, &mut reader, &mut findings);
    let config = Config {
        resource_attributes: resource
            .as_ref()
            .map(|resource| resource_attributes(resource, &mut findings))
            .unwrap_or_default(),
        metrics: match metrics {
            Some(metrics) => metrics::metrics(metrics, &destinations, &mut findings),
            None => Config::prometheus().metrics,
        },
        traces: match traces {
            Some(traces) => records::traces(traces, &destinations, &mut findings),
            None => Traces::default(),
        },
        logs: match logs {
            Some(logs) => records::logs(logs, &destinations, &mut findings),
            None => Logs::default(),
        },
    };
    findings.or(Resolved { config, expiry: reader.expiry })
}

/// Judges a spec by itself, as one may who has read nothing of what it refers to.
///
/// # Errors
/// Every [`Problem`] of the spec, none of its references.
pub fn check(spec: &TelemetryConfigSpec) -> Result<(), Problems> {
    let resolved = resolve(spec, &References::default(), Timestamp::UNIX_EPOCH);
    match resolved.err().and_then(|problems| problems.of_spec()) {
        Some(problems) => Err(problems),
        None => Ok(()),
    }
}

fn resource_attributes(
    resource: &ResourceSpec,
    findings: &mut Findings,
) -> BTreeMap<String, String> {
    let ResourceSpec { attributes } = resource;
    for ResourceAttribute { name, .. } in attributes {
        if belongs_to_pharos(name) {
            findings.invalid(
                format!("spec.resource.attributes[{name}]"),
                "this resource attribute is set by Pharos itself",
            );
        }
    }
    let pair = |attribute: &ResourceAttribute| (attribute.name.clone(), attribute.value.clone());
    attributes.iter().map(pair).collect()
}

/// Replicas could not be told apart without these.
fn belongs_to_pharos(name: &str) -> bool {
    name.starts_with("service.")
        || name.starts_with("telemetry.sdk.")
        || matches!(name, "k8s.pod.name" | "k8s.namespace.name")
}

#[cfg(test)]
mod tests;
