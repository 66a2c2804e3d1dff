//! What real peers sent, read where it lies: beside the project, not in it.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

/// What a Kyverno 1.19.1 answered to a scrape, without help texts. `None`, and a line that says so,
/// where the file is not beside the project.
#[must_use]
pub fn kyverno_scrape() -> Option<String> {
    let page = read("kyverno-1.19.1-admission-controller.prom")?;
    let lines = page.lines().filter(|line| !line.starts_with("# HELP "));
    Some(lines.flat_map(|line| [line, "\n"]).collect())
}

/// What a Kyverno 1.19.1 sent over OTLP: `metrics` by name, and one `trace` as a tree. `None`, and
/// a line that says so, where the file is not beside the project.
///
/// # Panics
/// If the file is not JSON.
#[must_use]
pub fn kyverno_otlp() -> Option<Value> {
    let text = read("kyverno-1.19.1-otlp.json")?;
    Some(serde_json::from_str(&text).expect("what was sent is kept as JSON"))
}

/// The PromQL of Kyverno's Grafana dashboard, with every `$cluster` filled in so that it matches
/// series without that label. `None`, and a line that says so, where the file is not beside the
/// project.
#[must_use]
pub fn kyverno_dashboard_queries() -> Option<Vec<String>> {
    let queries = read("kyverno-dashboard-queries.txt")?.replace("$cluster", ".*");
    Some(queries.lines().map(str::to_owned).collect())
}

fn read(file: &str) -> Option<String> {
    let golden = Path::new("../shared/golden").join(file);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match std::fs::read_to_string(root.join(&golden)) {
        Ok(text) => Some(text),
        Err(error) => {
            // Not by `eprintln!`, which a test that passes shows to nobody.
            let _ = writeln!(std::io::stderr(), "skipped: {}: {error}", golden.display());
            None
        }
    }
}
