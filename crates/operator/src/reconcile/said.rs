//! What a process says about what it runs.

use jiff::Timestamp;

use super::candidate::{Identity, wanted_by};
use super::exporters::exporters;
use super::instead::{Instead, neither};
use super::verdict::{Outcome, Verdict};
use super::{Action, Decision, Reconciler};
use crate::report::{ConfigReport, Report, State, config_hash};

// === impl Reconciler ===

impl Reconciler {
    /// The report, if it is another one than before.
    pub(super) fn publish(&mut self, decision: &Decision, now: Timestamp) -> Option<Action> {
        let config = self.config_report(decision, now);
        let report = Report { components: self.components.clone(), config };
        if self.published.as_ref() == Some(&report) {
            return None;
        }
        self.published = Some(report.clone());
        Some(Action::Publish(Box::new(report)))
    }

    fn config_report(&self, decision: &Decision, now: Timestamp) -> Option<ConfigReport> {
        let before = self.published.as_ref().and_then(|report| report.config.as_ref());
        let known = before.map_or(&[][..], |it| &it.exporters);
        let exporters = exporters(&self.running.config, &self.health, known, now);
        let (Some((identity, _)), Some(verdict)) = (self.target.object(), &decision.verdict) else {
            // Until the defaults run, nothing new can be said.
            let before = before.filter(|_| self.running.source.is_some())?;
            return Some(ConfigReport { exporters, ..before.clone() });
        };
        let Identity { uid, generation, .. } = identity;
        let source = self.running.source.as_ref();
        let in_force = source.filter(|it| it.is_of(uid, generation));
        let state = self.state(verdict, in_force.is_some(), &decision.instead);
        let same =
            before.filter(|it| it.uid == uid && it.generation == generation && it.state == state);
        if let Some(same) = same.filter(|it| it.state == State::Programmed)
            && self.under_way.is_some()
        {
            // Something that it refers to changed: that is told once it is in force.
            return Some(ConfigReport { exporters, ..same.clone() });
        }
        let references = verdict.references.clone().without_certificates();
        Some(ConfigReport {
            uid: uid.to_owned(),
            generation,
            config_hash: source.map_or_else(|| self.hash_of_target(identity), |it| it.hash()),
            since: same.map_or(now, |it| it.since),
            state,
            spec: verdict.spec.clone(),
            references: match source {
                Some(source) => source.certificates_in(references),
                None => references,
            },
            restarts: in_force.map(|it| it.restarts.clone()).unwrap_or_default(),
            exporters,
        })
    }

    fn state(&self, verdict: &Verdict, in_force: bool, instead: &Instead) -> State {
        let failed =
            |message: &str| State::Failed { running: self.runs_instead(), message: message.into() };
        match &verdict.outcome {
            Outcome::Run(candidate) => match self.refusals.of(candidate) {
                Some(message) => self.stuck(message, instead),
                None if in_force => State::Programmed,
                None => State::Applying,
            },
            Outcome::Keep => {
                let refused = instead.candidate().and_then(|it| self.refusals.of(it));
                refused.map_or(State::Programmed, failed)
            }
            Outcome::Wait => State::Applying,
            Outcome::Refuse(message) => self.stuck(message, instead),
        }
    }

    /// The state in which the target cannot run, for that reason.
    fn stuck(&self, message: &str, instead: &Instead) -> State {
        let more = match instead {
            Instead::Awaited => return State::Applying,
            Instead::Followed(_) => String::new(),
            Instead::LastProgrammed(_) if self.running.source.is_some() => String::new(),
            Instead::Defaults(why) => why.clone(),
            Instead::LastProgrammed(candidate) => match self.refusals.of(candidate) {
                None => return State::Applying,
                Some(why) => {
                    let generation = candidate.object().map_or(0, |(_, generation)| generation);
                    neither(generation, why)
                }
            },
        };
        let separator = if more.is_empty() { "" } else { "; " };
        State::Failed {
            running: self.runs_instead(),
            message: format!("{message}{separator}{more}"),
        }
    }

    fn hash_of_target(&self, identity: Identity<'_>) -> String {
        let wanted = self.target.spec().map(wanted_by).unwrap_or_default();
        config_hash(identity.uid, identity.generation, wanted.keys(), &self.references)
    }
}
