use super::*;

fn package(name: &str, dependencies: Vec<Dependency>) -> Package {
    Package { name: name.to_owned(), dependencies, targets: Vec::new() }
}

fn on(name: &str) -> Dependency {
    Dependency {
        name: name.to_owned(),
        kind: None,
        features: Vec::new(),
        uses_default_features: false,
    }
}

fn in_tests(name: &str) -> Dependency {
    Dependency { kind: Some("dev".to_owned()), ..on(name) }
}

fn with_feature(name: &str, feature: &str) -> Dependency {
    Dependency { features: vec![feature.to_owned()], ..on(name) }
}

/// What is wrong with a workspace of this crate and all that it may meet.
fn found(name: &str, dependencies: Vec<Dependency>) -> Findings {
    let others = ARROWS.iter().filter(|(other, _)| *other != name);
    let mut packages: Vec<_> = others.map(|(other, _)| package(other, Vec::new())).collect();
    packages.push(package(name, dependencies));
    violations(&packages)
}

#[test]
fn drawn_arrows_and_foreign_libraries_are_allowed() {
    assert_eq!(found("pharos-operator", vec![on("pharos-api"), on("serde")]), Findings::new());
}

#[test]
fn an_arrow_that_is_not_drawn_is_named_with_what_would_be_allowed() {
    assert_eq!(
        found("pharos-policy", vec![on("pharos-instruments")]),
        ["forbidden arrow pharos-policy -> pharos-instruments (normal): \
          crate pharos-policy may depend on pharos-api"],
    );
}

#[test]
fn a_dependency_of_tests_is_an_arrow_too() {
    assert_eq!(
        found("pharos-telemetry", vec![in_tests("pharos-api")]),
        ["forbidden arrow pharos-telemetry -> pharos-api (dev): \
          crate pharos-telemetry may depend on none"],
    );
}

#[test]
fn tests_of_every_crate_may_use_the_testkit_and_nothing_else_may() {
    assert_eq!(found("pharos-telemetry", vec![in_tests("pharos-testkit")]), Findings::new());
    assert_eq!(found("pharos-telemetry", vec![on("pharos-testkit")]).len(), 1);
}

#[test]
fn a_new_crate_must_be_drawn() {
    assert_eq!(
        found("pharos-scan", Vec::new()),
        ["crate pharos-scan has no entry in ARROWS of crates/xtask/src/arrows.rs: \
          say what it may depend on"],
    );
}

#[test]
fn a_kube_client_is_for_the_edge_and_kube_types_are_for_all() {
    assert_eq!(found("pharos-cluster", vec![with_feature("kube", "client")]), Findings::new());
    assert_eq!(found("pharos-policy", vec![with_feature("kube", "derive")]), Findings::new());
    assert_eq!(
        found("pharos-policy", vec![with_feature("kube", "runtime")]),
        [
            "forbidden arrow pharos-policy -> kube with client or runtime (normal): talking to an API \
          server is for the Kubernetes edge and for those who own a watch; only for pharos, \
          pharos-admission, pharos-background-scan, pharos-cluster, pharos-e2e, pharos-operator, \
          pharos-policy-cache"
        ],
    );
}

#[test]
fn default_features_count_as_asking_for_what_is_reserved() {
    let kube = Dependency { uses_default_features: true, ..on("kube") };
    assert_eq!(found("pharos-testkit", vec![kube]).len(), 1);
}

#[test]
fn the_otlp_exporter_is_for_the_telemetry_crate_alone() {
    assert_eq!(found("pharos-telemetry", vec![in_tests("opentelemetry-otlp")]), Findings::new());
    assert_eq!(found("pharos-instruments", vec![on("opentelemetry-otlp")]).len(), 1);
}

#[test]
fn the_arrows_have_no_cycle() {
    // Peels off crates that point only at crates already peeled off.
    let mut left: Vec<_> = ARROWS.iter().collect();
    while !left.is_empty() {
        let names: Vec<_> = left.iter().map(|(name, _)| *name).collect();
        let before = left.len();
        left.retain(|(_, targets)| targets.iter().any(|target| names.contains(target)));
        assert!(left.len() < before, "a cycle among {names:?}");
    }
}
