use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{Answer, Asked, client};

/// An API server that holds one Lease.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    writes: usize,
    mood: Mood,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Fine,
    /// Answers nothing, not even reads.
    Silent,
    Refusing(u16),
    /// Takes writes in, and answers them after this.
    Late(Duration),
    /// Somebody else is always quicker.
    Contended,
}

struct Running {
    leadership: watch::Receiver<Leadership>,
    shutdown: CancellationToken,
    election: JoinHandle<()>,
}

impl Server {
    fn set(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    /// Somebody else becomes the holder.
    fn taken_by(&self, holder: &str) {
        let mut state = self.0.lock().unwrap();
        state.store(json!({
            "metadata": {"name": "leader"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "1970-01-01T00:00:00.000000Z"},
        }));
    }

    fn holder(&self) -> Option<String> {
        let state = self.0.lock().unwrap();
        let holder = state.lease.as_ref().unwrap()["spec"]["holderIdentity"].as_str();
        holder.filter(|it| !it.is_empty()).map(ToOwned::to_owned)
    }

    fn run(&self) -> Running {
        let server = self.clone();
        let client = client(move |asked| server.clone().answer(asked));
        let election = Election::new(client, "ns", "leader", "me");
        let (role, leadership) = watch::channel(Leadership::Follower);
        let shutdown = CancellationToken::new();
        let election = tokio::spawn(election.run(role, shutdown.clone()));
        Running { leadership, shutdown, election }
    }

    async fn answer(self, asked: Asked) -> Answer {
        let reads = asked.method == Method::GET;
        let mood = self.0.lock().unwrap().mood;
        match mood {
            Mood::Silent => return Answer::Silence,
            Mood::Refusing(code) => return Answer::Refused(code),
            Mood::Contended if !reads => return Answer::Refused(409),
            Mood::Fine | Mood::Late(_) | Mood::Contended => {}
        }
        let answer = self.0.lock().unwrap().take(asked);
        if let (Mood::Late(delay), false) = (mood, reads) {
            tokio::time::sleep(delay).await;
        }
        answer
    }
}

impl State {
    fn store(&mut self, mut lease: Value) {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.lease = Some(lease);
    }

    fn take(&mut self, asked: Asked) -> Answer {
        let current = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match asked.method {
            Method::GET => {}
            Method::POST if current.is_some() => return Answer::Refused(409),
            Method::PUT if current.as_ref() != Some(&asked.body["metadata"]["resourceVersion"]) => {
                return Answer::Refused(409);
            }
            _ => {
                self.writes += 1;
                self.store(asked.body);
            }
        }
        self.lease.clone().map_or(Answer::Refused(404), Answer::Object)
    }
}

impl Running {
    async fn becomes(&mut self, expected: impl Fn(Leadership) -> bool) -> Leadership {
        let becoming = self.leadership.wait_for(|now| expected(*now));
        *tokio::time::timeout(Duration::from_secs(60), becoming).await.unwrap().unwrap()
    }

    async fn leads(&mut self) -> Leadership {
        self.becomes(Leadership::holds).await
    }

