//! The real parts by themselves: what every other test here stands on.

use pharos_e2e::manifests::{NAMESPACES, config_map};
use pharos_e2e::stage::PATIENCE;
use pharos_testkit::{
    Collector, ControlPlane, Helm, eventually, external_name_service, prometheus,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_control_plane_keeps_its_objects_while_its_parts_are_away() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut control_plane = ControlPlane::builder(dir.path()).audit().start().await?;
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

    control_plane.restart_etcd().await?;
    eventually("the API server to find etcd again", PATIENCE, async || {
        control_plane.kubectl(&kept).await.map_err(|error| error.to_string())
    })
    .await?;
    let audit = control_plane.audit()?;
    let kept = audit.iter().filter(|record| record.name == "kept");
    let kept: Vec<_> = kept.map(|record| (record.verb.as_str(), record.code)).collect();
    assert!(kept.contains(&("create", 201)) && kept.contains(&("get", 200)), "{kept:?}");
    assert!(audit.iter().all(|record| record.user != "system:apiserver" && !record.forbidden));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_manager_ends_namespaces_with_what_is_in_them() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let control_plane = ControlPlane::start(dir.path()).await?;
    let _controllers = control_plane.start_controller_manager().await?;
    control_plane.apply(NAMESPACES).await?;
    control_plane.apply(&config_map("doomed", None)).await?;
    control_plane.kubectl(&["delete", "namespace", "shop", "--timeout=60s"]).await?;
    let gone = control_plane.kubectl(&["get", "namespace", "shop"]).await.unwrap_err().to_string();
    assert!(gone.contains("NotFound"), "{gone}");
    Ok(())
}

#[tokio::test]
async fn helm_renders_a_chart_and_refuses_values_that_its_schema_refuses() -> anyhow::Result<()> {
    let helm = Helm::ensure().await?;
    let dir = tempfile::tempdir()?;
    let write = |name: &str, content: &str| std::fs::write(dir.path().join(name), content);
    write("Chart.yaml", "apiVersion: v2\nname: small\nversion: 0.1.0\nicon: file:///none\n")?;
    write("values.yaml", "size: 1\n")?;
    write("values.schema.json", r#"{"properties": {"size": {"type": "integer"}}}"#)?;
    std::fs::create_dir(dir.path().join("templates"))?;
    write(
        "templates/a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}', \
         namespace: '{{ .Release.Namespace }}'}\ndata: {size: '{{ .Values.size }}'}\n",
    )?;
    let rendered = helm.template("first", dir.path(), "there", "size: 7\n").await?;
    let expected = "metadata: {name: 'first', namespace: 'there'}\ndata: {size: '7'}";
    assert!(rendered.contains(expected), "{rendered}");
    helm.lint(dir.path()).await?;
    let refused = helm.template("first", dir.path(), "there", "size: big\n").await.unwrap_err();
    assert!(refused.to_string().contains("size"), "{refused}");
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
