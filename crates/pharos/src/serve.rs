//! `pharos serve`: binds, wires, runs, and ends in order.
//!
//! The order of the end: readiness off, reviews still accepted for the delay, reviews in flight
//! finished, the operator stopped, the last values exported. Probes and scrapes are answered until
//! all of that is done.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use pharos_admission::{Admission, Options};
use pharos_api::telemetryconfig::Component;
use pharos_background_scan::{BackgroundScan, PolicySource};
use pharos_cluster::election::{Election, Leadership};
use pharos_cluster::heartbeat::Pod;
use pharos_instruments::{Instruments, Spans};
use pharos_operator::{Operator, Replica, Stopped};
use pharos_telemetry::{Catalogue, Config, Identity, Pipeline, Proxies, Reloader};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::arguments::ServeArguments;
use crate::logging::{self, LogLevel};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long the last export of all sinks may take.
const FLUSH_DEADLINE: Duration = Duration::from_secs(5);
/// For the probes and scrapes that are being answered when everything else is done.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// How long everything after `--shutdown-delay` may take before the process gives up: more than
/// reviews in flight (10 s), the flush (5 s) and the last answers one after the other, and with the
/// delay less than the 30 s that Kubernetes gives.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(22);
/// The answer to a scrape while no exporter is of type Prometheus.
const NOT_SCRAPED: &str = "Metrics are not scraped here: the configuration in force has no \
    Prometheus exporter. Add an exporter of type Prometheus to spec.exporters of the \
    TelemetryConfig and name it in spec.metrics.exporters.\n";
/// Whose holder writes the status of TelemetryConfigs.
pub(crate) const TELEMETRY_LEASE: &str = "pharos-telemetry-leader";
const ADMISSION_LEASE: &str = "pharos-admission-leader";

/// What is there before anything runs, so that whatever happens can be logged.
struct Foundation {
    identity: Identity,
    instruments: Instruments,
    pipeline: Pipeline,
    reloader: Reloader,
    log_level: LogLevel,
}

/// What runs, and by what it is told to end, in this order.
#[derive(Default)]
struct Process {
    /// Cancelled first: admission and scans leave.
    leaving: CancellationToken,
    /// Cancelled when no review is in flight any more.
    stopping: CancellationToken,
    /// Cancelled when the last values are exported.
    ending: CancellationToken,
    /// Cancelled when any task ends, even by a panic.
    over: CancellationToken,
}

/// The tasks of the process, to be joined in order.
struct Tasks {
    admission: Option<JoinHandle<Result<(), pharos_admission::Error>>>,
    scan: Option<JoinHandle<Result<(), pharos_background_scan::Error>>>,
    operator: JoinHandle<Stopped>,
    elections: Vec<JoinHandle<()>>,
    servers: [JoinHandle<io::Result<()>>; 2],
}

/// Runs the engine until SIGTERM or SIGINT.
pub(crate) fn run(arguments: &ServeArguments) -> anyhow::Result<()> {
    let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let identity = Identity::from_environment(VERSION, &environment);
    let foundation = Foundation::lay(arguments, identity)?;
    crate::tls::install_provider()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(arguments, foundation));
    runtime.shutdown_background();
    outcome
}

async fn serve(arguments: &ServeArguments, foundation: Foundation) -> anyhow::Result<()> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let process = Process::default();
    let tasks = process.start(arguments, foundation).await?;
    let asked = tokio::select! {
        () = asked_to_end(&mut signals) => true,
        () = process.over.cancelled() => false,
    };
    let deadline = arguments.shutdown_delay() + SHUTDOWN_DEADLINE;
    tokio::select! {
        ended = tokio::time::timeout(deadline, process.end(tasks)) => {
            ended.with_context(|| format!("could not end in order within {deadline:?}"))??;
        }
        () = asked_to_end(&mut signals) => bail!("told twice to end: did not wait for the rest"),
    }
    ensure!(asked, "a task ended by itself that never should");
    Ok(())
}

// === impl Foundation ===

