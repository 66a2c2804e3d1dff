//! `pharos serve`: binds, wires, runs, and ends in order.
//!
//! The order of the end: readiness off, reviews still accepted for the delay, reviews in flight
//! finished, the operator stopped, the last values exported. Probes and scrapes are answered until
//! all of that is done.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use pharos_admission::{Admission, Options};
use pharos_cluster::election::{Election, Leadership};
use pharos_cluster::heartbeat::Pod;
use pharos_instruments::Instruments;
use pharos_operator::{Operator, Replica};
use pharos_telemetry::{Config, Identity, Pipeline};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::arguments::ServeArguments;
use crate::logging;

/// How long the last export of all sinks may take.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);
/// How long everything after `--shutdown-delay` may take before the process gives up: more than
/// reviews in flight (10 s), the drain of removed sinks (5 s) and the flush one after the other, and
/// with the delay less than the 30 s that Kubernetes gives.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(22);
const TELEMETRY_LEASE: &str = "pharos-telemetry-leader";
const ADMISSION_LEASE: &str = "pharos-admission-leader";

/// Runs the engine until SIGTERM or SIGINT.
pub(crate) fn run(arguments: ServeArguments) -> anyhow::Result<()> {
    logging::start(arguments.log_format, &arguments.log_level)?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider was installed before ours"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(arguments));
    runtime.shutdown_background();
    outcome
}

async fn serve(arguments: ServeArguments) -> anyhow::Result<()> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let metrics = bind(arguments.metrics_listen, "--metrics-listen").await?;
    let admin = bind(arguments.admin_listen, "--admin-listen").await?;
    let client = pharos_cluster::connect(arguments.kubeconfig.as_deref()).await?;
    let environment = |name: &str| std::env::var(name).ok();
    let identity = Identity::from_environment(env!("CARGO_PKG_VERSION"), &environment);
    let replica = replica(&arguments, &identity, &environment);
    let (pipeline, reloader) = Pipeline::start(identity)?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        replica = replica.name,
        namespace = replica.namespace,
        "starting"
    );

    let (leaving, stopping, ending) =
        (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let elect = |lease| {
        let (role, leadership) = watch::channel(Leadership::Follower);
        let election = Election::new(client.clone(), &replica.namespace, lease, &replica.name);
        (leadership, tokio::spawn(election.run(role, stopping.clone())))
    };
    let (admission_leadership, admission_election) = elect(ADMISSION_LEASE);
    let (telemetry_leadership, telemetry_election) = elect(TELEMETRY_LEASE);

    let options = Options {
        listen: arguments.webhook_listen,
        target: arguments
            .webhook_target()
            .context("--namespace cannot be that of the webhook's Service")?,
        namespace: arguments.namespace.clone(),
        shutdown_delay: arguments.shutdown_delay(),
    };
    let instruments = Instruments::new(&pipeline);
    let admission = Admission::new(client.clone(), instruments, options, admission_leadership);
    let admin_port = Admin {
        pipeline: pipeline.clone(),
        components: vec![("admission", admission.readiness())],
    };
    let operator = Operator {
        client,
        replica,
        pipeline: pipeline.clone(),
        reloader,
        defaults: Config::prometheus(),
        leadership: telemetry_leadership,
    };
    let scrapes = tokio::spawn(pharos_telemetry::serve_scrapes(
        metrics,
        pipeline,
        ending.clone().cancelled_owned(),
    ));
    let probes = tokio::spawn(admin_port.serve(admin, ending.clone()));
    let operator = tokio::spawn(operator.run(stopping.clone()));
    let mut admission = tokio::spawn(admission.run(leaving.clone()));

    let died = tokio::select! {
        () = asked_to_end(&mut signals) => None,
        outcome = &mut admission => Some(outcome),
    };
    leaving.cancel();
    let end = async {
        let outcome = match died {
            Some(outcome) => outcome,
            None => admission.await,
        };
        stopping.cancel();
        let reloader = operator.await.context("the operator died")?;
        join([admission_election, telemetry_election]).await;
        let flushed = reloader.shutdown(FLUSH_DEADLINE).await;
        tracing::info!(?flushed, "telemetry flushed");
        ending.cancel();
        scrapes.await??;
        probes.await??;
        outcome.context("admission died")?.context("admission")
    };
    match tokio::time::timeout(arguments.shutdown_delay() + SHUTDOWN_DEADLINE, end).await {
        Ok(outcome) => outcome,
        Err(_) => bail!("could not end in order within {SHUTDOWN_DEADLINE:?} after the delay"),
    }
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with {flag}"))
}

async fn asked_to_end((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: leaving"),
        _ = interrupt.recv() => tracing::info!("SIGINT: leaving"),
    }
}

async fn join(tasks: [JoinHandle<()>; 2]) {
    for task in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "an election died");
        }
    }
}

/// This process among its replicas: its Pod, or the host's name and the start of the instance id.
fn replica(
    arguments: &ServeArguments,
    identity: &Identity,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Replica {
    let pod_name = environment("POD_NAME");
    let pod = pod_name.clone().zip(environment("POD_UID")).map(|(name, uid)| Pod { name, uid });
    let name = pod_name.unwrap_or_else(|| {
        let instance = identity.instance_id();
        format!("local-{}", instance.get(..8).unwrap_or(instance)).to_lowercase()
    });
    Replica {
        namespace: arguments.namespace.clone(),
        name,
        pod,
        components: arguments.components(),
    }
}
