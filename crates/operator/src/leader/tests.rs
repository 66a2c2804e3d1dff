//! The leader before an API server that answers as it is told to, on a clock that only waits move.

use std::sync::Arc;

use pharos_api::telemetryconfig::Component::Admission;
use serde_json::json;
use tokio::task::JoinHandle;

use super::*;
use crate::judge::tests::namespace::{Namespace as Scenery, about, prometheus};
use crate::report::{Report, State};
use api_server::{ApiServer, Kind};

mod api_server;

/// This replica, which leads, and the object `a`.
struct Stage {
    server: Arc<ApiServer>,
    leadership: watch::Sender<Leadership>,
    shutdown: CancellationToken,
    leading: JoinHandle<()>,
}

impl Stage {
    /// A leader whose own replica runs the object.
    fn set() -> Self {
        let scenery = Scenery::default().with("a", 1, prometheus());
        let report =
            Report { components: [Admission].into(), config: about("a", 1, State::Programmed) };
        let server = ApiServer::start(scenery.objects, &[("me", report)]);
        let (leadership, led) = watch::channel(Leadership::Follower);
        let shutdown = CancellationToken::new();
        let leader = Leader::new(server.client(), "ns", "me", server.objects());
        let leading = tokio::spawn(leader.run(led, shutdown.clone()));
        Self { server, leadership, shutdown, leading }
    }

    fn lead(&self) {
        self.lead_for(3600);
    }

    fn lead_for(&self, seconds: u64) {
        let until = Instant::now() + Duration::from_secs(seconds);
        self.leadership.send_replace(Leadership::Leader { until });
    }

    /// Virtual time goes by, in which replicas renew their Leases.
    async fn pass(&self, seconds: u64) {
        for second in 0..seconds {
            if second % 10 == 9 {
                self.server.renew();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn end(self) -> Arc<ApiServer> {
        self.shutdown.cancel();
        self.leading.await.unwrap();
        self.server
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_written_once() {
    let stage = Stage::set();
    stage.pass(5).await;
    assert_eq!(stage.server.count(Kind::Status), 0, "a follower writes nothing");
    stage.lead();
    stage.pass(30).await;
    let server = stage.end().await;
    assert_eq!(server.count(Kind::Status), 1);
    assert_eq!(server.status()["programmedReplicas"], "1/1");
    assert_eq!(server.accepted("POST", Kind::Revision), 1);
    assert_eq!(server.events(), ["Accepted", "Programmed"]);
}

#[tokio::test(start_paused = true)]
async fn a_status_over_an_object_that_changed_is_computed_again() {
    let stage = Stage::set();
    stage.server.edit_unseen();
    stage.lead();
    stage.pass(3).await;
    let early = stage.server.answers(Kind::Status);
    assert!(!early.is_empty() && early.iter().all(|code| *code == 409), "{early:?}");
    stage.server.deliver();
    stage.pass(10).await;
    let server = stage.end().await;
    assert_eq!(server.answers(Kind::Status).last(), Some(&200));
    assert_eq!(server.status()["observedGeneration"], 2, "never that of the older view");
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_tried_again_but_not_without_end() {
    for code in [403, 500] {
        let stage = Stage::set();
        stage.server.refuse(Kind::Status, Some(code));
        stage.lead();
        stage.pass(20).await;
        let refused = stage.server.count(Kind::Status);
        assert!((4..=10).contains(&refused), "{refused} tries in 20 s");
        assert_eq!(stage.server.events(), [""; 0], "nothing is announced that is not written");
        stage.server.refuse(Kind::Status, None);
        stage.pass(10).await;
        let server = stage.end().await;
        assert_eq!(server.status()["programmedReplicas"], "1/1");
        assert_eq!(server.events(), ["Accepted", "Programmed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_event_delays_no_status() {
    for code in [Some(403), None] {
        let stage = Stage::set();
        match code {
            Some(code) => stage.server.refuse(Kind::Event, Some(code)),
            None => stage.server.never_answer(Kind::Event),
        }
        stage.lead();
        stage.pass(2).await;
        stage.server.report("me", 1, State::Applying);
        stage.pass(2).await;
        let server = stage.end().await;
        assert_eq!(server.status()["programmedReplicas"], "0/1", "{code:?}");
        assert_eq!(server.events(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_refused_is_kept_later() {
    let stage = Stage::set();
    stage.server.refuse(Kind::Revision, Some(403));
    stage.lead();
    stage.pass(15).await;
    assert_eq!(stage.server.accepted("POST", Kind::Revision), 0);
    stage.server.refuse(Kind::Revision, None);
    stage.pass(15).await;
    let server = stage.end().await;
    assert_eq!(server.accepted("POST", Kind::Revision), 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_wakes_late_changes_nothing() {
    let stage = Stage::set();
    stage.lead();
    stage.pass(5).await;
    let written = stage.server.status();
    // Another led meanwhile, and our watch does not know.
    stage.server.edit_unseen();
    stage.leadership.send_replace(Leadership::Follower);
    stage.pass(5).await;
    let before = stage.server.count(Kind::Status);
    stage.server.report("me", 1, State::Applying);
    stage.pass(5).await;
    assert_eq!(stage.server.count(Kind::Status), before, "a follower writes nothing");
    stage.lead();
    stage.pass(5).await;
    let server = stage.end().await;
    assert_eq!(server.status(), written);
    let late = server.answers(Kind::Status).split_off(before);
    assert!(!late.is_empty() && late.iter().all(|code| *code == 409), "{late:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_term_is_over_writes_nothing_before_it_is_told_so() {
    let stage = Stage::set();
    stage.lead_for(5);
    stage.pass(4).await;
    let before = stage.server.count(Kind::Status);
    assert_eq!(before, 1);
    stage.pass(2).await;
    stage.server.report("me", 1, State::Applying);
    stage.pass(10).await;
    assert_eq!(stage.server.count(Kind::Status), before);
    stage.lead();
    stage.pass(5).await;
    let server = stage.end().await;
    assert!(server.count(Kind::Status) > before, "a new term goes on");
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_keeps_the_times_that_it_finds() {
    let stage = Stage::set();
    stage.lead();
    stage.pass(3).await;
    let first = stage.server.status();
    stage.leadership.send_replace(Leadership::Follower);
    stage.pass(3).await;
    stage.lead();
    stage.pass(10).await;
    let server = stage.end().await;
    assert_eq!(server.count(Kind::Status), 1, "it found it true");
    assert_eq!(server.status(), first);
    assert_eq!(server.events(), ["Accepted", "Programmed"]);
    assert_eq!(server.accepted("POST", Kind::Revision), 1);
}

#[tokio::test(start_paused = true)]
async fn a_view_in_which_nobody_renews_is_believed_in_nothing() {
    let stage = Stage::set();
    stage.lead();
    stage.pass(5).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = stage.server.count(Kind::Status);
    stage.server.edit();
    stage.pass(5).await;
    assert_eq!(stage.server.count(Kind::Status), before);
    stage.pass(20).await;
    let server = stage.end().await;
    assert_eq!(server.count(Kind::Status), before + 1, "it is current again");
}
