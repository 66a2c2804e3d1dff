//! The TelemetryConfigs among the documents that are to be checked.
//!
//! Enter at [`read`]. What a file holds besides is named and left alone.

use std::path::PathBuf;

use kube::Resource as _;
use pharos_api::telemetryconfig::TelemetryConfig;

use crate::documents::{self, Broken, Document};

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// The TelemetryConfigs.
    pub(super) objects: Vec<Document>,
    /// What cannot be parsed.
    pub(super) broken: Vec<Broken>,
    /// Everything else.
    pub(super) skipped: Vec<Skipped>,
}

/// A document that is no TelemetryConfig.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Skipped {
    /// The file, or `-`.
    pub(super) file: String,
    /// `apiVersion` and `kind`, as far as it has them.
    pub(super) kind: String,
}

/// Reads files, folders and `-`, standard input.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Documents> {
    documents::read(paths).map(Documents::from)
}

// === impl Documents ===

impl From<documents::Documents> for Documents {
    fn from(read: documents::Documents) -> Self {
        let mut sorted = Self { broken: read.broken, ..Self::default() };
        for document in read.documents {
            let text = |field: &str| document.value[field].as_str().unwrap_or_default();
            let (version, kind) = (text("apiVersion"), text("kind"));
            let (group, _) = version.split_once('/').unwrap_or(("", version));
            if group == TelemetryConfig::group(&()) && kind == TelemetryConfig::kind(&()) {
                sorted.objects.push(document);
                continue;
            }
            let kind = match (version, kind) {
                ("", "") => "a document without apiVersion and kind".to_owned(),
                (version, kind) => format!("{version} {kind}").trim().to_owned(),
            };
            sorted.skipped.push(Skipped { file: document.file, kind });
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Documents {
        let mut documents = documents::Documents::default();
        documents.take("f", text.as_bytes());
        documents.into()
    }

    const ONE: &str = "apiVersion: telemetry.pharos.dev/v1alpha1\nkind: TelemetryConfig\n";

    #[test]
    fn other_documents_are_named_and_left_alone() {
        let secret = "apiVersion: v1\nkind: Secret\nstringData: {a: planted}\n";
        let read = documents(&format!("{ONE}---\n{secret}---\n# nothing\n---\na: 1\n---\n{ONE}"));
        assert_eq!(read.objects.len(), 2);
        let kinds: Vec<_> = read.skipped.iter().map(|it| it.kind.as_str()).collect();
        assert_eq!(kinds, ["v1 Secret", "a document without apiVersion and kind"]);
        assert_eq!(read.broken, []);
    }

    #[test]
    fn lists_are_what_is_in_them() {
        let item = "{apiVersion: telemetry.pharos.dev/v1alpha1, kind: TelemetryConfig}";
        let read =
            documents(&format!("apiVersion: v1\nkind: List\nitems: [{item}, {item}, {{kind: X}}]"));
        assert_eq!((read.objects.len(), read.skipped.len()), (2, 1));
    }
}
