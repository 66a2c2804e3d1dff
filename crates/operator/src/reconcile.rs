//! What this process should run and say, as a pure function of what happened so far.
//!
//! Enter at [`Reconciler::step`]: an [`Event`] in, [`Action`]s out. Nothing here waits, reads a
//! clock or does anything; [`crate::apply`] does what the actions say and reports back. Events may
//! be lost, repeated and late: only the last of each kind counts.
//!
//! The rules:
//! - Nothing goes back: an older generation of an object than one that was seen is not looked at.
//! - What is refused changes nothing that runs. What runs follows its own references meanwhile.
//! - Where nothing of an object runs and the target is refused, what every replica programmed last
//!   is read and runs instead.
//! - What the pipeline refused is tried again after a while, and so is what could not be read.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pharos_api::telemetryconfig::Component;
use pharos_cluster::references::{DataObject, References, Wanted};
use pharos_cluster::revisions::Revision;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::Uid;
use pharos_telemetry::config::MetricShape;
use pharos_telemetry::{Config, Health};

use crate::report::{Report, Running};
use crate::resolve::ViewRemark;
use crate::select::Scopes;

mod candidate;
mod exporters;
mod history;
mod instead;
mod last_programmed;
mod refusals;
mod said;
mod target;
mod verdict;

pub use candidate::Candidate;
pub use target::{Target, choose};

use candidate::wanted_by;
use history::{History, Objects};
use instead::Instead;
use last_programmed::LastProgrammed;
use refusals::Refusals;
use verdict::{Facts, Verdict, judge};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The TelemetryConfigs of the namespace are these now.
    Objects(Objects),
    /// This was read of what is wanted.
    References(References),
    /// What every replica programmed last of an object is this, or cannot be read.
    LastProgrammed(Uid, Result<Option<Revision>, Trouble>),
    /// A configuration runs now.
    Committed {
        /// Which one.
        candidate: Arc<Candidate>,
        /// Which metrics started again from zero, and why; empty where none did.
        restarts: String,
        /// The sinks that run now.
        health: Health,
    },
    /// The pipeline cannot run a configuration.
    Refused {
        /// Which one.
        candidate: Arc<Candidate>,
        /// Why.
        message: String,
    },
    /// What is exported arrives, or no longer does.
    Health(Health),
    /// The time went on: certificates expire without anybody doing anything.
    Tick,
    /// What [`Action::RetryIn`] waited for.
    RetryDue,
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Have the pipeline prepare and commit this, and nothing that was to run before and is not
    /// committed yet.
    Run(Arc<Candidate>),
    /// Let go of what was to run and is not committed yet.
    Cancel,
    /// Read these from now on, and nothing else.
    Want(Wanted),
    /// Read what every replica programmed last of this object, and of no other.
    ReadLastProgrammed(Uid),
    /// Say [`Event::RetryDue`] after this time at the latest.
    RetryIn(Duration),
    /// Say this to the other replicas.
    Publish(Box<Report>),
}

/// What the pipeline has to say about the views of a shape.
pub type Inspect = Box<dyn Fn(&MetricShape) -> Vec<ViewRemark> + Send>;

/// What one process knows, what runs in it, and what it asked for.
pub struct Reconciler {
    components: BTreeSet<Component>,
    defaults: Config,
    inspect: Inspect,
    objects: Objects,
    history: History,
    scopes: Scopes,
    target: Target,
    references: References,
    last_programmed: LastProgrammed,
    health: Health,
    running: Candidate,
    under_way: Option<Arc<Candidate>>,
    refusals: Refusals,
    retry_in: Option<Duration>,
    wanted: Wanted,
    published: Option<Report>,
}

/// What to make of everything that is known.
struct Decision {
    /// About the object that is the target.
    verdict: Option<Verdict>,
    /// What runs while the target does not.
    instead: Instead,
    /// What should run now, unless that should stay as it is.
    next: Option<Candidate>,
}

// === impl Reconciler ===

impl Reconciler {
    /// A process that runs `components`, and nothing yet; `defaults` while no object wins.
    pub fn new(components: BTreeSet<Component>, defaults: Config, inspect: Inspect) -> Self {
        Self {
            components,
            defaults,
            inspect,
            objects: Objects::default(),
            history: History::default(),
            scopes: Scopes::default(),
            target: Target::Defaults,
            references: References::default(),
            last_programmed: LastProgrammed::default(),
            health: Health::default(),
            running: Candidate::without_source(Config::off()),
            under_way: None,
            refusals: Refusals::default(),
            retry_in: None,
            wanted: Wanted::new(),
            published: None,
        }
    }