impl Foundation {
    /// Starts the pipeline, which exports nowhere yet, and then logging, of which it is a part.
    fn lay(arguments: &ServeArguments, identity: Identity) -> anyhow::Result<Self> {
        let mut catalogue = Catalogue::new();
        let instruments = Instruments::declare(&mut catalogue);
        catalogue.observe_pipeline();
        let (pipeline, reloader) = Pipeline::start(identity.clone(), catalogue)?;
        let instruments = instruments.with_spans(Spans::new(&pipeline));
        let log_level = logging::start(arguments.log_format, &arguments.log_level, &pipeline)?;
        Ok(Self { identity, instruments, pipeline, reloader, log_level })
    }
}

// === impl Process ===

impl Process {
    /// Binds, wires and starts everything.
    async fn start(
        &self,
        arguments: &ServeArguments,
        foundation: Foundation,
    ) -> anyhow::Result<Tasks> {
        let Foundation { identity, instruments, pipeline, reloader, log_level } = foundation;
        let metrics = bind(arguments.metrics_listen, "--metrics-listen").await?;
        let admin = bind(arguments.admin_listen, "--admin-listen").await?;
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let candidate = candidate(&identity, &environment);
        let replica = replica(arguments, &identity, &environment);
        let create = arguments
            .create_telemetry_config()
            .context("--create-telemetry-config cannot be used")?;
        let options = Options {
            listen: arguments.webhook_listen,
            target: arguments
                .webhook_target()
                .context("--namespace cannot be that of the webhook's Service")?,
            namespace: arguments.namespace.clone(),
            exempt_namespaces: arguments.exempt_namespaces(),
            owner: arguments.owner_cluster_role.clone(),
            config_map: arguments.policies.kyverno_config_map.clone(),
            policy_status: arguments.policies.policy_status,
            exceptions: arguments.policies.exception_namespace.clone(),
            events: arguments.policies.events(),
            reporting: arguments.scan.reporting(&replica.components),
            reporter: replica.name.clone(),
            limits: arguments.limits(),
            shutdown_delay: arguments.shutdown_delay(),
        };
        let kubeconfig = arguments.kubeconfig.as_deref();
        let kube_layer = instruments.kube_layer();
        let client = pharos_cluster::connect(kubeconfig, &kube_layer).await?;
        let reloader = reloader.with_proxies(Proxies::from_environment(&environment));
        tracing::info!(
            version = VERSION,
            replica = replica.name,
            namespace = replica.namespace,
            "starting"
        );

        let elect = |lease| {
            let (role, leadership) = watch::channel(Leadership::Follower);
            let election = Election::new(client.clone(), &replica.namespace, lease, &candidate);
            (leadership, self.spawn(election.run(role, self.stopping.clone())))
        };
        let runs = |component| replica.components.contains(&component);
        let (telemetry_leadership, telemetry_election) = elect(TELEMETRY_LEASE);
        let mut elections = vec![telemetry_election];
        let admission = runs(Component::Admission).then(|| {
            let (leadership, election) = elect(ADMISSION_LEASE);
            elections.push(election);
            Admission::new(client.clone(), instruments.clone(), options, leadership)
        });
        let scan = runs(Component::BackgroundScan).then(|| {
            let policies = match &admission {
                Some(admission) => PolicySource::Shared(admission.policies()),
                None => PolicySource::Watched(arguments.policies.exception_namespace.clone()),
            };
            let options = arguments.scan.options(&replica);
            BackgroundScan::new(client.clone(), policies, instruments, options)
        });
        let admission_readiness = admission.as_ref().map(|it| ("admission", it.readiness()));
        let scan_readiness = scan.as_ref().map(|it| ("background-scan", it.readiness()));
        let admin_port = Admin {
            pipeline: pipeline.clone(),
            log_level,
            components: admission_readiness.into_iter().chain(scan_readiness).collect(),
        };
        let operator = Operator {
            client,
            replica,
            pipeline: pipeline.clone(),
            reloader,
            defaults: Config::prometheus(),
            leadership: telemetry_leadership,
            create,
        };
        let ending = self.ending.clone().cancelled_owned();
        let scrapes = pharos_telemetry::serve_scrapes(metrics, pipeline, NOT_SCRAPED, ending);
        Ok(Tasks {
            servers: [
                self.spawn(scrapes),
                self.spawn(admin_port.serve(admin, self.ending.clone())),
            ],
            elections,
            operator: self.spawn(operator.run(self.stopping.clone())),
            scan: scan.map(|scan| self.spawn(scan.run(self.leaving.clone()))),
            admission: admission.map(|admission| self.spawn(admission.run(self.leaving.clone()))),
        })
    }

    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let over = self.over.clone().drop_guard();
        tokio::spawn(async move {
            let _over = over;
            task.await
        })
    }

    /// Ends everything in order. The first error of the order is the outcome; none keeps what comes
    /// after it from ending in order, too.
    async fn end(&self, tasks: Tasks) -> anyhow::Result<()> {
        let Tasks { admission, scan, operator, elections, servers } = tasks;
        self.leaving.cancel();
        let admission = ended(admission).await;
        let scan = ended(scan).await;
        self.stopping.cancel();
        let operator = match operator.await {
            Ok(stopped) => {
                let (flushed, outcome) = stopped.flush(FLUSH_DEADLINE).await;
                tracing::info!(?flushed, "telemetry flushed");
                outcome.context("the operator")
            }
            Err(died) => Err(died).context("the operator died, and the last values with it"),
        };
        self.ending.cancel();
        let last_answers = async {
            for election in elections {
                election.await.context("an election died")?;
            }
            for server in servers {
                server.await.context("a server died")??;
            }
            anyhow::Ok(())
        };
        // A client that never finishes its request is no reason to fail.
        let servers = tokio::time::timeout(LAST_ANSWERS, last_answers).await.unwrap_or(Ok(()));
        admission.context("admission died")?.context("admission")?;
        scan.context("background scans died")?.context("background scans")?;
        operator?;
        servers
    }
}

