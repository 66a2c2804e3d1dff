//! What follows on what, event by event.

use super::*;

/// A core, and the last that it asked for and said.
struct Process {
    core: Reconciler,
    now: Timestamp,
    to_run: Option<Arc<Candidate>>,
    wanted: Wanted,
    said: Option<ConfigReport>,
}

impl Process {
    /// One that runs the defaults.
    fn start() -> Self {
        let now = Timestamp::now();
        let (to_run, wanted, said) = (None, Wanted::new(), None);
        let mut process = Self { core: reconciler(), now, to_run, wanted, said };
        process.step(Event::Tick);
        process.commit();
        process
    }

    /// The actions but for what is published and wanted.
    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut others = Vec::new();
        for action in self.core.step(event, self.now) {
            match action {
                Action::Run(candidate) => self.to_run = Some(candidate),
                Action::Cancel => self.to_run = None,
                Action::Want(wanted) => self.wanted = wanted,
                Action::Publish(report) => self.said = report.config,
                other => others.push(other),
            }
        }
        others
    }

    fn objects(&mut self, all: impl IntoIterator<Item = Observed<TelemetryConfig>>) -> Vec<Action> {
        self.step(Event::Objects(objects(all)))
    }

    fn read(&mut self, read: impl IntoIterator<Item = (DataObject, Reading)>) -> Vec<Action> {
        self.step(Event::References(references(read)))
    }

    /// Lets the pipeline do what it was told to.
    fn commit(&mut self) -> Config {
        let candidate = self.to_run.take().expect("something is to run");
        let config = candidate.config.clone();
        let (restarts, health) = (String::new(), Health::default());
        self.step(Event::Committed { candidate, restarts, health });
        assert_eq!(self.to_run, None, "what was committed runs");
        config
    }

    fn refuse(&mut self) -> Vec<Action> {
        let candidate = self.to_run.take().expect("something is to run");
        self.step(Event::Refused { candidate, message: "no".to_owned() })
    }

    fn config(&self) -> &ConfigReport {
        self.said.as_ref().expect("an object is reported")
    }

    /// What runs instead, if the object failed.
    fn instead(&self) -> Option<Running> {
        match self.config().state {
            State::Failed { running, .. } => Some(running),
            State::Applying | State::Programmed => None,
        }
    }
}

fn revision(generation: i64, spec: Value) -> Result<Option<Revision>, Trouble> {
    Ok(Some(Revision { generation, spec }))
}

fn reads(uid: &str) -> Vec<Action> {
    vec![Action::ReadLastProgrammed(uid.to_owned())]
}

#[test]
fn an_older_generation_is_not_looked_at_but_another_object_is() {
    let mut process = Process::start();
    process.objects([observed("u", 5, Some(pushed(5)))]);
    let five = process.commit();
    for older in [4, 1] {
        process.objects([observed("u", older, Some(pushed(1)))]);
        assert_eq!(process.to_run, None, "generation {older} is older");
    }
    // A view from before it was deleted, after the one in which it was.
    process.objects([]);
    process.commit();
    process.objects([observed("u", 4, Some(pushed(4)))]);
    assert_eq!((&process.to_run, &process.said), (&None, &None));

    process.objects([observed("v", 1, Some(pushed(1)))]);
    assert_ne!(process.commit(), five);
    assert_eq!(process.config().uid, "v");
}

#[test]
fn what_runs_follows_its_references_while_the_target_is_refused() {
    let mut process = Process::start();
    process.objects([observed("u", 1, Some(with_token(1, "mine")))]);
    process.read([token("mine", "1", "one")]);
    let one = process.commit();

    process.objects([observed("u", 2, Some(with_token(2, "other")))]);
    let both = [DataObject::secret("mine"), DataObject::secret("other")];
    assert!(both.iter().all(|object| process.wanted.contains_key(object)), "{:?}", process.wanted);
    process.read([token("mine", "2", "two"), (both[1].clone(), Reading::Missing)]);
    assert_eq!(process.instead(), Some(Running::PreviousConfig));
    assert_ne!(process.commit(), one, "it was rotated");
    assert_eq!(process.instead(), Some(Running::PreviousConfig));

    process.read([token("mine", "2", "two"), token("other", "1", "x")]);
    process.commit();
    assert_eq!(process.config().state, State::Programmed);
    assert_eq!(process.wanted.keys().collect::<Vec<_>>(), [&both[1]]);
}

