//! How long a request may take.

use std::time::Duration;

/// Longer than any answer of an API server that can be worked with takes, and short enough for
/// what was begun within a term of leadership to be over before another leader begins.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The answer to a request, or that there was none within 5 s. Whether the API server did what it was
/// asked is not known then.
///
/// # Errors
/// As the API server answers; [`kube::Error::Service`] without an answer.
pub async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    tokio::time::timeout(REQUEST_TIMEOUT, request)
        .await
        .unwrap_or_else(|elapsed| Err(kube::Error::Service(elapsed.into())))
}
