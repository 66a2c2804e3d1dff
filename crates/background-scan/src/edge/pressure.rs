//! How fast the API server may be asked: it says so itself.
//!
//! While it answers that it has too much to do (429, or 503 and 504), nobody asks it anything, for as
//! long as it says, and for 0.5 to 5 s where it does not. Its priority levels do the rest: a scan's
//! requests wait behind those that matter more.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::{RetryDelay, in_time};
use tokio::sync::watch;
use tokio::time::Instant;

use super::write::is_terminating;

/// No server is waited for longer than this, whatever it says.
const LONGEST: Duration = Duration::from_secs(30);

/// When the next request may begin, for all of a scan.
#[derive(Debug)]
pub(crate) struct Pressure {
    free: watch::Sender<Option<Instant>>,
    failures: Mutex<Failures>,
}

#[derive(Debug)]
struct Failures {
    delay: RetryDelay,
    episode: Episode,
}

// === impl Pressure ===

impl Pressure {
    /// Asks, once that is allowed, and learns from the answer.
    pub(crate) async fn ask<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
    ) -> kube::Result<T> {
        self.wait().await;
        let answer = in_time(request).await;
        match &answer {
            Ok(_) => self.succeeded(),
            Err(error) if is_an_answer(error) => {}
            Err(error) => self.back_off(error),
        }
        answer
    }

    async fn wait(&self) {
        loop {
            let until = *self.free.borrow();
            match until {
                Some(until) if until > Instant::now() => tokio::time::sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn succeeded(&self) {
        self.failures().episode.succeeded();
    }

    fn back_off(&self, error: &kube::Error) {
        let wait = {
            let mut failures = self.failures();
            failures.episode.failed(Trouble::of(error), error);
            told(error).unwrap_or_else(|| failures.delay.after_failure()).min(LONGEST)
        };
        let until = Instant::now() + wait;
        self.free.send_modify(|free| *free = Some(free.map_or(until, |free| free.max(until))));
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pressure {
    fn default() -> Self {
        let episode = Episode::of("read objects or write reports");
        let failures = Failures { delay: RetryDelay::default(), episode };
        Self { free: watch::Sender::new(None), failures: Mutex::new(failures) }
    }
}

/// Whether an error is an answer about an object, and none about the server: it is gone, or its namespace
/// is about to be, it was changed, is there already, or a token is too old.
fn is_an_answer(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status)
        if matches!(status.code, 404 | 409 | 410) || is_terminating(status))
}

/// How long the server says to wait.
fn told(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn refused(code: u16, wait: u32) -> kube::Error {
        let status = json!({
            "code": code, "message": "no", "reason": "x", "status": "Failure",
            "details": {"retryAfterSeconds": wait},
        });
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    async fn waited_after(error: Option<kube::Error>) -> Duration {
        let pressure = Arc::new(Pressure::default());
        if let Some(error) = error {
            pressure.ask(async { Err::<(), _>(error) }).await.unwrap_err();
        }
        let began = Instant::now();
        pressure.ask(async { Ok(()) }).await.unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_server_has_too_much_to_do_nobody_asks_it_for_as_long_as_it_says() {
        assert_eq!(waited_after(None).await, Duration::ZERO);
        assert_eq!(waited_after(Some(refused(429, 7))).await, Duration::from_secs(7));
        assert_eq!(waited_after(Some(refused(429, 7000))).await, LONGEST);
        let unsaid = waited_after(Some(refused(503, 0))).await;
        assert!(unsaid > Duration::from_millis(400) && unsaid < Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_about_an_object_keeps_nobody_waiting() {
        for code in [404, 409, 410] {
            assert_eq!(waited_after(Some(refused(code, 0))).await, Duration::ZERO, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_being_deleted_keeps_nobody_else_waiting() {
        let status = json!({
            "code": 403, "message": "no", "reason": "Forbidden", "status": "Failure",
            "details": {"causes": [{"reason": "NamespaceTerminating", "message": "", "field": ""}]},
        });
        let error = kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()));
        assert_eq!(waited_after(Some(error)).await, Duration::ZERO);
        assert!(waited_after(Some(refused(403, 0))).await > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_is_a_failure_of_the_server() {
        let pressure = Pressure::default();
        let silence = pressure.ask(std::future::pending::<kube::Result<()>>()).await;
        assert!(silence.is_err());
        assert!(pressure.free.borrow().is_some());
    }
}
