//! `pharos crds`.

use crate::console;

/// Prints every CRD as a YAML document.
pub(crate) fn print() -> anyhow::Result<()> {
    let mut text = String::new();
    for crd in pharos_api::crds() {
        text.push_str("---\n");
        text.push_str(&pharos_api::yaml(&crd)?);
    }
    console::print(&text)
}
