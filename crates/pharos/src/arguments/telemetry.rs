//! The command line of `pharos telemetry`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum TelemetryCommand {
    /// Say what the controller would say of TelemetryConfigs in files, all problems at once.
    #[command(after_help = CHECK_AFTER)]
    Check(CheckArguments),
    /// Show what every replica runs and exports, from status and from the replicas' Leases.
    #[command(after_help = STATUS_AFTER)]
    Status(StatusArguments),
}

const CHECK_AFTER: &str = "\
Exit code: 0 nothing is wrong, but for warnings; 1 problems were found; 2 something could not be \
checked.

Without --cluster nothing is asked: schema, rules, exporters, views, and which object wins. What is \
referred to is listed as not read. With --cluster the named Secrets and ConfigMaps are read with your \
rights and judged as the controller judges them, and the TelemetryConfigs that are there compete.

  pharos telemetry check -f telemetry.yaml
  helm template . | pharos telemetry check -f -
  pharos telemetry check -f telemetry.yaml --cluster --probe";

const STATUS_AFTER: &str = "\
Needs the rights to list telemetryconfigs and to get and list leases in the namespace, no other.

Exit code: 0 it was shown, whatever it says; 2 it could not be read.";

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    /// A file, a folder of .yaml, .yml and .json files, or - for standard input. May be repeated.
    /// What is no TelemetryConfig is skipped.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// The namespace of objects that name none.
    #[arg(short, long, env = "POD_NAMESPACE", default_value = "pharos")]
    pub(crate) namespace: String,

    /// Read what is referred to, and the TelemetryConfigs that are there, from the API server.
    #[arg(long)]
    pub(crate) cluster: bool,

    /// The kubeconfig to use. Without it: what kubectl would use, or the Pod's service account.
    #[arg(long, value_name = "FILE", requires = "cluster")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Send an empty export from here to every receiver. Those with credentials or certificates
    /// need --cluster.
    #[arg(long)]
    pub(crate) probe: bool,

    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    /// Show this TelemetryConfig only, and the replicas that obey it.
    pub(crate) name: Option<String>,

    /// The namespace of the engine.
    #[arg(short, long, env = "POD_NAMESPACE", default_value = "pharos")]
    pub(crate) namespace: String,

    /// The kubeconfig to use. Without it: what kubectl would use, or the Pod's service account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Show every replica, not only the first that need a look.
    #[arg(long)]
    pub(crate) all: bool,

    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text)]
    pub(crate) output: OutputFormat,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}
