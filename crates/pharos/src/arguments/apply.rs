//! The command line of `pharos apply`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::judge;

pub(crate) const APPLY_AFTER: &str = "\
Exit code: 0 no policy is violated, but for warnings; 1 one is, or cannot be evaluated about a \
resource; 2 something could not be read, or a policy is not evaluated by this version.

  pharos apply policy.yaml --resource deployment.yaml
  helm template . | pharos apply policies/ --resource -
  pharos apply policy.yaml --resource pod.yaml --operation DELETE --userinfo user.yaml";

#[derive(Args, Debug)]
pub(crate) struct ApplyArguments {
    /// Files of policies, folders of .yaml, .yml and .json files, or - for standard input.
    #[arg(required = true, value_name = "POLICY")]
    pub(crate) policies: Vec<PathBuf>,

    /// A file of resources, a folder, or - for standard input. May be repeated.
    #[arg(short, long = "resource", alias = "resources", value_name = "FILE", required = true)]
    pub(crate) resources: Vec<PathBuf>,

    /// A file of policy exceptions, or a folder. May be repeated.
    #[arg(short, long = "exception", alias = "exceptions", value_name = "FILE")]
    pub(crate) exceptions: Vec<PathBuf>,

    /// Kyverno's user info file: who asks, with which roles.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) userinfo: Option<PathBuf>,

    /// Kyverno's values file: namespaces and their labels, and request.operation.
    #[arg(short = 'f', long, alias = "values-file", value_name = "FILE")]
    pub(crate) values: Option<PathBuf>,

    /// Kyverno's context file: what policies find that look something up. Admission refuses them.
    #[arg(long, value_name = "FILE")]
    pub(crate) context_file: Option<PathBuf>,

    /// What is done to the resources: CREATE, UPDATE or DELETE. Default: what the values say, or
    /// CREATE.
    #[arg(long, value_name = "OPERATION", value_parser = judge::operation)]
    pub(crate) operation: Option<pharos_policy::Operation>,

    /// Take violations of what does not deny for warnings.
    #[arg(long)]
    pub(crate) audit_warn: bool,

    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t = ApplyOutput::Table)]
    pub(crate) output: ApplyOutput,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApplyOutput {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For people and programs.
    Yaml,
}