/// Waits for a component, if this process runs it.
async fn ended<E>(
    component: Option<JoinHandle<Result<(), E>>>,
) -> Result<Result<(), E>, tokio::task::JoinError> {
    match component {
        Some(component) => component.await,
        None => Ok(Ok(())),
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

/// The start of the instance id: enough to tell processes apart for a person.
fn short(identity: &Identity) -> String {
    identity.instance_id().chars().filter(char::is_ascii_alphanumeric).take(8).collect()
}

/// This process as a candidate of elections: no two processes are one, whatever their names.
fn candidate(identity: &Identity, environment: &dyn Fn(&str) -> Option<String>) -> String {
    let name = environment("POD_NAME").unwrap_or_else(|| "local".to_owned());
    format!("{name}_{}", short(identity))
}

/// This process among its replicas: its Pod, or the start of the instance id.
fn replica(
    arguments: &ServeArguments,
    identity: &Identity,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Replica {
    let pod_name = environment("POD_NAME");
    // The owner of a Lease has to be in its namespace, or the Lease is collected again and again.
    let at_home = environment("POD_NAMESPACE").is_none_or(|it| it == arguments.namespace);
    let uid = environment("POD_UID").filter(|_| at_home);
    let pod = pod_name.clone().zip(uid).map(|(name, uid)| Pod { name, uid });
    Replica {
        namespace: arguments.namespace.clone(),
        name: pod_name.unwrap_or_else(|| format!("local-{}", short(identity).to_lowercase())),
        pod,
        components: arguments.components(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser;

    fn named(variables: &[(&str, &str)]) -> (Replica, String) {
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let arguments = Arguments::parse_from(["pharos", "serve", "--namespace", "engine"]);
        let Command::Serve(arguments) = arguments.command else { panic!("serve was asked for") };
        let identity = Identity::from_environment(VERSION, &environment);
        (replica(&arguments, &identity, &environment), candidate(&identity, &environment))
    }

    #[test]
    fn a_pod_is_named_after_itself_and_owns_its_lease_at_home_only() {
        let pod = [("POD_NAME", "p-1"), ("POD_UID", "u-1"), ("POD_NAMESPACE", "engine")];
        let (replica, candidate) = named(&pod);
        assert_eq!((replica.name.as_str(), candidate.as_str()), ("p-1", "p-1_u1"));
        assert!(replica.pod.is_some_and(|pod| pod.uid == "u-1"));
        let (elsewhere, _) = named(&[pod[0], pod[1], ("POD_NAMESPACE", "other")]);
        assert!(elsewhere.pod.is_none());
    }

    #[test]
    fn outside_of_a_pod_no_two_processes_are_one() {
        let (one, other) = (named(&[]), named(&[]));
        assert_ne!(one.0.name, other.0.name);
        assert_ne!(one.1, other.1);
        assert_ne!(named(&[("POD_NAME", "p")]).1, named(&[("POD_NAME", "p")]).1);
    }
}
