//! The YAML documents in files, folders and standard input.
//!
//! Enter at [`read`]. A list, as `kubectl get -o yaml` prints it, is what is in it. What a document
//! means is the reader's to say; it may be a Secret, so no error shows a piece of the text.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// More than an API server takes for one object.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;
/// A folder with more is not one of manifests.
const MOST_FILES: usize = 1000;
/// Standard input, as the command line and reports name it.
const STANDARD_INPUT: &str = "-";

/// What was read, in order.
#[derive(Debug, Default)]
pub(crate) struct Documents {
    /// What can be parsed.
    pub(crate) documents: Vec<Document>,
    /// What cannot.
    pub(crate) broken: Vec<Broken>,
}

/// One document as it is written.
#[derive(Debug)]
pub(crate) struct Document {
    /// The file, or `-`.
    pub(crate) file: String,
    /// All of it.
    pub(crate) value: Value,
}

/// A file of which at least one document cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Broken {
    /// The file, or `-`.
    pub(crate) file: String,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// What is wrong there.
    pub(crate) message: String,
}

/// Reads files, folders (their `.yaml`, `.yml` and `.json` files) and `-`, standard input.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Documents> {
    let mut documents = Documents::default();
    for path in paths {
        if path.as_os_str() == STANDARD_INPUT {
            let text = bounded(std::io::stdin().lock()).context("cannot read standard input")?;
            documents.take(STANDARD_INPUT, &text);
            continue;
        }
        for file in files(path)? {
            documents.take(&file.display().to_string(), &text(&file)?);
        }
    }
    Ok(documents)
}

/// Reads documents that must all be sound.
pub(crate) fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let read = read(paths)?;
    if let Some(Broken { file, line, message }) = read.broken.first() {
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        bail!("{file}{line}: {message}");
    }
    Ok(read.documents)
}

/// The text of a file that is not larger than a manifest may be.
fn text(file: &Path) -> anyhow::Result<Vec<u8>> {
    let name = file.display();
    let opened = std::fs::File::open(file).with_context(|| format!("cannot open {name}"))?;
    bounded(opened).with_context(|| format!("cannot read {name}"))
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
    /// Adds what a text holds.
    pub(crate) fn take(&mut self, file: &str, text: &[u8]) {
        let mut text = text;
        // Kubernetes reads YAML 1.1: the mode 0644 is 420.
        let options = serde_saphyr::options! { legacy_octal_numbers: true };
        for parsed in serde_saphyr::read_with_options::<_, Value>(&mut text, options) {
            match parsed {
                Ok(value) => self.add(file, value),
                Err(error) => self.broken.push(Broken {
                    file: file.to_owned(),
                    line: error.location().map(|location| location.line()),
                    message: words(&error),
                }),
            }
        }
    }

    fn add(&mut self, file: &str, mut value: Value) {
        let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) if is_list => {
                items.into_iter().for_each(|item| self.add(file, item));
            }
            Some(items) => {
                value["items"] = items;
                self.documents.push(Document { file: file.to_owned(), value });
            }
            None => self.documents.push(Document { file: file.to_owned(), value }),
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

    #[test]
    fn lists_are_what_is_in_them_and_other_items_stay() {
        let read = documents(
            "kind: List\nitems: [{kind: A}, {kind: BList, items: [{kind: B}]}]\n---\nitems: [1]\n",
        );
        let values: Vec<_> = read.documents.iter().map(|it| it.value.to_string()).collect();
        assert_eq!(values, [r#"{"kind":"A"}"#, r#"{"kind":"B"}"#, r#"{"items":[1]}"#]);
    }

    #[test]
    fn scalars_are_what_kubernetes_reads() {
        let read = documents("{mode: 0644, flag: yes, quoted: '0644', name: a}");
        let expected =
            serde_json::json!({"mode": 420, "flag": true, "quoted": "0644", "name": "a"});
        assert_eq!(read.documents[0].value, expected);
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
        let read = documents("a: 1\nb: 2\na: 3\n---\nkind: A\n");
        assert_eq!(read.broken[0].line, Some(3), "{read:?}");
        assert_eq!(read.documents.len(), 1);
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
