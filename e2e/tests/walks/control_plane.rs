//! The real parts by themselves: what every other test here stands on.

use pharos_e2e::manifests::{NAMESPACES, config_map};
use pharos_testkit::{Collector, ControlPlane, external_name_service, prometheus};

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_keeps_its_objects_while_its_api_server_is_away() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut control_plane = ControlPlane::start(dir.path()).await?;
    let version = control_plane.kubectl(&["version", "-o", "json"]).await?;
    assert!(version.contains("\"gitVersion\": \"v1.37"), "{version}");
    control_plane.apply(NAMESPACES).await?;
    control_plane.apply(&external_name_service("pharos", "pharos")).await?;
    control_plane.apply(&config_map("kept", Some("web"))).await?;
    let samples = control_plane.metrics().await?;
    let posts = [("verb", "POST"), ("resource", "configmaps")];
    assert!(prometheus::sum(&samples, "apiserver_request_total", &posts) >= 1.0);

    control_plane.stop_apiserver().await?;
    assert!(control_plane.metrics().await.is_err());
    let refused = control_plane.kubectl(&["get", "namespaces"]).await.unwrap_err().to_string();
    assert!(refused.contains("refused"), "{refused}");

    control_plane.start_apiserver().await?;
    let kept = ["get", "configmap", "kept", "-n", "shop", "-o", "name"];
    assert_eq!(control_plane.kubectl(&kept).await?, "configmap/kept\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_comes_back_on_its_port() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut collector = Collector::start(dir.path(), None).await?;
    let endpoint = collector.endpoint();
    assert!(collector.exports()?.is_empty());
    collector.stop().await?;
    collector.restart().await?;
    assert_eq!(collector.endpoint(), endpoint);
    let again = Collector::start(dir.path(), Some(collector.port())).await.unwrap_err();
    assert!(format!("{again:#}").contains("address already in use"), "{again:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn control_planes_run_side_by_side() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let (a, b) = tokio::try_join!(ControlPlane::start(&a), ControlPlane::start(&b))?;
    a.apply(NAMESPACES).await?;
    assert!(b.kubectl(&["get", "namespace", "shop"]).await.is_err());
    Ok(())
}
