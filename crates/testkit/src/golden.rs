//! What real peers sent, read where it lies: beside the project, not in it.

use std::io::Write as _;
use std::path::Path;

/// What a Kyverno 1.19.1 answered to a scrape, without help texts. `None`, and a line that says so,
/// where the file is not beside the project.
#[must_use]
pub fn kyverno_scrape() -> Option<String> {
    let golden = "../shared/golden/kyverno-1.19.1-admission-controller.prom";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match std::fs::read_to_string(root.join(golden)) {
        Ok(page) => {
            let lines = page.lines().filter(|line| !line.starts_with("# HELP "));
            Some(lines.flat_map(|line| [line, "\n"]).collect())
        }
        Err(error) => {
            // Not by `eprintln!`, which a test that passes shows to nobody.
            let _ = writeln!(std::io::stderr(), "skipped: {golden}: {error}");
            None
        }
    }
}
