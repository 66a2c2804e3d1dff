//! The tasks of a component: each runs until all are stopped, none is forgotten.

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Why a task ended that never should.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// By itself.
    #[error("the task that {0} ended by itself")]
    Ended(&'static str),
    /// By a panic.
    #[error("a task died")]
    Died(#[source] JoinError),
}

/// Tasks that have no end of their own. Dropping it aborts them.
#[derive(Default)]
pub struct Tasks {
    running: JoinSet<Result<(), TaskError>>,
    stop: CancellationToken,
}

/// Waits until then, and for ever where there is no such time.
pub async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

// === impl Tasks ===

impl Tasks {
    /// Runs `task` until [`Tasks::join`]; what it `does` names it if it ends before.
    pub fn spawn(&mut self, does: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.running.spawn(async move {
            match stop.run_until_cancelled(task).await {
                None => Ok(()),
                // A task that stopped first has closed the channels of this one.
                Some(()) if stop.is_cancelled() => Ok(()),
                Some(()) => Err(TaskError::Ended(does)),
            }
        });
    }

    /// Runs `task` until it ends by itself after it was told to; [`Tasks::join`] waits for it. If it ends
    /// before anything is stopped, what it `does` names it.
    pub fn spawn_to_its_end(
        &mut self,
        does: &'static str,
        told: CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.running.spawn(async move {
            task.await;
            if told.is_cancelled() { Ok(()) } else { Err(TaskError::Ended(does)) }
        });
    }

    /// Waits until one ends that should not have.
    pub async fn died(&mut self) -> TaskError {
        while let Some(ended) = self.running.join_next().await {
            if let Err(error) = outcome(ended) {
                return error;
            }
        }
        std::future::pending().await
    }

    /// Stops all and waits for them.
    ///
    /// # Errors
    /// The first that had died.
    pub async fn join(mut self) -> Result<(), TaskError> {
        self.stop.cancel();
        let mut joined = Ok(());
        while let Some(ended) = self.running.join_next().await {
            joined = joined.and_then(|()| outcome(ended));
        }
        joined
    }
}

fn outcome(ended: Result<Result<(), TaskError>, JoinError>) -> Result<(), TaskError> {
    ended.map_err(TaskError::Died)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_dies_is_an_error() {
        let mut tasks = Tasks::default();
        tasks.spawn("waits", std::future::pending());
        tasks.spawn("ends", async {});
        assert!(matches!(tasks.died().await, TaskError::Ended("ends")));
        tasks.spawn("dies", async { panic!("on purpose") });
        assert!(matches!(tasks.died().await, TaskError::Died(_)));
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
