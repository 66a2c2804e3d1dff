//! How long a check waits for others: each question has a bound of its own, and all of them together
//! have one. What does not come in time is told apart from what was answered, so that a check prints
//! what it found whoever stays silent.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// How long everything that is asked of others may take.
const EVERYTHING: Duration = Duration::from_secs(60);

/// When nobody is waited for any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    /// The question had this long.
    Question(Duration),
    /// All questions together had their time.
    Everything,
}

// === impl Deadline ===

impl Deadline {
    /// From now on.
    pub(super) fn start() -> Self {
        Self(Instant::now() + EVERYTHING)
    }

    /// The answer, unless it takes longer than `bound`, or than everything may.
    ///
    /// # Errors
    /// Which of both times was over.
    pub(super) async fn answer<T>(
        self,
        bound: Duration,
        question: impl Future<Output = T>,
    ) -> Result<T, Lapse> {
        let own = Instant::now() + bound;
        let lapse = if own <= self.0 { Lapse::Question(bound) } else { Lapse::Everything };
        timeout_at(own.min(self.0), question).await.map_err(|_| lapse)
    }
}

// === impl Lapse ===

impl fmt::Display for Lapse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Question(bound) => write!(formatter, "no answer within {} s", bound.as_secs()),
            Self::Everything => {
                write!(formatter, "the {} s are over that a check takes", EVERYTHING.as_secs())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    #[tokio::test(start_paused = true)]
    async fn a_question_has_its_bound_and_all_of_them_have_theirs() {
        let deadline = Deadline::start();
        let bound = Duration::from_secs(25);
        let silence = || deadline.answer(bound, pending::<()>());
        assert_eq!(silence().await, Err(Lapse::Question(bound)));
        assert_eq!(deadline.answer(bound, ready(5)).await, Ok(5));
        assert_eq!(silence().await, Err(Lapse::Question(bound)));
        assert_eq!(silence().await, Err(Lapse::Everything));
    }
}
