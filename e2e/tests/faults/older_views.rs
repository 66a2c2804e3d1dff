//! An API server that lags behind shows what was before, after it showed what came next. For the
//! same uid nobody goes back.

use anyhow::{Context, ensure};
use pharos_e2e::editions::{arrives, committed_reloads, edition, editions, reports, set_token};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::fault_proxy::Injection;
use pharos_testkit::{Fault, FaultProxy, Matching, Pharos, eventually};
use serde_json::Value;

/// Everything that the operator watches; the Secrets by name.
const VIEWS: [&str; 3] = [
    "/apis/telemetry.pharos.dev/v1alpha1/namespaces/pharos/telemetryconfigs",
    "/apis/coordination.k8s.io/v1/namespaces/pharos/leases",
    "/api/v1/namespaces/pharos/secrets",
];

/// What the API server shows of each view now.
async fn shown(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let mut lists = Vec::new();
    for view in VIEWS {
        let mut list: Value =
            serde_json::from_str(&stage.cluster.kubectl(&["get", "--raw", view]).await?)?;
        // The leader watches heartbeats only.
        if let Some(items) = list["items"].as_array_mut() {
            let name =
                |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            items.retain(|item| !name(item).ends_with("-leader"));
        }
        lists.push(list);
    }
    Ok(lists)
}

async fn config_hash(stage: &Stage) -> anyhow::Result<String> {
    let object = stage.telemetryconfig().await?;
    let hash = object["status"]["replicas"][0]["configHash"].as_str();
    Ok(hash.context("no hash is published")?.to_owned())
}

/// Shows Pharos these lists instead of what is: first to watches that resume, then to lists.
async fn replay(proxy: &FaultProxy, lists: Vec<Value>) -> anyhow::Result<Vec<Injection>> {
    let mut replays = Vec::new();
    for (view, list) in VIEWS.into_iter().zip(lists) {
        replays.push(proxy.inject(Matching::path(view), Fault::Replay(list)));
    }
    let watches = Matching::any().watches();
    proxy.cut(&watches);
    for replay in &replays {
        replay.befell(1, PATIENCE).await.context("watches resume")?;
    }
    // A list follows only on a watch that expired.
    let expire = |view| proxy.inject(Matching::path(view).watches().nth(1), Fault::Expire);
    let expiries = VIEWS.map(expire);
    let before: Vec<_> = replays.iter().map(Injection::hits).collect();
    proxy.cut(&watches);
    for (replay, before) in replays.iter().zip(before) {
        replay.befell(before + 2, PATIENCE).await.context("a list and a watch")?;
    }
    for (expiry, view) in expiries.iter().zip(VIEWS) {
        ensure!(expiry.hits() == 1, "the watch of {view} did not expire");
    }
    Ok(replays)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_view_after_a_newer_one_changes_nothing() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let proxy = FaultProxy::start(&stage.cluster, "proxied").await?;
    let pharos = Pharos::builder(&proxy).start().await?;
    let endpoint = stage.collector.endpoint();
    set_token(&stage, "token", "first").await?;
    stage.configure(&edition(&endpoint, "first")).await?;
    arrives(&stage.collector, "first", PATIENCE).await?;
    let first_hash = config_hash(&stage).await?;
    let older = shown(&stage).await?;

    stage.configure(&edition(&endpoint, "second")).await?;
    let second_hash = config_hash(&stage).await?;
    set_token(&stage, "token", "second").await?;
    let hash = eventually("the rotated Secret to be published", PATIENCE, async || {
        let now = config_hash(&stage).await.map_err(|error| error.to_string())?;
        if now == second_hash { Err(now) } else { Ok(now) }
    })
    .await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    arrives(&stage.collector, "second", PATIENCE).await?;

    let (reported, reloads) = (reports(&proxy)?.len(), committed_reloads(&pharos).await?);
    let asked = proxy.requests().len();
    let replays = replay(&proxy, older).await?;
    // Whoever believed it would say so at once, and in status within a tick of the leader.
    eventually("two more heartbeats", PATIENCE, async || {
        let now = reports(&proxy).map_err(|error| error.to_string())?.len();
        if now >= reported + 2 { Ok(()) } else { Err(format!("{} more", now - reported)) }
    })
    .await?;
    ensure!(committed_reloads(&pharos).await? == reloads, "an older view was put in force");
    for report in &reports(&proxy)?[reported..] {
        ensure!(report["config"]["configHash"] == hash, "{hash} was in force, not {report}");
    }
    for write in proxy.requests()[asked..].iter().filter(|it| it.resource.ends_with("/status")) {
        let status = String::from_utf8_lossy(&write.body);
        let went_back = status.contains(&first_hash) || status.contains(&second_hash);
        ensure!(!went_back, "status went back: {status}");
    }
    ensure!(config_hash(&stage).await? == hash, "status went back");

    // And what is newer still is seen.
    drop(replays);
    stage.configure(&edition(&endpoint, "third")).await?;
    stage.condition("Ready", "True", "Ready").await?;
    arrives(&stage.collector, "third", PATIENCE).await?;
    let seen = editions(&stage.collector)?;
    ensure!(seen == ["first", "second", "third"], "the Collector received {seen:?}");
    ensure!(committed_reloads(&pharos).await? == reloads + 1, "one reload was asked for");
    let leases = stage.cluster.kubectl(&["get", "leases", "-n", ENGINE, "-o", "name"]).await?;
    ensure!(leases.lines().count() == 3, "two leaders and one replica: {leases}");
    Ok(())
}
