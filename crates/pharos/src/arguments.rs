//! The command line: every flag, its default and its help text.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pharos_admission::{Limits, TargetError, WebhookService, WebhookTarget, WebhookUrl};
use pharos_api::telemetryconfig::Component;
use pharos_operator::{Manifest, ManifestError};

pub(crate) mod apply;
pub(crate) mod policies;
pub(crate) mod scan;
pub(crate) mod telemetry;
pub(crate) mod test;
pub(crate) mod webhooks;

use apply::{APPLY_AFTER, ApplyArguments};
use policies::{PolicyArguments, PolicyCommand};
use scan::{SCAN_AFTER, ScanArguments, ScanCommand};
use telemetry::TelemetryCommand;
use test::{TEST_AFTER, TestArguments};
use webhooks::WebhooksCommand;

/// The port of the webhook's Service unless told otherwise.
const SERVICE_PORT: NonZeroU16 = NonZeroU16::new(443).expect("443 is not zero");

/// A Kubernetes policy engine whose telemetry is configured with `kubectl apply`.
#[derive(Debug, Parser)]
#[command(name = "pharos", version, max_term_width = 100, args_override_self = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the engine: admission webhook, background scans, TelemetryConfig operator, metrics and probes.
    Serve(Box<ServeArguments>),
    /// Print the CustomResourceDefinitions that Pharos needs, as YAML for `kubectl apply`.
    Crds,
    /// Show what this version of Pharos makes of the policies of a cluster.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Judge what is in a cluster now, or show how far its background scans are.
    #[command(after_help = SCAN_AFTER)]
    Scan(ScanCommand),
    /// Deal with what is registered with the API server, above all while Pharos itself is away.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Check TelemetryConfigs before they are applied, and show what comes of them.
    #[command(subcommand)]
    Telemetry(TelemetryCommand),
    /// Run Kyverno's policy tests with the engine that admission runs on.
    #[command(after_help = TEST_AFTER)]
    Test(TestArguments),
    /// Say what policies would say about manifests, without a cluster.
    #[command(after_help = APPLY_AFTER)]
    Apply(ApplyArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ServeArguments {
    /// The components that this process runs.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "admission")]
    pub(crate) components: Vec<ComponentArgument>,

    /// The namespace of this engine: its TelemetryConfigs, Secrets and Leases.
    #[arg(long, env = "POD_NAMESPACE", default_value = "pharos")]
    pub(crate) namespace: String,

    /// The kubeconfig to use. Without it: what kubectl would use, or the Pod's service account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Where the admission webhook listens (HTTPS).
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9443")]
    pub(crate) webhook_listen: SocketAddr,

    /// The Service by which the API server reaches the webhook. Default: NAMESPACE/pharos:443.
    #[arg(long, value_name = "NAMESPACE/NAME:PORT", conflicts_with = "webhook_url")]
    webhook_service: Option<WebhookService>,

    /// The https:// URL by which the API server reaches the webhook, where there is no Service.
    #[arg(long, value_name = "URL")]
    webhook_url: Option<WebhookUrl>,

    /// Namespaces that no policy sees, beside this engine's own: those of other engines above all,
    /// which could otherwise keep each other from starting. Without kube-system, a policy that fails
    /// closed keeps the Pods of nodes from starting while Pharos is away.
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',', default_value = "kube-system")]
    exempt_namespaces: Vec<String>,

    /// The ClusterRole that owns the webhook's registration: where it is deleted, Pharos is being
    /// uninstalled, and the API server must not call it any more.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner_cluster_role: Option<String>,

    /// The manifest of a TelemetryConfig that the leader creates if the namespace has none of its
    /// name, once the kind is served. One that is there is never changed.
    #[arg(long, value_name = "JSON")]
    create_telemetry_config: Option<Manifest>,

    #[command(flatten)]
    pub(crate) policies: PolicyArguments,

    #[command(flatten)]
    pub(crate) scan: ScanArguments,

    /// How many connections to the webhook there may be at a time; those over it are closed at once.
    #[arg(long, value_name = "CONNECTIONS", default_value_t = Limits::default().connections)]
    webhook_max_connections: usize,

    /// How many reviews are worked on at a time. Those over it are answered at once with 429, and the
    /// API server goes by the failure policy: of policies that ignore failures they pass, of others
    /// they are refused.
    #[arg(long, value_name = "REVIEWS", default_value_t = Limits::default().requests)]
    webhook_max_reviews: usize,

    /// How many MiB the bodies of these reviews may have together; at least one fits in, whatever its
    /// length.
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().body_bytes >> 20)]
    webhook_max_body_mebibytes: usize,

    /// How many MiB of memory these bodies may take together when they are parsed, 96 at least: as much
    /// as one may take. Most take five times their length, many small parts thirty times.
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().parsed_bytes >> 20)]
    webhook_max_parsed_mebibytes: usize,

    /// Where /metrics is served for Prometheus to scrape (HTTP).
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8000")]
    pub(crate) metrics_listen: SocketAddr,

    /// Where /livez, /readyz and /debug/telemetry are served (HTTP).
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8081")]
    pub(crate) admin_listen: SocketAddr,

    /// After SIGTERM: how many seconds reviews are still accepted, so that the API server can learn
    /// that this replica leaves.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    shutdown_delay: u32,

    /// How log lines look on standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,

    /// What is logged: a level, or a filter such as `info,pharos_admission=debug`.
    #[arg(long, env = "PHAROS_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log_level: String,
}

