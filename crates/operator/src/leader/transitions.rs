//! What is worth an Event: the difference between the status that the API server held and the one
//! that was written over it. Pure.
//!
//! A leader that takes over and finds every status true writes nothing, and so announces nothing.

use kube::runtime::events::EventType;
use pharos_api::condition::{
    AcceptedReason, ConditionStatus, ConditionType, ProgrammedReason, ResolvedRefsReason,
};
use pharos_api::telemetryconfig::{ComponentState, TelemetryConfigStatus};

/// The API server takes 1 kB.
const LONGEST_NOTE: usize = 1024;

/// An Event to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    pub(super) topic: Topic,
    /// What happened, for people: field path, object and remedy, and never a byte of a Secret.
    pub(super) note: String,
}

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Accepted,
    Conflicted,
    Programmed,
    ReloadFailed,
    /// Of the Secret named so.
    CertificateRotated(String),
    CertificateExpiringSoon,
    ExportFailing,
    ExportRecovered,
    NotCreated,
}

/// A status, and what its conditions are.
#[derive(Clone, Copy)]
struct Conditions<'a>(Option<&'a TelemetryConfigStatus>);

// === impl Topic ===

impl Topic {
    /// The Event's reason.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Conflicted => "Conflicted",
            Self::Programmed => "Programmed",
            Self::ReloadFailed => "ReloadFailed",
            Self::CertificateRotated(_) => "CertificateRotated",
            Self::CertificateExpiringSoon => "CertificateExpiringSoon",
            Self::ExportFailing => "ExportFailing",
            Self::ExportRecovered => "ExportRecovered",
            Self::NotCreated => "NotCreated",
        }
    }

    /// What Pharos was doing.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Accepted | Self::Conflicted => "Select",
            Self::Programmed | Self::ReloadFailed => "Reload",
            Self::CertificateRotated(_) | Self::CertificateExpiringSoon => "ResolveReferences",
            Self::ExportFailing | Self::ExportRecovered => "Export",
            Self::NotCreated => "Create",
        }
    }

    /// Whether somebody should have a look.
    pub(super) fn severity(&self) -> EventType {
        match self {
            Self::Accepted
            | Self::Programmed
            | Self::CertificateRotated(_)
            | Self::ExportRecovered => EventType::Normal,
            Self::Conflicted
            | Self::ReloadFailed
            | Self::CertificateExpiringSoon
            | Self::ExportFailing
            | Self::NotCreated => EventType::Warning,
        }
    }
}

// === impl Announcement ===

impl Announcement {
    fn new(topic: Topic, note: &str) -> Self {
        let shown = note.floor_char_boundary(LONGEST_NOTE);
        Self { topic, note: note[..shown].to_owned() }
    }

    /// Every replica that ran another certificate of this Secret runs a new one.
    pub(super) fn rotated(secret: String) -> Self {
        let note = format!("every live replica runs the renewed certificate of Secret {secret:?}");
        Self::new(Topic::CertificateRotated(secret), &note)
    }

    /// An object that is to be created is refused.
    pub(super) fn not_created(note: &str) -> Self {
        Self::new(Topic::NotCreated, note)
    }
}

// === impl Conditions ===

impl<'a> Conditions<'a> {
    fn is(self, r#type: ConditionType, status: ConditionStatus) -> bool {
        self.find(r#type).is_some_and(|(found, _, _)| found == status.as_str())
    }

    fn reason(self, r#type: ConditionType) -> &'a str {
        self.find(r#type).map_or("", |(_, reason, _)| reason)
    }

    fn message(self, r#type: ConditionType) -> &'a str {
        self.find(r#type).map_or("", |(_, _, message)| message)
    }

    fn find(self, r#type: ConditionType) -> Option<(&'a str, &'a str, &'a str)> {
        let found = self.0?.conditions.iter().find(|it| it.type_ == r#type.as_str())?;
        Some((&found.status, &found.reason, &found.message))
    }

    fn is_conflicted(self) -> bool {
        self.reason(ConditionType::Accepted) == AcceptedReason::Conflicted.as_str()
    }

    /// Which generation could not be put in force; a conflict is no failure.
    fn failed(self) -> Option<i64> {
        let failed = self.is(ConditionType::Programmed, ConditionStatus::False)
            && self.reason(ConditionType::Programmed) != ProgrammedReason::Conflicted.as_str();
        self.0.filter(|_| failed)?.observed_generation
    }

    /// Which generation is in force everywhere.
    fn programmed(self) -> Option<i64> {
        let programmed = self.is(ConditionType::Programmed, ConditionStatus::True);
        self.0.filter(|_| programmed)?.programmed_generation
    }

    fn expires_soon(self) -> bool {
        self.reason(ConditionType::ResolvedRefs)
            == ResolvedRefsReason::CertificateExpiringSoon.as_str()
    }
}

/// What to announce once `after` is written over `before`.
pub(super) fn transitions(
    before: Option<&TelemetryConfigStatus>,
    after: &TelemetryConfigStatus,
) -> Vec<Announcement> {
    use ConditionStatus::{False, True};
    use ConditionType::{Accepted, ExportHealthy, Programmed, ResolvedRefs};
    let (was, now) = (Conditions(before), Conditions(Some(after)));
    let began = |r#type, status| now.is(r#type, status) && !was.is(r#type, status);
    let failed = now.failed().is_some() && now.failed() != was.failed();
    let programmed = now.programmed().is_some() && now.programmed() != was.programmed();
    let recovered = began(ExportHealthy, True) && was.is(ExportHealthy, False);
    let message = |r#type| now.message(r#type).to_owned();
    [
        (began(Accepted, True), Topic::Accepted, accepted(after, now.message(Accepted))),
        (now.is_conflicted() && !was.is_conflicted(), Topic::Conflicted, message(Accepted)),
        (failed, Topic::ReloadFailed, message(Programmed)),
        (programmed, Topic::Programmed, in_force(after, now.message(Programmed))),
        (
            now.expires_soon() && !was.expires_soon(),
            Topic::CertificateExpiringSoon,
            message(ResolvedRefs),
        ),
        (began(ExportHealthy, False), Topic::ExportFailing, message(ExportHealthy)),
        (recovered, Topic::ExportRecovered, "what the exporters send arrives again".to_owned()),
    ]
    .into_iter()
    .filter(|(happened, _, _)| *happened)
    .map(|(_, topic, note)| Announcement::new(topic, &note))
    .collect()
}

fn accepted(status: &TelemetryConfigStatus, message: &str) -> String {
    let active = status.components.iter().filter(|it| it.state == ComponentState::Active);
    let active: Vec<_> = active.map(|it| it.component.as_str()).collect();
    let decides = match active.as_slice() {
        [] => "accepted".to_owned(),
        active => format!("decides for {}", active.join(" and ")),
    };
    followed(decides, message)
}

fn in_force(status: &TelemetryConfigStatus, message: &str) -> String {
    let generation = status.programmed_generation.unwrap_or_default();
    let replicas = status.replicas_live;
    followed(
        format!("generation {generation} is in force on all {replicas} live replicas"),
        message,
    )
}

fn followed(note: String, message: &str) -> String {
    if message.is_empty() { note } else { format!("{note}; {message}") }
}

#[cfg(test)]
mod tests;
