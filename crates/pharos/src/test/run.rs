//! One test from its file to what came out: everything is read, then judged, then compared.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pharos_policy::{Lookups, Operation};
use serde_json::Value;

use super::compare::{Judged, Run, compare};
use super::report::{SuiteReport, Tested};
use super::suite::Suite;
use crate::arguments::test::TestCaseSelector;
use crate::documents::{Document, read_all};
use crate::judge::{
    self, Circumstances, Kinds, Object, Objects, Policies, Policy, UserInfo, Values,
};

/// The cluster that a test describes beside its resources.
#[derive(Debug, Default)]
struct Cluster {
    /// How the kinds of its definitions are served.
    kinds: Kinds,
    /// What is in it.
    objects: Vec<Value>,
}

/// Runs every test of a file, as far as it is selected. What cannot be run is reported, not passed
/// over.
pub(super) fn run(file: &Path, selector: &TestCaseSelector) -> Vec<SuiteReport> {
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
            let suite = suite.selected(selector)?;
            let tested = suite.run(file.parent().unwrap_or_else(|| Path::new("")));
            Some(report(suite.name(), tested.unwrap_or_else(|error| broken(&error))))
        }
        Err(error) => Some(report("", broken(&error))),
    };
    documents.into_iter().filter_map(run).collect()
}

// === impl Suite ===

impl Suite {
    fn run(&self, folder: &Path) -> anyhow::Result<Tested> {
        let documents = |files: &[String]| read_all(&paths(folder, files)?);
        let policies = documents(&self.policies).context("policies")?;
        let exceptions = documents(&self.exceptions).context("exceptions")?;
        let cluster = self.cluster(folder)?;
        let mut objects = Objects::default();
        objects.add(documents(&self.resources).context("resources")?, &cluster.kinds)?;
        let lookups = self.lookups(folder, &cluster, &objects)?;
        let policies = Policies::of(&policies, &exceptions, &lookups);
        let circumstances = Circumstances {
            user: first(folder, &self.userinfo)?
                .map_or(Ok(UserInfo::default()), UserInfo::parse)?,
            values: self.values(folder)?,
            namespaces: objects.namespaces().into_iter().chain(cluster.namespaces()).collect(),
        };
        let asked_for = self.operations().into_iter().map(Some);
        let runs = [None].into_iter().chain(asked_for).map(|operation| Run {
            operation,
            verdicts: verdicts(&circumstances, &policies, &objects.objects, operation),
        });
        let judged = Judged {
            policies: policies.iter().map(|policy| policy.id().clone()).collect(),
            problems: policies.iter().map(Policy::problem).collect(),
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

    /// What the files say that the test's cluster resources are.
    fn cluster(&self, folder: &Path) -> anyhow::Result<Cluster> {
        let mut cluster = Cluster::default();
        for document in read_all(&paths(folder, &self.cluster_resources)?)? {
            let listed = |pointer: &str| document.value.pointer(pointer).and_then(Value::as_array);
            let files = listed("/spec/crds").into_iter().flatten().filter_map(Value::as_str);
            let files: Vec<_> = files.map(str::to_owned).collect();
            for definition in read_all(&paths(folder, &files)?).context("clusterResources")? {
                cluster.kinds.define(&definition.value);
            }
            cluster.objects.extend(listed("/spec/resources").into_iter().flatten().cloned());
        }
        Ok(cluster)
    }

    /// What policies may look up: in a cluster, if the test describes one, its objects and those of the
    /// test.
    fn lookups(
        &self,
        folder: &Path,
        cluster: &Cluster,
        objects: &Objects,
    ) -> anyhow::Result<Lookups> {
        let context = first(folder, &self.context)?;
        let of_cluster: Vec<_> = match self.cluster_resources.as_slice() {
            [] if context.is_none() => return Ok(Lookups::Refused),
            [] => Vec::new(),
            _ => {
                let named = objects.objects.iter().filter(|object| !object.id.name.is_empty());
                cluster.objects.iter().chain(named.map(|object| &object.value)).cloned().collect()
            }
        };
        judge::lookups(context, of_cluster, &cluster.kinds)
    }
}

// === impl Cluster ===

impl Cluster {
    fn namespaces(&self) -> impl Iterator<Item = Value> {
        let is_namespace = |it: &&Value| it["apiVersion"] == "v1" && it["kind"] == "Namespace";
        self.objects.iter().filter(is_namespace).cloned()
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
