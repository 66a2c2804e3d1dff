use std::collections::VecDeque;
use std::sync::Mutex;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::testing::{Answer, client, list, status};

/// An API server that answers lists from a script, the last answer again and again, and tells
/// changes to the newest watch; watches that are not allowed are refused.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    lists: VecDeque<Result<Value, u16>>,
    changes: Vec<Value>,
    watch: Option<mpsc::Sender<Value>>,
    watches_refused: bool,
    asked: Vec<String>,
}

impl Server {
    fn with(lists: impl IntoIterator<Item = Result<Value, u16>>) -> Self {
        let server = Self::default();
        server.0.lock().unwrap().lists = lists.into_iter().collect();
        server
    }

    fn change(&self, kind: &str, object: &Value) {
        let mut script = self.0.lock().unwrap();
        script.changes.push(json!({"type": kind, "object": object}));
        script.tell();
    }

    fn refuse_watches(&self, refused: bool) {
        self.0.lock().unwrap().watches_refused = refused;
    }

    fn asked(&self) -> Vec<String> {
        self.0.lock().unwrap().asked.clone()
    }

    fn client(&self) -> Client {
        let server = self.clone();
        client(move |asked| {
            let mut script = server.0.lock().unwrap();
            script.asked.push(format!("{}?{}", asked.path, asked.query));
            let answer = if asked.watches() { script.watch() } else { script.list() };
            std::future::ready(answer)
        })
    }
}

impl Script {
    fn list(&mut self) -> Answer {
        let last = self.lists.len() == 1;
        let next = if last { self.lists.front().cloned() } else { self.lists.pop_front() };
        next.unwrap().map_or_else(Answer::Refused, Answer::Object)
    }

    fn watch(&mut self) -> Answer {
        if self.watches_refused {
            return Answer::Refused(403);
        }
        let (watch, changes) = mpsc::channel(64);
        self.watch = Some(watch);
        self.tell();
        Answer::Watch(changes)
    }

    fn tell(&mut self) {
        if let Some(watch) = &self.watch {
            self.changes.drain(..).for_each(|change| watch.try_send(change).unwrap());
        }
    }
}

fn listing(items: &[Value]) -> Result<Value, u16> {
    Ok(list("1", items))
}

fn secret(uid: &str, version: &str, data: Value) -> Value {
    let metadata = json!({"name": "s", "uid": uid, "resourceVersion": version});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
}

fn wanting(object: &DataObject, keys: &[&str]) -> Wanted {
    Wanted::from([(object.clone(), keys.iter().map(ToString::to_string).collect())])
}

fn value(references: &References, object: &DataObject, key: &str) -> Option<String> {
    match references.of(object) {
        Reading::Found(found) => match found.key(key) {
            KeyReading::Value(content) => {
                Some(String::from_utf8(content.expose().to_vec()).unwrap())
            }
            KeyReading::Missing | KeyReading::NotRead => None,
        },
        _ => None,
    }
}

struct Kept {
    wanted: watch::Sender<Wanted>,
    seen: watch::Receiver<References>,
    keeping: tokio::task::JoinHandle<()>,
}

fn kept(server: &Server, wanted: Wanted) -> Kept {
    let (wanted, receiver) = watch::channel(wanted);
    let (readings, seen) = watch::channel(References::default());
    let client = server.client();
    let keeping = tokio::spawn(async move { keep(client, "ns", receiver, readings).await });
    Kept { wanted, seen, keeping }
}

