//! What goes on: everything that happens is taken in, and jobs are given out and done.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use pharos_cluster::Readiness;
use pharos_cluster::discovery::{Resource, Resources};
use pharos_cluster::metadata::Told;
use pharos_instruments::{ReportFate, ScanProgress};
use pharos_policy::{CompiledPolicy, GroupVersionResource};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;

use super::sweeps::Sweeps;
use super::{BackgroundScan, Inputs, Options, Outputs};
use crate::edge::{Done, Edge, Heard, watch_objects};
use crate::judge::{Judge, Namespaces};
use crate::known::{KindInGroup, TargetId};
use crate::namespaces;
use crate::pace::Pace;
use crate::record::Facts;
use crate::scan::{Counts, Job, Read, Scan, Written};
use crate::share::Share;
use crate::snapshot::Snapshot;
use crate::target::{Concern, Patience, Plan, concerned};

/// How often is looked for reports without an object, and told how far the scan is.
const LOOK_PERIOD: Duration = Duration::from_secs(10);
/// How long a target is left alone when who serves its objects fails.
const REST: Duration = Duration::from_secs(5);
/// How many objects are tried again at a look, and how many at most where that goes well.
const TRIED_AGAIN: RangeInclusive<usize> = 64..=16 << 10;
/// How much of what is heard is taken in before jobs are given out again.
const AT_ONCE: usize = 256;

/// One scan that goes on.
pub(super) struct Turn {
    client: Client,
    edge: Edge,
    facts: Arc<dyn Facts>,
    options: Options,
    hear: mpsc::Sender<Heard>,
    scan: Scan,
    watches: HashMap<TargetId, AbortOnDropHandle<()>>,
    snapshot: Arc<Snapshot>,
    resources: Option<Arc<Resources>>,
    served: Option<HashSet<KindInGroup>>,
    namespaces: Namespaces,
    plan: Plan,
    patience: Patience,
    looked: Timestamp,
    /// What was done until the last look.
    counted: Counts,
    /// How many objects are tried again at the next look.
    try_again: usize,
    jobs: JoinSet<Done>,
    sweeps: Sweeps,
    pace: Pace,
}

// === impl Turn ===

impl Turn {
    pub(super) fn new(of: &BackgroundScan, hear: mpsc::Sender<Heard>) -> Self {
        let options = of.options.clone();
        // Until the Leases are known nobody lives, and nothing is anybody's.
        let share = Share::of(&options.replica, Vec::<String>::new());
        Self {
            client: of.client.clone(),
            edge: Edge::new(of.client.clone(), of.instruments.clone()),
            facts: Arc::new(of.instruments.clone()),
            hear,
            scan: Scan::new(options.keeping, share),
            watches: HashMap::new(),
            snapshot: Arc::default(),
            resources: None,
            served: None,
            namespaces: Namespaces::default(),
            plan: Plan::default(),
            patience: Patience::default(),
            looked: Timestamp::now(),
            counted: Counts::default(),
            try_again: *TRIED_AGAIN.start(),
            jobs: JoinSet::new(),
            sweeps: Sweeps::new(of.instruments.clone()),
            pace: Pace::starting(Instant::now()),
            options,
        }
    }

