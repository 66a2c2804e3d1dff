use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::testing::{Answer, client, list};

fn object(name: &str, uid: &str, data: Value) -> Observed<ConfigMap> {
    let decoded: DeserializeGuard<ConfigMap> = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "uid": uid, "managedFields": [{"manager": "kubectl"}]},
        "data": data,
    }))
    .unwrap();
    Observed::from(decoded)
}

fn after(
    events: impl IntoIterator<Item = Event<Observed<ConfigMap>>>,
) -> BTreeMap<Uid, Observed<ConfigMap>> {
    let mut objects = BTreeMap::new();
    for event in events {
        take(&mut objects, event);
    }
    objects
}

#[test]
fn a_list_drops_what_is_gone() {
    let objects = after([
        Event::Applied(object("a", "1", json!({}))),
        Event::Listed(vec![object("b", "2", json!({})), object("c", "3", json!({}))]),
        Event::Watching,
    ]);
    assert_eq!(objects.values().map(Observed::name).collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn a_recreated_object_is_another_object() {
    let objects = after([
        Event::Applied(object("a", "1", json!({}))),
        Event::Applied(object("a", "2", json!({}))),
        Event::Deleted(object("a", "1", json!({}))),
    ]);
    assert_eq!(objects.keys().collect::<Vec<_>>(), ["2"]);
}

#[test]
fn a_broken_object_is_an_entry_with_its_error() {
    let objects = after([
        Event::Applied(object("good", "1", json!({}))),
        Event::Applied(object("broken", "2", json!(["not", "a", "map"]))),
    ]);
    assert!(objects["1"].object.is_ok());
    let error = objects["2"].object.as_ref().unwrap_err();
    assert!(error.contains("map"), "{error}");
    assert_eq!(objects["2"].name(), "broken");
}

#[test]
fn managed_fields_are_not_kept() {
    let observed = object("a", "1", json!({}));
    assert_eq!(observed.metadata.managed_fields, None);
    assert!(observed.object.as_ref().unwrap().managed_fields().is_empty());
}

/// An API server that refuses the first lists and then has one ConfigMap.
fn refusing(lists: usize, code: u16) -> (Api<DeserializeGuard<ConfigMap>>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let client = client(move |asked| {
        let answer = if asked.watches() {
            Answer::Quiet
        } else if counted.fetch_add(1, Ordering::SeqCst) < lists {
            Answer::Refused(code)
        } else {
            Answer::Object(list("1", &[json!({"metadata": {"name": "a", "uid": "1"}})]))
        };
        std::future::ready(answer)
    });
    (Api::default_namespaced(client), asked)
}

#[tokio::test(start_paused = true)]
async fn a_refused_list_is_a_trouble_until_it_is_answered() {
    for (code, trouble) in [
        (404, Trouble::UnknownKind),
        (403, Trouble::Forbidden),
        (401, Trouble::Unauthenticated),
        (503, Trouble::Overloaded),
        (500, Trouble::Refused),
    ] {
        let (api, asked) = refusing(4, code);
        let (view, mut seen) = watch::channel(View::default());
        let keeping = tokio::spawn(keep(api, watcher::Config::default(), "things", view));
        let started = tokio::time::Instant::now();
        seen.wait_for(|view| view.trouble == Some(trouble)).await.unwrap();
        assert!(seen.borrow().objects.is_none());
        seen.wait_for(|view| view.objects.is_some() && view.trouble.is_none()).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 5);
        let patience = started.elapsed().as_millis();
        assert!((6_700..=7_600).contains(&patience), "0.5, 1, 2 and 4 s, not {patience} ms");
        keeping.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_be_listed_and_not_watched_is_seen_and_remains_a_trouble() {
    let client = client(|asked| {
        let items = [json!({"metadata": {"name": "a", "uid": "1"}})];
        std::future::ready(if asked.watches() {
            Answer::Refused(403)
        } else {
            Answer::Object(list("1", &items))
        })
    });
    let (view, mut seen) = watch::channel(View::default());
    let api = Api::<DeserializeGuard<ConfigMap>>::default_namespaced(client);
    let keeping = tokio::spawn(keep(api, watcher::Config::default(), "things", view));
    seen.wait_for(|view| view.trouble == Some(Trouble::Forbidden)).await.unwrap();
    assert_eq!(seen.borrow().objects.as_ref().map(|objects| objects.len()), Some(1));
    let mended = seen.wait_for(|view| view.trouble.is_none());
    assert!(tokio::time::timeout(std::time::Duration::from_secs(60), mended).await.is_err());
    keeping.abort();
}

#[tokio::test(start_paused = true)]
async fn metadata_is_asked_for_alone_and_kept_alone() {
    let (told, mut asked) = mpsc::channel(64);
    let client = client(move |asked| {
        let answer = if asked.watches() {
            Answer::Quiet
        } else {
            let metadata = json!({"name": "s", "uid": "1", "managedFields": [{"manager": "x"}]});
            let item = json!({"metadata": metadata, "data": {"tls.key": "cGxhbnRlZA=="}});
            Answer::Object(list("1", &[item]))
        };
        told.try_send(asked).unwrap();
        std::future::ready(answer)
    });
    let (view, mut seen) = watch::channel(View::default());
    let api = Api::<PartialObjectMeta<Secret>>::default_namespaced(client);
    let selection = watcher::Config::default();
    let keeping = tokio::spawn(keep_metadata(api, selection, "the Secret", view));
    let view = seen.wait_for(|view| view.objects.is_some()).await.unwrap().clone();
    assert!(!format!("{view:?}").contains("planted") && view.objects.is_some());
    for kind in ["PartialObjectMetadataList", "PartialObjectMetadata;"] {
        let asked = asked.recv().await.unwrap();
        assert!(asked.accept.contains(kind), "{asked:?}");
    }
    keeping.abort();
}
