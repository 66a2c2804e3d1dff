//! The real parts that tests and demo run against.

use pharos_testkit::parts::{Part, ensure};

use crate::workspace::Findings;

/// Builds those that are missing.
pub(crate) fn build() -> anyhow::Result<Findings> {
    let all = [Part::Etcd, Part::KubeApiserver, Part::Kubectl, Part::Collector];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let parts = runtime.block_on(ensure(&all))?;
    for part in all {
        println!("{part:?}: {}", parts.path(part).display());
    }
    Ok(Findings::new())
}
