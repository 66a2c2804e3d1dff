//! What the command line says about background scans.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::SignedDuration;
use pharos_admission::Reporting;
use pharos_api::report::ReportApi;
use pharos_api::telemetryconfig::Component;
use pharos_background_scan::{ExceptionNamespaces, Keeping, Options};
use pharos_operator::Replica;

use super::policies::PolicyOutput;

#[derive(Args, Debug)]
pub(crate) struct ScanArguments {
    /// How often everything in the cluster is judged again, whatever changed; what changed is judged at
    /// once.
    #[arg(long, alias = "backgroundScanInterval", value_name = "DURATION", default_value = "1h")]
    background_scan_interval: Interval,

    /// Where background scans keep reports: as PolicyReports (wgpolicyk8s.io), as Reports
    /// (openreports.io), or nowhere, where another engine keeps them. Then metrics tell the results.
    #[arg(long, value_enum, default_value_t = ReportsArgument::PolicyReports)]
    reports: ReportsArgument,

    /// Whether admission tells in these reports what no scan asks: what policies that are not for
    /// background scans say about requests that are admitted, and rules of updates. Default: where this
    /// process scans, too.
    #[arg(
        long,
        alias = "admissionReports",
        value_name = "BOOLEAN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    admission_reports: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
enum ReportsArgument {
    PolicyReports,
    OpenReports,
    None,
}

/// A time that is long enough for something to be done in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval(Duration);

const SHORTEST: Duration = Duration::from_secs(1);

/// Without a command: judge what is in the cluster now.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ScanCommand {
    #[command(subcommand)]
    pub(crate) command: Option<ScanSubcommand>,

    #[command(flatten)]
    pub(crate) now: ScanNowArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScanSubcommand {
    /// Show how far the replicas are that scan, and what each of them scans.
    #[command(after_help = STATUS_AFTER)]
    Status(ScanStatusArguments),
}

#[derive(Args, Debug)]
pub(crate) struct ScanNowArguments {
    /// Look at what is in this namespace only. Without it: at everything, also what is in none.
    #[arg(short, long)]
    pub(crate) namespace: Option<String>,

    /// The namespace whose PolicyExceptions count; '*' is every one. Say what the engine was told.
    #[arg(long, value_name = "NAMESPACE", default_value = "*")]
    pub(crate) exception_namespace: ExceptionNamespaces,

    /// Show what passes, too.
    #[arg(long)]
    pub(crate) all: bool,

    /// The kubeconfig to use. Without it: what kubectl would use, or the Pod's service account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t = PolicyOutput::Table)]
    pub(crate) output: PolicyOutput,
}

#[derive(Args, Debug)]
pub(crate) struct ScanStatusArguments {
    /// The namespace of the engine.
    #[arg(short, long, env = "POD_NAMESPACE", default_value = "pharos")]
    pub(crate) namespace: String,

    /// The kubeconfig to use. Without it: what kubectl would use, or the Pod's service account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t = PolicyOutput::Table)]
    pub(crate) output: PolicyOutput,
}

pub(crate) const SCAN_AFTER: &str = "\
The objects are judged here, by the code that a replica of this version scans with; nothing is \
written. Needs the right to list policies, namespaces, and what the policies are about.

Exit code: 0 no policy is violated, but for warnings; 1 one is, or cannot be evaluated about an \
object; 2 something could not be read.";

const STATUS_AFTER: &str = "\
What the replicas say of themselves is up to fifteen seconds old.

Exit code: 0 everything is judged and told; 1 not yet, or nobody scans; 2 it could not be read.";

// === impl Interval ===

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = text.parse::<SignedDuration>().map_err(|error| error.to_string())?;
        let duration = Duration::try_from(duration).ok().filter(|duration| *duration >= SHORTEST);
        duration.map(Self).ok_or_else(|| format!("it must be at least {SHORTEST:?}"))
    }
}

// === impl ScanArguments ===

impl ScanArguments {
    pub(crate) fn options(&self, replica: &Replica) -> Options {
        Options {
            interval: self.background_scan_interval.0,
            keeping: self.api().map_or(Keeping::Nowhere, Keeping::In),
            namespace: replica.namespace.clone(),
            replica: replica.name.clone(),
            pod: replica.pod.clone(),
        }
    }

    /// Where results of admissions are told by a process that runs these components.
    pub(crate) fn reporting(&self, components: &BTreeSet<Component>) -> Reporting {
        let scans = components.contains(&Component::BackgroundScan);
        match self.api() {
            Some(api) if self.admission_reports.unwrap_or(scans) => Reporting::In(api),
            _ => Reporting::Nowhere,
        }
    }

    /// Where reports are kept, if they are.
    fn api(&self) -> Option<ReportApi> {
        match self.reports {
            ReportsArgument::PolicyReports => Some(ReportApi::PolicyReports),
            ReportsArgument::OpenReports => Some(ReportApi::OpenReports),
            ReportsArgument::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser;

    fn options(flags: &[&str]) -> Result<Options, clap::Error> {
        let arguments = Arguments::try_parse_from([&["pharos", "serve"], flags].concat())?;
        let Command::Serve(arguments) = arguments.command else { panic!("serve was asked for") };
        let (namespace, name) = ("engine".to_owned(), "r".to_owned());
        let components = arguments.components();
        let replica = Replica { namespace, name, pod: None, components };
        Ok(arguments.scan.options(&replica))
    }

    #[test]
    fn everything_is_judged_every_hour_and_told_in_policy_reports_unless_told_otherwise() {
        let unsaid = options(&[]).unwrap();
        assert_eq!(unsaid.interval, Duration::from_secs(3600));
        assert_eq!(unsaid.keeping, Keeping::In(ReportApi::PolicyReports));
        let said = options(&["--backgroundScanInterval=1h30m", "--reports=OpenReports"]).unwrap();
        assert_eq!(said.interval, Duration::from_secs(5400));
        assert_eq!(said.keeping, Keeping::In(ReportApi::OpenReports));
        assert_eq!(options(&["--reports=None"]).unwrap().keeping, Keeping::Nowhere);
    }

    #[test]
    fn admissions_are_reported_where_the_process_scans_unless_told_otherwise() {
        let reporting = |flags: &[&str]| {
            let arguments = [&["pharos", "serve"], flags].concat();
            let Command::Serve(arguments) = Arguments::parse_from(arguments).command else {
                panic!("serve was asked for")
            };
            arguments.scan.reporting(&arguments.components())
        };
        let both = "--components=admission,background-scan";
        let (on, off) = (Reporting::In(ReportApi::PolicyReports), Reporting::Nowhere);
        assert_eq!(reporting(&[]), off);
        assert_eq!(reporting(&[both]), on);
        assert_eq!(reporting(&[both, "--admission-reports=false"]), off);
        assert_eq!(reporting(&["--admissionReports=true"]), on);
        assert_eq!(reporting(&["--admission-reports"]), on);
        assert_eq!(reporting(&["--admission-reports", "--reports=None"]), off);
        let open = reporting(&["--admission-reports", "--reports=OpenReports"]);
        assert_eq!(open, Reporting::In(ReportApi::OpenReports));
    }

    #[test]
    fn an_interval_in_which_nothing_can_be_done_is_refused() {
        for interval in ["0s", "10ms", "-1h", "soon", "3600"] {
            let flag = format!("--background-scan-interval={interval}");
            assert!(options(&[&flag]).is_err(), "{interval}");
        }
    }
}
