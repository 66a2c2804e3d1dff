//! One test from its file to what came out: everything is read, then judged, then compared.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pharos_policy::{Lookups, Operation};
use serde_json::Value;

use super::compare::{Judged, Run, compare};
use super::report::{SuiteReport, Tested};
use super::suite::Suite;
use crate::documents::{Document, read_all};
use crate::judge::{self, Circumstances, Kinds, Object, Objects, Policies, UserInfo, Values};

/// Runs every test of a file. What cannot be run is reported, not passed over.
pub(super) fn run(file: &Path) -> Vec<SuiteReport> {
    let report = |name: &str, tested| SuiteReport {
        file: file.display().to_string(),
        name: name.to_owned(),
        tested,
    };
    let broken = |error: &anyhow::Error| Tested::Broken(format!("{error:#}"));
    let documents = match read_all(&[file.to_owned()]) {
        Ok(documents) => documents,
        Err(error) => return vec![report("", broken(&error))],
    };
    let run = |document: Document| match Suite::parse(document.value) {
        Ok(suite) => {
            let tested = suite.run(file.parent().unwrap_or_else(|| Path::new("")));
            report(suite.name(), tested.unwrap_or_else(|error| broken(&error)))
        }
        Err(error) => report("", broken(&error)),
    };
    documents.into_iter().map(run).collect()
}

// === impl Suite ===

impl Suite {
    fn run(&self, folder: &Path) -> anyhow::Result<Tested> {
        let documents = |files: &[String]| read_all(&paths(folder, files)?);
        let policies = documents(&self.policies).context("policies")?;
        let exceptions = documents(&self.exceptions).context("exceptions")?;
        let kinds = self.kinds(folder)?;
        let context = first(folder, &self.context)?;
        let lookups = context.map_or(Ok(Lookups::Refused), |it| judge::lookups(it, &kinds))?;
        let policies = Policies::of(&policies, &exceptions, &lookups);
        let mut objects = Objects::default();
        objects.add(documents(&self.resources).context("resources")?, &kinds)?;
        let circumstances = Circumstances {
            user: first(folder, &self.userinfo)?
                .map_or(Ok(UserInfo::default()), UserInfo::parse)?,
            values: self.values(folder)?,
            namespaces: objects.namespaces(),
        };
        let asked_for = self.operations().into_iter().map(Some);
        let runs = [None].into_iter().chain(asked_for).map(|operation| Run {
            operation,
            verdicts: verdicts(&circumstances, &policies, &objects.objects, operation),
        });
        let judged = Judged {
            policies: policies.iter().map(|policy| policy.id().clone()).collect(),
            objects: objects.objects.iter().map(|object| object.id.clone()).collect(),
            runs: runs.collect(),
        };
        let checks = self.results.iter().flat_map(|it| compare(it, &judged)).collect();
        Ok(Tested::Ran {
            policies: judged.policies,
            refused: policies.refused_by_admission(),
            repeated: objects.repeated,
            checks,
        })
    }

    fn values(&self, folder: &Path) -> anyhow::Result<Values> {
        let document = match &self.values {
            Some(values) => Some(values.clone()),
            None => first(folder, &self.variables)?,
        };
        document.map_or(Ok(Values::default()), Values::parse)
    }

    /// The definitions in the files that the test's cluster resources name.
    fn kinds(&self, folder: &Path) -> anyhow::Result<Kinds> {
        let mut kinds = Kinds::default();
        for document in read_all(&paths(folder, &self.cluster_resources)?)? {
            let files = document.value.pointer("/spec/crds").and_then(Value::as_array);
            let files = files.into_iter().flatten().filter_map(Value::as_str);
            let files: Vec<_> = files.map(str::to_owned).collect();
            for definition in read_all(&paths(folder, &files)?).context("clusterResources")? {
                kinds.define(&definition.value);
            }
        }
        Ok(kinds)
    }
}

fn verdicts(
    circumstances: &Circumstances,
    policies: &Policies,
    objects: &[Object],
    operation: Option<Operation>,
) -> Vec<Vec<judge::Verdict>> {
    objects.iter().map(|object| circumstances.judge(policies, object, operation)).collect()
}

/// The paths of files, from the folder of the test; each once.
fn paths(folder: &Path, files: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for file in files {
        if file.contains("://") {
            bail!("{file} is not read: files of a test are beside it");
        }
        let path = folder.join(file);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The first document of a file; none where no file is named.
fn first(folder: &Path, file: &str) -> anyhow::Result<Option<Value>> {
    if file.is_empty() {
        return Ok(None);
    }
    let documents = read_all(&[folder.join(file)])?;
    let document = documents.into_iter().next();
    document.map(|it| Some(it.value)).with_context(|| format!("{file} has nothing in it"))
}
