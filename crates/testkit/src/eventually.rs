//! Waiting for a condition, the only way in which a test may wait.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep, timeout_at};

const INTERVAL: Duration = Duration::from_millis(25);

/// Runs `probe` until it succeeds. When it has not `within` that time, the error names `what` was
/// waited for and what the last probe said.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + within;
    let mut last = "the first look did not come back".to_owned();
    while let Ok(outcome) = timeout_at(deadline, probe()).await {
        match outcome {
            Ok(found) => return Ok(found),
            Err(not_yet) => last = not_yet,
        }
        if Instant::now() + INTERVAL > deadline {
            break;
        }
        sleep(INTERVAL).await;
    }
    bail!("waited {within:?} for {what}: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_probe_is_repeated_until_it_succeeds() {
        let mut looks = 0;
        let found = eventually("the third look", Duration::from_secs(1), async || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("look {looks}")) }
        })
        .await;
        assert_eq!(found.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_names_what_was_waited_for_and_the_last_answer() {
        let started = Instant::now();
        let outcome = eventually("a miracle", Duration::from_secs(2), async || {
            Err::<(), _>("nothing yet".to_owned())
        })
        .await;
        assert_eq!(outcome.unwrap_err().to_string(), "waited 2s for a miracle: nothing yet");
        assert!(started.elapsed() <= Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_is_cut_off() {
        let outcome = eventually("an answer", Duration::from_secs(2), async || {
            std::future::pending::<Result<(), String>>().await
        })
        .await;
        assert!(outcome.unwrap_err().to_string().contains("did not come back"));
    }
}
