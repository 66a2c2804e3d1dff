//! A scan of one namespace, or of everything, for whoever asks: read once, judged by the code that
//! replicas run on, and told. Nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client};
use pharos_api::report::{Report, ReportApi};
use pharos_cluster::discovery::{self, Scope};
use pharos_cluster::in_time;
use pharos_cluster::trouble::Trouble;
use pharos_instruments::Instruments;
use pharos_policy_cache::{self as policies, ExceptionNamespaces, ListError};

use crate::edge::{Fetched, PageSize, read};
use crate::judge::{Judge, Namespaces};
use crate::namespaces;
use crate::scan::Keeping;
use crate::snapshot::Snapshot;
use crate::target::{Plan, Target};

/// What is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent<'a> {
    /// What is in this namespace.
    Namespace(&'a str),
    /// Everything.
    Cluster,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looking {
    /// What is read now, as in `deployments.v1.apps`.
    pub resource: String,
    /// How many objects of it were judged.
    pub judged: u64,
    /// How many there are, as far as the API server says.
    pub of: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The reports that there should be, in the order of resources.
    pub reports: Vec<Report>,
    /// How many objects were judged.
    pub objects: u64,
    /// Resources that could not be read, and why.
    pub unread: Vec<String>,
}

/// Why nothing can be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The policies cannot be read.
    #[error(transparent)]
    Policies(#[from] ListError),
    /// What is served, or which namespaces there are, cannot be read.
    #[error("cannot read {what}: {source}")]
    Circumstances {
        /// What cannot be read.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Judges what there is, and tells how far it is after every page.
///
/// # Errors
/// If the policies or what is served cannot be read; a resource that cannot be read is told of in what
/// was found.
pub async fn scan_now(
    client: &Client,
    exceptions: ExceptionNamespaces,
    extent: Extent<'_>,
    mut told: impl FnMut(&Looking),
) -> Result<Found, ScanError> {
    let circumstance =
        |what| move |error| ScanError::Circumstances { what, source: Box::new(error) };
    let policies = Arc::new(Snapshot::of(&policies::list(client, exceptions).await?));
    let served = discovery::look(client).await.map_err(circumstance("what is served"))?;
    let namespaces = namespaces(client).await.map_err(circumstance("namespaces"))?;
    let judge = Judge {
        policies,
        namespaces,
        keeping: Keeping::In(ReportApi::PolicyReports),
        // Of no pipeline: what is looked at by hand is counted nowhere.
        facts: Arc::new(Instruments::default()),
    };
    let plan = Plan::of(&judge.policies.set, &served);
    let mut found = Found::default();
    for target in plan.targets.iter().filter(|target| extent.holds(target)) {
        if let Err(error) = look(client, target, extent, &judge, &mut found, &mut told).await {
            found.unread.push(format!("{target}: {error}; {}", Trouble::of(&error).remedy()));
        }
    }
    Ok(found)
}

async fn look(
    client: &Client,
    target: &Target,
    extent: Extent<'_>,
    judge: &Judge,
    found: &mut Found,
    told: &mut impl FnMut(&Looking),
) -> kube::Result<()> {
    let mut looking = Looking { resource: target.to_string(), judged: 0, of: 0 };
    let (mut token, mut size) = (None::<String>, PageSize::default());
    loop {
        let asked = read::list(client, target, extent.namespace(), token.clone(), size);
        let written = match (in_time(asked).await?, size.after_too_large()) {
            (Fetched::Whole(written), _) => written,
            (Fetched::TooLarge, Some(smaller)) => {
                size = smaller;
                continue;
            }
            (Fetched::TooLarge, None) => return Err(kube::Error::Service("too large".into())),
        };
        let list = judge.list(target, &written);
        let list = list.map_err(|error| kube::Error::Service(error.into()))?;
        size = size.after(list.held, written.len());
        looking.judged += list.held as u64;
        looking.of = looking.judged + list.remaining.unwrap_or_default();
        found.objects += list.held as u64;
        let reports = list.objects.into_iter().filter_map(|object| object.desired);
        found.reports.extend(reports.map(|desired| desired.report().clone()));
        told(&looking);
        token = list.more;
        if token.is_none() {
            return Ok(());
        }
    }
}

async fn namespaces(client: &Client) -> kube::Result<Namespaces> {
    let api: Api<Namespace> = Api::all(client.clone());
    let listed = in_time(api.list(&ListParams::default())).await?;
    let named = |namespace: Namespace| {
        let name = namespace.metadata.name.clone()?;
        Some((name, namespaces::rendered(&namespace)?))
    };
    Ok(Arc::new(listed.items.into_iter().filter_map(named).collect::<BTreeMap<_, _>>()))
}

// === impl Extent ===

impl<'a> Extent<'a> {
    fn namespace(self) -> Option<&'a str> {
        match self {
            Self::Namespace(namespace) => Some(namespace),
            Self::Cluster => None,
        }
    }

    fn holds(self, target: &Target) -> bool {
        self == Self::Cluster || target.scope == Scope::Namespaced
    }
}

// === impl ScanError ===

impl ScanError {
    /// A closed word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Policies(error) => error.reason(),
            Self::Circumstances { source, .. } => Trouble::of(source).reason(),
        }
    }
}
