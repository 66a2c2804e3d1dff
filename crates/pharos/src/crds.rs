//! `pharos crds`.

use std::io::{ErrorKind, Write};

/// Prints every CRD as a YAML document.
pub(crate) fn print() -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    for crd in pharos_api::crds() {
        let written = write!(output, "---\n{}", pharos_api::yaml(&crd)?);
        match written {
            // The reader, `head` perhaps, has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}
