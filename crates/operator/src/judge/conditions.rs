//! The verdict of each condition. Pure; see the table of reasons in `pharos_api::condition`.

use std::collections::BTreeSet;

use pharos_api::condition::{
    AcceptedReason, ExportHealthyReason, ProgrammedReason, Reason, ResolvedRefsReason,
};

use super::{Obeying, Scene, Verdict};
use crate::report::{ExporterHealth, Running, State};
use crate::resolve::Problems;
use crate::select::COMPONENTS;

pub(super) fn accepted(scene: &Scene<'_>, problems: Option<&Problems>) -> Verdict<AcceptedReason> {
    let uid = scene.observed.uid();
    let lost: Vec<_> = COMPONENTS
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
        return Verdict::new(problems.reason(), problems.to_string());
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
pub(super) fn resolved_refs() -> Verdict<ResolvedRefsReason> {
    Verdict::new(ResolvedRefsReason::ResolvedRefs, "")
}

pub(super) fn programmed(scene: &Scene<'_>, obeying: &[Obeying<'_>]) -> Verdict<ProgrammedReason> {
    if !scene.winners.wins(scene.observed.uid()) {
        let message = "another TelemetryConfig is in force";
        return Verdict::new(ProgrammedReason::Conflicted, message);
    }
    if obeying.is_empty() {
        let message = "no live replica runs a component that this object decides for";
        return Verdict::new(ProgrammedReason::NoReplicas, message);
    }
    let generation = scene.observed.generation();
    let failed = obeying
        .iter()
        .filter_map(|replica| replica.report)
        .filter(|report| report.generation == generation)
        .find_map(|report| match &report.state {
            State::Failed { running, message } => Some((*running, message)),
            State::Applying | State::Programmed => None,
        });
    match failed {
        Some((running, message)) => Verdict::new(instead(running), message.as_str()),
        None if obeying.iter().all(|replica| scene.runs(replica)) => {
            Verdict::new(ProgrammedReason::Programmed, "")
        }
        None => Verdict::new(
            ProgrammedReason::Applying,
            "not every live replica runs this generation yet",
        ),
    }
}

pub(super) fn export_healthy(
    scene: &Scene<'_>,
    obeying: &[Obeying<'_>],
) -> Verdict<ExportHealthyReason> {
    if !scene.winners.wins(scene.observed.uid()) {
        return Verdict::new(ExportHealthyReason::NotYetExported, "");
    }
    let exporters = || obeying.iter().filter_map(|replica| replica.report).flat_map(|r| &r.exporters);
    let failing = exporters().find_map(|exporter| match &exporter.health {
        ExporterHealth::Failing { reason, message } => Some((&exporter.name, reason, message)),
        _ => None,
    });
    if let Some((name, reason, message)) = failing {
        return Verdict::new(known(reason), format!("exporter {name:?}: {message}"));
    }
    let any = |wanted| exporters().any(|exporter| exporter.health == wanted);
    if any(ExporterHealth::NotYetExported) {
        Verdict::new(ExportHealthyReason::NotYetExported, "")
    } else if any(ExporterHealth::Healthy) {
        Verdict::new(ExportHealthyReason::Healthy, "")
    } else {
        Verdict::new(ExportHealthyReason::NoExporters, "")
    }
}

/// The reason that says what runs where an object is not in force.
pub(super) fn instead(running: Running) -> ProgrammedReason {
    match running {
        Running::PreviousConfig => ProgrammedReason::RunningPreviousConfig,
        Running::Defaults => ProgrammedReason::RunningDefaults,
    }
}

/// A replica of another version may know other reasons.
fn known(reason: &str) -> ExportHealthyReason {
    let same = |known: &&ExportHealthyReason| known.as_str() == reason;
    ExportHealthyReason::ALL
        .iter()
        .find(same)
        .copied()
        .unwrap_or(ExportHealthyReason::AllDataDropped)
}
