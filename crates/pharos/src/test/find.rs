//! Where the tests are.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// Folders inside of each other, of which more would be no library of policies.
const DEEPEST: usize = 64;
/// Tests, of which more would be no library of policies.
const MOST_FILES: usize = 100_000;

/// Every file of that name in the folders, and the files that are named themselves, in order. A
/// folder behind a symbolic link is not walked, so that no walk goes round.
pub(super) fn find(paths: &[PathBuf], file_name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, file_name, DEEPEST, &mut found)?;
        } else {
            ensure!(path.is_file(), "there is no folder or file {}", path.display());
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn walk(
    folder: &Path,
    file_name: &str,
    levels: usize,
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let name = folder.display();
    ensure!(levels > 0, "{name} is nested more than {DEEPEST} folders deep");
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {name}"))?;
    let mut entries =
        entries.collect::<Result<Vec<_>, _>>().with_context(|| format!("cannot read {name}"))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().with_context(|| format!("cannot read {name}"))?;
        if kind.is_dir() {
            walk(&entry.path(), file_name, levels - 1, found)?;
        } else if entry.file_name() == file_name && entry.path().is_file() {
            ensure!(found.len() < MOST_FILES, "there are more than {MOST_FILES} tests");
            found.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_in_hidden_folders_too_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["b/.kyverno-test/t.yaml", "a/t.yaml", "a/other.yaml", "t.yaml"] {
            let file = dir.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let found = find(&[dir.path().to_owned()], "t.yaml").unwrap();
        let relative: Vec<_> =
            found.iter().map(|it| it.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(relative, ["a/t.yaml", "b/.kyverno-test/t.yaml", "t.yaml"]);
        let named = dir.path().join("a/other.yaml");
        assert_eq!(find(std::slice::from_ref(&named), "t.yaml").unwrap(), [named]);
        assert!(find(&[dir.path().join("nowhere")], "t.yaml").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_above_is_no_way_round() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("t.yaml"), "").unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("up")).unwrap();
        assert_eq!(find(&[dir.path().to_owned()], "t.yaml").unwrap().len(), 1);
    }
}
