//! Objects created all along, while a test does something else.

use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stage::Stage;

/// How many objects one kubectl creates.
const BATCH: usize = 25;

/// A task that creates ConfigMaps until it is told to stop.
pub struct Traffic {
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<usize>>,
}

// === impl Traffic ===

impl Traffic {
    /// Starts creating.
    #[must_use]
    pub fn start(stage: &Arc<Stage>) -> Self {
        let (stop, stage) = (CancellationToken::new(), Arc::clone(stage));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut admitted = 0;
            let mut batch = 0;
            while !stopped.is_cancelled() {
                admitted += stage.create(&format!("traffic-{batch}"), BATCH).await?;
                batch += 1;
            }
            Ok(admitted)
        });
        Self { stop, task }
    }

    /// Lets the last batch finish and says how many objects were admitted; an error if any review
    /// failed.
    pub async fn stop(self) -> anyhow::Result<usize> {
        self.stop.cancel();
        self.task.await.context("the traffic died")?
    }
}
