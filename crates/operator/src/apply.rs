//! What this process should run, and the steps that bring it about.
//!
//! [`choose`] and what is decided about a target (`apply/attempt.rs`) are pure. [`Applier::run`]
//! drives the pipeline there, one target at a time; a newer observation, of an object or of
//! something that it refers to, cancels a `prepare` that is under way. What is refused changes
//! nothing that runs: a new generation leaves the one before it in force, a Secret that went bad
//! what was read of it before.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use pharos_api::telemetryconfig::{Component, TelemetryConfig};
use pharos_cluster::references::{References, Wanted};
use pharos_cluster::view::View;
use pharos_telemetry::config::{Config, MetricShape};
use pharos_telemetry::{Health, Pipeline, Reloader, StreamReset, ViewFinding};
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::report::{ConfigReport, Report, Running, State};
use crate::resolve::ViewRemark;
use crate::select::Scopes;

mod attempt;
mod exporters;

pub use attempt::{Target, choose};

use attempt::{Attempt, InForce, ObjectAttempt, Step, attempt};
use exporters::exporters;

/// How long a removed sink may take for its last export.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);
/// How often certificates are held against the clock.
const RECHECK: Duration = Duration::from_secs(60);

/// What this process sees of the cluster, and asks to see.
pub(crate) struct Sight {
    /// The TelemetryConfigs.
    pub(crate) objects: watch::Receiver<View<TelemetryConfig>>,
    /// What was read of the Secrets and ConfigMaps that are wanted.
    pub(crate) references: watch::Receiver<References>,
    /// Which ones those are.
    pub(crate) wanted: watch::Sender<Wanted>,
}

/// Brings the pipeline of this process to its target.
pub(crate) struct Applier {
    reloader: Reloader,
    pipeline: Pipeline,
    health: watch::Receiver<Health>,
    defaults: Config,
    components: BTreeSet<Component>,
    reports: watch::Sender<String>,
    drains: TaskTracker,
    scopes: Scopes,
    running: Running,
    in_force: Option<InForce>,
    report: Report,
}

// === impl Applier ===

impl Applier {
    pub(crate) fn new(
        reloader: Reloader,
        pipeline: Pipeline,
        defaults: Config,
        components: BTreeSet<Component>,
        reports: watch::Sender<String>,
    ) -> Self {
        let report = Report { components: components.clone(), config: None };
        Self {
            reloader,
            health: pipeline.health(),
            pipeline,
            defaults,
            components,
            reports,
            drains: TaskTracker::new(),
            scopes: Scopes::default(),
            running: Running::Defaults,
            in_force: None,
            report,
        }
    }

