//! `make demo`: the stage. What is shown on it is in [`crate::story`].

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use pharos_e2e::manifests;
use pharos_testkit::parts::{self, Part};
use pharos_testkit::{Collector, Pharos};

use crate::ClusterKind;
use crate::cluster::Cluster;
use crate::console::{Console, spoken};
use crate::session::Session;
use crate::shell::Shell;
use crate::story::Story;
use crate::teardown::PHAROS;

/// Everything that runs. Dropped in this order.
struct Stage {
    pharos: Pharos,
    collector: Collector,
    cluster: Cluster,
}

/// Starts everything, tells the story, and ends or keeps it.
pub(crate) async fn up(console: &Console, session: &mut Session, keep: bool) -> anyhow::Result<()> {
    // So that the paths in the commands that are shown are the ones in the repository.
    std::env::set_current_dir(manifests::repository())?;
    console.note("Pharos: `kubectl apply` moves live metrics, on a real control plane.");
    let mut took = Vec::new();
    real_parts(console, session.cluster()).await?;
    let stage = Stage::set(console, session, &mut took).await?;
    let mut story = Story {
        shell: Shell { console, kubectl: stage.cluster.as_ref() },
        pharos: &stage.pharos,
        collector: &stage.collector,
        run_dir: &session.run_dir(),
        took,
    };
    story.tell().await?;
    if keep {
        stage.keep(console, &session.run_dir());
    }
    Ok(())
}

async fn real_parts(console: &Console, cluster: ClusterKind) -> anyhow::Result<()> {
    let (title, parts) = match cluster {
        ClusterKind::Local => (
            "The real parts: etcd, kube-apiserver, kubectl, OpenTelemetry Collector",
            &[Part::Etcd, Part::KubeApiserver, Part::Kubectl, Part::Collector][..],
        ),
        ClusterKind::Kind => (
            "The real parts: kubectl, OpenTelemetry Collector",
            &[Part::Kubectl, Part::Collector][..],
        ),
    };
    console.step(title);
    let started = Instant::now();
    match parts::ensure(parts).await?.built() {
        0 => console.say("All there already."),
        n => console.say(&format!("{n} built in {}.", spoken(started.elapsed()))),
    }
    Ok(())
}

// === impl Stage ===

impl Stage {
    async fn set(
        console: &Console,
        session: &mut Session,
        took: &mut Vec<(&'static str, Duration)>,
    ) -> anyhow::Result<Self> {
        console.step("A control plane, the CRDs, a Collector and `pharos serve`");
        let started = Instant::now();
        let cluster = Cluster::start(session).await?;
        took.push(("the API server is ready", started.elapsed()));
        let shell = Shell { console, kubectl: cluster.as_ref() };
        shell.kubectl.install_crds(Path::new("crds")).await.context("the CRDs are refused")?;
        shell.kubectl(&["get", "-f", "crds/"]).await?;
        shell.kubectl(&["apply", "-f", "e2e/manifests/namespaces.yaml"]).await?;
        if let Some(service) = cluster.webhook_service() {
            shell.kubectl.apply(&service).await?;
            console.say("The Service pharos/pharos of type ExternalName leads to this machine.");
        }
        let collector = Collector::start(&session.run_dir(), None).await?;
        if let Some(process) = collector.process() {
            session.record("otelcol", process)?;
        }
        console.say(&format!("Collector: {} (OTLP/gRPC)", collector.endpoint()));
        let started = Instant::now();
        let pharos = Pharos::builder(&cluster).target(cluster.webhook_target()).start().await?;
        session.record(PHAROS, pharos.process())?;
        took.push(("pharos serve is ready", started.elapsed()));
        console.say(&format!(
            "pharos:    {} (process {})",
            pharos.admin_url("/readyz"),
            pharos.pid()
        ));
        Ok(Self { pharos, collector, cluster })
    }

    /// Leaves it all running and says where.
    fn keep(self, console: &Console, run_dir: &Path) {
        let Self { pharos, collector, cluster } = self;
        console.step("Left running");
        console.command(&format!("export KUBECONFIG={}", cluster.as_ref().kubeconfig().display()));
        for (what, place) in [
            ("metrics", pharos.metrics_url()),
            ("telemetry", pharos.admin_url("/debug/telemetry")),
            ("Collector", format!("{} (OTLP/gRPC)", collector.endpoint())),
            ("received", collector.file().display().to_string()),
            ("logs", run_dir.join("*.log").display().to_string()),
            ("to end it", "make down".to_owned()),
        ] {
            console.say(&format!("{what:<10} {place}"));
        }
        pharos.leave_running();
        collector.leave_running();
        cluster.leave_running();
    }
}
