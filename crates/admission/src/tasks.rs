//! The tasks of the component: each runs until all are stopped, none is forgotten.

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Tasks that have no end of their own. Dropping it aborts them.
#[derive(Default)]
pub(crate) struct Tasks {
    running: JoinSet<Result<(), Error>>,
    stop: CancellationToken,
}

/// Waits until then, and for ever where there is no such time.
pub(crate) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

// === impl Tasks ===

impl Tasks {
    /// Runs `task` until [`Tasks::join`]; what it `does` names it if it ends before.
    pub(crate) fn spawn(
        &mut self,
        does: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.running.spawn(async move {
            match stop.run_until_cancelled(task).await {
                None => Ok(()),
                // A task that stopped first has closed the channels of this one.
                Some(()) if stop.is_cancelled() => Ok(()),
                Some(()) => Err(Error::Ended(does)),
            }
        });
    }

    /// Waits until one ends that should not have.
    pub(crate) async fn died(&mut self) -> Error {
        while let Some(ended) = self.running.join_next().await {
            if let Err(error) = outcome(ended) {
                return error;
            }
        }
        std::future::pending().await
    }

    /// Stops all and waits for them; the first that died is the error.
    pub(crate) async fn join(mut self) -> Result<(), Error> {
        self.stop.cancel();
        let mut joined = Ok(());
        while let Some(ended) = self.running.join_next().await {
            joined = joined.and_then(|()| outcome(ended));
        }
        joined
    }
}

fn outcome(ended: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    ended.map_err(Error::Died)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_dies_is_an_error() {
        let mut tasks = Tasks::default();
        tasks.spawn("waits", std::future::pending());
        tasks.spawn("ends", async {});
        assert!(matches!(tasks.died().await, Error::Ended("ends")));
        tasks.spawn("dies", async { panic!("on purpose") });
        assert!(matches!(tasks.died().await, Error::Died(_)));
        tasks.join().await.unwrap();
    }

    #[tokio::test]
    async fn tasks_that_run_are_stopped_and_joined() {
        let mut tasks = Tasks::default();
        let (held, dropped) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("waits", async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        tasks.join().await.unwrap();
        assert!(dropped.await.is_err(), "the task is gone, and what it held with it");
    }
}
