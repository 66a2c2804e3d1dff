//! The real parts that tests and demo run against.

use pharos_testkit::parts::{Part, ensure};

use crate::workspace::Findings;

/// Builds those that are missing.
pub(crate) fn build() -> anyhow::Result<Findings> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let parts = runtime.block_on(ensure(&Part::ALL))?;
    for part in Part::ALL {
        println!("{part:?}: {}", parts.path(part).display());
    }
    Ok(Findings::new())
}
