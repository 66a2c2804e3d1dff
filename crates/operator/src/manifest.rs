//! A TelemetryConfig as the command line gives it, to be created as it is.

use std::str::FromStr;

use kube::Resource;
use kube::api::DynamicObject;
use pharos_api::telemetryconfig::TelemetryConfig;

/// The manifest of a TelemetryConfig with a name. What its spec is worth is the API server's to say.
#[derive(Clone, Debug)]
pub struct Manifest {
    name: String,
    object: DynamicObject,
}

/// Why a text is no such manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is no object in JSON.
    #[error("it is not the manifest of an object in JSON")]
    NotJson(#[source] serde_json::Error),
    /// It is something else.
    #[error("it is a {found}, and not a {}", kind())]
    AnotherKind {
        /// Its API version and kind.
        found: String,
    },
    /// It has no name, so that nobody could say whether it is there.
    #[error("it has no metadata.name")]
    Unnamed,
    /// It belongs somewhere else.
    #[error("its metadata.namespace is {found:?}, and this engine's namespace is {expected:?}")]
    AnotherNamespace {
        /// The namespace that it names.
        found: String,
        /// The only one that would do.
        expected: String,
    },
}

fn kind() -> String {
    format!("{} {}", TelemetryConfig::api_version(&()), TelemetryConfig::kind(&()))
}

// === impl Manifest ===

impl FromStr for Manifest {
    type Err = ManifestError;

    fn from_str(json: &str) -> Result<Self, ManifestError> {
        let object: DynamicObject = serde_json::from_str(json).map_err(ManifestError::NotJson)?;
        let types = object.types.clone().unwrap_or_default();
        let found = format!("{} {}", types.api_version, types.kind);
        if found != kind() {
            return Err(ManifestError::AnotherKind { found });
        }
        let name = object.metadata.name.clone().filter(|name| !name.is_empty());
        Ok(Self { name: name.ok_or(ManifestError::Unnamed)?, object })
    }
}

impl Manifest {
    /// The manifest, where it is one of this namespace or of none.
    ///
    /// # Errors
    /// [`ManifestError::AnotherNamespace`]: an engine writes nowhere but at home.
    pub fn of_namespace(self, expected: &str) -> Result<Self, ManifestError> {
        match &self.object.metadata.namespace {
            Some(found) if found != expected => Err(ManifestError::AnotherNamespace {
                found: found.clone(),
                expected: expected.to_owned(),
            }),
            _ => Ok(self),
        }
    }

    /// The object's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What to create.
    pub(crate) fn object(&self) -> &DynamicObject {
        &self.object
    }
}

// === impl ManifestError ===

impl ManifestError {
    /// A closed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotJson(_) => "NotJson",
            Self::AnotherKind { .. } => "AnotherKind",
            Self::Unnamed => "Unnamed",
            Self::AnotherNamespace { .. } => "AnotherNamespace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Manifest, &'static str> {
        let manifest = json.parse::<Manifest>().and_then(|it| it.of_namespace("engine"));
        manifest.map_err(|error| error.reason())
    }

    #[test]
    fn only_a_telemetryconfig_of_this_namespace_with_a_name_is_taken() {
        const TYPES: &str =
            r#""apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig""#;
        for (json, refused) in [
            ("", "NotJson"),
            ("[]", "NotJson"),
            ("{}", "AnotherKind"),
            (r#"{"apiVersion": "v1", "kind": "TelemetryConfig"}"#, "AnotherKind"),
            (r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}"#, "AnotherKind"),
            (&format!("{{{TYPES}}}"), "Unnamed"),
            (&format!(r#"{{{TYPES}, "metadata": {{"name": ""}}}}"#), "Unnamed"),
            (
                &format!(r#"{{{TYPES}, "metadata": {{"name": "a", "namespace": "b"}}}}"#),
                "AnotherNamespace",
            ),
        ] {
            assert_eq!(read(json).err(), Some(refused), "{json}");
        }
        for metadata in [r#"{"name": "a"}"#, r#"{"name": "a", "namespace": "engine"}"#] {
            let taken =
                read(&format!(r#"{{{TYPES}, "metadata": {metadata}, "spec": {{"x": 1}}}}"#));
            let taken = taken.unwrap();
            assert_eq!(taken.name(), "a");
            assert_eq!(taken.object().data["spec"]["x"], 1, "the spec is not judged here");
        }
    }
}
