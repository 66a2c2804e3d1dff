//! The side of the API server: a policy for each group of cases, whose binding warns of every
//! validation that is false or cannot be evaluated.

use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_testkit::{ControlPlane, eventually};
use serde_json::{Value, json};

use crate::cases::{Group, Kind, configmap};
use crate::outcome::{Class, Outcome};

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";
const CONFIGMAPS: &str = "/api/v1/namespaces/default/configmaps?dryRun=All";
/// What the validation says that is always false: the policy is in force.
const IN_FORCE: &str = "#in-force";
const PATIENCE: Duration = Duration::from_secs(60);

/// Creates the policy of a group, and its binding.
pub(crate) async fn install(cluster: &ControlPlane, group: &Group) -> anyhow::Result<()> {
    let mut validations: Vec<_> =
        group.cases.iter().enumerate().map(|(index, case)| case.validation(Some(index))).collect();
    validations.push(json!({ "expression": "false", "message": IN_FORCE }));
    create(cluster, POLICIES, &policy(group.name, validations)).await?;
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": { "name": group.name },
        "spec": { "policyName": group.name, "validationActions": ["Warn"] },
    });
    create(cluster, BINDINGS, &binding).await
}

/// Waits until the policy of a group is evaluated.
pub(crate) async fn wait_until_in_force(
    cluster: &ControlPlane,
    group: &Group,
) -> anyhow::Result<()> {
    eventually("the policy to be in force", PATIENCE, async || {
        let warnings = warnings(cluster, group, "x").await.map_err(|error| error.to_string())?;
        let in_force = warnings.iter().any(|warning| warning.ends_with(IN_FORCE));
        in_force.then_some(()).ok_or_else(|| format!("{warnings:?}"))
    })
    .await
}

/// What each case of a group says of an object.
pub(crate) async fn evaluate(
    cluster: &ControlPlane,
    group: &Group,
    input: &str,
) -> anyhow::Result<Vec<Outcome>> {
    let warnings = warnings(cluster, group, input).await?;
    let told = warnings.iter().any(|warning| warning.ends_with(IN_FORCE));
    ensure!(told, "too many warnings for one answer: {warnings:?}");
    let outcome = |(index, kind): (usize, Kind)| {
        let about = |warning: &&String| warning.contains(&format!("#{index}#"));
        let warning = warnings.iter().find(about);
        match (kind, warning) {
            (Kind::Verdict, None) => Ok(Outcome::True),
            (Kind::Text, None) => anyhow::bail!("no text of {index} in {warnings:?}"),
            (_, Some(warning)) => Ok(read(kind, index, warning)),
        }
    };
    group.cases.iter().map(|case| case.kind).enumerate().map(outcome).collect()
}

/// Why a validation is refused, if it is.
pub(crate) async fn refusal(
    cluster: &ControlPlane,
    validation: &Value,
) -> anyhow::Result<Option<String>> {
    let policy = policy("refusal", vec![validation.clone()]);
    let (status, body) = cluster.create(&format!("{POLICIES}?dryRun=All"), &policy).await?;
    match status.as_u16() {
        201 => Ok(None),
        422 => {
            let answer: Value = serde_json::from_str(&body)?;
            Ok(Some(answer["message"].as_str().unwrap_or_default().to_owned()))
        }
        _ => anyhow::bail!("{validation}: {status} {body}"),
    }
}

fn policy(name: &str, validations: Vec<Value>) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "objectSelector": { "matchLabels": { "group": name } },
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"],
                    "operations": ["CREATE"], "resources": ["configmaps"],
                }],
            },
            "validations": validations,
        },
    })
}

async fn create(cluster: &ControlPlane, path: &str, object: &Value) -> anyhow::Result<()> {
    let (status, body) = cluster.create(path, object).await?;
    ensure!(status.as_u16() == 201, "{}: {status} {body}", object["metadata"]["name"]);
    Ok(())
}

/// The texts of the warnings that come with a ConfigMap.
async fn warnings(
    cluster: &ControlPlane,
    group: &Group,
    input: &str,
) -> anyhow::Result<Vec<String>> {
    let object = configmap(group.name, input);
    let (status, headers) = cluster.create_for_warnings(CONFIGMAPS, &object).await?;
    ensure!(status.as_u16() == 201, "{input:?}: {status}");
    let text = |header: &String| {
        let quoted = header.split_once('"').and_then(|(_, rest)| rest.strip_suffix('"'));
        let text = quoted.with_context(|| format!("no warning: {header}"))?;
        Ok(unquoted(text))
    };
    headers.iter().map(text).collect()
}

fn unquoted(text: &str) -> String {
    let mut unquoted = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        unquoted.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    unquoted
}

fn read(kind: Kind, index: usize, warning: &str) -> Outcome {
    if let Some((_, error)) = warning.split_once("' resulted in error: ") {
        return Outcome::Error(Class::of(error));
    }
    match (kind, warning.split_once(&format!("#{index}#text="))) {
        (Kind::Text, Some((_, text))) => Outcome::Text(text.to_owned()),
        (Kind::Text, None) => Outcome::Error(Class::Other),
        (Kind::Verdict, _) => Outcome::False,
    }
}