    async fn follows(&mut self) {
        self.becomes(|now| now == Leadership::Follower).await;
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_at_once() {
    let server = Server::default();
    let mut running = server.run();
    let start = Instant::now();
    running.leads().await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(server.holder().as_deref(), Some("me"));
}

#[tokio::test(start_paused = true)]
async fn a_held_lease_is_taken_when_it_lapsed_on_our_clock() {
    let server = Server::default();
    server.taken_by("other");
    let mut running = server.run();
    let start = Instant::now();
    seconds(10).await;
    server.taken_by("other");
    running.leads().await;
    let waited = start.elapsed().as_secs();
    assert!((25..=29).contains(&waited), "{waited} s, although its renewTime is of 1970");
}

#[tokio::test(start_paused = true)]
async fn renewals_move_the_term_and_wake_nobody() {
    let server = Server::default();
    let mut running = server.run();
    running.leads().await;
    running.leadership.borrow_and_update();
    seconds(60).await;
    assert!(!running.leadership.has_changed().unwrap());
    assert!(running.leadership.borrow().holds());
    let writes = server.0.lock().unwrap().writes;
    assert!((30..=32).contains(&writes), "{writes} in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_steps_down_after_ten_seconds() {
    for mood in [Mood::Silent, Mood::Refusing(500), Mood::Refusing(429), Mood::Refusing(403)] {
        let server = Server::default();
        let mut running = server.run();
        let start = Instant::now();
        running.leads().await;
        server.set(mood);
        running.follows().await;
        assert_eq!(start.elapsed().as_secs(), 10);
        assert_eq!(server.holder().as_deref(), Some("me"), "others wait for 15 s");

        server.set(Mood::Fine);
        running.leads().await;
        assert!(start.elapsed() < Duration::from_secs(15), "and it may lead again at once");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_slower_follows() {
    let server = Server::default();
    server.set(Mood::Contended);
    let running = server.run();
    seconds(30).await;
    assert_eq!(*running.leadership.borrow(), Leadership::Follower);

    let mut running = Server::default().run();
    running.leads().await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_follows_at_its_next_look() {
    let server = Server::default();
    let mut running = server.run();
    running.leads().await;
    let start = Instant::now();
    server.taken_by("other");
    running.follows().await;
    assert!(start.elapsed() <= RETRY_PERIOD);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_ends_gives_its_lease_up() {
    let server = Server::default();
    let mut running = server.run();
    running.leads().await;
    running.shutdown.cancel();
    running.election.await.unwrap();
    assert_eq!(*running.leadership.borrow(), Leadership::Follower);
    assert_eq!(server.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_before_it_knows_that_it_leads_gives_the_lease_up_too() {
    let server = Server::default();
    server.set(Mood::Late(Duration::from_secs(1)));
    let running = server.run();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.holder().as_deref(), Some("me"));
    server.set(Mood::Fine);
    running.shutdown.cancel();
    running.election.await.unwrap();
    assert_eq!(server.holder(), None);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_delays_no_end() {
    let server = Server::default();
    let mut running = server.run();
    running.leads().await;
    server.set(Mood::Silent);
    let start = Instant::now();
    running.shutdown.cancel();
    running.election.await.unwrap();
    assert!(start.elapsed() <= FAREWELL_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_term_begins_when_its_renewal_was_begun_not_when_it_was_answered() {
    let server = Server::default();
    server.set(Mood::Late(Duration::from_millis(1500)));
    let mut running = server.run();
    let start = Instant::now();
    let leadership = running.leads().await;
    assert_eq!(start.elapsed().as_millis(), 1500);
    assert_eq!(leadership, Leadership::since(start));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_answered_too_late_counts_when_it_is_read() {
    let server = Server::default();
    server.set(Mood::Late(Duration::from_secs(3)));
    let mut running = server.run();
    let start = Instant::now();
    seconds(3).await;
    assert_eq!(*running.leadership.borrow(), Leadership::Follower, "no answer in time");
    assert_eq!(server.holder().as_deref(), Some("me"));
    server.set(Mood::Fine);
    running.leads().await;
    assert!(start.elapsed() < Duration::from_secs(5), "nobody waits for a Lease of their own");
}

#[tokio::test(start_paused = true)]
async fn one_that_was_stopped_does_not_lead_before_it_renewed() {
    let server = Server::default();
    let mut running = server.run();
    let before = running.leads().await;
    // As after SIGSTOP and SIGCONT: nothing ran meanwhile, and the clock moved on.
    server.taken_by("other");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(!before.holds() && !running.leadership.borrow().holds());
    seconds(10).await;
    assert_eq!(*running.leadership.borrow(), Leadership::Follower);
    assert_eq!(server.holder().as_deref(), Some("other"));
}

#[tokio::test(start_paused = true)]
async fn one_that_was_stopped_and_not_followed_leads_again_and_whoever_waits_is_woken() {
    let server = Server::default();
    let mut running = server.run();
    running.leads().await;
    running.leadership.borrow_and_update();
    tokio::time::advance(Duration::from_secs(60)).await;
    running.leadership.changed().await.unwrap();
    running.leads().await;
}
