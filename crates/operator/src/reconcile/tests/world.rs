//! A cluster, a pipeline and a core between them, all driven by one seed.

use fastrand::Rng;

use super::*;
use crate::resolve::{Resolved, resolve, resolve_keeping};

const SECRETS: [&str; 3] = ["s", "t", "certificate"];
/// Every key that is read of any of them.
const KEYS: [&str; 3] = ["value", "tls.crt", "tls.key"];

/// What the cluster holds, what the core was told of it, and what runs.
pub(super) struct World {
    random: Rng,
    pub(super) now: Timestamp,
    version: i64,
    pairs: [Pair; 2],
    objects: BTreeMap<Uid, Observed<TelemetryConfig>>,
    /// Views of before, which may come again.
    views: Vec<Objects>,
    secrets: BTreeMap<DataObject, Reading>,
    revisions: BTreeMap<Uid, Revision>,
    /// What was read of what is wanted: it may be old.
    read: References,
    pub(super) process: Process,
    /// How often something was committed, over all processes.
    pub(super) commits: usize,
}

/// One run of the process, and what it asked for.
pub(super) struct Process {
    pub(super) core: Reconciler,
    to_run: Option<Arc<Candidate>>,
    reads: Option<Uid>,
    retries: bool,
    pub(super) wanted: Wanted,
    pub(super) said: Option<Report>,
    /// The generations that ran, by object.
    ran: BTreeMap<Uid, i64>,
}

impl Process {
    fn new() -> Self {
        Self {
            core: reconciler(),
            to_run: None,
            reads: None,
            retries: false,
            wanted: Wanted::new(),
            said: None,
            ran: BTreeMap::new(),
        }
    }
}

impl World {
    pub(super) fn new(seed: u64, pairs: [Pair; 2], now: Timestamp) -> Self {
        let mut world = Self {
            random: Rng::with_seed(seed),
            now,
            version: 0,
            pairs,
            objects: BTreeMap::new(),
            views: Vec::new(),
            secrets: SECRETS.map(|name| (DataObject::secret(name), Reading::Missing)).into(),
            revisions: BTreeMap::new(),
            read: References::default(),
            process: Process::new(),
            commits: 0,
        };
        world.step(Event::Tick);
        world
    }

    /// Something happens in the cluster, in the pipeline, or on the way to the core.
    pub(super) fn disturb(&mut self) {
        match self.random.u8(0..21) {
            0..=3 => self.edit(),
            4 => self.create(),
            5 => self.delete(),
            6..=8 => self.touch_secret(),
            9..=11 => self.deliver_objects(),
            12..=13 => self.deliver_references(),
            14..=15 => self.pipeline_answers(),
            16 => self.revision_is_read(),
            17 if self.process.retries => self.retry(),
            18 => self.keep_revision(),
            19 => {
                self.now += Duration::from_secs(self.random.u64(0..1200));
                self.step(Event::Tick);
            }
            20 if self.random.u8(0..4) == 0 => self.restart(),
            _ => {}
        }
    }

    /// Everything is delivered and answered, until nothing is asked for any more.
    pub(super) fn settle(&mut self) {
        self.views = Vec::new();
        for _ in 0..100 {
            self.deliver_all();
            let process = &self.process;
            if process.to_run.is_none() && process.reads.is_none() && !process.retries {
                return;
            }
            self.commit();
            self.answer_revision();
            self.retry();
        }
        panic!("it goes on and on: {:?}", self.process.said);
    }

    /// What every event that tells nothing new brings about.
    pub(super) fn poke(&mut self) -> Vec<Action> {
        let process = &mut self.process;
        let events = [
            Event::Tick,
            Event::Objects(Arc::new(self.objects.clone())),
            Event::References(self.read.clone()),
            Event::Health(Health::default()),
            Event::RetryDue,
            Event::LastProgrammed("nobody".to_owned(), Err(Trouble::Forbidden)),
        ];
        events.into_iter().flat_map(|event| process.core.step(event, self.now)).collect()
    }

    /// What the spec is resolved to with what the cluster holds now.
    pub(super) fn resolved(&self, spec: &TelemetryConfigSpec) -> Option<Resolved> {
        let wanted = wanted_by(spec);
        let read = wanted.keys().map(|object| (object.clone(), self.secrets[object].clone()));
        resolve(spec, &references(read), self.now).ok()
    }

    /// The revision that a process may run instead of `generation`.
    pub(super) fn usable_revision(&self, uid: &str, generation: i64) -> Option<Config> {
        let revision = self.revisions.get(uid).filter(|it| it.generation < generation)?;
        let ran = self.process.ran.get(uid).copied().unwrap_or_default();
        let spec: TelemetryConfigSpec = serde_json::from_value(revision.spec.clone()).ok()?;
        (ran <= revision.generation).then(|| Some(self.resolved(&spec)?.config))?
    }

    pub(super) fn target(&self) -> Target {
        choose(&self.objects, &self.process.core.scopes, &self.process.core.components)
    }

    fn step(&mut self, event: Event) {
        for action in self.process.core.step(event, self.now) {
            match action {
                Action::Run(candidate) => self.process.to_run = Some(candidate),
                Action::Cancel => self.process.to_run = None,
                Action::Want(wanted) => {
                    // What was read stays, of what is wanted; the rest is not read yet.
                    let kept = wanted.keys().map(|it| (it.clone(), self.read.of(it).clone()));
                    self.read = references(kept);
                    self.process.wanted = wanted;
                }
                Action::ReadLastProgrammed(uid) => self.process.reads = Some(uid),
                Action::RetryIn(_) => self.process.retries = true,
                Action::Publish(report) => self.process.said = Some(*report),
            }
        }
        self.nothing_goes_back();
    }

