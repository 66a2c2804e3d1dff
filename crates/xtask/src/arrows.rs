//! The arrows: which crate may depend on which.
//!
//! This is the list that docs/ARCHITECTURE.md draws. A new arrow is a decision about the design:
//! it comes with a record in docs/adr/.

use crate::workspace::{Dependency, Findings, Package, Workspace};

/// What each crate may depend on of the others, in any kind of dependency.
const ARROWS: &[(&str, &[&str])] = &[
    ("pharos-api", &[]),
    ("pharos-telemetry", &[]),
    ("pharos-policy", &["pharos-api"]),
    ("pharos-cluster", &["pharos-api"]),
    ("pharos-instruments", &["pharos-telemetry"]),
    ("pharos-reports", &["pharos-api", "pharos-policy"]),
    ("pharos-operator", &["pharos-api", "pharos-cluster", "pharos-telemetry"]),
    ("pharos-policy-cache", &["pharos-api", "pharos-cluster", "pharos-policy"]),
    (
        "pharos-admission",
        &[
            "pharos-api",
            "pharos-cluster",
            "pharos-instruments",
            "pharos-policy",
            "pharos-policy-cache",
            "pharos-reports",
        ],
    ),
    (
        "pharos-background-scan",
        &[
            "pharos-api",
            "pharos-cluster",
            "pharos-instruments",
            "pharos-policy",
            "pharos-policy-cache",
            "pharos-reports",
        ],
    ),
    (
        "pharos",
        &[
            "pharos-admission",
            "pharos-api",
            "pharos-background-scan",
            "pharos-cluster",
            "pharos-instruments",
            "pharos-operator",
            "pharos-policy",
            "pharos-telemetry",
        ],
    ),
    ("pharos-testkit", &[]),
    ("pharos-e2e", &["pharos-api", "pharos-cluster", "pharos-operator", "pharos-testkit"]),
    ("xtask", &["pharos-api", "pharos-instruments", "pharos-operator", "pharos-testkit"]),
];

/// What every crate may use in its tests.
const TEST_CRATE: &str = "pharos-testkit";

/// Libraries that only some crates may use, and why.
const RESERVED: &[Reserved] = &[
    Reserved {
        library: "opentelemetry-otlp",
        features: &[],
        owners: &["pharos-telemetry"],
        why: "one crate sends telemetry",
    },
    Reserved {
        library: "cel",
        features: &[],
        owners: &["pharos-policy"],
        why: "one crate evaluates expressions",
    },
    Reserved {
        library: "kube",
        features: &["client", "runtime"],
        owners: &[
            "pharos",
            "pharos-admission",
            "pharos-background-scan",
            "pharos-cluster",
            "pharos-e2e",
            "pharos-operator",
            "pharos-policy-cache",
        ],
        why: "talking to an API server is for the Kubernetes edge and for those who own a watch",
    },
    Reserved { library: "kube-client", features: &[], owners: &[], why: "it is used through kube" },
    Reserved {
        library: "kube-runtime",
        features: &[],
        owners: &[],
        why: "it is used through kube",
    },
];

/// A library, or some features of one, that only its owners may use.
struct Reserved {
    library: &'static str,
    /// Reserved features; empty reserves the library. Features that others turn on count for all,
    /// but who asks for one shows intent.
    features: &'static [&'static str],
    owners: &'static [&'static str],
    why: &'static str,
}

/// Finds dependencies that are not drawn.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Findings> {
    Ok(violations(&workspace.packages))
}

fn violations(packages: &[Package]) -> Findings {
    packages
        .iter()
        .flat_map(|package| undrawn(package, packages).into_iter().chain(reserved(package)))
        .collect()
}

/// Arrows between crates of the workspace.
fn undrawn(package: &Package, packages: &[Package]) -> Findings {
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!(
            "crate {} has no entry in ARROWS of crates/xtask/src/arrows.rs: say what it may depend on",
            package.name
        )];
    };
    package
        .dependencies
        .iter()
        .filter(|dependency| packages.iter().any(|other| other.name == dependency.name))
        .filter(|dependency| !allowed.contains(&dependency.name.as_str()))
        .filter(|dependency| !dependency.is_for_tests() || dependency.name != TEST_CRATE)
        .map(|dependency| {
            let (kind, from, to) = (dependency.kind(), &package.name, &dependency.name);
            format!(
                "forbidden arrow {from} -> {to} ({kind}): crate {from} may depend on {}",
                listed(allowed)
            )
        })
        .collect()
}

/// Uses of reserved libraries.
fn reserved(package: &Package) -> Findings {
    let find = |dependency: &Dependency| {
        let rule = RESERVED.iter().find(|rule| {
            rule.covers(dependency) && !rule.owners.contains(&package.name.as_str())
        })?;
        let (kind, from, to) = (dependency.kind(), &package.name, rule.library);
        let features = match rule.features {
            [] => String::new(),
            features => format!(" with {}", features.join(" or ")),
        };
        Some(format!(
            "forbidden arrow {from} -> {to}{features} ({kind}): {}; only for {}",
            rule.why,
            listed(rule.owners)
        ))
    };
    package.dependencies.iter().filter_map(find).collect()
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

// === impl Reserved ===

impl Reserved {
    fn covers(&self, dependency: &Dependency) -> bool {
        let asked_for = self.features.is_empty()
            || dependency.uses_default_features
            || dependency.features.iter().any(|feature| self.features.contains(&feature.as_str()));
        dependency.name == self.library && asked_for
    }
}

// === impl Dependency ===

impl Dependency {
    fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("normal")
    }

    fn is_for_tests(&self) -> bool {
        self.kind() == "dev"
    }
}

#[cfg(test)]
mod tests;
