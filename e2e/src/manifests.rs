//! The manifests of the folder `manifests`, applied by the demo and the tests alike.

use std::path::{Path, PathBuf};

/// A ValidatingPolicy that denies ConfigMaps without the label `team` in the namespace `shop`.
pub const POLICY: &str = include_str!("../manifests/policy.yaml");
/// The namespaces `pharos`, of the engine, and `shop`, of the objects.
pub const NAMESPACES: &str = include_str!("../manifests/namespaces.yaml");
/// A TelemetryConfig that serves metrics for Prometheus.
pub const TELEMETRYCONFIG_PROMETHEUS: &str =
    include_str!("../manifests/telemetryconfig-prometheus.yaml");
const TELEMETRYCONFIG_OTLP: &str = include_str!("../manifests/telemetryconfig-otlp.yaml");
const ENDPOINT: &str = "http://127.0.0.1:4317";

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let e2e = Path::new(env!("CARGO_MANIFEST_DIR"));
    e2e.parent().unwrap_or(e2e).to_owned()
}

/// A TelemetryConfig, the same object as [`TELEMETRYCONFIG_PROMETHEUS`], that sends metrics every
/// second to this endpoint by OTLP/gRPC.
#[must_use]
pub fn telemetryconfig_otlp(endpoint: &str) -> String {
    TELEMETRYCONFIG_OTLP.replace(ENDPOINT, endpoint)
}

/// A ConfigMap that [`POLICY`] allows if it has a team.
#[must_use]
pub fn config_map(name: &str, team: Option<&str>) -> String {
    let labels = team.map(|team| format!("  labels: {{team: {team}}}\n")).unwrap_or_default();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: shop\n{labels}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_is_filled_in() {
        let yaml = telemetryconfig_otlp("http://127.0.0.1:20001");
        assert!(yaml.contains("endpoint: http://127.0.0.1:20001\n"), "{yaml}");
    }
}