#[test]
fn onto_a_bad_object_the_last_programmed_revision_is_read_and_runs() {
    let mut process = Process::start();
    assert_eq!(process.objects([observed("u", 7, Some(invalid()))]), reads("u"));
    assert_eq!(process.config().state, State::Applying, "no flash of the defaults");

    let before = revision(6, with_token(6, "mine"));
    process.step(Event::LastProgrammed("u".to_owned(), before));
    assert_eq!(process.config().state, State::Applying, "its Secret is not read yet");
    process.read([token("mine", "1", "one")]);
    process.commit();
    assert_eq!(process.instead(), Some(Running::PreviousConfig));
    assert_eq!(process.config().generation, 7);

    process.objects([observed("u", 8, Some(pushed(8)))]);
    process.commit();
    assert_eq!(process.config().state, State::Programmed);
    // What is known of generation 6 is not dug out any more.
    assert_eq!(process.objects([observed("u", 9, None)]), []);
    assert_eq!(process.instead(), Some(Running::PreviousConfig));
}

#[test]
fn a_revision_that_is_no_use_leaves_the_defaults() {
    for (answer, said) in [
        (Ok(None), ""),
        (revision(7, pushed(7)), ""),
        (revision(6, json!({"metrics": 6})), "is no spec"),
        (revision(6, invalid()), "generation 6, which ran before, cannot be programmed either"),
    ] {
        let mut process = Process::start();
        process.objects([observed("u", 7, Some(invalid()))]);
        assert_eq!(process.step(Event::LastProgrammed("u".to_owned(), answer)), []);
        assert_eq!(process.instead(), Some(Running::Defaults));
        assert_eq!(process.to_run, None);
        let state = format!("{:?}", process.config().state);
        assert!(state.contains(said), "{state}");
    }
}

#[test]
fn a_revision_that_asks_for_the_defaults_is_in_force_at_once() {
    let mut process = Process::start();
    process.objects([observed("u", 7, Some(invalid()))]);
    let defaults = revision(6, json!({"traces": {"mode": "Disabled"}}));
    process.step(Event::LastProgrammed("u".to_owned(), defaults));
    assert_eq!((&process.to_run, process.instead()), (&None, Some(Running::PreviousConfig)));
}

#[test]
fn the_defaults_run_until_anything_else_can() {
    let mut process = Process { core: reconciler(), ..Process::start() };
    process.step(Event::Tick);
    // What was to run is cancelled by nothing that could run in its place.
    process.objects([observed("u", 1, Some(with_token(1, "s")))]);
    assert_eq!(process.commit(), Config::prometheus());
}

#[test]
fn a_revision_that_cannot_be_read_is_asked_for_again_and_again() {
    let mut process = Process::start();
    process.objects([observed("u", 7, Some(invalid()))]);
    for delay in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
        let refused = Event::LastProgrammed("u".to_owned(), Err(Trouble::Forbidden));
        let delay = Duration::from_millis(delay);
        assert_eq!(process.step(refused), [Action::RetryIn(delay)]);
        assert_eq!(process.instead(), Some(Running::Defaults));
        let since = process.config().since;
        process.now += Duration::from_secs(1);
        assert_eq!(process.step(Event::RetryDue), reads("u"));
        assert_eq!(process.config().since, since, "nothing happened");
    }
    process.step(Event::LastProgrammed("u".to_owned(), revision(6, pushed(6))));
    process.commit();
    assert_eq!(process.instead(), Some(Running::PreviousConfig));
}

#[test]
fn what_the_pipeline_refused_is_tried_again_and_says_nothing_new_meanwhile() {
    let mut process = Process::start();
    process.objects([observed("u", 1, Some(pushed(1)))]);
    process.commit();
    process.objects([observed("u", 2, Some(pushed(2)))]);
    assert_eq!(process.config().state, State::Applying);
    for delay in [500, 1000, 2000] {
        assert_eq!(process.refuse(), [Action::RetryIn(Duration::from_millis(delay))]);
        assert_eq!(process.instead(), Some(Running::PreviousConfig));
        assert_eq!(process.step(Event::Tick), []);
        assert_eq!(process.to_run, None, "it is not time yet");
        process.step(Event::RetryDue);
        assert_eq!(process.instead(), Some(Running::PreviousConfig));
    }
    process.commit();
    assert_eq!(process.config().state, State::Programmed);
}

