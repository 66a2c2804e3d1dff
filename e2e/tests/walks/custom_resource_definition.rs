//! The CRD alone admits what is right and rejects what is wrong, on the real API server.

use std::path::{Path, PathBuf};

use anyhow::Context;
use pharos_e2e::manifests::repository;
use pharos_e2e::stage::Stage;

fn examples(root: &Path, kind: &str) -> anyhow::Result<Vec<PathBuf>> {
    let dir = root.join(kind);
    let entries =
        std::fs::read_dir(&dir).with_context(|| format!("no examples in {}", dir.display()))?;
    let mut files: Vec<_> =
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    Ok(files)
}

/// The project's own examples, and the shared ones where they lie beside the project.
#[expect(clippy::print_stdout, reason = "a skipped test must say so")]
fn roots() -> Vec<PathBuf> {
    let shared = repository().join("../shared/examples/telemetryconfig");
    let own = repository().join("docs/examples/telemetryconfig");
    if shared.is_dir() {
        vec![own, shared]
    } else {
        println!("skipped: the shared examples are not beside the project");
        vec![own]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_good_example_is_admitted_and_every_bad_one_rejected() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let (mut admitted, mut rejected) = (0, 0);
    for root in roots() {
        for file in examples(&root, "good")? {
            let path = file.to_str().context("a path in UTF-8")?;
            stage.cluster.kubectl(&["apply", "--validate=strict", "-f", path]).await?;
            admitted += 1;
        }
        for file in examples(&root, "bad")? {
            let yaml = std::fs::read_to_string(&file)?;
            // Without kubectl's own validation: what rejects it is the CRD.
            let apply = ["create", "--validate=ignore", "-f", "-"];
            let strict = ["create", "--validate=strict", "-f", "-"];
            // An unknown field is pruned by the API server unless it is asked to be strict.
            let arguments = if yaml.contains("port: 9999") { strict } else { apply };
            let output = stage.kubectl().output(&arguments, &yaml).await?;
            anyhow::ensure!(!output.status.success(), "{} was admitted", file.display());
            let error = String::from_utf8_lossy(&output.stderr);
            anyhow::ensure!(
                error.contains("is invalid")
                    || error.contains("strict decoding error")
                    || error.contains("BadRequest"),
                "{} was rejected by something else: {error}",
                file.display()
            );
            if let Some(message) = yaml.lines().find_map(|line| line.strip_prefix("# Message: ")) {
                anyhow::ensure!(error.contains(message), "{}: {error}", file.display());
            }
            rejected += 1;
        }
    }
    println!("{admitted} admitted, {rejected} rejected");
    anyhow::ensure!(admitted >= 3 && rejected >= 8, "the examples were not found");
    Ok(())
}
