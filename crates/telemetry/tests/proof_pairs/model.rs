//! The carry-over table, written down once more: what of one round of records is there after a change
//! of shape.

use std::collections::BTreeMap;

use crate::examples::Example;

const NAMESPACES: [&str; 3] = ["default", "kube-system", "shop"];
const ALL: &[&str] = &["policy", "resource_namespace", "resource_request_operation"];

/// What one configuration makes of the instruments.
pub(crate) struct Model {
    /// The attributes that the results keep.
    results: &'static [&'static str],
    queries: bool,
    review: Buckets,
    execution: Buckets,
    /// Whether executions have the namespace.
    execution_by_namespace: bool,
    in_flight_by_namespace: bool,
    excludes: Option<&'static str>,
}

/// The boundaries of a histogram.
#[derive(Clone, Copy, PartialEq)]
enum Buckets {
    Declared,
    /// Some of the declared ones.
    Fewer,
    Exponential,
}

// === impl Model ===

impl Model {
    pub(crate) fn of(example: &Example) -> Self {
        let declared = Self {
            results: ALL,
            queries: true,
            review: Buckets::Declared,
            execution: Buckets::Declared,
            execution_by_namespace: true,
            in_flight_by_namespace: true,
            excludes: None,
        };
        match example.name {
            "everything" => Self {
                results: &["policy"],
                queries: false,
                review: Buckets::Fewer,
                execution_by_namespace: false,
                ..declared
            },
            "namespaces" => Self { excludes: Some("kube-system"), ..declared },
            "shapes" => Self {
                results: &["policy", "resource_namespace"],
                execution: Buckets::Exponential,
                in_flight_by_namespace: false,
                ..declared
            },
            _ => declared,
        }
    }

    /// What is left of one round of records, made in this shape, in the `next` one.
    pub(crate) fn carried(&self, next: &Self) -> BTreeMap<String, f64> {
        let mut totals = BTreeMap::new();
        let mut add = |name: &str, labels: &[(&str, &str)], value: f64| {
            let labels: BTreeMap<_, _> =
                labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            *totals.entry(format!("{name} {labels:?}")).or_insert(0.0) += value;
        };
        for namespace in NAMESPACES {
            if self.excludes == Some(namespace) {
                continue;
            }
            // Who has lost the namespace is not excluded by it any more.
            let excluded = next.excludes == Some(namespace);
            let by =
                |is: bool| if is { vec![("resource_namespace", namespace)] } else { Vec::new() };
            if !(excluded && self.results.contains(&"resource_namespace")) {
                for operation in ["CREATE", "UPDATE"] {
                    let all = [
                        ("policy", "p"),
                        ("resource_namespace", namespace),
                        ("resource_request_operation", operation),
                    ];
                    let kept = |(key, _): &(&str, &str)| {
                        self.results.contains(key) && next.results.contains(key)
                    };
                    let labels: Vec<_> = all.into_iter().filter(kept).collect();
                    add("kyverno_policy_results_total", &labels, 1.0);
                }
            }
            let mut histogram = |name: &str, (from, to), has: bool, keeps: bool| {
                if continues(from, to) && !(excluded && has) {
                    let labels = by(has && keeps);
                    add(&format!("{name}_count"), &labels, 3.0);
                    add(&format!("{name}_sum"), &labels, 8.5625);
                }
            };
            histogram(
                "kyverno_admission_review_duration_seconds",
                (self.review, next.review),
                true,
                true,
            );
            let (has, keeps) = (self.execution_by_namespace, next.execution_by_namespace);
            histogram(
                "kyverno_policy_execution_duration_seconds",
                (self.execution, next.execution),
                has,
                keeps,
            );
            let (has, keeps) = (self.in_flight_by_namespace, next.in_flight_by_namespace);
            if !(excluded && has) {
                add("in_flight", &by(has && keeps), 1.0);
            }
            if !excluded {
                add("latest", &by(true), 7.0);
            }
        }
        if self.queries && next.queries {
            add("kyverno_client_queries_total", &[("operation", "get")], 5.0);
        }
        add("uptime_total", &[], 42.0);
        totals
    }
}

/// New boundaries must be among the old ones.
fn continues(from: Buckets, to: Buckets) -> bool {
    from == to || (from, to) == (Buckets::Declared, Buckets::Fewer)
}