#[test]
fn without_anything_in_force_what_the_pipeline_refuses_is_a_reason_for_the_revision_too() {
    let mut process = Process::start();
    process.objects([observed("u", 2, Some(pushed(2)))]);
    let asked = process.refuse();
    assert!(asked.contains(&Action::ReadLastProgrammed("u".to_owned())), "{asked:?}");
    assert_eq!(process.config().state, State::Applying);
    process.step(Event::LastProgrammed("u".to_owned(), revision(1, pushed(1))));
    process.commit();
    assert_eq!(process.instead(), Some(Running::PreviousConfig));
    process.step(Event::RetryDue);
    process.commit();
    assert_eq!(process.config().state, State::Programmed);
}

#[test]
fn a_newer_observation_cancels_what_is_not_committed_yet() {
    let mut process = Process::start();
    process.objects([observed("u", 1, Some(pushed(1)))]);
    let one = process.to_run.clone();
    process.objects([observed("u", 2, Some(pushed(2)))]);
    assert!(process.to_run.is_some() && process.to_run != one);
    process.objects([observed("u", 3, Some(with_token(3, "s")))]);
    assert_eq!(process.to_run, None, "generation 3 waits for a Secret");
}

#[test]
fn the_next_object_is_promoted_and_what_ran_runs_until_then() {
    let mut process = Process::start();
    let second = || observed("b", 1, Some(with_token(2, "s")));
    process.objects([observed("a", 1, Some(pushed(1))), second()]);
    let first = process.commit();
    process.objects([second()]);
    assert_eq!(process.core.running.config, first);
    assert_eq!(process.config().uid, "b");
    process.read([token("s", "1", "x")]);
    process.commit();
    process.objects([]);
    assert_eq!(process.config().uid, "b", "until the defaults run");
    assert_eq!(process.commit(), Config::prometheus());
    assert_eq!((&process.said, process.wanted.len()), (&None, 0));
}

#[test]
fn metadata_alone_changes_the_hash_and_nothing_else() {
    let mut process = Process::start();
    let pair = pair(DAY * 90);
    process.objects([observed("u", 1, Some(scraped("c")))]);
    process.read([certificate("c", "1", &pair)]);
    process.commit();
    let before = process.config().clone();
    assert_eq!(before.references.certificates[0].version, "1");

    process.read([certificate("c", "2", &pair)]);
    assert_eq!(process.to_run, None, "there is nothing to reload");
    let after = process.config();
    assert_ne!(after.config_hash, before.config_hash);
    assert_eq!(after.references, before.references);

    let renewed = self::pair(DAY * 120);
    process.read([certificate("c", "3", &renewed)]);
    process.commit();
    let certificates = &process.config().references.certificates;
    assert_eq!((certificates.len(), certificates[0].version.as_str()), (1, "3"));
}

#[test]
fn an_authority_that_expires_is_trusted_no_longer_though_nobody_edits_anything() {
    let mut spec = pushed(1);
    let otlp = &mut spec["exporters"][0]["otlp"];
    otlp["endpoint"] = json!("https://127.0.0.1:1");
    otlp["tls"] = json!({"caRef": {"name": "trusted"}});
    let both = pair(DAY).certificate_pem + &pair(DAY * 90).certificate_pem;
    let values = [("ca.crt".to_owned(), Some(both.into_bytes().into()))];
    let read = (DataObject::config_map("trusted"), Reading::Found(Found::new("c", "1", values)));

    let mut process = Process::start();
    process.objects([observed("u", 1, Some(spec))]);
    process.read([read]);
    let both = process.commit();
    let (state, first) = (&process.config().state, process.config().references.clone());
    assert_eq!((state, first.reason.as_str()), (&State::Programmed, "ResolvedRefs"));
    assert_eq!((process.step(Event::Tick), &process.to_run), (vec![], &None));

    process.now += DAY * 2;
    process.step(Event::Tick);
    assert_ne!(process.commit(), both);
    let references = &process.config().references;
    assert_eq!(references.reason, "ResolvedRefs");
    assert!(references.next_certificate_expiry > first.next_certificate_expiry);
    assert_eq!((process.step(Event::Tick), &process.to_run), (vec![], &None));
}
