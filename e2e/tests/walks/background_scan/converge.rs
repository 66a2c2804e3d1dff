//! Whatever changes, in whichever order: reports come to say what the command line says.
#![expect(clippy::print_stdout, reason = "what was measured is printed")]

use pharos_e2e::changes::{Changes, OBJECTS};
use pharos_e2e::scans::Comparison;
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::eventually;

const SEED: u64 = 7;
const ROUNDS: usize = 6;
/// How many changes a round has.
const CHANGES: usize = 14;

/// While a replica scans. Ends when namespaces that were deleted are gone.
pub(super) async fn whatever_changes(stage: &Stage) -> anyhow::Result<()> {
    let mut changes = Changes::prepare(stage, SEED).await?;
    let mut comparison = Comparison::of(stage, &OBJECTS).await?;
    let seed = changes.seed;
    for round in 0..ROUNDS {
        let results = comparison.converges(&format!("in round {round} of seed {seed}")).await?;
        println!("round {round}: {results} results");
        changes.make(CHANGES).await?;
    }
    comparison.converges(&format!("after all rounds of seed {seed}")).await?;
    eventually("namespaces that are deleted to be gone", PATIENCE, async || {
        let going = "jsonpath={.items[?(@.status.phase==\"Terminating\")].metadata.name}";
        let going = stage.cluster.kubectl(&["get", "namespaces", "-o", going]).await;
        let going = going.map_err(|error| error.to_string())?;
        if going.is_empty() { Ok(()) } else { Err(going) }
    })
    .await
}
