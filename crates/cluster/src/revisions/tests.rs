use std::sync::{Arc, Mutex};

use http::Method;
use kube::Client;
use pharos_api::telemetryconfig::TelemetryConfig;
use serde_json::json;

use super::*;
use crate::testing::{Answer, Asked, client, list};

/// An API server with revisions of these generations, which refuses writes with this code.
fn server(generations: &[i64], refusal: Option<u16>) -> (Client, Arc<Mutex<Vec<Asked>>>) {
    let items: Vec<_> = generations
        .iter()
        .map(|generation| {
            json!({
                "metadata": {"name": format!("r-{generation}")},
                "revision": generation, "data": {"from": generation},
            })
        })
        .collect();
    let journal = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&journal);
    let client = client(move |asked| {
        let answer = match (asked.method.clone(), refusal) {
            (Method::GET, _) => Answer::Object(list("1", &items)),
            (_, Some(code)) => Answer::Refused(code),
            (Method::POST, None) => Answer::Object(asked.body.clone()),
            (_, None) => Answer::Object(json!({"kind": "Status", "status": "Success"})),
        };
        noted.lock().unwrap().push(asked);
        std::future::ready(answer)
    });
    (client, journal)
}

/// What was written, in short.
fn written(journal: &Mutex<Vec<Asked>>) -> Vec<String> {
    let journal = journal.lock().unwrap();
    let writes = journal.iter().filter(|asked| asked.method != Method::GET);
    writes
        .map(|asked| match asked.method {
            Method::POST => format!("create {}", asked.body["metadata"]["name"].as_str().unwrap()),
            _ => format!("{} {}", asked.method, asked.path.rsplit('/').next().unwrap()),
        })
        .collect()
}

async fn kept(generations: &[i64], refusal: Option<u16>) -> (kube::Result<()>, Vec<String>) {
    let (client, journal) = server(generations, refusal);
    let owner = owner::<TelemetryConfig>("a", "u");
    let revision = Revision { generation: 7, spec: json!({"traces": {}}) };
    let outcome = keep(client, "ns", owner, revision).await;
    (outcome, written(&journal))
}

#[tokio::test]
async fn the_newest_of_the_object_is_read() {
    let (client, journal) = server(&[3, 11, 7], None);
    let found = newest(client, "ns", "u").await.unwrap();
    assert_eq!(found, Some(Revision { generation: 11, spec: json!({"from": 11}) }));
    let asked = journal.lock().unwrap()[0].clone();
    assert_eq!(asked.path, "/apis/apps/v1/namespaces/ns/controllerrevisions");
    assert!(asked.query.contains("telemetryconfig-uid%3Du"), "{asked:?}");

    let (client, _) = server(&[], None);
    assert_eq!(newest(client, "ns", "u").await.unwrap(), None);
}

#[tokio::test]
async fn a_newer_one_takes_the_place_of_all_older_ones() {
    let (outcome, written) = kept(&[3, 5], None).await;
    outcome.unwrap();
    assert_eq!(written, ["create pharos-telemetry-u-7", "DELETE r-3", "DELETE r-5"]);
}

#[tokio::test]
async fn what_is_kept_is_owned_by_the_object() {
    let (client, journal) = server(&[], None);
    let revision = Revision { generation: 7, spec: json!({"traces": {}}) };
    keep(client, "ns", owner::<TelemetryConfig>("a", "u"), revision).await.unwrap();
    let created = journal.lock().unwrap().last().unwrap().body.clone();
    let owner = &created["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["uid"]), (&json!("TelemetryConfig"), &json!("u")));
    assert_eq!((&created["revision"], &created["data"]), (&json!(7), &json!({"traces": {}})));
}

#[tokio::test]
async fn what_is_kept_already_is_not_written_again_and_an_older_one_does_not_come_back() {
    for (there, expected) in [(&[7][..], vec![]), (&[5, 7], vec!["DELETE r-5"]), (&[9], vec![])] {
        let (outcome, written) = kept(there, None).await;
        outcome.unwrap();
        assert_eq!(written, expected, "{there:?}");
    }
}

#[tokio::test]
async fn a_leader_that_was_quicker_is_no_failure_and_a_refusal_is_one() {
    let (outcome, written) = kept(&[], Some(409)).await;
    outcome.unwrap();
    assert_eq!(written.len(), 1);
    let (outcome, _) = kept(&[3, 7], Some(404)).await;
    outcome.unwrap();
    for there in [&[][..], &[3, 7]] {
        let (outcome, _) = kept(there, Some(403)).await;
        assert!(matches!(outcome, Err(kube::Error::Api(answer)) if answer.code == 403));
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_waited_for_longer_than_5_seconds() {
    let start = tokio::time::Instant::now();
    let client = client(async |_| Answer::Silence);
    assert!(matches!(newest(client, "ns", "u").await, Err(kube::Error::Service(_))));
    assert_eq!(start.elapsed().as_secs(), 5);
}
