//! Folders whose files are generated, and never edited: written, or compared with what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::Context;

use crate::workspace::{Findings, Workspace};

/// What a folder is to hold.
pub(crate) struct Folder {
    /// The folder, from the root of the workspace.
    pub(crate) path: &'static str,
    /// The verb of the Makefile that writes it.
    pub(crate) verb: &'static str,
    /// Its files, by name.
    pub(crate) files: BTreeMap<String, String>,
}

// === impl Folder ===

impl Folder {
    /// Writes what is not as it is to be, and removes what is not to be there.
    pub(crate) fn write(&self, workspace: &Workspace) -> anyhow::Result<Findings> {
        let folder = workspace.root.join(self.path);
        let wanted = self.wanted(&folder);
        let present = read(&folder)?;
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        for (path, text) in &wanted {
            if present.get(path) != Some(*text) {
                fs::write(path, text)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                println!("wrote {}", relative(path, workspace));
            }
        }
        for path in present.keys().filter(|path| !wanted.contains_key(*path)) {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
            println!("removed {}", relative(path, workspace));
        }
        Ok(Findings::new())
    }

    /// Finds what [`Self::write`] would change.
    pub(crate) fn check(&self, workspace: &Workspace) -> anyhow::Result<Findings> {
        let folder = workspace.root.join(self.path);
        let (wanted, present) = (self.wanted(&folder), read(&folder)?);
        let differing = wanted.iter().filter(|(path, text)| present.get(*path) != Some(**text));
        let left_over = present.keys().filter(|path| !wanted.contains_key(*path));
        let stale = differing.map(|(path, _)| path).chain(left_over);
        let finding = |path: &PathBuf| {
            format!("{} is stale: run `make {}`", relative(path, workspace), self.verb)
        };
        Ok(stale.map(finding).collect())
    }

    fn wanted(&self, folder: &Path) -> BTreeMap<PathBuf, &String> {
        self.files.iter().map(|(name, text)| (folder.join(name), text)).collect()
    }
}

fn read(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    entries
        .map(|entry| {
            let path = entry?.path();
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            Ok((path, text))
        })
        .collect()
}

fn relative<'a>(path: &'a Path, workspace: &Workspace) -> std::path::Display<'a> {
    path.strip_prefix(&workspace.root).unwrap_or(path).display()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_files_are_fresh_until_one_is_edited_missing_or_left_over() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: root.path().to_owned(), packages: Vec::new() };
        let files = [("a.md".to_owned(), "text".to_owned())].into();
        let folder = Folder { path: "docs/all", verb: "docs", files };
        let (path, finding) = (root.path().join("docs/all"), "is stale: run `make docs`");

        folder.write(&workspace).unwrap();
        assert_eq!(folder.check(&workspace).unwrap(), Findings::new());
        fs::write(path.join("a.md"), "edited").unwrap();
        assert_eq!(folder.check(&workspace).unwrap(), [format!("docs/all/a.md {finding}")]);
        fs::remove_file(path.join("a.md")).unwrap();
        assert_eq!(folder.check(&workspace).unwrap(), [format!("docs/all/a.md {finding}")]);

        folder.write(&workspace).unwrap();
        fs::write(path.join("old.md"), "").unwrap();
        assert_eq!(folder.check(&workspace).unwrap(), [format!("docs/all/old.md {finding}")]);
        folder.write(&workspace).unwrap();
        assert_eq!(folder.check(&workspace).unwrap(), Findings::new());
    }
}
