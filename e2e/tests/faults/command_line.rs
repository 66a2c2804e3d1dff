//! What people ask on the command line: before they apply, and when something fails.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_testkit::pki::{Authority, LOOPBACK};
use pharos_testkit::{Balancer, Collector, Kubectl, Pharos, WebhookTarget, eventually};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

/// What the Collector asks for. Nothing that is printed may hold it.
const TOKEN: &str = "planted-and-right";

/// What `pharos telemetry` said.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `pharos telemetry` with a kubeconfig.
async fn telemetry(cluster: &Kubectl, arguments: &[&str], input: &str) -> anyhow::Result<Said> {
    let mut child = tokio::process::Command::new(Pharos::binary()?)
        .arg("telemetry")
        .args(arguments)
        .arg("--kubeconfig")
        .arg(cluster.kubeconfig())
        .env("POD_NAMESPACE", ENGINE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    child.stdin.take().context("standard input")?.write_all(input.as_bytes()).await?;
    let output = child.wait_with_output().await?;
    let said = Said {
        code: output.status.code().context("it ended by a signal")?,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    };
    ensure!(!(said.stdout.clone() + &said.stderr).contains("planted"), "a secret: {}", said.stdout);
    Ok(said)
}

/// `check --cluster --probe` of this object; it ends with this code and says all of this.
async fn checked(
    cluster: &Kubectl,
    yaml: &str,
    code: i32,
    expected: &[&str],
) -> anyhow::Result<String> {
    let arguments = ["check", "-f", "-", "--cluster", "--probe"];
    let Said { code: found, stdout, stderr } = telemetry(cluster, &arguments, yaml).await?;
    ensure!(found == code, "{found} and not {code}: {stdout}{stderr}");
    for words in expected {
        ensure!(stdout.contains(words), "{words:?} is not in: {stdout}");
    }
    Ok(stdout)
}

/// Metrics to a Collector by TLS, with a token.
fn secured(collector: &Collector) -> String {
    let endpoint = collector.endpoint();
    telemetryconfig(&format!(
        "exporters: [{{name: gateway, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}', \
         headers: [{{name: authorization, valueFrom: {{secretKeyRef: {{name: token, key: value}}}}}}], \
         tls: {{caRef: {{name: ca}}}}}}}}]\n  metrics: {{exporters: [gateway], exportPeriodSeconds: 1}}"
    ))
}

async fn set_token(stage: &Stage, token: &str) -> anyhow::Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token", "namespace": ENGINE},
        "stringData": {"value": format!("Bearer {token}")},
    });
    stage.cluster.apply(&secret.to_string()).await.map(drop)
}