#[tokio::test(start_paused = true)]
async fn only_the_keys_that_are_wanted_are_kept_and_each_watch_selects_one_name() {
    let object = DataObject::secret("s");
    let server = Server::with([listing(&[secret("u", "7", json!({"a": "QQ==", "b": "Qg=="}))])]);
    let mut kept = kept(&server, wanting(&object, &["a", "c"]));
    let seen = kept.seen.wait_for(|seen| *seen.of(&object) != Reading::NotRead).await.unwrap();
    let Reading::Found(found) = seen.of(&object) else { panic!("{seen:?}") };
    assert_eq!((found.uid.as_str(), found.resource_version.as_str()), ("u", "7"));
    assert_eq!(value(&seen, &object, "a").as_deref(), Some("A"));
    assert_eq!(found.key("b"), KeyReading::NotRead, "nobody wants it");
    assert_eq!(found.key("c"), KeyReading::Missing);
    for request in server.asked() {
        assert!(request.starts_with("/api/v1/namespaces/ns/secrets?"), "{request}");
        assert!(request.contains("fieldSelector=metadata.name%3Ds"), "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_a_deletion_and_a_recreation_are_seen() {
    let object = DataObject::secret("s");
    let server = Server::with([listing(&[])]);
    let mut kept = kept(&server, wanting(&object, &["a"]));
    kept.seen.wait_for(|seen| *seen.of(&object) == Reading::Missing).await.unwrap();
    for (kind, uid, version, data, expected) in [
        ("ADDED", "u", "2", "QQ==", Some("A")),
        ("MODIFIED", "u", "3", "Qg==", Some("B")),
        ("DELETED", "u", "4", "Qg==", None),
        ("ADDED", "v", "5", "Qg==", Some("B")),
    ] {
        server.change(kind, &secret(uid, version, json!({"a": data})));
        let told = |seen: &References| match seen.of(&object) {
            Reading::Found(found) => {
                found.uid == uid && value(seen, &object, "a").as_deref() == expected
            }
            other => *other == Reading::Missing && expected.is_none(),
        };
        kept.seen.wait_for(told).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_and_a_right_that_is_granted_is_seen_without_a_change() {
    let object = DataObject::secret("s");
    let there = listing(&[secret("u", "7", json!({"a": "QQ=="}))]);
    let server = Server::with([Err(403), Err(403), there]);
    let mut kept = kept(&server, wanting(&object, &["a"]));
    kept.seen.wait_for(|seen| *seen.of(&object) == Reading::Forbidden).await.unwrap();
    let found = |seen: &References| value(seen, &object, "a").is_some();
    kept.seen.wait_for(found).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_may_be_listed_and_not_watched_stays_refused_until_both_are_granted() {
    let object = DataObject::secret("s");
    let server = Server::with([listing(&[secret("u", "7", json!({"a": "QQ=="}))])]);
    server.refuse_watches(true);
    let mut kept = kept(&server, wanting(&object, &["a"]));
    kept.seen.wait_for(|seen| *seen.of(&object) == Reading::Forbidden).await.unwrap();
    let other = kept.seen.wait_for(|seen| *seen.of(&object) != Reading::Forbidden);
    let minute = std::time::Duration::from_secs(60);
    assert!(tokio::time::timeout(minute, other).await.is_err(), "lists alone change nothing");
    server.refuse_watches(false);
    let found = |seen: &References| value(seen, &object, "a").is_some();
    kept.seen.wait_for(found).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_not_taken_back_by_an_older_list() {
    let object = DataObject::secret("s");
    let rotated = |value: &str, version: &str| secret("u", version, json!({"a": value}));
    let server = Server::with([
        Ok(list("7", &[rotated("QQ==", "7")])),
        Ok(list("7", &[rotated("QQ==", "7")])),
        Ok(list("9", &[rotated("Qg==", "8")])),
    ]);
    let mut kept = kept(&server, wanting(&object, &["a"]));
    server.change("MODIFIED", &rotated("Qg==", "8"));
    let told = |expected: &'static str| {
        let object = object.clone();
        move |seen: &References| value(seen, &object, "a").as_deref() == Some(expected)
    };
    kept.seen.wait_for(told("B")).await.unwrap();
    // Another set of keys needs another list, which is an older one first.
    kept.wanted.send_replace(wanting(&object, &["a", "b"]));
    loop {
        kept.seen.changed().await.unwrap();
        let seen = kept.seen.borrow_and_update();
        assert_eq!(value(&seen, &object, "a").as_deref(), Some("B"));
        let Reading::Found(found) = seen.of(&object) else { panic!("{seen:?}") };
        if found.key("b") == KeyReading::Missing {
            break;
        }
    }
    assert_eq!(server.asked().iter().filter(|asked| !asked.contains("watch=true")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_stays_while_the_api_server_fails() {
    let object = DataObject::secret("s");
    let server = Server::with([
        listing(&[secret("u", "7", json!({"a": "QQ=="}))]),
        Err(500),
        listing(&[secret("u", "8", json!({"a": "Qg=="}))]),
    ]);
    server.change("ERROR", &status(500));
    let mut kept = kept(&server, wanting(&object, &["a"]));
    let mut versions = Vec::new();
    while versions.len() < 2 {
        kept.seen.changed().await.unwrap();
        let seen = kept.seen.borrow_and_update().clone();
        match seen.of(&object) {
            Reading::Found(found) => versions.push(found.resource_version.clone()),
            Reading::NotRead if versions.is_empty() => {}
            other => panic!("{other:?} after {versions:?}"),
        }
    }
    assert_eq!(versions, ["7", "8"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_not_read_yet_and_the_old_ones_stay_meanwhile() {
    let object = DataObject::secret("s");
    let there = listing(&[secret("u", "7", json!({"a": "QQ==", "b": "Qg=="}))]);
    let server = Server::with([there]);
    let mut kept = kept(&server, wanting(&object, &["a"]));
    kept.seen.wait_for(|seen| value(seen, &object, "a").is_some()).await.unwrap();
    kept.wanted.send_replace(wanting(&object, &["a", "b"]));
    let both = |seen: &References| {
        assert!(value(seen, &object, "a").is_some());
        value(seen, &object, "b").is_some()
    };
    kept.seen.wait_for(both).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_any_more_is_forgotten_and_not_asked_for() {
    let object = DataObject::config_map("c");
    let metadata = json!({"name": "c", "uid": "u", "resourceVersion": "1"});
    let item = json!({"metadata": metadata, "data": {"a": "A"}, "binaryData": {"b": "Qg=="}});
    let server = Server::with([listing(&[item])]);
    let mut kept = kept(&server, wanting(&object, &["a", "b"]));
    let seen = kept.seen.wait_for(|seen| value(seen, &object, "b").is_some()).await.unwrap();
    assert_eq!(value(&seen, &object, "a").as_deref(), Some("A"));
    drop(seen);
    kept.wanted.send_replace(Wanted::new());
    kept.seen.wait_for(|seen| *seen == References::default()).await.unwrap();
    let asked = server.asked().len();
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    assert_eq!(server.asked().len(), asked);

    drop(kept.wanted);
    kept.keeping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_wants_the_same_again_at_once_is_told_again_what_was_read() {
    let object = DataObject::secret("s");
    let silent = |_: http::Request<kube::client::Body>| {
        std::future::pending::<kube::Result<http::Response<kube::client::Body>>>()
    };
    let client = Client::new(tower::service_fn(silent), "default");
    let (wanted, receiver) = watch::channel(wanting(&object, &["a"]));
    let (readings, mut seen) = watch::channel(References::default());
    let keeping = tokio::spawn(async move { keep(client, "ns", receiver, readings).await });
    seen.changed().await.unwrap();
    // Nobody sees that nothing was wanted in between.
    wanted.send_replace(Wanted::new());
    wanted.send_replace(wanting(&object, &["a"]));
    seen.changed().await.unwrap();
    keeping.abort();
}

#[test]
fn only_other_values_or_another_object_move_the_content_version() {
    let object = DataObject::secret("s");
    let mut references = References::default();
    let mut version_after = |uid: &str, version: &str, values: &[(&str, Option<&str>)]| {
        let content = |value: &str| Content::from(value.as_bytes());
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), value.map(content)));
        assert!(references.take(&object, Reading::Found(Found::new(uid, version, values))));
        let Reading::Found(found) = references.of(&object) else { panic!("{references:?}") };
        assert_eq!(found.resource_version, version);
        found.content_version().to_owned()
    };
    assert_eq!(version_after("u", "3", &[("a", Some("A"))]), "3");
    assert_eq!(version_after("u", "4", &[("a", Some("A"))]), "3", "only metadata changed");
    assert_eq!(version_after("u", "5", &[("a", Some("A"))]), "3", "and again");
    assert_eq!(version_after("u", "6", &[("a", Some("B"))]), "6");
    assert_eq!(version_after("u", "7", &[("a", None)]), "7", "the key is gone");
    assert_eq!(version_after("u", "8", &[("a", Some("B"))]), "8", "and back");
    assert_eq!(version_after("v", "9", &[("a", Some("B"))]), "9", "recreated");
}

#[test]
fn a_key_that_is_not_wanted_any_more_leaves_the_content_version() {
    let object = DataObject::secret("s");
    let value = |key: &str| (key.to_owned(), Some(Content::from(&b"A"[..])));
    let mut references = References::default();
    references.take(&object, Reading::Found(Found::new("u", "3", [value("a"), value("b")])));
    references.restrict(&wanting(&object, &["a"]));
    references.take(&object, Reading::Found(Found::new("u", "4", [value("a")])));
    let Reading::Found(found) = references.of(&object) else { panic!("{references:?}") };
    assert_eq!(found.content_version(), "3");
}

#[test]
fn no_debug_output_shows_a_value() {
    let found = Found::new("u", "1", [("a".to_owned(), Some(Content::from(&b"hunter2"[..])))]);
    let references: References =
        [(DataObject::secret("s"), Reading::Found(found))].into_iter().collect();
    let shown = format!("{references:?}");
    assert!(shown.contains("[redacted]") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_rule_that_is_missing_is_one_that_can_be_pasted() {
    assert_eq!(
        DataObject::secret("token").rule(),
        "{apiGroups: [\"\"], resources: [secrets], resourceNames: [\"token\"], verbs: [list, watch]}"
    );
}
