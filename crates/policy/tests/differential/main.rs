//! The same expressions, evaluated by a real API server as ValidatingAdmissionPolicies and by us:
//! over hand-picked and generated objects they say the same, and when a policy is created the same
//! are refused. What differs is listed in [`differences`], with the reason, and must differ.
#![expect(clippy::panic, clippy::print_stdout, reason = "a test that says what it compared")]

use std::collections::BTreeSet;
use std::time::Instant;

use pharos_testkit::ControlPlane;
use serde_json::json;

use cases::Case;

mod api_server;
mod cases;
mod creation;
mod differences;
mod ours;
mod outcome;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_say_what_they_say_in_the_api_server() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = ControlPlane::start(dir.path()).await?;
    let started = Instant::now();
    let mut faults = creation_differs(&cluster).await?;
    println!("{}", faults.join("\n"));
    faults.extend(evaluation_differs(&cluster).await?);
    println!("compared in {:?}", started.elapsed());
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
    Ok(())
}

/// What one side refuses when a policy is created and the other accepts, beside what is listed.
async fn creation_differs(cluster: &ControlPlane) -> anyhow::Result<Vec<String>> {
    let expressions = creation::EXPRESSIONS.iter();
    let messages = creation::MESSAGES.iter();
    let validations = expressions
        .map(|of| (*of, json!({ "expression": of })))
        .chain(messages.map(|of| (*of, json!({ "expression": "false", "messageExpression": of }))));
    let mut faults = Vec::new();
    let mut met = BTreeSet::new();
    for (expression, validation) in validations {
        let theirs = api_server::refusal(cluster, &validation).await?;
        let ours = ours::refusal(&validation);
        if theirs.is_some() == ours.is_some() {
            continue;
        }
        if differences::CREATION.iter().any(|(listed, _)| *listed == expression) {
            met.insert(expression);
            continue;
        }
        faults.push(format!(
            "creation: {validation}\n    API server: {theirs:?}\n    ours: {ours:?}"
        ));
    }
    for (expression, _) in differences::CREATION {
        if !met.contains(expression) {
            faults.push(format!("creation: {expression} is listed and does not differ"));
        }
    }
    Ok(faults)
}

/// What the two sides say differently of an object, beside what is listed.
async fn evaluation_differs(cluster: &ControlPlane) -> anyhow::Result<Vec<String>> {
    let groups = cases::groups();
    for group in &groups {
        api_server::install(cluster, group).await?;
    }
    let mut faults = Vec::new();
    let mut met = BTreeSet::new();
    let mut compared = 0;
    for group in &groups {
        let ours = ours::compile(group)?;
        api_server::wait_until_in_force(cluster, group).await?;
        for input in &group.inputs {
            let theirs = api_server::evaluate(cluster, group, input).await?;
            for ((case, ours), theirs) in group.cases.iter().zip(&ours).zip(theirs) {
                compared += 1;
                let ours = ours::evaluate(ours, input);
                if ours == theirs {
                    continue;
                }
                if let Some(listed) = listed(case, input) {
                    met.insert(listed);
                    continue;
                }
                faults.push(format!(
                    "{}: {} of {input:?}\n    API server: {theirs:?}\n    ours: {ours:?}",
                    group.name, case.expression,
                ));
            }
        }
    }
    println!("{compared} outcomes compared");
    for (index, (expression, input, _)) in differences::EVALUATION.iter().enumerate() {
        if !met.contains(&index) {
            faults.push(format!("{expression} of {input:?} is listed and does not differ"));
        }
    }
    Ok(faults)
}

/// The place in the list of what differs.
fn listed(case: &Case, input: &str) -> Option<usize> {
    let is_listed =
        |(expression, of, _): &(&str, &str, &str)| *expression == case.expression && *of == input;
    differences::EVALUATION.iter().position(is_listed)
}