    /// What runs could be resolved when it was, and is no older than what ran before.
    fn nothing_goes_back(&mut self) {
        let Candidate { config, source } = &self.process.core.running;
        let Some(source) = source else { return };
        let ran = self.process.ran.entry(source.uid.clone()).or_default();
        assert!(*ran <= source.generation, "{ran} went back to {}", source.generation);
        *ran = source.generation;
        let known = wanted_by(&source.spec);
        let remembered = known.keys().collect();
        let made = resolve_keeping(&source.spec, &source.references, &remembered, self.now);
        assert_eq!(made.map(|it| it.config).as_ref(), Ok(config), "it was never resolved");
    }

    fn commit(&mut self) {
        let Some(candidate) = self.process.to_run.take() else { return };
        self.commits += 1;
        let (restarts, health) = (String::new(), Health::default());
        self.step(Event::Committed { candidate, restarts, health });
    }

    fn pipeline_answers(&mut self) {
        if self.random.bool() {
            return self.commit();
        }
        let Some(candidate) = self.process.to_run.take() else { return };
        self.step(Event::Refused { candidate, message: "not now".to_owned() });
    }

    fn answer_revision(&mut self) {
        let Some(uid) = self.process.reads.take() else { return };
        let revision = self.revisions.get(&uid).cloned();
        self.step(Event::LastProgrammed(uid, Ok(revision)));
    }

    fn revision_is_read(&mut self) {
        if self.random.bool() {
            return self.answer_revision();
        }
        let Some(uid) = self.process.reads.take() else { return };
        self.step(Event::LastProgrammed(uid, Err(Trouble::Forbidden)));
    }

    fn retry(&mut self) {
        self.process.retries = false;
        self.step(Event::RetryDue);
    }

    /// The leader keeps what runs here.
    fn keep_revision(&mut self) {
        let Some(source) = &self.process.core.running.source else { return };
        let (uid, generation) = (source.uid.clone(), source.generation);
        if self.revisions.get(&uid).is_none_or(|it| it.generation < generation) {
            let spec = serde_json::to_value(&*source.spec).unwrap();
            self.revisions.insert(uid, Revision { generation, spec });
        }
    }

    fn restart(&mut self) {
        self.process = Process::new();
        self.read = References::default();
        self.step(Event::Tick);
    }

    /// The newest view, or an older one.
    fn deliver_objects(&mut self) {
        let newest = Arc::new(self.objects.clone());
        self.views.push(Arc::clone(&newest));
        let old = self.random.u8(0..4) == 0;
        let view =
            if old { self.views[self.random.usize(..self.views.len())].clone() } else { newest };
        self.step(Event::Objects(view));
    }

    /// Some of what is wanted is read anew.
    fn deliver_references(&mut self) {
        for object in self.process.wanted.clone().keys() {
            if self.random.bool() {
                let now = references([(object.clone(), self.secrets[object].clone())]);
                self.read = self.read.clone().with([object], &now);
            }
        }
        self.step(Event::References(self.read.clone()));
    }

    fn deliver_all(&mut self) {
        self.step(Event::Objects(Arc::new(self.objects.clone())));
        for _ in 0..10 {
            let read = self.process.wanted.keys().map(|it| (it.clone(), self.secrets[it].clone()));
            let read = references(read);
            if read == self.read {
                break;
            }
            self.read = read;
            self.step(Event::References(self.read.clone()));
        }
    }

    fn some_uid(&mut self) -> Option<Uid> {
        let uids: Vec<_> = self.objects.keys().cloned().collect();
        self.random.choice(uids)
    }

    fn spec(&mut self) -> Option<Value> {
        let port = self.random.u16(1..4);
        let mut spec = match self.random.u8(0..10) {
            0..=1 => pushed(port),
            2..=5 => with_token(port, SECRETS[self.random.usize(0..2)]),
            6..=7 => scraped("certificate"),
            8 => invalid(),
            _ => return None,
        };
        spec["components"] = match self.random.u8(0..6) {
            0..=2 => json!([]),
            3..=4 => json!(["Admission"]),
            _ => json!(["BackgroundScan"]),
        };
        Some(spec)
    }

    fn create(&mut self) {
        self.version += 1;
        if self.objects.len() < 3 {
            let (uid, spec) = (format!("u{}", self.version), self.spec());
            self.objects.insert(uid.clone(), observed(&uid, 1, spec));
        }
    }

    fn edit(&mut self) {
        let Some(uid) = self.some_uid() else { return self.create() };
        let (generation, spec) = (self.objects[&uid].generation() + 1, self.spec());
        self.objects.insert(uid.clone(), observed(&uid, generation, spec));
    }

    fn delete(&mut self) {
        if let Some(uid) = self.some_uid() {
            self.objects.remove(&uid);
            self.revisions.remove(&uid);
        }
    }

    fn touch_secret(&mut self) {
        self.version += 1;
        let name = SECRETS[self.random.usize(0..3)];
        let version = self.version.to_string();
        let (object, found) = match name {
            "certificate" => certificate(name, &version, &self.pairs[self.random.usize(0..2)]),
            _ => token(name, &version, ["one", "two", "\u{e4}"][self.random.usize(0..3)]),
        };
        let reading = match self.random.u8(0..6) {
            0 => Reading::Missing,
            1 => Reading::Forbidden,
            2 => Reading::Found(Found::new(name, version, KEYS.map(|key| (key.to_owned(), None)))),
            _ => found,
        };
        self.secrets.insert(object, reading);
    }
}
