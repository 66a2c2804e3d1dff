use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::json;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{Answer, Asked, client};

/// What was asked of an API server, and when.
type Journal = Arc<Mutex<Vec<(Instant, Asked)>>>;

struct Beating {
    report: watch::Sender<String>,
    shutdown: CancellationToken,
    journal: Journal,
    running: JoinHandle<()>,
}

impl Beating {
    /// A heartbeat before a server that answers so to the n-th renewal.
    fn before(answer: impl Fn(usize) -> Answer + Clone + Send + Sync + 'static) -> Self {
        Self::with(|heartbeat| heartbeat, answer)
    }

    fn with(
        change: impl FnOnce(Heartbeat) -> Heartbeat,
        answer: impl Fn(usize) -> Answer + Clone + Send + Sync + 'static,
    ) -> Self {
        let journal = Journal::default();
        let noted = Arc::clone(&journal);
        let client = client(move |asked| {
            let mut journal = noted.lock().unwrap();
            let renewals = journal.iter().filter(|(_, it)| it.method == Method::PATCH).count();
            let answer =
                if asked.method == Method::PATCH { answer(renewals) } else { accepted(renewals) };
            journal.push((Instant::now(), asked));
            std::future::ready(answer)
        });
        let heartbeat = change(Heartbeat::new(client, "ns", "r", None));
        let (report, reported) = watch::channel("first".to_owned());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(heartbeat.run(reported, shutdown.clone()));
        Self { report, shutdown, journal, running }
    }

    fn renewals(&self) -> Vec<(Instant, Asked)> {
        let journal = self.journal.lock().unwrap();
        journal.iter().filter(|(_, asked)| asked.method == Method::PATCH).cloned().collect()
    }

    fn reports(&self) -> Vec<String> {
        let report = |(_, asked): (_, Asked)| {
            asked.body["metadata"]["annotations"][REPORT].as_str().unwrap().to_owned()
        };
        self.renewals().into_iter().map(report).collect()
    }
}

fn accepted(_: usize) -> Answer {
    Answer::Object(json!({"metadata": {"name": "pharos-replica-r"}}))
}

async fn seconds(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_every_ten_seconds_with_jitter() {
    let beating = Beating::before(accepted);
    seconds(60.0).await;
    let times: Vec<_> = beating.renewals().into_iter().map(|(at, _)| at).collect();
    assert!((6..=7).contains(&times.len()), "{times:?}");
    for pair in times.windows(2) {
        let period = (pair[1] - pair[0]).as_secs_f64();
        assert!((8.9..=10.1).contains(&period), "{period}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_report_is_written_at_once() {
    let beating = Beating::before(accepted);
    seconds(5.0).await;
    beating.report.send_replace("second".to_owned());
    seconds(0.1).await;
    assert_eq!(beating.reports(), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_report_that_changes_all_the_time_is_written_once_per_second_and_the_last_one_counts() {
    let beating = Beating::before(accepted);
    for edit in 0..1000 {
        beating.report.send_replace(format!("edit {edit}"));
        seconds(0.06).await;
    }
    let during = beating.renewals().len();
    assert!((55..=65).contains(&during), "{during} in a minute");
    seconds(2.0).await;
    assert_eq!(beating.reports().last().unwrap(), "edit 999");
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_ever_more_rarely_whatever_is_reported_meanwhile() {
    for code in [403, 429, 500, 504] {
        let refusing = move |nth| if nth < 5 { Answer::Refused(code) } else { accepted(nth) };
        let beating = Beating::before(refusing);
        for edit in 0..110 {
            beating.report.send_replace(format!("edit {edit}"));
            seconds(0.1).await;
        }
        let failed = beating.renewals().len();
        assert_eq!(failed, 5, "0, 0.5, 1.5, 3.5 and 7.5 s, with {code}");
        seconds(2.0).await;
        assert_eq!(beating.reports().last().unwrap(), "edit 109");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_waited_for_5_seconds() {
    let beating = Beating::before(|nth| if nth == 0 { Answer::Silence } else { accepted(nth) });
    seconds(5.6).await;
    assert_eq!(beating.renewals().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn its_lease_goes_with_it_within_a_second() {
    for answer in [accepted, |_: usize| Answer::Silence] {
        let beating = Beating::before(answer);
        seconds(1.0).await;
        let told = Instant::now();
        beating.shutdown.cancel();
        beating.running.await.unwrap();
        assert!(told.elapsed() <= Duration::from_secs(1), "{:?}", told.elapsed());
        let journal = beating.journal.lock().unwrap();
        let last = &journal.last().unwrap().1;
        assert_eq!(last.method, Method::DELETE);
        assert!(last.path.ends_with("/pharos-replica-r"), "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn statistics_go_along_and_cause_nothing() {
    let counter = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&counter);
    let statistics = move || {
        let mut counter = counted.lock().unwrap();
        *counter += 1;
        if *counter == 3 { "x".repeat(MAX_STATISTICS_BYTES + 1) } else { format!("{counter} sent") }
    };
    let beating = Beating::with(|heartbeat| heartbeat.with_statistics(statistics), accepted);
    seconds(35.0).await;
    let written: Vec<_> = beating
        .renewals()
        .into_iter()
        .map(|(_, asked)| {
            let lease: Lease = serde_json::from_value(asked.body).unwrap();
            assert_eq!(report(&lease), Some("first"));
            statistics_of(&lease)
        })
        .collect();
    let expected = [Some("1 sent"), Some("2 sent"), None, Some("4 sent")];
    assert_eq!(written, expected.map(|it| it.map(ToOwned::to_owned)));
}

fn statistics_of(lease: &Lease) -> Option<String> {
    statistics(lease).map(ToOwned::to_owned)
}

#[tokio::test]
async fn a_pod_owns_the_lease_and_nothing_else_does() {
    let heartbeat = |pod| Heartbeat::new(client(async |_| Answer::Silence), "ns", "r", pod);
    let lease = |pod| heartbeat(pod).lease(String::new(), Timestamp::UNIX_EPOCH);
    assert_eq!(lease(None).metadata.owner_references, None);
    let pod = Pod { name: "p".to_owned(), uid: "u".to_owned() };
    let owners = lease(Some(pod)).metadata.owner_references.unwrap();
    let owner = &owners[0];
    assert_eq!(
        (owners.len(), owner.kind.as_str(), owner.name.as_str(), owner.uid.as_str()),
        (1, "Pod", "p", "u")
    );
}