    /// Goes on for as long as it is polled.
    pub(super) async fn run(mut self, mut inputs: Inputs, outputs: Outputs) {
        let period = self.options.interval;
        let mut everything = interval_at(Instant::now() + period, period);
        everything.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = interval_at(Instant::now() + LOOK_PERIOD, LOOK_PERIOD);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.give_out();
            tokio::select! {
                heard = inputs.heard.recv() => match heard {
                    Some(heard) => {
                        self.hear(heard);
                        (1..AT_ONCE).map_while(|_| inputs.heard.try_recv().ok())
                            .for_each(|heard| self.hear(heard));
                    }
                    None => return,
                },
                Some(done) = self.jobs.join_next() => match done {
                    Ok(done) => self.done(done),
                    Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
                    Err(_) => return,
                },
                Ok(()) = inputs.policies.changed() => {
                    let policies = inputs.policies.borrow_and_update().clone();
                    if let Some(policies) = policies {
                        self.take_policies(Snapshot::of(&policies));
                        outputs.readiness.send_if_modified(|ready| {
                            std::mem::replace(ready, Readiness::Ready) != Readiness::Ready
                        });
                    }
                }
                Ok(()) = inputs.resources.changed() => {
                    self.resources = inputs.resources.borrow_and_update().clone();
                    self.served = self.resources.as_deref().map(kinds);
                    self.plan();
                }
                Ok(()) = inputs.namespaces.changed() => {
                    let namespaces = inputs.namespaces.borrow_and_update().clone();
                    self.take_namespaces(namespaces);
                }
                Ok(()) = inputs.living.changed() => {
                    let living = inputs.living.borrow_and_update().clone();
                    self.scan.set_share(Share::of(&self.options.replica, living));
                }
                _ = everything.tick() => self.scan.concern_all(),
                _ = look.tick() => {
                    self.look();
                    outputs.status.send_replace(self.scan.status().encoded());
                }
            }
        }
    }

    fn give_out(&mut self) {
        while let Some(job) = self.scan.next() {
            let judge = Judge {
                policies: Arc::clone(&self.snapshot),
                namespaces: Arc::clone(&self.namespaces),
                keeping: self.options.keeping,
                facts: Arc::clone(&self.facts),
            };
            let sweep = match &job {
                Job::Page(page) => Some(self.sweeps.of(page)),
                _ => None,
            };
            self.jobs.spawn(self.edge.clone().run(job, judge, sweep));
        }
    }

    fn done(&mut self, done: Done) {
        let failed = match &done {
            Done::Page(_, read) | Done::Object(_, read) => matches!(read, Read::Failed(_)),
            Done::Report(_, written) => matches!(written, Written::Failed | Written::Refused),
            Done::Rested(_) => false,
        };
        if failed {
            self.facts.requeued();
        }
        if let Done::Report(..) = &done {
            self.facts.report(if failed { ReportFate::Dropped } else { ReportFate::Kept });
        }
        let rest = match done {
            Done::Page(page, read) => {
                if let Read::Judged { objects, .. } = &read {
                    self.sweeps.judged(&page, objects.len());
                }
                let rest = self.scan.page_read(&page, read);
                self.sweeps.look(&self.scan);
                rest
            }
            Done::Object(single, read) => self.scan.object_read(&single, read),
            Done::Report(uid, written) => {
                self.scan.written(uid, written);
                None
            }
            Done::Rested(rest) => {
                self.scan.rested(rest);
                None
            }
        };
        if let Some(rest) = rest {
            self.jobs.spawn(async move {
                tokio::time::sleep(REST).await;
                Done::Rested(rest)
            });
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Objects(id, told) => match told {
                Told::Listed(all) => {
                    self.scan.listed(id, all.into_iter().filter_map(|it| it.0).collect());
                }
                Told::Applied(object) => object.0.iter().for_each(|it| self.scan.applied(id, it)),
                Told::Deleted(object) => {
                    object.0.iter().for_each(|it| self.scan.deleted(id, it.uid));
                }
                Told::Trouble(trouble) => self.scan.unlisted(id, trouble),
            },
            Heard::Reports(kind, told) => match told {
                Told::Listed(all) => {
                    let all = all.into_iter().filter_map(|it| it.0).collect();
                    self.scan.reports_listed(kind, all);
                }
                Told::Applied(report) => {
                    report.0.iter().for_each(|it| self.scan.report_applied(it));
                }
                Told::Deleted(report) => {
                    report.0.iter().for_each(|it| self.scan.report_deleted(it.uid));
                }
                Told::Trouble(trouble) => self.scan.reports_unlisted(kind, trouble),
            },
        }
    }

    fn take_policies(&mut self, snapshot: Snapshot) {
        let next = Arc::new(snapshot.after(&self.snapshot));
        let before = std::mem::replace(&mut self.snapshot, next);
        let now = Arc::clone(&self.snapshot);
        if now.standing.has_lost_some(&before.standing) || !self.scan.knows_policies() {
            self.scan.tidy_all();
        }
        self.concern(&now.changed(&before));
        self.plan();
    }

    /// What these policies are about has to be judged again.
    fn concern(&mut self, changed: &[&CompiledPolicy]) {
        let concern = |(id, target): (_, &Arc<_>)| (id, concerned(target, changed.iter().copied()));
        let concerns: Vec<(TargetId, Concern)> = self.scan.targets().map(concern).collect();
        concerns.into_iter().for_each(|(id, concern)| self.scan.concern(id, concern));
    }

    /// What time alone has changed.
    fn look(&mut self) {
        let since = std::mem::replace(&mut self.looked, Timestamp::now());
        let snapshot = Arc::clone(&self.snapshot);
        self.concern(&snapshot.expired(since, self.looked));
        if self.patience.is_tried() {
            self.plan();
        }
        if let (Some(served), true) = (&self.served, self.scan.knows_policies()) {
            self.scan.look_for_orphans(served);
        }
        self.sweeps.look(&self.scan);
        let counts = self.scan.counts();
        let before = std::mem::replace(&mut self.counted, counts);
        let wanted = if counts.failed == before.failed { self.try_again * 4 } else { 0 };
        self.try_again = wanted.clamp(*TRIED_AGAIN.start(), *TRIED_AGAIN.end());
        self.scan.try_again(self.try_again);
        if before.contested < counts.contested {
            tracing::warn!(
                contested = counts.contested,
                "somebody else writes the same reports; let one engine keep them, by --reports=None"
            );
        }
        let progress = self.scan.progress();
        self.facts.progress(ScanProgress {
            objects: progress.objects as u64,
            left: progress.stale as u64,
            waiting: progress.waiting as u64,
            unread: progress.unread as u64,
        });
        self.pace.tell(progress, counts, Instant::now());
    }

    /// What is scanned, by the policies and what is served now.
    fn plan(&mut self) {
        let Some(resources) = &self.resources else { return };
        let mut plan = Plan::of(&self.snapshot.set, resources);
        self.patience.keep(&mut plan, &self.plan, &self.snapshot.set, Instant::now());
        if plan == self.plan {
            return;
        }
        for unasked in plan.unasked.iter().filter(|it| !self.plan.unasked.contains(it)) {
            let (policy, target) = (&unasked.policy, &unasked.target);
            tracing::warn!(%policy, %target, "is read in a version that the policy does not name");
        }
        let watches = self.scan.set_targets(&plan.targets);
        self.plan = plan;
        for id in watches.end {
            self.watches.remove(&id);
        }
        for (id, target) in watches.begin {
            tracing::info!(%target, "background policies are about it");
            let (client, hear) = (self.client.clone(), self.hear.clone());
            let watching =
                tokio::spawn(async move { watch_objects(client, id, &target, hear).await });
            self.watches.insert(id, AbortOnDropHandle::new(watching));
        }
    }

    /// What is in a namespace that changed has to be judged again where a policy looks at it.
    fn take_namespaces(&mut self, namespaces: Namespaces) {
        let before = std::mem::replace(&mut self.namespaces, namespaces);
        let changed = namespaces::changed(&before, &self.namespaces);
        if changed.is_empty() {
            return;
        }
        let needing = self.scan.targets().filter(|(_, target)| {
            let (group, version, resource) = (&target.group, &target.version, &target.resource);
            self.snapshot.set.needs_namespace(GroupVersionResource { group, version, resource })
        });
        let needing: Vec<TargetId> = needing.map(|(id, _)| id).collect();
        for id in needing {
            self.scan.concern(id, Concern::Namespaces(changed.clone()));
        }
    }
}

/// What the API server serves, in whichever version.
fn kinds(resources: &Resources) -> HashSet<KindInGroup> {
    let kind =
        |(group, _, _, described): (&str, _, _, &Resource)| KindInGroup::of(&described.kind, group);
    resources.iter().map(kind).collect()
}
