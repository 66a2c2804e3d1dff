//! The command line of `pharos webhooks`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// Delete the webhook configurations of Pharos, so that the API server calls it no more.
    #[command(after_help = REMOVE_AFTER)]
    Remove(RemoveArguments),
}

const REMOVE_AFTER: &str = "\
The break-glass: for a cluster whose requests are refused because a policy fails closed and Pharos \
does not answer. A Pharos that runs registers itself again at once, so stop it first:

  kubectl scale deployment -n pharos -l app.kubernetes.io/name=pharos --replicas=0
  pharos webhooks remove

Without this program, with nothing but kubectl:

  kubectl delete validatingwebhookconfigurations -l app.kubernetes.io/managed-by=pharos

Needs the rights to list and delete validatingwebhookconfigurations, no other. Started again, Pharos \
registers what the policies ask for.

Exit code: 0 nothing of Pharos is registered any more; 1 something came back, because Pharos runs; 2 \
it could not be read or deleted.";

#[derive(Args, Debug)]
pub(crate) struct RemoveArguments {
    /// Only that of the engine in this namespace. Without it: those of every engine.
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,

    /// Say what would be deleted, and delete nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// How many seconds to look whether something comes back: longer than a replica takes to follow
    /// a leader that is gone.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    watch: u32,

    /// The kubeconfig to use. Without it: what kubectl would use, or the Pod's service account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

// === impl RemoveArguments ===

impl RemoveArguments {
    pub(crate) fn watch(&self) -> Duration {
        Duration::from_secs(self.watch.into())
    }
}
