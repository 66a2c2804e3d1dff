//! The YAML documents that are to be checked, and the TelemetryConfigs among them.
//!
//! Enter at [`read`]. What a file holds besides is named and left alone; it may be a Secret, so no
//! error shows a piece of the text.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use kube::Resource as _;
use pharos_api::telemetryconfig::TelemetryConfig;
use serde_json::Value;

/// More than an API server takes for one object.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;
/// A folder with more is not one of manifests.
const MOST_FILES: usize = 1000;
/// Standard input, as `-f` and reports name it.
const STANDARD_INPUT: &str = "-";

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

/// One TelemetryConfig as it is written.
#[derive(Debug)]
pub(super) struct Document {
    /// The file, or `-`.
    pub(super) file: String,
    /// All of it.
    pub(super) value: Value,
}

/// A file of which at least one document cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Broken {
    /// The file, or `-`.
    pub(super) file: String,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<u64>,
    /// What is wrong there.
    pub(super) message: String,
}

/// A document that is no TelemetryConfig.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Skipped {
    /// The file, or `-`.
    pub(super) file: String,
    /// `apiVersion` and `kind`, as far as it has them.
    pub(super) kind: String,
}

/// Reads files, folders (their `.yaml`, `.yml` and `.json` files) and `-`, standard input.
pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Documents> {
    let mut documents = Documents::default();
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            let text = bounded(std::io::stdin().lock()).context("cannot read standard input")?;
            documents.take(STANDARD_INPUT, &text);
            continue;
        }
        for file in files(path)? {
            let name = file.display().to_string();
            let opened =
                std::fs::File::open(&file).with_context(|| format!("cannot open {name}"))?;
            let text = bounded(opened).with_context(|| format!("cannot read {name}"))?;
            documents.take(&name, &text);
        }
    }
    Ok(documents)
}

/// A file, or the manifests in a folder, by name.
fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let name = path.display();
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("cannot read {name}"))? {
        let file = entry.with_context(|| format!("cannot read {name}"))?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
        ensure!(files.len() <= MOST_FILES, "{name} has more than {MOST_FILES} manifests");
    }
    if files.is_empty() {
        bail!("{name} has no .yaml, .yml or .json file");
    }
    files.sort();
    Ok(files)
}

fn bounded(reader: impl std::io::Read) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    reader.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
    ensure!(text.len() as u64 <= LARGEST_FILE, "there is more than {LARGEST_FILE} bytes of it");
    Ok(text)
}

// === impl Documents ===

impl Documents {
    fn take(&mut self, file: &str, text: &[u8]) {
        let mut text = text;
        for parsed in serde_saphyr::read::<_, Value>(&mut text) {
            match parsed {
                Ok(value) => self.sort(file, value),
                Err(error) => self.broken.push(Broken {
                    file: file.to_owned(),
                    line: error.location().map(|location| location.line()),
                    message: words(&error),
                }),
            }
        }
    }

    /// A list, as `kubectl get -o yaml` prints it, is what is in it.
    fn sort(&mut self, file: &str, mut value: Value) {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let (group, _) = version.split_once('/').unwrap_or(("", &version));
        let ours = group == TelemetryConfig::group(&());
        if kind == "List" || (ours && kind == "TelemetryConfigList") {
            if let Value::Array(items) = value["items"].take() {
                items.into_iter().for_each(|item| self.sort(file, item));
            }
        } else if ours && kind == TelemetryConfig::kind(&()) {
            self.objects.push(Document { file: file.to_owned(), value });
        } else {
            let kind = match (version.as_str(), kind.as_str()) {
                ("", "") => "a document without apiVersion and kind".to_owned(),
                (version, kind) => format!("{version} {kind}").trim().to_owned(),
            };
            self.skipped.push(Skipped { file: file.to_owned(), kind });
        }
    }
}

/// The first line of what the parser says, without the place and without a piece of the text.
fn words(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    message.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Documents {
        let mut documents = Documents::default();
        documents.take("f", text.as_bytes());
        documents
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

    #[test]
    fn what_cannot_be_parsed_is_told_by_line_and_shows_nothing_of_the_text() {
        let read = documents("kind: Secret\nstringData:\n  a: \"planted\n  b: ]\n: {\n");
        assert_eq!(read.broken.len(), 1, "{read:?}");
        assert!(read.broken[0].line.is_some_and(|line| line >= 3), "{read:?}");
        assert!(!format!("{read:?}").contains("planted"), "{read:?}");
    }

    #[test]
    fn a_key_twice_is_an_error_with_its_line_and_the_documents_after_it_are_read() {
        let read = documents(&format!("a: 1\nb: 2\na: 3\n---\n{ONE}"));
        assert_eq!(read.broken[0].line, Some(3), "{read:?}");
        assert_eq!(read.objects.len(), 1);
    }

    #[test]
    fn more_than_the_bound_is_refused() {
        assert_eq!(bounded(&b"abc"[..]).unwrap(), b"abc");
        assert!(bounded(std::io::repeat(b' ')).is_err());
    }

    #[test]
    fn a_folder_is_its_manifests_by_name() {
        let dir = tempfile::tempdir().unwrap();
        assert!(files(dir.path()).is_err());
        for name in ["b.yaml", "a.yml", "c.json", "notes.md"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = files(dir.path()).unwrap();
        let names: Vec<_> = found.iter().map(|it| it.file_name().unwrap()).collect();
        assert_eq!(names, ["a.yml", "b.yaml", "c.json"]);
        assert_eq!(files(Path::new("nowhere")).unwrap(), [Path::new("nowhere")]);
    }
}
