//! The kinds of reports and the APIs that they are of.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::TypeMeta;

use super::definition;

/// The kinds of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportKind {
    /// Of `wgpolicyk8s.io`, in namespaces.
    PolicyReport,
    /// Of `wgpolicyk8s.io`, in none.
    ClusterPolicyReport,
    /// Of `openreports.io`, in namespaces.
    Report,
    /// Of `openreports.io`, in none.
    ClusterReport,
}

/// The APIs of reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportApi {
    /// `wgpolicyk8s.io`.
    #[default]
    PolicyReports,
    /// `openreports.io`.
    OpenReports,
}

// === impl ReportKind ===

impl ReportKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::PolicyReport, Self::ClusterPolicyReport, Self::Report, Self::ClusterReport];

    /// The API that it is of.
    pub fn api(self) -> ReportApi {
        match self {
            Self::PolicyReport | Self::ClusterPolicyReport => ReportApi::PolicyReports,
            Self::Report | Self::ClusterReport => ReportApi::OpenReports,
        }
    }

    /// Whether its reports are in namespaces.
    pub fn is_namespaced(self) -> bool {
        matches!(self, Self::PolicyReport | Self::Report)
    }

    /// The kind as manifests name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicyReport => "PolicyReport",
            Self::ClusterPolicyReport => "ClusterPolicyReport",
            Self::Report => "Report",
            Self::ClusterReport => "ClusterReport",
        }
    }

    /// The resource.
    pub fn plural(self) -> &'static str {
        match self {
            Self::PolicyReport => "policyreports",
            Self::ClusterPolicyReport => "clusterpolicyreports",
            Self::Report => "reports",
            Self::ClusterReport => "clusterreports",
        }
    }

    pub(super) fn short_name(self) -> &'static str {
        match self {
            Self::PolicyReport => "polr",
            Self::ClusterPolicyReport => "cpolr",
            Self::Report => "reps",
            Self::ClusterReport => "creps",
        }
    }

    /// Its definition.
    pub fn crd(self) -> CustomResourceDefinition {
        definition::of(self)
    }

    /// `apiVersion` and `kind`.
    pub fn types(self) -> TypeMeta {
        let api = self.api();
        TypeMeta {
            api_version: format!("{}/{}", api.group(), api.version()),
            kind: self.as_str().to_owned(),
        }
    }
}

// === impl ReportApi ===

impl ReportApi {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::PolicyReports, Self::OpenReports];

    /// The API group.
    pub fn group(self) -> &'static str {
        match self {
            Self::PolicyReports => "wgpolicyk8s.io",
            Self::OpenReports => "openreports.io",
        }
    }

    /// The version.
    pub fn version(self) -> &'static str {
        match self {
            Self::PolicyReports => "v1alpha2",
            Self::OpenReports => "v1alpha1",
        }
    }

    /// The kind of the reports in namespaces.
    pub fn in_namespaces(self) -> ReportKind {
        match self {
            Self::PolicyReports => ReportKind::PolicyReport,
            Self::OpenReports => ReportKind::Report,
        }
    }

    /// The kind of the reports in no namespace.
    pub fn of_cluster(self) -> ReportKind {
        match self {
            Self::PolicyReports => ReportKind::ClusterPolicyReport,
            Self::OpenReports => ReportKind::ClusterReport,
        }
    }
}
