//! File sizes: a source file that does not fit in the head wants to be two.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::workspace::{Findings, Workspace};

/// More lines than this, tests included, are too many.
const LIMIT: usize = 400;

/// Files that may be longer, each with the reason why it cannot be split.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Finds files that are too long, and exceptions that are not needed.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Findings> {
    let mut sources = Vec::new();
    for folder in ["crates", "e2e"] {
        collect(&workspace.root.join(folder), &mut sources)?;
    }
    sources.sort();
    let sizes = sources
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(&workspace.root).unwrap_or(path).display();
            Ok((name.to_string(), text.lines().count()))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(judge(&sizes, EXCEPTIONS))
}

fn judge(sizes: &[(String, usize)], exceptions: &[(&str, &str)]) -> Findings {
    let excepted = |file: &str| exceptions.iter().any(|(exception, _)| *exception == file);
    let long = |file: &str| sizes.iter().any(|(name, lines)| name == file && *lines > LIMIT);
    let too_long = sizes.iter().filter(|(file, lines)| *lines > LIMIT && !excepted(file)).map(
        |(file, lines)| format!("{file} has {lines} lines: split it, at most {LIMIT} are allowed"),
    );
    let not_needed = exceptions
        .iter()
        .filter(|(file, _)| !long(file))
        .map(|(file, _)| format!("{file} needs no exception in crates/xtask/src/sizes.rs"));
    too_long.chain(not_needed).collect()
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_needs_an_exception_and_a_short_one_must_not_have_it() {
        let sizes = [("a.rs".to_owned(), LIMIT), ("b.rs".to_owned(), LIMIT + 1)];
        assert_eq!(judge(&sizes, &[("b.rs", "a table")]), Findings::new());
        assert_eq!(
            judge(&sizes, &[("a.rs", "a table")]),
            [
                "b.rs has 401 lines: split it, at most 400 are allowed",
                "a.rs needs no exception in crates/xtask/src/sizes.rs",
            ],
        );
    }
}
