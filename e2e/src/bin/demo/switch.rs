//! How long a change takes from `kubectl apply` to its effect.

use std::time::{Duration, Instant};

/// Applies a change while watching for its effect. Gives what was seen and how long after the end
/// of the apply; zero if it was seen before.
pub(crate) async fn timed<T>(
    apply: impl Future<Output = anyhow::Result<()>>,
    watch: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Duration)> {
    let applied = async {
        apply.await?;
        anyhow::Ok(Instant::now())
    };
    let seen = async {
        let seen = watch.await?;
        anyhow::Ok((seen, Instant::now()))
    };
    let (applied, (seen, at)) = tokio::try_join!(applied, seen)?;
    Ok((seen, at.saturating_duration_since(applied)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_effect_before_the_end_of_the_apply_took_no_time() {
        let (seen, told) = tokio::sync::oneshot::channel();
        let apply = async { Ok(told.await?) };
        let watch = async move {
            seen.send(()).unwrap();
            Ok("seen")
        };
        let (what, took) = timed(apply, watch).await.unwrap();
        assert_eq!(what, "seen");
        assert!(took < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn a_failed_apply_ends_the_watch() {
        let apply = async { anyhow::bail!("denied") };
        let outcome = timed(apply, std::future::pending::<anyhow::Result<()>>()).await;
        assert_eq!(outcome.unwrap_err().to_string(), "denied");
    }
}