async fn set_ca(stage: &Stage, authority: &Authority) -> anyhow::Result<()> {
    let bundle = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": ENGINE},
        "data": {"ca.crt": authority.pem()},
    });
    stage.cluster.apply(&bundle.to_string()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_beforehand_what_status_would_say() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let dir = tempfile::tempdir()?;
    let (right, wrong) = (Authority::new("right")?, Authority::new("wrong")?);
    let server = right.server(&LOOPBACK)?.write(dir.path(), "server")?;
    let collector = Collector::builder(dir.path()).tls(&server).bearer_token(TOKEN).start().await?;
    let (admin, yaml) = (stage.kubectl(), secured(&collector));
    let problem = |field: &str| format!("\n-: default: spec.exporters[gateway]{field}: ");

    // Both are missing, and both are told; the words are those of the controller.
    let both = ["create Secret \"token\"", "create ConfigMap \"ca\"", "not probed"];
    let checked_missing = checked(admin, &yaml, 1, &both).await?;
    set_token(&stage, TOKEN).await?;
    set_ca(&stage, &right).await?;
    checked(admin, &yaml, 0, &["Accepted   ResolvedRefs", "Healthy", "no problem found"]).await?;
    set_token(&stage, "planted-and-wrong").await?;
    let field = problem("");
    checked(admin, &yaml, 1, &["ResolvedRefs", "Unauthenticated"]).await?;
    set_token(&stage, TOKEN).await?;
    set_ca(&stage, &wrong).await?;
    let stdout = checked(admin, &yaml, 1, &["TLSHandshakeFailed"]).await?;
    ensure!(format!("\n{stdout}").contains(&field), "{stdout}");
    set_ca(&stage, &right).await?;

    // Whoever may read nothing is told what to ask for, and that this is no verdict.
    stage.cluster.apply(include_str!("../../manifests/without-secrets.yaml")).await?;
    let token = ["create", "token", "without-secrets", "-n", ENGINE];
    let token = stage.cluster.kubectl(&token).await?;
    let user = stage.kubectl().with_token("without-secrets", token.trim())?;
    let refused = ["not checked: -: default: ", "you may not get Secret \"token\"", "NotRead"];
    checked(&user, &yaml, 2, &refused).await?;

    // The words of the condition, once it is applied without the Secret.
    stage.cluster.kubectl(&["delete", "secret", "token", "-n", ENGINE]).await?;
    let _pharos = stage.pharos().await?;
    stage.cluster.apply(&yaml).await?;
    // One of the two may be told while the other has yet to be read.
    eventually("the words of the check", PATIENCE, async || {
        let told = stage.condition("ResolvedRefs", "False", "SecretNotFound").await;
        let message = told.map_err(|error| error.to_string())?;
        let same = checked_missing.contains(&message);
        same.then_some(()).ok_or_else(|| format!("{message} is not in {checked_missing}"))
    })
    .await?;

    // Another object would lose against the one that is there.
    let late = yaml.replace("name: default", "name: late");
    let loses = "spec.components: loses Admission to \"default\" and BackgroundScan to \"default\"";
    checked(admin, &late, 1, &[loses, "Conflicted"]).await?;
    Ok(())
}

/// Metrics to a Collector by TLS, trusting what the machine trusts.
fn trusting_the_system(endpoint: &str) -> String {
    telemetryconfig(&format!(
        "exporters: [{{name: gateway, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}'}}}}]\n  \
         metrics: {{exporters: [gateway], exportPeriodSeconds: 1}}"
    ))
}

/// A replica whose machine trusts this authority.
async fn replica(
    stage: &Stage,
    balancer: &Balancer,
    name: &str,
    trusts: &Path,
) -> anyhow::Result<Pharos> {
    let target = WebhookTarget::ServicePort(format!("{ENGINE}/pharos"), balancer.address().port());
    Pharos::builder(&stage.cluster)
        .name(name)
        .environment("POD_NAME", name)
        .environment("SSL_CERT_FILE", trusts.to_str().context("a path in Unicode")?)
        .target(target)
        .start()
        .await
}

/// Waits until `status -o json` is like this.
async fn status(stage: &Stage, what: &str, like: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    eventually(what, PATIENCE * 2, async || {
        let said = telemetry(stage.kubectl(), &["status", "-o", "json"], "").await;
        let said = said.map_err(|error| error.to_string())?;
        let status: Value = serde_json::from_str(&said.stdout).map_err(|_| said.stderr)?;
        if like(&status) { Ok(status) } else { Err(status.to_string()) }
    })
    .await
}

