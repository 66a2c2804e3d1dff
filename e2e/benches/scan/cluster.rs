//! A control plane with Pods under policies, and what it says about reports.

use std::io::{Write as _, stderr};
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::{ListMeta, ObjectList, PartialObjectMeta, Request};
use pharos_e2e::pod_security::{EXTRAS, Policy, library, passing};
use pharos_e2e::stage::Stage;
use pharos_e2e::writes::Writes;
use pharos_testkit::KyvernoReports;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// How many policies there are, each with one result about a Pod.
pub(crate) const POLICIES: usize = 16;
const PODS_IN_A_NAMESPACE: usize = 100;
const CONTAINERS: usize = 2;
/// One Pod of so many is in violation.
const VIOLATES: usize = 10;
/// Requests at a time.
const AT_ONCE: usize = 32;
const TOLD_EVERY: Duration = Duration::from_secs(10);
const REPORTS: &str = "/apis/wgpolicyk8s.io/v1alpha2";
/// Wherever engines keep reports, or what will be reports.
const REPORT_RESOURCES: [&str; 6] = [
    "policyreports",
    "clusterpolicyreports",
    "reports",
    "clusterreports",
    "ephemeralreports",
    "clusterephemeralreports",
];

/// A control plane with policies, and Pods in namespaces.
pub(crate) struct Cluster {
    pub(crate) stage: Stage,
    /// How many Pods there are.
    pub(crate) pods: usize,
    client: Client,
    namespaces: usize,
}

/// Reports, as far as their results are counted.
#[derive(Deserialize)]
struct Reports {
    metadata: ListMeta,
    items: Vec<Report>,
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    results: Vec<IgnoredAny>,
}

// === impl Cluster ===

impl Cluster {
    /// For Pharos, with namespaces for so many Pods and the policies.
    pub(crate) async fn for_pharos(pods: usize) -> anyhow::Result<Self> {
        let stage = Stage::set().await?;
        stage.cluster.kubectl(&["delete", "vpol", "--all"]).await?;
        Self::new(stage, pods).await
    }

    /// The same for Kyverno.
    pub(crate) async fn for_kyverno(pods: usize) -> anyhow::Result<Self> {
        let stage = Stage::bare().await?;
        KyvernoReports::prepare(&stage.cluster).await?;
        Self::new(stage, pods).await
    }

    async fn new(stage: Stage, pods: usize) -> anyhow::Result<Self> {
        let policies: Vec<_> = policies()?.into_iter().map(|policy| policy.yaml).collect();
        ensure!(policies.len() == POLICIES, "there are {} policies", policies.len());
        stage.cluster.apply(&policies.join("\n---\n")).await?;
        let client = stage.client().await?;
        let namespaces = pods.div_ceil(PODS_IN_A_NAMESPACE);
        let cluster = Self { stage, pods: 0, client, namespaces };
        for index in 0..namespaces {
            let object = json!({"metadata": {"name": namespace(index)}});
            cluster.create("/api/v1/namespaces", &object).await?;
        }
        Ok(cluster)
    }

    /// Has so many Pods, in turns in each namespace.
    pub(crate) async fn populate(&mut self, pods: usize) -> anyhow::Result<()> {
        let (started, mut told) = (Instant::now(), Instant::now());
        let mut created = stream::iter(self.pods..pods)
            .map(|index| self.create_pod(index))
            .buffer_unordered(AT_ONCE)
            .boxed();
        let mut count = self.pods;
        while let Some(()) = created.try_next().await? {
            count += 1;
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                writeln!(stderr(), "{count} of {pods} Pods")?;
            }
        }
        drop(created);
        self.pods = pods;
        writeln!(stderr(), "{pods} Pods after {:.0?}", started.elapsed())?;
        Ok(())
    }

    async fn create_pod(&self, index: usize) -> anyhow::Result<()> {
        let namespace = namespace(index % self.namespaces);
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        self.create(&path, &pod(index, &namespace)).await
    }

    async fn create(&self, path: &str, object: &Value) -> anyhow::Result<()> {
        let body = object.to_string().into_bytes();
        let request = Request::new(path).create(&PostParams::default(), body)?;
        self.client.request::<IgnoredAny>(request).await?;
        Ok(())
    }

    /// How large a Pod is as the API server lists it, the mean of some.
    pub(crate) async fn bytes_of_a_pod(&self) -> anyhow::Result<usize> {
        let some = self.pods.min(PODS_IN_A_NAMESPACE);
        let asked = ListParams::default().limit(some.try_into()?);
        let listed = self.client.request_text(Request::new("/api/v1/pods").list(&asked)?).await?;
        Ok(listed.len() / some)
    }

    /// How many reports there are of Pods.
    pub(crate) async fn reports(&self) -> anyhow::Result<usize> {
        let asked = ListParams::default().limit(1);
        let request = Request::new(format!("{REPORTS}/policyreports")).list_metadata(&asked)?;
        let listed: ObjectList<PartialObjectMeta<DynamicObject>> =
            self.client.request(request).await?;
        let remaining = listed.metadata.remaining_item_count.unwrap_or_default();
        Ok(listed.items.len() + usize::try_from(remaining)?)
    }

    /// How many of them have a result of each policy.
    pub(crate) async fn whole_reports(&self) -> anyhow::Result<usize> {
        let mut asked = ListParams::default().limit(500);
        let mut whole = 0;
        loop {
            let request = Request::new(format!("{REPORTS}/policyreports")).list(&asked)?;
            let page: Reports = self.client.request(request).await?;
            let is_whole = |report: &&Report| report.results.len() == POLICIES;
            whole += page.items.iter().filter(is_whole).count();
            match page.metadata.continue_ {
                Some(token) if !token.is_empty() => asked = asked.continue_token(&token),
                _ => return Ok(whole),
            }
        }
    }

    /// Leaves none.
    pub(crate) async fn delete_reports(&self) -> anyhow::Result<()> {
        let delete = async |index: usize| {
            let path = format!("{REPORTS}/namespaces/{}/policyreports", namespace(index));
            let request = Request::new(path)
                .delete_collection(&DeleteParams::default(), &ListParams::default())?;
            self.client.request_text(request).await?;
            anyhow::Ok(())
        };
        stream::iter(0..self.namespaces)
            .map(delete)
            .buffer_unordered(4)
            .try_collect::<()>()
            .await?;
        ensure!(self.reports().await? == 0, "there are reports left");
        Ok(())
    }

    /// What was written of reports, whatever came of it, since the API server started.
    pub(crate) async fn writes(&self) -> anyhow::Result<Writes> {
        let writes = Writes::so_far(&self.stage).await?;
        Ok(writes.only(|kind| REPORT_RESOURCES.contains(&kind.resource.as_str())))
    }
}

/// All of them audit.
fn policies() -> anyhow::Result<Vec<Policy>> {
    let mut policies = library()?;
    policies.extend(EXTRAS.iter().map(|extra| extra.cluster_policy()));
    Ok(policies)
}

fn pod(index: usize, namespace: &str) -> Value {
    let mut pod = passing(namespace, &format!("web-{index}"), CONTAINERS);
    if index.is_multiple_of(VIOLATES) {
        let context = &mut pod["spec"]["containers"][0]["securityContext"];
        context["capabilities"] = json!({"add": ["SYS_ADMIN"]});
        context["allowPrivilegeEscalation"] = true.into();
        context["runAsUser"] = 0.into();
    }
    pod
}

fn namespace(index: usize) -> String {
    format!("team-{index}")
}
