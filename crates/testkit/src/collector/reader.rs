//! What the Collector's file exporters wrote, read while it grows.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};

/// How a line becomes items.
type Parse<T> = fn(&[u8]) -> serde_json::Result<Vec<T>>;

/// Reads a growing file of JSON lines, each line once.
#[derive(Debug)]
pub(super) struct Reader<T> {
    path: PathBuf,
    parse: Parse<T>,
    read: Mutex<ReadSoFar<T>>,
}

#[derive(Debug)]
struct ReadSoFar<T> {
    offset: u64,
    items: Vec<Arc<T>>,
}

// === impl Reader ===

impl<T> Reader<T> {
    pub(super) fn new(path: PathBuf, parse: Parse<T>) -> Self {
        Self { path, parse, read: Mutex::new(ReadSoFar { offset: 0, items: Vec::new() }) }
    }

    /// Reads what was added since the last time; everything so far. A last line that is not
    /// finished yet is left for the next time.
    pub(super) fn read(&self) -> anyhow::Result<Vec<Arc<T>>> {
        let mut so_far = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(so_far.items.clone()),
            Err(error) => bail!("cannot read {}: {error}", self.path.display()),
        };
        file.seek(SeekFrom::Start(so_far.offset))?;
        let mut added = Vec::new();
        file.read_to_end(&mut added)?;
        for line in added.split_inclusive(|byte| *byte == b'\n') {
            if line.last() != Some(&b'\n') {
                break;
            }
            let items = (self.parse)(line).with_context(|| {
                format!("{} is not OTLP JSON at byte {}", self.path.display(), so_far.offset)
            })?;
            so_far.items.extend(items.into_iter().map(Arc::new));
            so_far.offset += line.len() as u64;
        }
        Ok(so_far.items.clone())
    }
}

#[cfg(test)]
mod tests;
