//! The metadata of all objects of a kind that is known only while the process runs, told as it changes.
//!
//! Nothing is kept here: what the reader makes of an object's metadata goes into a bounded channel, and
//! whoever reads that keeps what it needs. [`tell`] is [`crate::view::keep_metadata`] for kinds with more
//! objects than there should be memory for. What is guarded against is in [`crate::list_watch`].

use kube::api::{ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::mpsc;

use crate::backoff::RetryDelay;
use crate::list_watch::{Event, ListWatch};
use crate::trouble::{Episode, Trouble};

/// What is told of the objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told<T> {
    /// All that there are.
    Listed(Vec<T>),
    /// One was created or changed.
    Applied(T),
    /// One was deleted, or is not selected any more.
    Deleted(T),
    /// Nothing can be told for now.
    Trouble(Trouble),
}

/// Tells `told` of all objects of a resource, in whichever namespace, for as long as it is polled. Ends
/// when nobody listens any more.
pub async fn tell<T, M>(
    client: Client,
    resource: &ApiResource,
    selection: watcher::Config,
    told: mpsc::Sender<M>,
    message: impl Fn(Told<T>) -> M,
) where
    T: From<PartialObjectMeta<DynamicObject>>,
{
    let api = Api::<PartialObjectMeta<DynamicObject>>::all_with(client, resource);
    let mut events = ListWatch::new(api, selection);
    let mut delay = RetryDelay::default();
    let ApiResource { plural, api_version, .. } = resource;
    let mut episode = Episode::of(format!("watch {plural} of {api_version}"));
    loop {
        let news = match events.next::<T>().await {
            Ok(Event::Watching) => {
                episode.succeeded();
                continue;
            }
            Ok(Event::Listed(objects)) => Told::Listed(objects),
            Ok(Event::Applied(object)) => Told::Applied(object),
            Ok(Event::Deleted(object)) => Told::Deleted(object),
            Err(failure) => {
                let trouble = failure.trouble();
                if episode.failed(trouble, &failure)
                    && told.send(message(Told::Trouble(trouble))).await.is_err()
                {
                    return;
                }
                tokio::time::sleep(delay.after_failure()).await;
                continue;
            }
        };
        if told.send(message(news)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{Answer, Asked, client};

    struct Name(String);

    impl From<PartialObjectMeta<DynamicObject>> for Name {
        fn from(object: PartialObjectMeta<DynamicObject>) -> Self {
            Self(object.metadata.name.unwrap_or_default())
        }
    }

    fn object(name: &str, version: u64) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {"name": name, "uid": name, "resourceVersion": version.to_string()},
        })
    }

    fn oxen() -> ApiResource {
        ApiResource {
            group: "example.com".to_owned(),
            version: "v1".to_owned(),
            api_version: "example.com/v1".to_owned(),
            kind: "Ox".to_owned(),
            plural: "oxen".to_owned(),
        }
    }

    fn said(told: Told<Name>) -> String {
        match told {
            Told::Listed(all) => {
                let names: Vec<_> = all.into_iter().map(|it| it.0).collect();
                format!("listed {}", names.join(","))
            }
            Told::Applied(Name(name)) => format!("applied {name}"),
            Told::Deleted(Name(name)) => format!("deleted {name}"),
            Told::Trouble(trouble) => format!("trouble {}", trouble.reason()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn metadata_is_told_page_by_page_and_change_by_change() {
        let (events, lines) = mpsc::channel(8);
        let lines = std::sync::Arc::new(tokio::sync::Mutex::new(Some(lines)));
        let answering = move |asked: Asked| {
            let lines = lines.clone();
            async move {
                assert!(asked.accept.contains("as=PartialObjectMetadata"), "{}", asked.accept);
                if asked.watches() {
                    return match lines.lock().await.take() {
                        Some(lines) => Answer::Watch(lines),
                        None => Answer::Quiet,
                    };
                }
                let (items, token) = match asked.query.contains("continue=more") {
                    false => (json!([object("a", 1)]), "more"),
                    true => (json!([object("b", 2)]), ""),
                };
                Answer::Object(json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": {"resourceVersion": "5", "continue": token}, "items": items,
                }))
            }
        };
        let (told, mut heard) = mpsc::channel(8);
        let selection = watcher::Config::default();
        let telling = tokio::spawn(async move {
            tell(client(answering), &oxen(), selection, told, said).await;
        });
        assert_eq!(heard.recv().await.unwrap(), "listed a,b");
        for (type_, name, version) in [("MODIFIED", "a", 6), ("DELETED", "b", 7)] {
            events.send(json!({"type": type_, "object": object(name, version)})).await.unwrap();
        }
        assert_eq!(heard.recv().await.unwrap(), "applied a");
        assert_eq!(heard.recv().await.unwrap(), "deleted b");
        drop(heard);
        events.send(json!({"type": "ADDED", "object": object("c", 8)})).await.unwrap();
        telling.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_kind_that_may_not_be_read_is_a_trouble_told_once() {
        let (told, mut heard) = mpsc::channel(8);
        let refusing = client(async |_| Answer::Refused(403));
        let telling = tokio::spawn(async move {
            tell(refusing, &oxen(), watcher::Config::default(), told, said).await;
        });
        assert_eq!(heard.recv().await.unwrap(), "trouble Forbidden");
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        assert!(heard.try_recv().is_err());
        telling.abort();
    }
}
