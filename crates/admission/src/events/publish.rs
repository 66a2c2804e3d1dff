//! Creates Events, paced, a few at a time, each with a few tries.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use pharos_cluster::in_time;
use pharos_cluster::trouble::{Episode, Trouble};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{EventOptions, Notice};
use crate::pace::TokenBucket;
use crate::record::Facts;

/// Kyverno's word for the part of it that reviews requests.
const CONTROLLER: &str = "kyverno-admission";
/// The API server takes no longer name of a reporter.
const LONGEST_INSTANCE: usize = 128;
/// The API server takes 1 kB.
const LONGEST_NOTE: usize = 1_024;
/// The name of what an Event is about, in the name of the Event: the rest is a time.
const LONGEST_NAME: usize = 200;
/// Where Events about what is in no namespace are.
const DEFAULT_NAMESPACE: &str = "default";
const AT_ONCE: usize = 4;
const TRIES: u32 = 3;
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Publishes what was handed in.
pub(crate) struct Publisher {
    client: Client,
    instance: String,
    queue: mpsc::Receiver<Notice>,
    tokens: TokenBucket,
    facts: Arc<dyn Facts>,
    episode: Episode,
    /// The nanosecond that the last Event is named after, later than the clock if there were several in
    /// one: no two have one name.
    last: i128,
}

// === impl Publisher ===

impl Publisher {
    pub(super) fn new(
        client: Client,
        options: &EventOptions,
        reporter: &str,
        queue: mpsc::Receiver<Notice>,
        facts: Arc<dyn Facts>,
    ) -> Self {
        let mut instance = format!("{CONTROLLER}-{reporter}");
        instance.truncate(instance.floor_char_boundary(LONGEST_INSTANCE));
        Self {
            client,
            instance,
            queue,
            tokens: TokenBucket::new(
                options.burst.get(),
                Duration::from_secs(1) / options.rate.get(),
            ),
            facts,
            episode: Episode::of("publish Events"),
            last: 0,
        }
    }

    /// Publishes until nobody can hand in any more.
    pub(crate) async fn run(mut self) {
        let mut sent = FuturesUnordered::new();
        loop {
            if sent.len() < AT_ONCE {
                tokio::select! {
                    notice = self.queue.recv() => {
                        let Some(notice) = notice else { break };
                        tokio::time::sleep_until(self.tokens.take(Instant::now())).await;
                        let event = self.event(notice);
                        sent.push(create(self.client.clone(), event));
                    }
                    Some(outcome) = sent.next() => self.settle(outcome),
                }
            } else if let Some(outcome) = sent.next().await {
                self.settle(outcome);
            }
        }
        while let Some(outcome) = sent.next().await {
            self.settle(outcome);
        }
    }

    fn settle(&mut self, outcome: Result<(), kube::Error>) {
        match outcome {
            Ok(()) => drop(self.episode.succeeded()),
            Err(error) => {
                self.facts.event_dropped("Refused");
                self.episode.failed(Trouble::of(&error), &error);
            }
        }
    }

    fn event(&mut self, notice: Notice) -> Event {
        let now = Timestamp::now();
        self.last = now.as_nanosecond().max(self.last + 1);
        let Notice { reason, action, regarding, related, mut note } = notice;
        if note.len() > LONGEST_NOTE {
            note.truncate(note.floor_char_boundary(LONGEST_NOTE - 3));
            note.push_str("...");
        }
        let about = name(regarding.name.as_deref().unwrap_or_default());
        let namespace = regarding.namespace.clone().filter(|it| !it.is_empty());
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{about}.{:x}", self.last)),
                namespace: Some(namespace.unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())),
                ..ObjectMeta::default()
            },
            action: Some(action.as_str().to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(note),
            reason: Some(reason.as_str().to_owned()),
            regarding: Some(regarding),
            related,
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(reason.severity().to_owned()),
            ..Event::default()
        }
    }
}

/// Creates an Event; where its namespace is gone or goes, so is whoever would have read it.
async fn create(client: Client, event: Event) -> Result<(), kube::Error> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
    let api = Api::<Event>::namespaced(client, namespace);
    let mut tries = 1;
    loop {
        let error = match in_time(api.create(&PostParams::default(), &event)).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 || is_terminating(&status) => {
                return Ok(());
            }
            Err(error) => error,
        };
        let passes = matches!(Trouble::of(&error), Trouble::Overloaded | Trouble::Unreachable);
        if !passes || tries >= TRIES {
            return Err(error);
        }
        tokio::time::sleep(RETRY_AFTER * tries).await;
        tries += 1;
    }
}

fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// The name as a part of another one: a DNS subdomain, whatever it is.
fn name(name: &str) -> String {
    let allowed = |char: char| {
        let char = char.to_ascii_lowercase();
        let alike = char.is_ascii_lowercase() || char.is_ascii_digit() || char == '.';
        if alike { char } else { '-' }
    };
    let name: String = name.chars().take(LONGEST_NAME).map(allowed).collect();
    // Each part between dots begins and ends with a letter or digit.
    let parts = name.split('.').map(|part| part.trim_matches('-')).filter(|part| !part.is_empty());
    let name = parts.collect::<Vec<_>>().join(".");
    if name.is_empty() { "x".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_named_after_what_it_is_about_whatever_its_name() {
        for (of, expected) in [
            ("require-team", "require-team"),
            ("system:node", "system-node"),
            ("-A_b.-.c-", "a-b.c"),
            ("", "x"),
            ("ä", "x"),
        ] {
            assert_eq!(name(of), expected);
        }
        assert_eq!(name(&"a".repeat(253)).len(), LONGEST_NAME);
    }
}
