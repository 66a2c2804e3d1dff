//! What a person sees when something is missing at the start, and that nothing more than mending
//! it is needed.

use std::net::TcpListener;
use std::process::Command;

use anyhow::ensure;
use pharos_e2e::manifests::POLICY;
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::{Pharos, eventually};

/// Waits until the log says all of this.
async fn logged(pharos: &Pharos, words: &[&str]) -> anyhow::Result<()> {
    eventually(&format!("the log to say {words:?}"), PATIENCE, async || {
        let logs = pharos.logs().map_err(|error| error.to_string())?;
        let said = logs.lines().any(|line| words.iter().all(|word| line.contains(word)));
        if said { Ok(()) } else { Err(logs) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_crds_are_named_with_the_remedy_and_may_come_later() -> anyhow::Result<()> {
    let stage = Stage::bare().await?;
    let mut pharos = Pharos::builder(&stage.cluster).spawn()?;
    logged(&pharos, &["TelemetryConfigs", "UnknownKind", "pharos crds | kubectl apply"]).await?;
    // Policies may come later: a cluster without any is one to be ready for.
    logged(&pharos, &["served", "no kind of policy"]).await?;
    pharos.wait_ready().await?;
    let mentions = pharos.logs()?.matches("cannot watch TelemetryConfigs").count();
    ensure!(mentions == 1, "the same trouble was logged {mentions} times");

    // The remedy, as the log gives it.
    let crds = Command::new(Pharos::binary()?).arg("crds").output()?;
    ensure!(crds.status.success(), "pharos crds ended with {}", crds.status);
    let crds = String::from_utf8(crds.stdout)?;
    let apply = ["apply", "--server-side", "-f", "-"];
    stage.kubectl().run_with_input(&apply, &crds).await?;
    stage.cluster.apply(POLICY).await?;
    stage.webhook_in_force().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_one_line_that_names_the_flag() -> anyhow::Result<()> {
    let stage = Stage::bare().await?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for flag in ["--webhook-listen", "--metrics-listen", "--admin-listen"] {
        // The last of two equal flags counts.
        let mut pharos = Pharos::builder(&stage.cluster)
            .name(&format!("taken{flag}"))
            .arguments(&[flag, &address])
            .spawn()?;
        let status = pharos.wait(PATIENCE).await?;
        ensure!(status.code() == Some(1), "{flag}: ended with {status}");
        let logs = pharos.logs()?;
        let last = logs.lines().last().unwrap_or_default();
        ensure!(
            last.starts_with("pharos: ") && last.contains(&address) && last.contains(flag),
            "{flag}: {logs}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_server_it_says_so_and_starts_when_there_is_one() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    stage.cluster.stop_apiserver().await?;
    let mut pharos = Pharos::builder(&stage.cluster).spawn()?;
    logged(&pharos, &["Unreachable", "check that the API server runs"]).await?;
    let logs = pharos.logs()?;
    ensure!(!logs.contains("kube_client") && !logs.contains("kube_runtime"), "{logs}");
    let (status, _) = pharos.admin("/readyz").await?;
    ensure!(status == 503, "/readyz: {status}");
    pharos.metrics().await?;

    stage.cluster.start_apiserver().await?;
    pharos.wait_ready().await?;
    stage.webhook_in_force().await?;
    let status = pharos.terminate(PATIENCE).await?;
    ensure!(status.success(), "pharos ended with {status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubeconfig_that_is_not_there_ends_it_with_one_line() -> anyhow::Result<()> {
    let stage = Stage::bare().await?;
    let mut pharos = Pharos::builder(&stage.cluster)
        .arguments(&["--kubeconfig", "/nowhere/kubeconfig"])
        .spawn()?;
    let status = pharos.wait(PATIENCE).await?;
    let logs = pharos.logs()?;
    ensure!(logs.lines().count() == 1 && logs.contains("--kubeconfig"), "{status}: {logs}");
    ensure!(status.code() == Some(1), "{status}: {logs}");
    Ok(())
}
