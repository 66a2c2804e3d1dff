//! How fast the API server may be asked: it says so itself.
//!
//! While it answers that it has too much to do, or does not answer, nobody asks it anything, for as long
//! as it says, and for 0.5 to 5 s where it does not. Its priority levels do the rest: what can wait waits
//! behind what matters more.
//!
//! Objects of some resources are served by others behind the API server. That one of these fails is its own
//! trouble: who asked for them is told, and nobody else waits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::core::Status;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::RetryDelay;
use crate::trouble::{Episode, Trouble};

/// No server is waited for longer than this, whatever it says.
const LONGEST: Duration = Duration::from_secs(30);
/// An answer takes no longer than this. A request may wait in the queue of its priority level for a quarter
/// of a minute; who asks anew waits anew.
const ANSWER: Duration = Duration::from_secs(30);

/// What is asked for, by what is done with it: words that complete "cannot ..." and "can ... again".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Something that the API server itself keeps.
    Kept(&'static str),
    /// Something that others may serve behind it.
    Served(String),
}

/// When the next request may begin, for all who ask by it.
#[derive(Debug, Default)]
pub struct Pressure {
    free: watch::Sender<Option<Instant>>,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    delay: RetryDelay,
    /// What fails now, each told of once.
    episodes: HashMap<Asked, Episode>,
}

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Something about the object that was asked for: it is gone, or its namespace is about to be, it was
    /// changed, is there already, or a token is too old.
    Answer,
    /// Who serves what was asked for fails.
    Failure,
    /// Nobody is to ask anything.
    Overload,
}

// === impl Pressure ===

impl Pressure {
    /// Asks, once that is allowed, and learns from the answer.
    ///
    /// # Errors
    /// Those of the request, and that it was not answered in time.
    pub async fn ask<T>(
        &self,
        asked: Asked,
        request: impl Future<Output = kube::Result<T>>,
    ) -> kube::Result<T> {
        self.wait().await;
        let answer = tokio::time::timeout(ANSWER, request).await;
        let answer = answer.unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into())));
        match &answer {
            Ok(_) => self.succeeded(&asked),
            Err(error) => match Meaning::of(error, &asked) {
                Meaning::Answer => {}
                Meaning::Failure => self.failed(asked, error),
                Meaning::Overload => {
                    self.back_off(error);
                    self.failed(asked, error);
                }
            },
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

    fn succeeded(&self, asked: &Asked) {
        if let Some(mut episode) = self.failures().episodes.remove(asked) {
            episode.succeeded();
        }
    }

    fn failed(&self, asked: Asked, error: &kube::Error) {
        let mut failures = self.failures();
        let attempt: Cow<'static, str> = match &asked {
            Asked::Kept(attempt) => (*attempt).into(),
            Asked::Served(attempt) => attempt.clone().into(),
        };
        let episode = failures.episodes.entry(asked).or_insert_with(|| Episode::of(attempt));
        episode.failed(Trouble::of(error), error);
    }

    fn back_off(&self, error: &kube::Error) {
        let wait = told(error).unwrap_or_else(|| self.failures().delay.after_failure());
        let until = Instant::now() + wait.min(LONGEST);
        self.free.send_modify(|free| *free = Some(free.map_or(until, |free| free.max(until))));
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Meaning ===

impl Meaning {
    fn of(error: &kube::Error, asked: &Asked) -> Self {
        match (error, asked) {
            (kube::Error::Api(status), _) if matches!(status.code, 404 | 409 | 410) => Self::Answer,
            (kube::Error::Api(status), _) if is_terminating(status) => Self::Answer,
            (kube::Error::Api(status), _) if status.code == 429 => Self::Overload,
            (kube::Error::Api(status), _) if is_refusal(status) => Self::Failure,
            (_, Asked::Kept(_)) => Self::Overload,
            (_, Asked::Served(_)) if told(error).is_some() => Self::Overload,
            (kube::Error::Api(_) | kube::Error::SerdeError(_), Asked::Served(_)) => Self::Failure,
            (kube::Error::Service(error), Asked::Served(_))
                if error.is::<tokio::time::error::Elapsed>() =>
            {
                Self::Failure
            }
            (_, Asked::Served(_)) => Self::Overload,
        }
    }
}

/// How long the server says to wait.
fn told(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Whether nothing is created because the namespace is being deleted.
pub fn is_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 403 && causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

/// Whether something is not taken for what it is, or because there is no place for it: it would not be taken a
/// moment later either.
pub fn is_refusal(status: &Status) -> bool {
    matches!(status.code, 400 | 403..=405 | 413 | 415 | 422) && !is_terminating(status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(code: u16, wait: u32) -> kube::Error {
        let status = json!({
            "code": code, "message": "no", "reason": "x", "status": "Failure",
            "details": {"retryAfterSeconds": wait},
        });
        kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    const REPORTS: Asked = Asked::Kept("write reports");

    fn objects() -> Asked {
        Asked::Served("read loads.v1.metrics.example.com".to_owned())
    }

    async fn waited_after(asked: Asked, error: Option<kube::Error>) -> Duration {
        let pressure = Pressure::default();
        if let Some(error) = error {
            pressure.ask(asked, async { Err::<(), _>(error) }).await.unwrap_err();
        }
        let began = Instant::now();
        pressure.ask(REPORTS, async { Ok(()) }).await.unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_server_has_too_much_to_do_nobody_asks_it_for_as_long_as_it_says() {
        for asked in [REPORTS, objects()] {
            let waited = |error| waited_after(asked.clone(), error);
            assert_eq!(waited(None).await, Duration::ZERO);
            assert_eq!(waited(Some(refused(429, 7))).await, Duration::from_secs(7));
            assert_eq!(waited(Some(refused(503, 7))).await, Duration::from_secs(7));
            assert_eq!(waited(Some(refused(429, 7000))).await, LONGEST);
            let unsaid = waited(Some(refused(429, 0))).await;
            assert!(unsaid > Duration::from_millis(400) && unsaid < Duration::from_secs(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_serves_some_objects_and_fails_keeps_nobody_else_waiting() {
        for code in [500, 503, 504] {
            let waited = waited_after(objects(), Some(refused(code, 0))).await;
            assert_eq!(waited, Duration::ZERO, "{code}");
            assert!(waited_after(REPORTS, Some(refused(code, 0))).await > Duration::ZERO);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_about_an_object_keeps_nobody_waiting() {
        for code in [404, 409, 410] {
            let waited = waited_after(REPORTS, Some(refused(code, 0))).await;
            assert_eq!(waited, Duration::ZERO, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_is_being_deleted_keeps_nobody_else_waiting() {
        let status = json!({
            "code": 403, "message": "no", "reason": "Forbidden", "status": "Failure",
            "details": {"causes": [{"reason": "NamespaceTerminating", "message": "", "field": ""}]},
        });
        let error = kube::Error::Api(Box::new(serde_json::from_value(status).unwrap()));
        assert_eq!(waited_after(REPORTS, Some(error)).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_answered_is_a_failure_of_who_should() {
        let pressure = Pressure::default();
        let silence = || std::future::pending::<kube::Result<()>>();
        assert!(pressure.ask(objects(), silence()).await.is_err());
        assert!(pressure.free.borrow().is_none());
        assert!(pressure.ask(REPORTS, silence()).await.is_err());
        assert!(pressure.free.borrow().is_some());
    }
}
