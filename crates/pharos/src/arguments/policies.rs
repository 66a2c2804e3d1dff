//! What the command line says about policies and what is told of them.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use pharos_admission::{EventOptions, EventReason, ExceptionNamespaces, PolicyStatus};

#[derive(Args, Debug)]
pub(crate) struct PolicyArguments {
    /// The ConfigMap of this engine's namespace with Kyverno's settings: resourceFilters,
    /// excludeGroups and so on. Without it, those of Kyverno's chart hold.
    #[arg(long, value_name = "NAME", default_value = "kyverno")]
    pub(crate) kyverno_config_map: String,

    /// Who writes the status of policies: Pharos, or Kyverno that runs beside it. Then Events and
    /// `pharos policy status` tell what is wrong.
    #[arg(long, value_name = "Pharos|Kyverno", default_value = "Pharos")]
    pub(crate) policy_status: PolicyStatus,

    /// The namespace whose PolicyExceptions count; '*' is every one.
    #[arg(long, alias = "exceptionNamespace", value_name = "NAMESPACE", default_value = "*")]
    pub(crate) exception_namespace: ExceptionNamespaces,

    /// The reasons that no Event is made for, of PolicyViolation, PolicyApplied, PolicyError and
    /// PolicySkipped.
    #[arg(
        long,
        alias = "omitEvents",
        value_name = "REASONS",
        default_value = "PolicyApplied,PolicySkipped"
    )]
    omit_events: Reasons,

    /// How many Events may wait to be published; the others are dropped and counted.
    #[arg(long, alias = "maxQueuedEvents", value_name = "COUNT", default_value = "1000")]
    max_queued_events: NonZeroUsize,

    /// How many Events are published per second in the long run.
    #[arg(long, alias = "eventsRateLimitQPS", value_name = "COUNT", default_value = "1000")]
    events_rate_limit_qps: NonZeroU32,

    /// How many Events are published at once.
    #[arg(long, alias = "eventsRateLimitBurst", value_name = "COUNT", default_value = "2000")]
    events_rate_limit_burst: NonZeroU32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show every policy and exception: whether it is evaluated, its rules, and what is wrong with it.
    #[command(after_help = STATUS_AFTER)]
    Status(PolicyStatusArguments),
}

const STATUS_AFTER: &str = "\
The policies are compiled here, by the code that a replica of this version runs, whoever writes their \
status. Needs the right to list them in all namespaces, no other.

Exit code: 0 all that was asked about is ready; 1 something is not; 2 it could not be read.";

#[derive(Args, Debug)]
pub(crate) struct PolicyStatusArguments {
    /// Show the policies of this name only; NAMESPACE/NAME for one in a namespace.
    pub(crate) name: Option<String>,

    /// The kubeconfig to use. Without it: what kubectl would use, or the Pod's service account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The namespace whose PolicyExceptions count; '*' is every one. Say what the engine was told.
    #[arg(long, value_name = "NAMESPACE", default_value = "*")]
    pub(crate) exception_namespace: ExceptionNamespaces,

    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t = PolicyOutput::Table)]
    pub(crate) output: PolicyOutput,
}

/// How policies are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyOutput {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For people and programs.
    Yaml,
}

/// Reasons with commas between them; none is a list, too.
#[derive(Clone, Debug)]
struct Reasons(BTreeSet<EventReason>);

// === impl Reasons ===

impl FromStr for Reasons {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reasons = text.split(',').map(str::trim).filter(|reason| !reason.is_empty());
        reasons.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

// === impl PolicyArguments ===

impl PolicyArguments {
    pub(crate) fn events(&self) -> EventOptions {
        EventOptions {
            omitted: self.omit_events.0.clone(),
            queued: self.max_queued_events,
            rate: self.events_rate_limit_qps,
            burst: self.events_rate_limit_burst,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command, ServeArguments};
    use clap::Parser;

    fn serve(flags: &[&str]) -> Box<ServeArguments> {
        let arguments = Arguments::parse_from([&["pharos", "serve"], flags].concat());
        let Command::Serve(arguments) = arguments.command else { panic!("serve was asked for") };
        arguments
    }

    #[test]
    fn events_are_as_in_kyvernos_chart_unless_told_otherwise() {
        assert_eq!(serve(&[]).policies.events(), EventOptions::default());
        let none = serve(&["--omit-events=", "--eventsRateLimitQPS=5"]).policies.events();
        assert_eq!((none.omitted.len(), none.rate.get()), (0, 5));
        let all = serve(&["--omit-events=PolicyError", "--policy-status=Kyverno"]).policies;
        assert_eq!(all.events().omitted, [EventReason::PolicyError].into());
        assert_eq!(all.policy_status, PolicyStatus::Kyverno);
    }

    #[test]
    fn exceptions_count_everywhere_or_in_one_namespace() {
        let given = |flags: &[&str]| serve(flags).policies.exception_namespace;
        for every in [&[][..], &["--exception-namespace=*"], &["--exceptionNamespace="]] {
            assert_eq!(given(every), ExceptionNamespaces::Every, "{every:?}");
        }
        let one = given(&["--exceptionNamespace=kyverno"]);
        assert_eq!(one, ExceptionNamespaces::Only("kyverno".into()));
        for name in ["a,b", "A", "team-*", "-a", "a.b"] {
            let flag = format!("--exception-namespace={name}");
            let refused = Arguments::try_parse_from(["pharos", "serve", &flag]).unwrap_err();
            assert!(refused.to_string().contains("neither the name of a namespace"), "{refused}");
        }
    }

    #[test]
    fn a_queue_without_room_or_an_unknown_reason_is_refused() {
        for flag in ["--max-queued-events=0", "--omit-events=Applied", "--policy-status=Nobody"] {
            assert!(Arguments::try_parse_from(["pharos", "serve", flag]).is_err(), "{flag}");
        }
    }
}
