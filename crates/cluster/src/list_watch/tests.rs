use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::testing::{Answer, Asked, client, list, status};

/// An API server that answers from a script, and then with silence.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<(VecDeque<Answer>, Vec<Asked>)>>);

impl Server {
    fn with(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Arc::new(Mutex::new((answers.into_iter().collect(), Vec::new()))))
    }

    fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().1.clone()
    }

    fn list_watch(&self) -> ListWatch<ConfigMap> {
        let server = self.clone();
        let client = client(move |asked| {
            let mut script = server.0.lock().unwrap();
            script.1.push(asked);
            std::future::ready(script.0.pop_front().unwrap_or(Answer::Silence))
        });
        ListWatch::new(Api::default_namespaced(client), watcher::Config::default().labels("a=b"))
    }
}

fn config_map(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "uid": name, "resourceVersion": version}})
}

/// A watch with these events, which then ends.
fn ending(events: impl IntoIterator<Item = Value>) -> Answer {
    let (tell, told) = mpsc::channel(64);
    for event in events {
        tell.try_send(event).unwrap();
    }
    Answer::Watch(told)
}

fn change(kind: &str, name: &str, version: &str) -> Value {
    json!({"type": kind, "object": config_map(name, version)})
}

fn bookmark(version: &str) -> Value {
    let metadata = json!({"resourceVersion": version});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    json!({"type": "BOOKMARK", "object": object})
}

fn gone() -> Value {
    json!({"type": "ERROR", "object": status(410)})
}

/// The next event or failure, in short.
async fn next(list_watch: &mut ListWatch<ConfigMap>) -> String {
    let name = |object: &ConfigMap| {
        format!("{}@{}", object.name_any(), object.resource_version().unwrap())
    };
    match list_watch.next::<ConfigMap>().await {
        Ok(Event::Listed(all)) => {
            format!("listed {}", all.iter().map(name).collect::<Vec<_>>().join(" "))
        }
        Ok(Event::Watching) => "watching".to_owned(),
        Ok(Event::Applied(object)) => format!("applied {}", name(&object)),
        Ok(Event::Deleted(object)) => format!("deleted {}", name(&object)),
        Err(failure) => format!("{:?}", failure.trouble()),
    }
}

async fn told<const N: usize>(list_watch: &mut ListWatch<ConfigMap>) -> [String; N] {
    let mut told = Vec::new();
    for _ in 0..N {
        told.push(next(list_watch).await);
    }
    told.try_into().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_list_of_many_pages_is_one_and_the_watch_goes_on_from_it() {
    let mut first = list("5", &[config_map("a", "1")]);
    first["metadata"]["continue"] = json!("more");
    let server = Server::with([
        Answer::Object(first),
        Answer::Object(list("5", &[config_map("b", "2")])),
        ending([change("MODIFIED", "a", "6"), bookmark("9")]),
        Answer::Quiet,
    ]);
    let mut list_watch = server.list_watch();
    assert_eq!(
        told(&mut list_watch).await,
        ["listed a@1 b@2", "watching", "applied a@6", "watching"],
        "one that ends is followed by the next"
    );
    let asked = server.asked();
    assert!(asked[1].query.contains("continue=more"), "{asked:?}");
    assert!(asked[2].query.contains("resourceVersion=5"), "{asked:?}");
    assert!(asked[3].query.contains("resourceVersion=9"), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.query.contains("labelSelector=a%3Db")), "{asked:?}");
    assert!(asked[3].query.contains("timeoutSeconds=60"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn changes_that_are_replayed_are_no_news() {
    let server = Server::with([
        Answer::Object(list("5", &[config_map("a", "3")])),
        ending([
            change("MODIFIED", "a", "7"),
            change("MODIFIED", "a", "6"),
            change("MODIFIED", "a", "7"),
            change("DELETED", "a", "8"),
            change("ADDED", "a", "7"),
            change("ADDED", "a", "9"),
        ]),
    ]);
    assert_eq!(
        told(&mut server.list_watch()).await,
        ["listed a@3", "watching", "applied a@7", "deleted a@8", "applied a@9"]
    );
}

#[tokio::test(start_paused = true)]
async fn an_older_list_brings_nothing_back_and_takes_nothing_away() {
    let server = Server::with([
        Answer::Object(list("5", &[config_map("a", "3")])),
        ending([change("DELETED", "a", "7"), change("ADDED", "b", "8"), gone()]),
        Answer::Object(list("6", &[config_map("a", "3")])),
        Answer::Object(list("8", &[config_map("b", "8")])),
    ]);
    assert_eq!(
        told(&mut server.list_watch()).await,
        ["listed a@3", "watching", "deleted a@7", "applied b@8", "Outdated", "listed b@8"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_is_a_bound_for_the_first_list() {
    let lists = ["6", "7"].map(|version| Answer::Object(list(version, &[])));
    let mut list_watch = Server::with(lists).list_watch().not_before("7");
    assert_eq!(told(&mut list_watch).await, ["Outdated", "listed "]);
}

#[tokio::test(start_paused = true)]
async fn where_only_the_way_was_cut_the_watch_goes_on_and_else_there_is_a_list() {
    for (code, after) in [
        (429, "watching"),
        (410, "listed a@1"),
        (403, "listed a@1"),
        (500, "listed a@1"),
        // "Too large resource version", for one.
        (504, "listed a@1"),
    ] {
        let there = || Answer::Object(list("5", &[config_map("a", "1")]));
        let server = Server::with([there(), Answer::Refused(code)]);
        let mut list_watch = server.list_watch();
        let [listed, failed] = told(&mut list_watch).await;
        assert!(listed == "listed a@1" && !failed.contains(' '), "{code}: {failed}");
        let answer = if after == "watching" { Answer::Quiet } else { there() };
        server.0.lock().unwrap().0.push_back(answer);
        assert_eq!(next(&mut list_watch).await, after, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_lived_and_is_gone_is_followed_by_a_list_at_once() {
    let there = || Answer::Object(list("5", &[config_map("a", "1")]));
    let server = Server::with([there(), ending([bookmark("6"), gone()]), there(), there()]);
    let mut list_watch = server.list_watch();
    assert_eq!(
        told(&mut list_watch).await,
        ["listed a@1", "watching", "Outdated"],
        "and no failure of the watch"
    );
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_as_soon_as_they_begin_are_failures() {
    for events in [vec![], vec![gone()]] {
        let there = Answer::Object(list("5", &[]));
        let server = Server::with([there, ending(events)]);
        assert_eq!(told(&mut server.list_watch()).await, ["listed ", "watching", "Refused"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_left_after_65_seconds() {
    let there = Answer::Object(list("5", &[]));
    let server = Server::with([there, Answer::Quiet, Answer::Quiet]);
    let mut list_watch = server.list_watch();
    let start = Instant::now();
    assert_eq!(told(&mut list_watch).await, ["listed ", "watching", "watching"]);
    assert_eq!(start.elapsed().as_secs(), 65);
}

#[tokio::test(start_paused = true)]
async fn a_list_without_a_version_is_no_list() {
    let server = Server::with([Answer::Object(list("", &[]))]);
    assert_eq!(next(&mut server.list_watch()).await, "Refused");
}
