//! Results of admissions in the reports that scans keep, on the real API server: admission and scans are
//! two processes here, as in the chart.

use std::collections::BTreeSet;

use anyhow::ensure;
use pharos_e2e::scans::{Comparison, scanner};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::{Pharos, eventually, prometheus};
use serde_json::Value;

use super::background_scan::complete;

/// Of these, scans ask the first one only.
const POLICIES: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: labelled}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE]}
  validations:
  - {expression: 'has(object.metadata.labels) && \"app\" in object.metadata.labels', message: no app}
---
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: tiered}
spec:
  evaluation: {background: {enabled: false}}
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE]}
  validations:
  - {expression: 'has(object.metadata.labels) && \"tier\" in object.metadata.labels', message: no tier}
---
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: changed-by-owners}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [UPDATE]}
  validations:
  - {expression: '\"owner\" in object.metadata.labels', message: nobody's}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: rules}
spec:
  background: false
  rules:
  - name: allowed
    match: {any: [{resources: {kinds: [Pod], operations: [CREATE, UPDATE]}}]}
    validate:
      failureAction: Enforce
      cel: {expressions: [{expression: '!has(object.metadata.labels) || !(\"forbidden\" in object.metadata.labels)', message: forbidden}]}
";

const PROCESS: &str = "admission review";

/// One result: policy, outcome, what made it.
type Said = BTreeSet<[String; 3]>;

fn said(results: &[[&str; 3]]) -> Said {
    results.iter().map(|result| result.map(str::to_owned)).collect()
}

/// What the report of a Pod says; nothing if there is none.
async fn reported(cluster: &Comparison, pod: &str) -> anyhow::Result<Said> {
    let reports = cluster.reports().await?.into_iter();
    let mut said = Said::new();
    for report in reports.filter(|report| report["scope"]["name"] == pod) {
        let results = report["results"].as_array().cloned().unwrap_or_default();
        let counted = report["summary"].as_object().into_iter().flatten();
        let counted: u64 = counted.filter_map(|(_, count)| count.as_u64()).sum();
        ensure!(usize::try_from(counted)? == results.len(), "the summary of {report}");
        said.extend(results.iter().map(|result| {
            let process = &result["properties"]["process"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            [text(&result["policy"]), text(&result["result"]), text(process)]
        }));
    }
    Ok(said)
}

/// Waits until the report of a Pod says this.
async fn says(cluster: &Comparison, pod: &str, results: &[[&str; 3]]) -> anyhow::Result<()> {
    let expected = said(results);
    eventually(&format!("the report of {pod} to say {expected:?}"), PATIENCE, async || {
        let said = reported(cluster, pod).await.map_err(|error| format!("{error:#}"))?;
        if said == expected { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await
}

async fn in_force(stage: &Stage) -> anyhow::Result<()> {
    let create =
        ["run", "probe", "-n", "shop", "--image=i", "-l", "forbidden=x", "--dry-run=server"];
    eventually("the policies to be in force", PATIENCE, async || {
        match stage.cluster.kubectl(&create).await {
            Err(error) if error.to_string().contains("forbidden") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_scan_asks_is_reported_by_admission_beside_what_scans_say() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let cluster = Comparison::of(&stage, &[]).await?;
    let kubectl = async |arguments: &[&str]| stage.cluster.kubectl(arguments).await;
    stage.cluster.apply(POLICIES).await?;
    let admission = Pharos::builder(&stage.cluster).arguments(&["--admission-reports"]);
    let admission = admission.start().await?;
    let scan = scanner(&stage.cluster, "scan").start().await?;
    in_force(&stage).await?;

    // A creation: what scans ask beside what they do not.
    kubectl(&["run", "web", "-n", "shop", "--image=i", "-l", "run=web"]).await?;
    let labelled = ["labelled", "fail", "background scan"];
    let allowed = ["rules", "pass", PROCESS];
    says(&cluster, "web", &[labelled, ["tiered", "fail", PROCESS], allowed]).await?;

    // An update: what is said otherwise, and what is only said about updates.
    kubectl(&["label", "pod", "web", "-n", "shop", "tier=front"]).await?;
    let owners = ["changed-by-owners", "fail", PROCESS];
    let tiered = ["tiered", "pass", PROCESS];
    says(&cluster, "web", &[labelled, tiered, allowed, owners]).await?;

    // What is denied leaves nothing; what comes after it is told.
    let denied = kubectl(&["run", "denied", "-n", "shop", "--image=i", "-l", "forbidden=x"]).await;
    ensure!(denied.is_err(), "a forbidden Pod was admitted");
    let denied = kubectl(&["label", "pod", "web", "-n", "shop", "forbidden=x", "tier-"]).await;
    ensure!(denied.is_err(), "a forbidden change was admitted");
    kubectl(&["run", "later", "-n", "shop", "--image=i", "-l", "app=x,tier=x"]).await?;
    let passes = ["labelled", "pass", "background scan"];
    says(&cluster, "later", &[passes, tiered, allowed]).await?;
    ensure!(reported(&cluster, "denied").await?.is_empty(), "a Pod that never was has a report");
    says(&cluster, "web", &[labelled, tiered, allowed, owners]).await?;

    // Another scanner finds everything as it should be.
    let before = cluster.versions().await?;
    ensure!(scan.terminate(PATIENCE).await?.success());
    let scan = scanner(&stage.cluster, "again").start().await?;
    complete(&scan).await?;
    ensure!(cluster.versions().await? == before, "reports were written although nothing changed");

    // Results go with their policy, and only they.
    kubectl(&["delete", "vpol", "tiered"]).await?;
    says(&cluster, "web", &[labelled, allowed, owners]).await?;
    says(&cluster, "later", &[passes, allowed]).await?;
    kubectl(&["delete", "pod", "later", "-n", "shop", "--force"]).await?;
    says(&cluster, "later", &[]).await?;
    kubectl(&["delete", "vpol", "labelled"]).await?;
    says(&cluster, "web", &[allowed, owners]).await?;
    kubectl(&["delete", "vpol", "changed-by-owners"]).await?;
    says(&cluster, "web", &[allowed]).await?;
    kubectl(&["delete", "cpol", "rules"]).await?;
    says(&cluster, "web", &[]).await?;

    let samples = admission.metrics().await?;
    let lost = prometheus::sum(&samples, "pharos_admission_results_lost_total", &[]);
    ensure!(lost == 0.0, "{lost} results were lost");
    let circuit = [("circuit_name", "admission reports")];
    let kept = prometheus::sum(&samples, "kyverno_breaker_total", &circuit);
    let dropped = prometheus::sum(&samples, "kyverno_breaker_drops_total", &circuit);
    ensure!(kept >= 3.0 && dropped == 0.0, "{kept} reports were to be written, {dropped} were not");
    ensure!(admission.terminate(PATIENCE).await?.success());
    ensure!(scan.terminate(PATIENCE).await?.success());
    Ok(())
}
