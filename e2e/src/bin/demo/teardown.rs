//! Ending a demo: its processes, its webhook configuration, its cluster.

use std::time::Duration;

use pharos_testkit::Kubectl;

use crate::console::Console;
use crate::session::{Session, State, TakenOver};
use crate::{ClusterKind, kind};

/// The name under which Pharos registers itself in the namespace `pharos`.
const WEBHOOK_CONFIGURATION: &str = "pharos-validating-pharos";
/// The process that would write the webhook configuration again.
pub(crate) const PHAROS: &str = "pharos";
const POLITELY: Duration = Duration::from_secs(5);
const LET_GO: Duration = Duration::from_secs(60);

/// `make down`.
pub(crate) async fn down(console: &Console) -> anyhow::Result<()> {
    match Session::take_over(LET_GO).await? {
        TakenOver::Nothing => {
            console.note("No demo is running.");
            return Ok(());
        }
        TakenOver::EndedByItself => {}
        TakenOver::Session(mut session) => {
            session.end().await?;
            session.discard()?;
        }
    }
    console.note("The demo is ended: no process and no webhook configuration is left.");
    Ok(())
}

/// Ends everything that was recorded, in an order in which nothing is written again.
pub(crate) async fn end(state: &State) -> anyhow::Result<()> {
    if let Some(pharos) = state.processes.get(PHAROS) {
        pharos.end(POLITELY).await?;
    }
    if let Some(kubectl) = &state.kubectl {
        // Fails only where the API server, and with it the configuration, is gone or goes now.
        let _ = delete_webhook_configuration(kubectl).await;
    }
    for process in state.processes.values() {
        process.end(POLITELY).await?;
    }
    match state.cluster {
        ClusterKind::Local => Ok(()),
        ClusterKind::Kind => kind::delete().await,
    }
}

async fn delete_webhook_configuration(kubectl: &Kubectl) -> anyhow::Result<String> {
    let delete = ["delete", "validatingwebhookconfiguration", WEBHOOK_CONFIGURATION];
    let options = ["--ignore-not-found", "--request-timeout=5s"];
    kubectl.run(&[&delete[..], &options].concat()).await
}