/// A component that this version can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComponentArgument {
    /// The admission webhook.
    Admission,
    /// Background scans and policy reports.
    BackgroundScan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

// === impl ComponentArgument ===

impl From<ComponentArgument> for Component {
    fn from(argument: ComponentArgument) -> Self {
        match argument {
            ComponentArgument::Admission => Self::Admission,
            ComponentArgument::BackgroundScan => Self::BackgroundScan,
        }
    }
}

// === impl ServeArguments ===

impl ServeArguments {
    pub(crate) fn components(&self) -> BTreeSet<Component> {
        self.components.iter().copied().map(Component::from).collect()
    }

    pub(crate) fn webhook_target(&self) -> Result<WebhookTarget, TargetError> {
        Ok(match (&self.webhook_service, &self.webhook_url) {
            (Some(service), _) => WebhookTarget::Service(service.clone()),
            (None, Some(url)) => WebhookTarget::Url(url.clone()),
            (None, None) => WebhookTarget::Service(WebhookService::new(
                &self.namespace,
                "pharos",
                SERVICE_PORT,
            )?),
        })
    }

    /// An empty value is none at all.
    pub(crate) fn exempt_namespaces(&self) -> BTreeSet<String> {
        self.exempt_namespaces.iter().filter(|it| !it.is_empty()).cloned().collect()
    }

    pub(crate) fn create_telemetry_config(&self) -> Result<Option<Manifest>, ManifestError> {
        let manifest = self.create_telemetry_config.clone();
        manifest.map(|it| it.of_namespace(&self.namespace)).transpose()
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            connections: self.webhook_max_connections,
            requests: self.webhook_max_reviews,
            body_bytes: self.webhook_max_body_mebibytes.saturating_mul(1 << 20),
            parsed_bytes: self.webhook_max_parsed_mebibytes.saturating_mul(1 << 20),
        }
    }

    pub(crate) fn shutdown_delay(&self) -> Duration {
        Duration::from_secs(self.shutdown_delay.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// `pharos telemetry check` takes it for granted that somebody runs what an object asks for.
    #[test]
    fn every_component_can_be_run() {
        let runnable = ComponentArgument::value_variants().iter().copied().map(Component::from);
        assert_eq!(runnable.collect::<BTreeSet<_>>(), Component::ALL.into());
    }

    #[test]
    fn the_service_form_is_the_default_target() {
        let arguments = Arguments::parse_from(["pharos", "serve", "--namespace", "engine"]);
        let Command::Serve(arguments) = arguments.command else { panic!("serve was asked for") };
        let target = arguments.webhook_target().unwrap();
        assert_eq!(target.to_string(), "engine/pharos:443");
        assert_eq!(arguments.metrics_listen.to_string(), "0.0.0.0:8000");
        assert_eq!(arguments.shutdown_delay(), Duration::from_secs(5));
        assert_eq!(arguments.exempt_namespaces(), ["kube-system".to_owned()].into());
    }

    #[test]
    fn no_namespace_can_be_exempt() {
        let arguments = Arguments::parse_from(["pharos", "serve", "--exempt-namespaces="]);
        let Command::Serve(arguments) = arguments.command else { panic!("serve was asked for") };
        assert!(arguments.exempt_namespaces().is_empty());
    }

    #[test]
    fn what_is_no_manifest_of_this_namespace_is_refused_at_the_start() {
        let serve = |json: &str| {
            let flag = format!("--create-telemetry-config={json}");
            Arguments::try_parse_from(["pharos", "serve", "--namespace", "engine", &flag])
        };
        let refused = serve(r#"{"kind": "Secret"}"#).unwrap_err().to_string();
        assert!(refused.contains("--create-telemetry-config"), "{refused}");
        assert!(refused.contains("and not a telemetry.pharos.dev/v1alpha1"), "{refused}");
        let taken = r#"{"apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
            "metadata": {"name": "a", "namespace": "other"}}"#;
        let Command::Serve(arguments) = serve(taken).unwrap().command else {
            panic!("serve was asked for")
        };
        let refused = arguments.create_telemetry_config().unwrap_err().to_string();
        assert!(refused.contains("\"other\"") && refused.contains("\"engine\""), "{refused}");
    }

    #[test]
    fn service_and_url_exclude_each_other() {
        let both = ["pharos", "serve", "--webhook-service", "a/b:1", "--webhook-url", "https://c"];
        assert!(Arguments::try_parse_from(both).is_err());
    }
}
