//! How far a scan is, as each replica tells it in its Lease, and as `pharos scan status` reads it.

use std::collections::{BTreeMap, BTreeSet};

use kube::Client;
use pharos_cluster::membership::{self, Work};
use serde::{Deserialize, Serialize};

/// The Leases of the replicas that share a scan.
pub(crate) const WORK: Work = Work {
    label: "scan.pharos.dev/replica",
    prefix: "pharos-scan-",
    report: "scan.pharos.dev/status",
};
/// How many namespaces are named; the others are counted.
const NAMED: usize = 10;

/// How far one replica is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScanStatus {
    /// Objects that it scans.
    pub objects: usize,
    /// Those of them that have to be judged.
    pub left: usize,
    /// Reports that wait to be written.
    pub waiting: usize,
    /// Resources whose objects are not known yet.
    pub unlisted: usize,
    /// Objects judged since it started.
    pub judged: u64,
    /// Reports written since then.
    pub written: u64,
    /// Reports deleted since then.
    pub deleted: u64,
    /// Reads and writes that failed since then, and are done again.
    pub failed: u64,
    /// Why reports cannot be listed, in a word. Nothing is scanned until they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports_trouble: Option<String>,
    /// What of it is of which resource.
    pub resources: Vec<TargetStatus>,
}

/// How far one replica is with one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetStatus {
    /// The resource, as in `deployments.v1.apps`.
    pub resource: String,
    /// Objects that it scans.
    pub objects: usize,
    /// Those of them that have to be judged.
    pub left: usize,
    /// Why they cannot be listed or read now, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// How many namespaces they are in.
    pub namespaces: usize,
    /// The first of these; empty for what is in none.
    pub named: Vec<String>,
}

// === impl ScanStatus ===

impl ScanStatus {
    /// Whether everything is judged and told.
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.waiting == 0 && self.unlisted == 0 && self.reports_trouble.is_none()
    }

    pub(crate) fn encoded(&self) -> String {
        // Numbers, texts and lists of them can always be encoded.
        serde_json::to_string(self).unwrap_or_default()
    }
}

// === impl TargetStatus ===

impl TargetStatus {
    pub(crate) fn of(resource: String) -> Self {
        Self { resource, ..Self::default() }
    }

    pub(crate) fn within(self, namespaces: BTreeSet<&str>) -> Self {
        let count = namespaces.len();
        let named = namespaces.into_iter().take(NAMED).map(ToOwned::to_owned).collect();
        Self { namespaces: count, named, ..self }
    }
}

/// How far the replicas of a namespace are, by their names; none where one says nothing that this version
/// can read.
///
/// # Errors
/// As the API server answers.
pub async fn status(
    client: Client,
    namespace: &str,
) -> kube::Result<BTreeMap<String, Option<ScanStatus>>> {
    let reports = membership::reports(client, namespace, WORK).await?;
    let read = |report: String| serde_json::from_str(&report).ok();
    Ok(reports.into_iter().map(|(replica, report)| (replica, report.and_then(read))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_was_told_and_of_another_version_as_far_as_it_goes() {
        let pods = TargetStatus::of("pods.v1".to_owned()).within(["a", "b"].into());
        let told =
            ScanStatus { objects: 3, left: 1, resources: vec![pods], ..ScanStatus::default() };
        let read: ScanStatus = serde_json::from_str(&told.encoded()).unwrap();
        assert_eq!(read, told);
        assert!(!read.is_complete());
        let other: ScanStatus = serde_json::from_str(r#"{"objects": 3, "later": {}}"#).unwrap();
        assert!(other.is_complete() && other.objects == 3);
    }

    #[test]
    fn no_more_than_a_few_namespaces_are_named() {
        let names: Vec<String> = (0..2000).map(|number| format!("namespace-{number}")).collect();
        let names = names.iter().map(String::as_str).collect();
        let status = TargetStatus::of("pods.v1".to_owned()).within(names);
        assert_eq!((status.namespaces, status.named.len()), (2000, NAMED));
    }
}
