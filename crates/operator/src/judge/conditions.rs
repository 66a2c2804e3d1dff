//! The verdict of each condition. Pure; see the table of reasons in `pharos_api::condition`.

use std::collections::BTreeSet;

use pharos_api::condition::{
    AcceptedReason, ConditionStatus, ConditionType, ExportHealthyReason, ProgrammedReason,
    ReadyReason, ResolvedRefsReason,
};
use pharos_api::telemetryconfig::Component;

use super::{Obeying, Scene};
use crate::report::{ExporterHealth, Running, State};
use crate::resolve::Problems;

/// A condition without its times.
pub(super) struct Verdict {
    pub(super) condition: ConditionType,
    pub(super) status: ConditionStatus,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// A reason implies its condition and its status.
macro_rules! verdicts_from {
    ($($reason:ident),+) => {$(
        impl From<$reason> for Verdict {
            fn from(reason: $reason) -> Self {
                Self {
                    condition: $reason::CONDITION,
                    status: reason.status(),
                    reason: reason.as_str(),
                    message: String::new(),
                }
            }
        }
    )+};
}

verdicts_from!(
    AcceptedReason,
    ResolvedRefsReason,
    ProgrammedReason,
    ExportHealthyReason,
    ReadyReason
);

// === impl Verdict ===

impl Verdict {
    fn new(reason: impl Into<Self>, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..reason.into() }
    }
}

/// Accepted and ResolvedRefs and Programmed: the first that failed gives the reason; without one,
/// the first that is not decided yet.
pub(super) fn ready(verdicts: &[Verdict]) -> Verdict {
    let first = |status| verdicts.iter().find(|verdict| verdict.status == status);
    if let Some(failed) = first(ConditionStatus::False) {
        let (status, reason) = (failed.status, failed.reason);
        return Verdict { status, reason, ..Verdict::new(ReadyReason::Ready, &*failed.message) };
    }
    match first(ConditionStatus::Unknown) {
        Some(undecided) => Verdict::new(ReadyReason::Progressing, &*undecided.message),
        None => ReadyReason::Ready.into(),
    }
}

pub(super) fn accepted(scene: &Scene<'_>, problems: Option<&Problems>) -> Verdict {
    let uid = scene.observed.uid();
    let lost: Vec<_> = Component::ALL
        .into_iter()
        .filter(|component| scene.scope.covers(*component))
        .filter_map(|component| Some((component, scene.winners.of(component)?)))
        .filter(|(_, winner)| *winner != uid)
        .map(|(component, winner)| format!("{component:?} to {:?}", scene.name_of(winner)))
        .collect();
    let lost = lost.join(" and ");
    if !scene.winners.wins(uid) {
        let message = format!(
            "loses {lost}: an object that names its components beats one for all, then the oldest wins"
        );
        return Verdict::new(AcceptedReason::Conflicted, message);
    }
    if let Some(problems) = problems {
        return Verdict::new(problems.reason(), problems.summary());
    }
    let running: BTreeSet<_> =
        scene.replicas.iter().flat_map(|replica| &replica.report.components).collect();
    if !running.is_empty() && !running.iter().any(|component| scene.scope.covers(**component)) {
        let message = "spec.components: no live replica runs any of them";
        return Verdict::new(AcceptedReason::NoMatchingComponent, message);
    }
    let message = if lost.is_empty() { lost } else { format!("loses {lost}") };
    Verdict::new(AcceptedReason::Accepted, message)
}

/// What resolves refers to nothing yet: references are refused as unsupported.
pub(super) fn resolved_refs() -> Verdict {
    ResolvedRefsReason::ResolvedRefs.into()
}

pub(super) fn programmed(scene: &Scene<'_>, obeying: &[Obeying<'_>]) -> Verdict {
    if !scene.winners.wins(scene.observed.uid()) {
        let message = "another TelemetryConfig is in force";
        return Verdict::new(ProgrammedReason::Conflicted, message);
    }
    if obeying.is_empty() {
        let message = "no live replica runs a component that this object decides for";
        return Verdict::new(ProgrammedReason::NoReplicas, message);
    }
    let generation = scene.observed.generation();
    let failures: Vec<_> = obeying
        .iter()
        .filter_map(|replica| replica.report)
        .filter(|report| report.generation == generation)
        .filter_map(|report| match &report.state {
            State::Failed { running, message } => Some((*running, message.as_str())),
            State::Applying | State::Programmed => None,
        })
        .collect();
    match failures.first() {
        Some((running, message)) => {
            let alike = failures.iter().all(|(other, _)| other == running);
            if alike && failures.len() == obeying.len() {
                return Verdict::new(instead(*running), *message);
            }
            let message = format!("{} of {}: {message}", failures.len(), obeying.len());
            Verdict::new(ProgrammedReason::ReplicasFailed, message)
        }
        None if obeying.iter().all(|replica| scene.runs(replica)) => {
            Verdict::new(ProgrammedReason::Programmed, "")
        }
        None => Verdict::new(
            ProgrammedReason::Applying,
            "not every live replica runs this generation yet",
        ),
    }
}

/// Judged by the replicas that run the object: what others export is another configuration's.
pub(super) fn export_healthy(scene: &Scene<'_>, obeying: &[Obeying<'_>]) -> Verdict {
    let running: Vec<_> = obeying.iter().filter(|replica| scene.runs(replica)).collect();
    if running.is_empty() {
        return ExportHealthyReason::NotYetExported.into();
    }
    let exporters =
        || running.iter().filter_map(|replica| replica.report).flat_map(|r| &r.exporters);
    let failing = exporters().find_map(|exporter| match &exporter.health {
        ExporterHealth::Failing { reason, message } => Some((&exporter.name, reason, message)),
        _ => None,
    });
    if let Some((name, reason, message)) = failing {
        // A replica of another version may know other reasons.
        let reason =
            ExportHealthyReason::parse(reason).unwrap_or(ExportHealthyReason::AllDataDropped);
        return Verdict::new(reason, format!("exporter {name:?}: {message}"));
    }
    let any = |wanted| exporters().any(|exporter| exporter.health == wanted);
    if any(ExporterHealth::NotYetExported) {
        ExportHealthyReason::NotYetExported.into()
    } else if any(ExporterHealth::Healthy) {
        ExportHealthyReason::Healthy.into()
    } else {
        ExportHealthyReason::NoExporters.into()
    }
}

/// The reason that says what runs where an object is not in force.
pub(super) fn instead(running: Running) -> ProgrammedReason {
    match running {
        Running::PreviousConfig => ProgrammedReason::RunningPreviousConfig,
        Running::Defaults => ProgrammedReason::RunningDefaults,
    }
}
