//! A process that starts onto an object that cannot be programmed.

use super::*;

fn revision(generation: i64, spec: &Value) -> Value {
    json!({
        "metadata": {"name": format!("r-{generation}")}, "revision": generation, "data": spec,
    })
}

#[tokio::test]
async fn what_every_replica_programmed_last_runs_and_follows_its_own_references() {
    let revisions =
        vec![revision(2, &json!({"metrics": {"mode": "Disabled"}})), revision(3, &with_token())];
    let mut process = Process::beside(Catalogue::new(), answering(200, revisions));
    process.set(&[(4, invalid())]);
    // Nothing is said of the defaults: what ran before is only waited for.
    let token = DataObject::secret("token");
    process.wanted.wait_for(|wanted| wanted.contains_key(&token)).await.unwrap();
    assert_eq!(process.state(4, |_| true).await, State::Applying);

    process.set_token("1", Some(b"one"));
    let previous =
        |state: &State| matches!(state, State::Failed { running: Running::PreviousConfig, .. });
    process.state(4, previous).await;
    let one = process.pipeline.running();
    assert!(one.receivers().next().is_some());

    process.set_token("2", Some(b"two"));
    let rotated = |report: &Report| report.config.is_some() && process.pipeline.running() != one;
    let mut reports = process.reports.clone();
    let decoded = |report: &String| rotated(&Report::decode(report).unwrap());
    reports.wait_for(decoded).await.unwrap();
}

#[tokio::test]
async fn without_a_revision_the_defaults_run_and_without_the_right_the_report_names_it() {
    let mut process = Process::start();
    process.set(&[(1, invalid())]);
    let State::Failed { running: Running::Defaults, message } = process.state(1, failed).await
    else {
        panic!("there is nothing else")
    };
    assert!(!message.contains("ControllerRevision"), "{message}");

    let mut process = Process::beside(Catalogue::new(), answering(403, Vec::new()));
    process.set(&[(1, invalid())]);
    let State::Failed { running: Running::Defaults, message } = process.state(1, failed).await
    else {
        panic!("there is nothing else")
    };
    assert!(message.contains("resources: [controllerrevisions], verbs: [list]"), "{message}");
    assert!(process.is_scraped());
}
