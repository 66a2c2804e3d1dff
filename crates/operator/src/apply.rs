//! What this process should run, and the steps that bring it about.
//!
//! [`choose`] is pure: objects to [`Target`]. [`Applier::run`] drives the pipeline there, one
//! target at a time; a newer target cancels a `prepare` that is under way, and a target that is
//! refused changes nothing that runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use pharos_api::telemetryconfig::{Component, TelemetryConfig};
use pharos_cluster::view::{Observed, Uid, View};
use pharos_telemetry::config::{Config, MetricSink};
use pharos_telemetry::{Health, Pipeline, Reloader, Signal, SinkHealth, SinkId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::report::{
    ConfigReport, ExporterHealth, ExporterReport, Report, Running, State, config_hash,
};
use crate::resolve::{Problems, resolve};
use crate::select::{Scopes, select};

/// How long a removed sink may take for its last export.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// What a process should run.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// No object wins: the command line's defaults.
    Defaults,
    /// The object that wins, whatever it is worth.
    Object {
        /// Its uid.
        uid: Uid,
        /// Its name, for logs.
        name: String,
        /// The generation of its spec.
        generation: i64,
        /// What it asks for.
        resolved: Result<Config, Problems>,
    },
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
    report: Report,
}

/// The object that a process running `components` obeys, resolved.
pub fn choose(
    objects: &BTreeMap<Uid, Observed<TelemetryConfig>>,
    scopes: &Scopes,
    components: &BTreeSet<Component>,
) -> Target {
    let winners = select(&scopes.candidates(objects));
    let Some(observed) = winners.for_process(components).and_then(|uid| objects.get(uid)) else {
        return Target::Defaults;
    };
    let resolved = match &observed.object {
        Ok(object) => resolve(&object.spec),
        Err(error) => Err(Problems::undecodable(error)),
    };
    Target::Object {
        uid: observed.uid().to_owned(),
        name: observed.name().to_owned(),
        generation: observed.generation(),
        resolved,
    }
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
            report,
        }
    }

    /// Runs until `shutdown`: the defaults at first, then what the objects ask for.
    pub(crate) async fn run(
        mut self,
        mut objects: watch::Receiver<View<TelemetryConfig>>,
        shutdown: CancellationToken,
    ) -> (Reloader, TaskTracker) {
        let mut target = Target::Defaults;
        let mut applied: Option<Target> = None;
        loop {
            if applied.as_ref() != Some(&target) {
                // What a cancelled attempt reported must not stay, even if the target is the old one.
                applied = None;
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    () = self.apply(&target) => applied = Some(target.clone()),
                    Ok(()) = objects.changed() => {}
                }
            } else {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    Ok(()) = objects.changed() => {}
                    Ok(()) = self.health.changed() => self.publish(),
                }
            }
            if let Some(objects) = objects.borrow_and_update().objects.clone() {
                self.scopes.update(&objects);
                target = choose(&objects, &self.scopes, &self.components);
            }
        }
        // They end with the last flush at the latest, which must not wait for them.
        self.drains.close();
        (self.reloader, self.drains)
    }

    /// Takes one target through prepare, commit and drain, and reports each state. Cancelled before
    /// the commit it has changed nothing; cancelled after it, the next attempt finds nothing to do.
    async fn apply(&mut self, target: &Target) {
        match target {
            Target::Defaults => {
                if let Err(message) = self.reload(self.defaults.clone(), Running::Defaults).await {
                    tracing::error!("cannot run the command line's defaults: {message}");
                    return;
                }
                self.report.config = None;
                self.publish();
                tracing::info!(
                    "running the command line's defaults: no TelemetryConfig is known that decides for this process"
                );
            }
            Target::Object { uid, name, generation, resolved } => {
                self.enter(uid, *generation, State::Applying);
                let outcome = match resolved {
                    Ok(config) => self.reload(config.clone(), Running::PreviousConfig).await,
                    Err(problems) => Err(problems.summary()),
                };
                match outcome {
                    Ok(()) => {
                        tracing::info!(telemetryconfig = name, generation, "programmed");
                        self.enter(uid, *generation, State::Programmed);
                    }
                    Err(message) => {
                        tracing::warn!(
                            telemetryconfig = name,
                            generation,
                            "refused, what ran before runs on: {message}"
                        );
                        let running = self.running;
                        self.enter(uid, *generation, State::Failed { running, message });
                    }
                }
            }
        }
    }

    /// Puts `wanted` in force; `running` is what a later refusal will say that runs instead.
    async fn reload(&mut self, wanted: Config, running: Running) -> Result<(), String> {
        let prepared = self.reloader.prepare(wanted).await.map_err(|error| error.to_string())?;
        let mut retired = prepared.commit();
        self.running = running;
        // Or the health of what ran before would be reported as that of what runs now.
        retired.in_force().await;
        self.drains.spawn(async move {
            let drained = retired.drain(DRAIN_DEADLINE).await;
            if drained.lost() > 0 {
                tracing::warn!(?drained, "a removed exporter did not take its last values");
            }
        });
        Ok(())
    }

    fn enter(&mut self, uid: &str, generation: i64, state: State) {
        self.report.config = Some(ConfigReport {
            uid: uid.to_owned(),
            generation,
            config_hash: config_hash(uid, generation),
            state,
            since: Timestamp::now(),
            exporters: self.report.config.take().map(|config| config.exporters).unwrap_or_default(),
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

/// The health of the sinks that run; what did not change since `before` keeps its time.
fn exporters(
    running: &Config,
    health: &Health,
    before: &[ExporterReport],
    now: Timestamp,
) -> Vec<ExporterReport> {
    running
        .metric_sinks()
        .map(|(name, sink)| {
            let id = SinkId::new(Signal::Metrics, name.clone());
            let health = match (sink, health.sinks.get(&id)) {
                (MetricSink::Prometheus(_), _) => ExporterHealth::Scraped,
                (MetricSink::Otlp(_), None | Some(SinkHealth::NotYetExported)) => {
                    ExporterHealth::NotYetExported
                }
                (MetricSink::Otlp(_), Some(SinkHealth::Healthy)) => ExporterHealth::Healthy,
                (MetricSink::Otlp(_), Some(SinkHealth::Failing { reason, message })) => {
                    let (reason, message) = (reason.as_str().to_owned(), message.clone());
                    ExporterHealth::Failing { reason, message }
                }
            };
            let same =
                |report: &&ExporterReport| report.name == name.as_str() && report.health == health;
            let since = before.iter().find(same).map_or(now, |report| report.since);
            ExporterReport { name: name.as_str().to_owned(), health, since }
        })
        .collect()
}

#[cfg(test)]
mod tests;
