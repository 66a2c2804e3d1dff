//! From one object and the reports of all live replicas to its status. Pure.
//!
//! Messages name the field path, the object and what to do, and hold nothing that changes by
//! itself: equal facts give an equal status, and the writer then writes nothing. The conditions are
//! judged in `judge/conditions.rs`, the lists of components and replicas in `judge/entries.rs`.

mod conditions;
mod entries;

use std::collections::BTreeMap;

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use pharos_api::telemetryconfig::{TelemetryConfig, TelemetryConfigStatus};
use pharos_cluster::view::{Observed, Uid};

use crate::replicas::LiveReplica;
use crate::report::{ConfigReport, State};
use crate::resolve::{Problems, check};
use crate::select::{Scope, Winners};

use conditions::Verdict;

/// The longest message of a condition, in bytes: longer than any that this version writes itself.
const LONGEST_MESSAGE: usize = 16 * 1024;

/// Everything that the status of one object depends on.
pub struct Scene<'a> {
    /// The object.
    pub observed: &'a Observed<TelemetryConfig>,
    /// The components that it asks for.
    pub scope: &'a Scope,
    /// All objects of the namespace, for the names of winners.
    pub objects: &'a BTreeMap<Uid, Observed<TelemetryConfig>>,
    /// The winner of each component.
    pub winners: &'a Winners,
    /// The live replicas, by name.
    pub replicas: &'a [LiveReplica],
    /// The status as it was written last, for the times of transitions.
    pub before: Option<&'a TelemetryConfigStatus>,
    /// The time of new transitions.
    pub now: Timestamp,
}

/// A live replica that should run the object, and what it says about it so far.
pub(crate) struct Obeying<'a> {
    pub(crate) replica: &'a LiveReplica,
    pub(crate) report: Option<&'a ConfigReport>,
}

/// The status that the object should have.
pub fn judge(scene: &Scene<'_>) -> TelemetryConfigStatus {
    let obeying = scene.obeying();
    let programmed = obeying.iter().filter(|replica| scene.runs(replica)).count();
    let generation = scene.observed.generation();
    let everywhere = !obeying.is_empty() && programmed == obeying.len();
    let before = scene.before.and_then(|before| before.programmed_generation);
    TelemetryConfigStatus {
        observed_generation: Some(generation),
        programmed_generation: if everywhere { Some(generation) } else { before },
        replicas_programmed: count(programmed),
        replicas_live: count(obeying.len()),
        programmed_replicas: Some(format!("{programmed}/{}", obeying.len())),
        components: scene.component_entries(&obeying),
        exporters: scene.exporter_names(),
        next_certificate_expiry_time: scene.next_certificate_expiry(&obeying),
        conditions: scene.conditions(&obeying),
        replicas: scene.replica_entries(&obeying),
    }
}

// === impl Scene ===

impl<'a> Scene<'a> {
    /// The live replicas that should run the object.
    pub(crate) fn obeying(&self) -> Vec<Obeying<'a>> {
        let uid = self.observed.uid();
        self.replicas
            .iter()
            .filter(|replica| self.winners.for_process(&replica.report.components) == Some(uid))
            .map(|replica| {
                let report = replica.report.config.as_ref().filter(|config| config.uid == uid);
                Obeying { replica, report }
            })
            .collect()
    }

    /// Whether the replica says that this generation of this object is in force.
    fn runs(&self, Obeying { report, .. }: &Obeying<'_>) -> bool {
        report.is_some_and(|report| {
            report.generation == self.observed.generation() && report.state == State::Programmed
        })
    }

    /// When the first certificate expires that a replica runs, of those that obey the object.
    fn next_certificate_expiry(&self, obeying: &[Obeying<'_>]) -> Option<Time> {
        let expiry = obeying
            .iter()
            .filter(|replica| self.runs(replica))
            .filter_map(|replica| replica.report?.references.next_certificate_expiry);
        expiry.min().map(whole_seconds)
    }

    /// What the replicas found that obey the object, of its present generation.
    fn reports<'b>(
        &self,
        obeying: &'b [Obeying<'a>],
    ) -> impl Iterator<Item = &'a ConfigReport> + 'b {
        let generation = self.observed.generation();
        obeying
            .iter()
            .filter_map(|replica| replica.report)
            .filter(move |report| report.generation == generation)
    }

    fn name_of(&self, uid: &str) -> &'a str {
        self.objects.get(uid).map_or("", |observed| observed.name())
    }

    fn conditions(&self, obeying: &[Obeying<'_>]) -> Vec<Condition> {
        let checked = match &self.observed.object {
            Ok(object) => check(&object.spec),
            Err(error) => Err(Problems::undecodable(error)),
        };
        let accepted = conditions::accepted(self, obeying, checked.as_ref().err());
        let programmed = conditions::programmed(self, obeying);
        let verdicts = [accepted, conditions::resolved_refs(self, obeying), programmed];
        let ready = conditions::ready(&verdicts);
        let export_healthy = conditions::export_healthy(self, obeying);
        [ready]
            .iter()
            .chain(&verdicts)
            .chain([&export_healthy])
            .map(|v| self.condition(v))
            .collect()
    }

    /// The condition with its times: a transition is a change of status, as the API conventions say.
    fn condition(&self, verdict: &Verdict) -> Condition {
        let (r#type, status) = (verdict.condition.as_str(), verdict.status.as_str());
        let same = |condition: &&Condition| condition.type_ == r#type && condition.status == status;
        let before = self.before.and_then(|before| before.conditions.iter().find(same));
        Condition {
            type_: r#type.to_owned(),
            status: status.to_owned(),
            reason: verdict.reason.to_owned(),
            message: shortened(&verdict.message),
            observed_generation: Some(self.observed.generation()),
            last_transition_time: before.map_or_else(
                || whole_seconds(self.now),
                |before| before.last_transition_time.clone(),
            ),
        }
    }
}

fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(LONGEST_MESSAGE)].to_owned()
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// The API keeps whole seconds, more would never compare equal to what was stored, and no years
/// before Christ, which a broken report may hold.
fn whole_seconds(time: Timestamp) -> Time {
    let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
    Time(time.round(whole).unwrap_or(time).max(Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
pub(crate) mod tests;