/// What the status says of one replica, or null.
fn of<'a>(status: &'a Value, replica: &str) -> &'a Value {
    let replicas = status["replicas"].as_array();
    let mut replicas = replicas.into_iter().flatten();
    replicas.find(|it| it["name"] == replica).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_what_every_replica_runs_and_exports() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let dir = tempfile::tempdir()?;
    let (right, wrong) = (Authority::new("right")?, Authority::new("wrong")?);
    let server = right.server(&LOOPBACK)?.write(dir.path(), "server")?;
    let collector = Collector::builder(dir.path()).tls(&server).start().await?;
    let balancer = Balancer::start(Vec::new()).await?;
    let good = replica(&stage, &balancer, "pharos-good", &right.write(dir.path(), "r")?).await?;
    let bad = replica(&stage, &balancer, "pharos-bad", &wrong.write(dir.path(), "w")?).await?;
    let webhook = |pharos: &Pharos| SocketAddr::from(([127, 0, 0, 1], pharos.ports().webhook));
    balancer.set_backends(vec![webhook(&good), webhook(&bad)]);
    stage.webhook_in_force().await?;

    let defaults = |status: &Value, name| of(status, name)["state"] == "Defaults";
    status(&stage, "both to run the defaults", |it| {
        defaults(it, "pharos-good") && defaults(it, "pharos-bad")
    })
    .await?;
    let said = telemetry(stage.kubectl(), &["status"], "").await?;
    ensure!(said.stdout.contains("the command line's defaults run"), "{}", said.stdout);

    stage.cluster.apply(&trusting_the_system(&collector.endpoint())).await?;
    let shown = status(&stage, "what both export", |it| {
        let (good, bad) = (of(it, "pharos-good"), of(it, "pharos-bad"));
        let (good_exports, bad_exports) = (&good["exporters"][0], &bad["exporters"][0]);
        good_exports["state"] == "Healthy"
            && good_exports["sent"].as_u64() > Some(0)
            && good_exports["lastSuccess"].is_string()
            && bad_exports["reason"] == "TLSHandshakeFailed"
            && bad_exports["failed"].as_u64() > Some(0)
            && bad_exports["sent"] == 0
            && it["objects"][0]["programmedReplicas"] == "2/2"
            && it["objects"][0]["conditions"][4]["reason"] == "TLSHandshakeFailed"
    })
    .await?;
    let leader = shown["leader"]["identity"].as_str().unwrap_or_default();
    ensure!(leader.starts_with("pharos-"), "{leader}");
    ensure!(shown["replicas"][0]["name"] == "pharos-bad", "what fails comes first: {shown}");
    let said = telemetry(stage.kubectl(), &["status", "default"], "").await?;
    println!("{}", said.stdout);
    for words in ["2/2 programmed", "1 Failing", "TLSHandshakeFailed", "pharos-good", leader] {
        ensure!(said.stdout.contains(words), "{words:?} is not in: {}", said.stdout);
    }

    bad.kill();
    status(&stage, "the dead replica to be marked", |it| {
        of(it, "pharos-bad")["state"] == "Silent" && of(it, "pharos-good")["state"] == "Programmed"
    })
    .await?;
    whoever_may_not_read_is_told_why(&stage).await
}

async fn whoever_may_not_read_is_told_why(stage: &Stage) -> anyhow::Result<()> {
    let fails = async |user: &Kubectl, arguments: &[&str], words: &str| {
        let said = telemetry(user, arguments, "").await?;
        ensure!(said.code == 2, "{} and not 2: {}{}", said.code, said.stdout, said.stderr);
        ensure!(said.stderr.contains(words), "{words:?} is not in: {}", said.stderr);
        anyhow::Ok(())
    };
    let admin = stage.kubectl();
    fails(admin, &["status", "nothing"], "there are: default").await?;
    fails(admin, &["status", "-n", "nowhere"], "there is no namespace \"nowhere\"").await?;

    stage.cluster.kubectl(&["create", "serviceaccount", "reader", "-n", ENGINE]).await?;
    let token = stage.cluster.kubectl(&["create", "token", "reader", "-n", ENGINE]).await?;
    let reader = admin.with_token("reader", token.trim())?;
    let rules = "resources: [leases], verbs: [get, list]";
    fails(&reader, &["status"], rules).await?;
    let role = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\n\
         metadata: {{name: reader, namespace: {ENGINE}}}\nrules:\n\
         - {{apiGroups: [telemetry.pharos.dev], resources: [telemetryconfigs], verbs: [list]}}\n\
         - {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list]}}\n"
    );
    stage.cluster.apply(&role).await?;
    let bind = ["create", "rolebinding", "reader", "-n", ENGINE, "--role=reader"];
    let subject = format!("--serviceaccount={ENGINE}:reader");
    stage.cluster.kubectl(&[&bind[..], &[&subject]].concat()).await?;
    eventually("the role to count", PATIENCE, async || {
        let said = telemetry(&reader, &["status"], "").await.map_err(|error| error.to_string())?;
        if said.code == 0 { Ok(()) } else { Err(said.stderr) }
    })
    .await?;

    let definition = "telemetryconfigs.telemetry.pharos.dev";
    stage.cluster.kubectl(&["delete", "crd", definition]).await?;
    eventually("the definition to be gone", PATIENCE, async || {
        fails(admin, &["status"], "pharos crds | kubectl apply").await.map_err(|it| it.to_string())
    })
    .await
}