    /// Takes in an event that happened `now`, and says what is to be done; nothing, mostly.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        self.observe(event);
        let decision = self.decide(now);
        let mut actions = Vec::new();
        actions.extend(self.pursue(decision.next.clone()));
        actions.extend(self.want());
        actions.extend(self.last_programmed.request().map(Action::ReadLastProgrammed));
        let waits = self.refusals.wait() || self.last_programmed.waits();
        actions.extend(self.retry_in.take().filter(|_| waits).map(Action::RetryIn));
        actions.extend(self.publish(&decision, now));
        actions
    }

    /// What this process should run.
    pub fn target(&self) -> &Target {
        &self.target
    }

    fn observe(&mut self, event: Event) {
        match event {
            Event::Objects(objects) => {
                self.objects = self.history.admit(objects, &self.objects);
                self.scopes.update(&self.objects);
                self.target = choose(&self.objects, &self.scopes, &self.components);
            }
            Event::References(references) => self.references = references,
            Event::LastProgrammed(uid, answer) => {
                self.retry_in = self.last_programmed.take(&uid, answer);
            }
            Event::Committed { candidate, restarts, health } => {
                self.under_way.take_if(|it| *it == candidate);
                let committed = Candidate::clone(&candidate).committed(&self.running, restarts);
                if let Some(source) = &committed.source {
                    self.history.ran(&source.uid, source.generation);
                }
                (self.running, self.health) = (committed, health);
                self.refusals.retain(|it| *it != *candidate);
            }
            Event::Refused { candidate, message } => {
                if self.under_way.take_if(|it| *it == candidate).is_some() {
                    self.retry_in = Some(self.refusals.add(Candidate::clone(&candidate), message));
                }
            }
            Event::Health(health) => self.health = health,
            Event::Tick => {}
            Event::RetryDue => {
                self.refusals.release();
                self.last_programmed.release();
            }
        }
    }

    fn decide(&mut self, now: Timestamp) -> Decision {
        let facts = Facts { references: &self.references, inspect: &*self.inspect, now };
        let in_force = self.running.source.as_ref();
        let target = self.target.object();
        let verdict = target.map(|(identity, spec)| judge(identity, spec, in_force, &facts));
        let first = match &verdict {
            None => Some(Candidate::without_source(self.defaults.clone())),
            Some(verdict) => verdict.outcome.candidate().cloned(),
        };
        let unrefused = first.as_ref().is_some_and(|it| self.refusals.of(it).is_none());
        if unrefused || target.is_none() || in_force.is_some() {
            self.last_programmed.forget();
        }
        let instead = match (in_force, target) {
            _ if unrefused => Instead::unneeded(),
            (Some(source), _) => Instead::followed(source, &facts),
            (None, None) => Instead::unneeded(),
            // What ran before is for what is known to be no good.
            (None, Some(_)) if verdict.as_ref().is_some_and(Verdict::waits) => Instead::Awaited,
            (None, Some((identity, _))) => {
                let known = self.last_programmed.of(identity.uid);
                Instead::read(identity, &known, &self.history, &facts)
            }
        };
        // Until anything of an object runs, the defaults do.
        let defaults = Candidate::without_source(self.defaults.clone());
        let defaults = in_force.is_none().then_some(&defaults);
        let all = || first.as_ref().into_iter().chain(instead.candidate()).chain(defaults);
        self.refusals.retain(|refused| all().any(|it| it == refused));
        let next = all().find(|it| !self.refusals.holds(it)).cloned();
        Decision { verdict, instead, next }
    }

    /// Sees to it that `next` runs, or that what runs stays.
    fn pursue(&mut self, next: Option<Candidate>) -> Option<Action> {
        let before = self.under_way.take();
        match next {
            Some(next) if next.config != self.running.config => {
                if before.as_deref() == Some(&next) {
                    self.under_way = before;
                    return None;
                }
                let candidate = Arc::new(next);
                self.under_way = Some(Arc::clone(&candidate));
                return Some(Action::Run(candidate));
            }
            Some(same) => {
                self.running = same.adopted(&self.running);
                if let Some(source) = &self.running.source {
                    self.history.ran(&source.uid, source.generation);
                }
            }
            None => {}
        }
        before.map(|_| Action::Cancel)
    }

    /// Whatever the target, what runs and what could run instead are made of.
    fn want(&mut self) -> Option<Action> {
        let running = self.running.source.as_ref().map(|source| &*source.spec);
        let mut wanted = Wanted::new();
        for spec in [self.target.spec(), running, self.last_programmed.spec()].into_iter().flatten()
        {
            for (object, keys) in wanted_by(spec) {
                wanted.entry(object).or_default().extend(keys);
            }
        }
        if wanted == self.wanted {
            return None;
        }
        // Should it be wanted again, what was read of it now says nothing.
        let kept = |object: &DataObject| (object.clone(), self.references.of(object).clone());
        self.references = wanted.keys().map(kept).collect();
        self.wanted.clone_from(&wanted);
        Some(Action::Want(wanted))
    }

    fn runs_instead(&self) -> Running {
        if self.running.source.is_some() { Running::PreviousConfig } else { Running::Defaults }
    }
}

#[cfg(test)]
mod tests;
