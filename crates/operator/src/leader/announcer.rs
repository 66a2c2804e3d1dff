//! Publishes Events, beside everything else: an Event that is refused, or that the API server does
//! not answer, delays no status.
//!
//! The queue is bounded and what does not fit is counted. One kind of Event of one object is published
//! a few times at once and then once a minute: what flaps says so in status, and in metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, Recorder, Reporter};
use kube::{Client, Resource};
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::Uid;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::pace::{Allowance, Rate};
use super::step::Subject;
use super::transitions::{Announcement, Topic};

const CONTROLLER: &str = "pharos";
/// The API server takes no longer name of a reporter.
const LONGEST_INSTANCE: usize = 128;
const RATE: Rate = Rate { burst: 5, period: Duration::from_secs(60) };
/// For longer than all of [`RATE`] needs to be restored, and than a series lasts.
const REMEMBERED: Duration = Duration::from_secs(400);
const QUEUED: usize = 64;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Where announcements are handed in.
#[derive(Debug)]
pub(super) struct Announcements {
    queue: mpsc::Sender<(Subject, Announcement)>,
    dropped: u64,
}

/// Publishes what was handed in.
pub(super) struct Announcer {
    client: Client,
    namespace: String,
    reporter: Reporter,
    queue: mpsc::Receiver<(Subject, Announcement)>,
    series: BTreeMap<(Uid, Topic), Series>,
    episode: Episode,
}

/// Equal Events. A [`Recorder`] goes on with the note that a series began with, so that another note
/// needs another recorder.
struct Series {
    note: String,
    recorder: Recorder,
    allowance: Allowance,
    last: Instant,
}

/// An announcer, and the way to it.
pub(super) fn announcer(
    client: Client,
    namespace: &str,
    replica: &str,
) -> (Announcements, Announcer) {
    let (sender, queue) = mpsc::channel(QUEUED);
    let instance = replica[..replica.floor_char_boundary(LONGEST_INSTANCE)].to_owned();
    let announcer = Announcer {
        client,
        namespace: namespace.to_owned(),
        reporter: Reporter { controller: CONTROLLER.to_owned(), instance: Some(instance) },
        queue,
        series: BTreeMap::new(),
        episode: Episode::of("publish Events"),
    };
    (Announcements { queue: sender, dropped: 0 }, announcer)
}

// === impl Announcements ===

impl Announcements {
    /// Hands one in, and never waits.
    pub(super) fn announce(&mut self, subject: Subject, announcement: Announcement) {
        if let Err(refused) = self.queue.try_send((subject, announcement)) {
            self.dropped += 1;
            let (_, announcement) = refused.into_inner();
            let (reason, dropped) = (announcement.topic.reason(), self.dropped);
            tracing::debug!(reason, dropped, "an Event found no place in the queue");
        }
    }
}

// === impl Announcer ===

impl Announcer {
    /// Publishes until nobody can hand in any more.
    pub(super) async fn run(mut self) {
        while let Some((subject, announcement)) = self.queue.recv().await {
            self.publish(&subject, announcement).await;
        }
    }

    async fn publish(&mut self, subject: &Subject, announcement: Announcement) {
        let now = Instant::now();
        self.series.retain(|_, series| now.duration_since(series.last) < REMEMBERED);
        let Announcement { topic, note } = announcement;
        let event = event(&topic, &note, &self.namespace);
        let recorder = || Recorder::new(self.client.clone(), self.reporter.clone());
        let key = (subject.uid.clone(), topic);
        let series = self.series.entry(key).or_insert_with(|| Series {
            note: note.clone(),
            recorder: recorder(),
            allowance: Allowance::of(RATE),
            last: now,
        });
        if !series.allowance.is_due(now) {
            return;
        }
        series.allowance.spend(now);
        series.last = now;
        if series.note != note {
            (series.note, series.recorder) = (note, recorder());
        }
        let regarding = self::regarding(subject, &self.namespace);
        let published = series.recorder.publish(&event, &regarding);
        match tokio::time::timeout(REQUEST_TIMEOUT, published).await {
            Ok(Ok(())) => drop(self.episode.succeeded()),
            Ok(Err(error)) => drop(self.episode.failed(Trouble::of(&error), &error)),
            Err(elapsed) => drop(self.episode.failed(Trouble::Unreachable, &elapsed)),
        }
    }
}

fn event(topic: &Topic, note: &str, namespace: &str) -> Event {
    let secondary = match topic {
        Topic::CertificateRotated(secret) => Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            name: Some(secret.clone()),
            namespace: Some(namespace.to_owned()),
            ..ObjectReference::default()
        }),
        _ => None,
    };
    Event {
        type_: topic.severity(),
        reason: topic.reason().to_owned(),
        note: Some(note.to_owned()),
        action: topic.action().to_owned(),
        secondary,
    }
}

fn regarding(subject: &Subject, namespace: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some(TelemetryConfig::api_version(&()).into_owned()),
        kind: Some(TelemetryConfig::kind(&()).into_owned()),
        name: Some(subject.name.clone()),
        namespace: Some(namespace.to_owned()),
        uid: Some(subject.uid.clone()).filter(|uid| !uid.is_empty()),
        ..ObjectReference::default()
    }
}