    /// Runs until `shutdown`: the defaults at first, then what the objects ask for.
    pub(crate) async fn run(
        mut self,
        mut sight: Sight,
        shutdown: CancellationToken,
    ) -> (Reloader, TaskTracker) {
        let mut target = Target::Defaults;
        let mut applied: Option<Attempt> = None;
        let mut recheck = tokio::time::interval(RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let read = sight.references.borrow_and_update().clone();
            let next = self.attempt(&target, &read);
            if applied.as_ref() != Some(&next) {
                // What a cancelled attempt reported must not stay, even if the next one is the old.
                applied = None;
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    () = self.apply(&next) => applied = Some(next),
                    Ok(()) = sight.objects.changed() => {}
                    Ok(()) = sight.references.changed() => {}
                }
            } else {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    Ok(()) = sight.objects.changed() => {}
                    Ok(()) = sight.references.changed() => {}
                    Ok(()) = self.health.changed() => self.publish(),
                    _ = recheck.tick() => {}
                }
            }
            if let Some(objects) = sight.objects.borrow_and_update().objects.clone() {
                self.scopes.update(&objects);
                target = choose(&objects, &self.scopes, &self.components);
                let wanted = target.wanted();
                sight.wanted.send_if_modified(|before| {
                    let changed = *before != wanted;
                    *before = wanted;
                    changed
                });
            }
        }
        // They end with the last flush at the latest, which must not wait for them.
        self.drains.close();
        (self.reloader, self.drains)
    }

    fn attempt(&self, target: &Target, read: &References) -> Attempt {
        let inspect = |shape: &MetricShape| remarks(&self.pipeline.check(shape));
        attempt(target, read, self.in_force.as_ref(), &inspect, Timestamp::now())
    }

    /// Takes one step through prepare, commit and drain, and reports each state. Cancelled before
    /// the commit it has changed nothing; cancelled after it, the next one finds nothing to do.
    async fn apply(&mut self, attempt: &Attempt) {
        match attempt {
            Attempt::Defaults => self.apply_defaults().await,
            Attempt::Object(attempt) => {
                let state = self.state_after(attempt).await;
                self.enter(attempt, state);
            }
        }
    }

    async fn apply_defaults(&mut self) {
        if let Err(message) = self.reload(self.defaults.clone(), None).await {
            tracing::error!("cannot run the command line's defaults: {message}");
            return;
        }
        self.report.config = None;
        self.publish();
        tracing::info!(
            "running the command line's defaults: no TelemetryConfig is known that decides for this process"
        );
    }

    /// Does what is to be done about an object; the state that it is in then.
    async fn state_after(&mut self, attempt: &ObjectAttempt) -> State {
        let ObjectAttempt { uid, name, generation, references, step, .. } = attempt;
        let outcome = match step {
            Step::Run(config, made_of) => {
                if !self.runs(attempt) {
                    self.enter(attempt, State::Applying);
                }
                let (uid, expires) = (uid.clone(), references.next_certificate_expiry);
                let (generation, references) = (*generation, made_of.clone());
                let restarts = String::new();
                let in_force = InForce { uid, generation, references, expires, restarts };
                self.reload((**config).clone(), Some(in_force)).await
            }
            Step::Stay => Ok(()),
            Step::Wait => return State::Applying,
            Step::Refuse(message) => Err(message.clone()),
        };
        match outcome {
            Ok(()) if references.is_resolved() => {
                tracing::info!(telemetryconfig = name, generation, "programmed");
                State::Programmed
            }
            Ok(()) => {
                let (reason, message) = (&references.reason, &references.message);
                tracing::warn!(telemetryconfig = name, generation, reason, "{message}");
                State::Programmed
            }
            Err(message) => {
                tracing::warn!(
                    telemetryconfig = name,
                    generation,
                    "refused, what ran before runs on: {message}"
                );
                State::Failed { running: self.running, message }
            }
        }
    }

    fn runs(&self, attempt: &ObjectAttempt) -> bool {
        let same = |it: &InForce| it.is_of(&attempt.uid, attempt.generation);
        self.in_force.as_ref().is_some_and(same)
    }

    /// Puts `wanted` in force, which is made of an object or else of the defaults.
    async fn reload(&mut self, wanted: Config, made_of: Option<InForce>) -> Result<(), String> {
        let mut made_of = made_of;
        if let (Some(before), Some(after)) = (&self.in_force, &mut made_of) {
            if before.is_of(&after.uid, after.generation) {
                after.restarts.clone_from(&before.restarts);
            }
            if *self.pipeline.running() == wanted {
                // Something was written anew and says the same.
                self.in_force = made_of;
                return Ok(());
            }
        }
        let prepared = self.reloader.prepare(wanted).await.map_err(|error| described(&error))?;
        let restarts = restarts(prepared.resets());
        let mut retired = prepared.commit();
        // What a later refusal will say that runs instead.
        self.running = if made_of.is_some() { Running::PreviousConfig } else { Running::Defaults };
        self.in_force =
            made_of.map(|it| if restarts.is_empty() { it } else { InForce { restarts, ..it } });
        let (told, in_force) = oneshot::channel();
        // From here on nobody's haste can lose the last exports.
        self.drains.spawn(async move {
            retired.in_force().await;
            let _ = told.send(());
            let drained = retired.drain(DRAIN_DEADLINE).await;
            if drained.lost() > 0 {
                tracing::warn!(?drained, "a removed exporter did not take its last values");
            }
        });
        // Or the health of what ran before would be reported as that of what runs now.
        let _ = in_force.await;
        Ok(())
    }

    fn enter(&mut self, attempt: &ObjectAttempt, state: State) {
        let ObjectAttempt { uid, generation, hash, spec, references, .. } = attempt;
        let before = self.report.config.take();
        let same = before
            .as_ref()
            .filter(|it| it.uid == *uid && it.generation == *generation && it.state == state);
        let restarts = self.in_force.as_ref().filter(|_| self.runs(attempt));
        self.report.config = Some(ConfigReport {
            uid: uid.clone(),
            generation: *generation,
            config_hash: hash.clone(),
            state,
            since: same.map_or_else(Timestamp::now, |it| it.since),
            spec: spec.clone(),
            references: references.clone(),
            restarts: restarts.map(|it| it.restarts.clone()).unwrap_or_default(),
            exporters: before.map(|config| config.exporters).unwrap_or_default(),
        });
        self.publish();
    }

    /// Publishes the report with the health of the sinks that run now.
    fn publish(&mut self) {
        let health = self.health.borrow_and_update().clone();
        if let Some(config) = &mut self.report.config {
            config.exporters =
                exporters(&self.pipeline.running(), &health, &config.exporters, Timestamp::now());
        }
        let encoded = self.report.encode();
        self.reports.send_if_modified(|before| {
            let changed = *before != encoded;
            *before = encoded;
            changed
        });
    }
}

fn remarks(findings: &[ViewFinding]) -> Vec<ViewRemark> {
    let remark = |finding: &ViewFinding| ViewRemark {
        view: finding.view().to_owned(),
        refuses: finding.refuses(),
        message: finding.to_string(),
    };
    findings.iter().map(remark).collect()
}

fn restarts(resets: &[StreamReset]) -> String {
    let each: Vec<_> =
        resets.iter().map(|reset| format!("{}, because {}", reset.name, reset.message)).collect();
    match &each[..] {
        [] => String::new(),
        each => format!("started again from zero with this generation: {}", each.join("; ")),
    }
}

/// An error with what caused it: the cause is what a person can mend.
fn described(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests;
