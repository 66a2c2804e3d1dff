//! The verdict of each condition. Pure; see the table of reasons in `pharos_api::condition`.

use std::collections::BTreeSet;

use pharos_api::condition::{
    AcceptedReason, ConditionStatus, ConditionType, ExportHealthyReason, ProgrammedReason,
    ReadyReason, ResolvedRefsReason,
};
use pharos_api::telemetryconfig::Component;

use super::{Obeying, Scene};
use crate::report::{ExporterHealth, Running, State};
use crate::resolve::{Problems, references_of};

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

/// Judged by the spec itself, and by what the replicas say that know the instruments.
pub(super) fn accepted(
    scene: &Scene<'_>,
    obeying: &[Obeying<'_>],
    problems: Option<&Problems>,
) -> Verdict {
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
        let reason = problems.accepted_reason().unwrap_or(AcceptedReason::Invalid);
        return Verdict::new(reason, problems.summary());
    }
    let refused = scene.reports(obeying).find_map(|report| {
        let reason = report.spec.reason().filter(|it| it.status() == ConditionStatus::False)?;
        Some(Verdict::new(reason, &*report.spec.message))
    });
    if let Some(refused) = refused {
        return refused;
    }
    let running: BTreeSet<_> =
        scene.replicas.iter().flat_map(|replica| &replica.report.components).collect();
    if !running.is_empty() && !running.iter().any(|component| scene.scope.covers(**component)) {
        let message = "spec.components: no live replica runs any of them";
        return Verdict::new(AcceptedReason::NoMatchingComponent, message);
    }
    let lost = (!lost.is_empty()).then(|| format!("loses {lost}"));
    let mut messages = scene.reports(obeying).map(|report| report.spec.message.clone());
    let odd = messages.find(|message| !message.is_empty());
    let said: Vec<_> = lost.into_iter().chain(odd).collect();
    Verdict::new(AcceptedReason::Accepted, said.join("; "))
}

/// Judged by what the replicas found that obey the object: nobody else reads what it refers to.
pub(super) fn resolved_refs(scene: &Scene<'_>, obeying: &[Obeying<'_>]) -> Verdict {
    let pending = |message: &str| Verdict::new(ResolvedRefsReason::Pending, message);
    let Ok(object) = &scene.observed.object else {
        return pending("the object cannot be decoded");
    };
    if references_of(&object.spec).is_empty() {
        return ResolvedRefsReason::ResolvedRefs.into();
    }
    if !scene.winners.wins(scene.observed.uid()) {
        return pending("references are read once the object wins a component");
    }
    let reports: Vec<_> = scene.reports(obeying).map(|report| &report.references).collect();
    let first = |wanted: &dyn Fn(ResolvedRefsReason) -> bool| {
        reports.iter().find_map(|report| {
            let reason = report.reason().filter(|reason| wanted(*reason))?;
            Some(Verdict::new(reason, &*report.message))
        })
    };
    first(&|reason| reason.status() == ConditionStatus::False)
        .or_else(|| first(&|reason| reason == ResolvedRefsReason::CertificateExpiringSoon))
        .or_else(|| first(&|reason| reason.status() == ConditionStatus::True))
        .or_else(|| first(&|_| true))
        .unwrap_or_else(|| pending("no live replica has read what it refers to yet"))
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
    let failures: Vec<_> = scene
        .reports(obeying)
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
            let mut restarts = scene.reports(obeying).map(|report| report.restarts.as_str());
            let restarts = restarts.find(|it| !it.is_empty()).unwrap_or_default();
            Verdict::new(ProgrammedReason::Programmed, restarts)
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
        ExporterHealth::Failing { reason, message } => Some((exporter, reason, message)),
        _ => None,
    });
    if let Some((exporter, reason, message)) = failing {
        let (name, signal) = (&exporter.name, exporter.signal);
        return Verdict::new(
            export_failure(reason),
            format!("exporter {name:?}, {signal:?}: {message}"),
        );
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

/// Why an exporter fails. A replica of another version may know other reasons.
pub(super) fn export_failure(reason: &str) -> ExportHealthyReason {
    ExportHealthyReason::parse(reason)
        .filter(|reason| reason.status() == ConditionStatus::False)
        .unwrap_or(ExportHealthyReason::AllDataDropped)
}

/// The reason that says what runs where an object is not in force.
pub(super) fn instead(running: Running) -> ProgrammedReason {
    match running {
        Running::PreviousConfig => ProgrammedReason::RunningPreviousConfig,
        Running::Defaults => ProgrammedReason::RunningDefaults,
    }
}
