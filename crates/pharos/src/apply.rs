//! `pharos apply`: what policies would say about manifests.
//!
//! ```text
//! files -> policies, objects, circumstances -> judge -> outcome: results and problems -> render
//! ```
//!
//! Nothing is applied anywhere, and no cluster is asked. A policy that is not evaluated is a
//! problem that is told, not a policy that nothing violates.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use pharos_policy::Lookups;
use serde_json::Value;

use crate::arguments::apply::ApplyArguments;
use crate::console;
use crate::documents::{self, Document};
use crate::judge::{self, Circumstances, Kinds, Objects, Policies, UserInfo, Values};

mod outcome;
mod render;

use outcome::{Audited, Outcome};

/// Judges, prints, and says by the exit code what it comes to.
pub(crate) fn run(arguments: &ApplyArguments) -> ExitCode {
    console::ended(applied(arguments))
}

fn applied(arguments: &ApplyArguments) -> anyhow::Result<ExitCode> {
    let from_standard_input = |paths: &[PathBuf]| paths.iter().any(|it| it.as_os_str() == "-");
    if from_standard_input(&arguments.policies) && from_standard_input(&arguments.resources) {
        bail!("standard input is policies or resources, not both");
    }
    let policies = read(&arguments.policies, "policies")?;
    let exceptions = read(&arguments.exceptions, "exceptions")?;
    let resources = read(&arguments.resources, "resources")?;
    let mut kinds = Kinds::default();
    resources.iter().for_each(|document| kinds.define(&document.value));
    let context = first(arguments.context_file.as_deref())?;
    let lookups = match context {
        Some(context) => judge::lookups(Some(context), Vec::new(), &kinds)?,
        None => Lookups::Refused,
    };
    let policies = Policies::of(&policies, &exceptions, &lookups);
    if policies.is_empty() {
        bail!("there is no policy in the files");
    }
    let mut objects = Objects::default();
    objects.add(resources, &kinds)?;
    if objects.objects.is_empty() {
        bail!("there is no resource in the files");
    }
    let user = first(arguments.userinfo.as_deref())?;
    let values = first(arguments.values.as_deref())?;
    let circumstances = Circumstances {
        user: user.map_or(Ok(UserInfo::default()), UserInfo::parse)?,
        values: values.map_or(Ok(Values::default()), Values::parse)?,
        namespaces: objects.namespaces(),
    };
    let audited = if arguments.audit_warn { Audited::Warn } else { Audited::Fail };
    let mut outcome = Outcome::new(&policies);
    for object in &objects.objects {
        let verdicts = circumstances.judge(&policies, object, arguments.operation);
        for (policy, verdict) in policies.iter().zip(verdicts) {
            outcome.add(policy.id(), &object.id, verdict, audited);
        }
    }
    console::print(&render::rendered(&outcome, arguments.output)?)?;
    Ok(outcome.code())
}

fn read(paths: &[PathBuf], what: &'static str) -> anyhow::Result<Vec<Document>> {
    documents::read_all(paths).context(what)
}

/// The first document of a file; none where no file is named.
fn first(file: Option<&Path>) -> anyhow::Result<Option<Value>> {
    let Some(file) = file else { return Ok(None) };
    let documents = documents::read_all(&[file.to_owned()])?;
    let first = documents.into_iter().next();
    first.map(|it| Some(it.value)).with_context(|| format!("{} has nothing in it", file.display()))
}
