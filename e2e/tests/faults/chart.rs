//! The Helm chart, rendered and installed by the real helm: what it refuses, that Pharos runs with
//! exactly the rights that it grants, that two releases share a cluster, and what its admission
//! policies say.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use pharos_e2e::manifests::repository;
use pharos_testkit::Helm;

mod admissions;
mod definitions;
mod installing;
mod policies;
mod release;
mod replica;
mod rights;
mod scans;
mod walk;

/// Everything that is off by default, and a spec with references.
const RICH_VALUES: &str = "
fullnameOverride: engine
image: {repository: registry.example/pharos, digest: 'sha256:0123456789012345678901234567890123456789012345678901234567890123'}
imagePullSecrets: [{name: pull}]
serviceAccount: {name: engine, annotations: {a: b}}
admission:
  replicas: 3
  exemptNamespaces: [other, another]
  policyStatus: Kyverno
  exceptionNamespace: platform
  kyvernoConfigMap: settings
  events: {omit: []}
  shutdownDelaySeconds: 20
  logFormat: text
  extraArgs: [--log-level=debug]
  extraEnv: [{name: HTTPS_PROXY, value: 'http://proxy.example:3128'}]
  podAnnotations: {a: b}
  podLabels: {a: b}
  nodeSelector: {kubernetes.io/os: linux}
  tolerations: [{operator: Exists}]
  affinity: {nodeAffinity: {}}
  topologySpreadConstraints: [{topologyKey: a, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]
  priorityClassName: ''
  podDisruptionBudget: {maxUnavailable: 50%}
  networkPolicy: {enabled: true}
backgroundScan:
  enabled: true
  replicas: 2
  interval: 30m
  reports: OpenReports
  extraRules: [{apiGroups: [example.com], resources: [widgets], verbs: [get, list, watch]}]
  podAnnotations: {a: scan}
  podLabels: {a: scan}
  affinity: {podAffinity: {}}
  topologySpreadConstraints: [{topologyKey: b, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]
  priorityClassName: low
  podDisruptionBudget: {maxUnavailable: 25%}
  networkPolicy: {enabled: true}
metrics:
  service: {annotations: {a: b}}
  serviceMonitor: {enabled: true, labels: {a: b}, interval: 30s, endpoint: {scheme: https}}
telemetry:
  secretNames: [token]
  configMapNames: [ca]
  config:
    exporters: [{name: gateway, type: OTLP, otlp: {protocol: GRPC, endpoint: 'http://a.example:4317'}}]
    metrics: {exporters: [gateway]}
    resource: {attributes: [{name: a, value: $(POD_NAME)}]}
";

fn folder() -> PathBuf {
    repository().join("charts/pharos")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_renders_what_values_ask_for_and_refuses_values_that_it_does_not_know()
-> anyhow::Result<()> {
    let (helm, chart) = (Helm::ensure().await?, folder());
    helm.lint(&chart).await?;
    let plain = helm.template("first", &chart, "there", "").await?;
    for part in [
        "image: \"pharos:0.1.0\"",
        "terminationGracePeriodSeconds: 30",
        "helm.sh/resource-policy: keep",
        "name: pharos-secret-access.there.first",
        "name: pharos-admission.there.first",
        "name: pharos-revision.there.first",
        "name: validatingpolicies.policies.kyverno.io",
        "name: policies.kyverno.io\n",
        "--webhook-service=there/first-pharos:443",
        "--exempt-namespaces=kube-system\n",
        "--policy-status=Pharos\n",
        "--exception-namespace=*\n",
        "--omit-events=PolicyApplied,PolicySkipped\n",
        "resources: [clusterpolicies/status, policies/status]",
        "- \"--create-telemetry-config={\\\"apiVersion\\\":",
        "verbs: [list, watch, create]\n",
    ] {
        ensure!(plain.contains(part), "not rendered by default: {part}");
    }
    for part in [
        "kind: NetworkPolicy",
        "kind: ServiceMonitor",
        "resourceNames: [\"ca\"]",
        "watch, get]",
        "name: first-pharos-scan",
    ] {
        ensure!(!plain.contains(part), "rendered by default: {part}");
    }
    let rich = helm.template("first", &chart, "there", RICH_VALUES).await?;
    for part in [
        "kind: NetworkPolicy",
        "kind: ServiceMonitor",
        "image: \"registry.example/pharos@sha256:0123",
        "terminationGracePeriodSeconds: 45",
        "resourceNames: [\"token\"]\n  verbs: [list, watch, get]",
        "\\\"value\\\":\\\"\\\\u0024(POD_NAME)\\\"",
        "resourceNames: [\"ca\"]",
        "system:serviceaccount:there:engine'",
        "maxUnavailable: 50%",
        "--exempt-namespaces=other,another",
        "--policy-status=Kyverno",
        "--exception-namespace=platform\n",
        "--omit-events=\n",
        "resourceNames: [settings]",
    ] {
        ensure!(rich.contains(part), "not rendered: {part}");
    }
    ensure!(!rich.contains("policies/status"), "status is written that is Kyverno's");
    for part in [
        "--components=background-scan",
        "--background-scan-interval=30m",
        "--reports=OpenReports",
        "resources: [reports, clusterreports]",
        "  resources:\n  - nodes\n  - persistentvolumes\n",
        "  resources:\n  - widgets\n",
        "priorityClassName: low",
        "podAffinity: {}",
        "topologyKey: b",
        "maxUnavailable: 25%",
        "name: pharos-background-scan.there.first.view",
        "system:serviceaccount:there:engine-scan'",
    ] {
        ensure!(rich.contains(part), "not rendered for scans: {part}");
    }
    // Of admission, and of scans: the arguments, the budget, the policy of the network.
    for (part, times) in [
        ("--exception-namespace=platform\n", 2),
        ("kind: PodDisruptionBudget", 2),
        ("kind: NetworkPolicy", 2),
        ("component: metrics\n", 3),
    ] {
        let found = rich.matches(part).count();
        ensure!(found == times, "{part} is rendered {found} times");
    }
    let without = "crds: {enabled: false}\ntelemetry: {createDefault: false, admissionPolicies: {enabled: false}}";
    let without = helm.template("first", &chart, "there", without).await?;
    for part in [
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "kind: TelemetryConfig",
        "--create-telemetry-config",
        "verbs: [list, watch, create]\n",
    ] {
        ensure!(!without.contains(part), "rendered where it is switched off: {part}");
    }
    let with_kyverno =
        helm.template("first", &chart, "there", "crds: {kyvernoPolicies: Never}").await?;
    ensure!(!with_kyverno.contains("name: validatingpolicies.policies.kyverno.io"));
    ensure!(with_kyverno.contains("name: telemetryconfigs.telemetry.pharos.dev"));

    for (values, complaint) in [
        ("telemetry: {secretName: [token]}", "secretName"),
        ("telemetry: {secretNames: [Token]}", "/telemetry/secretNames/0"),
        ("telemetry: {config: {exporter: []}}", "exporter"),
        ("admission: {replicas: two}", "/admission/replicas"),
        ("admission: {logFormat: xml}", "/admission/logFormat"),
        ("admission: {policyStatus: Nobody}", "/admission/policyStatus"),
        ("admission: {exceptionNamespace: team-*}", "/admission/exceptionNamespace"),
        ("admission: {events: {omit: [Applied]}}", "/admission/events/omit/0"),
        ("image: {digest: latest}", "/image/digest"),
        ("replicas: 3", "replicas"),
        ("crds: {kyvernoPolicies: true}", "/crds/kyvernoPolicies"),
        ("backgroundScan: {reports: Any}", "/backgroundScan/reports"),
        ("backgroundScan: {interval: hourly}", "/backgroundScan/interval"),
        (
            "backgroundScan: {extraRules: [{apiGroups: [a], resources: [b], verbs: [delete]}]}",
            "/backgroundScan/extraRules/0/verbs/0",
        ),
    ] {
        let refused = helm.template("first", &chart, "there", values).await;
        let error = refused.err().with_context(|| format!("{values} is taken"))?.to_string();
        ensure!(error.contains("schema") && error.contains(complaint), "{values}: {error}");
    }
    let long = format!("telemetry: {{config: {{components: [{}]}}}}", "a".repeat(100_000));
    let refused = helm.template("first", &chart, "there", &long).await;
    let error = refused.err().context("no process takes such an argument")?.to_string();
    ensure!(error.contains("install the definitions first"), "{error}");
    let renamed = helm.template("first", &chart, "there", "crds: {policies: false}").await;
    let error = renamed.err().context("the old name is taken")?.to_string();
    ensure!(error.contains("for false write Never"), "{error}");
    Ok(())
}
