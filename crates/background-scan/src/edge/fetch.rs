//! What the API server sends, read within a bound: an aggregated API server, too, may send anything.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::Client;
use kube::client::Body;
use kube::core::Status;

/// How much is read of an answer: over forty of the largest objects that an API server stores.
pub(super) const LARGEST: usize = 64 << 20;
/// How much is read of why something was refused.
const LARGEST_REFUSAL: usize = 64 << 10;

/// An answer that is a success.
#[derive(Debug)]
pub(crate) enum Fetched {
    /// All of it.
    Whole(Bytes),
    /// It has more than [`LARGEST`] bytes.
    TooLarge,
}

/// Sends a request and reads what comes back.
pub(super) async fn fetch(
    client: &Client,
    request: http::Request<Vec<u8>>,
) -> kube::Result<Fetched> {
    let response = client.send(request.map(Body::from)).await?;
    let code = response.status();
    if code.is_client_error() || code.is_server_error() {
        let refusal = Limited::new(response.into_body(), LARGEST_REFUSAL).collect().await;
        let refusal = refusal.map(|it| it.to_bytes()).unwrap_or_default();
        return Err(kube::Error::Api(refused(code.as_u16(), &refusal)));
    }
    match Limited::new(response.into_body(), LARGEST).collect().await {
        Ok(body) => Ok(Fetched::Whole(body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Ok(Fetched::TooLarge),
        Err(error) => Err(kube::Error::Service(error)),
    }
}

/// What a refusal says, or its code where a proxy in between has words of its own.
fn refused(code: u16, body: &[u8]) -> Box<Status> {
    let status = serde_json::from_slice::<Status>(body).ok().filter(|status| status.code == code);
    let unsaid = || Status::failure("it says no more than its code", "").with_code(code);
    status.unwrap_or_else(unsaid).boxed()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::Response;
    use serde_json::json;

    use super::*;

    async fn answered(code: u16, body: Vec<u8>) -> kube::Result<Fetched> {
        let service = tower::service_fn(move |_: http::Request<Body>| {
            let body = Body::from(body.clone());
            async move { Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap()) }
        });
        fetch(&Client::new(service, "default"), http::Request::get("/").body(Vec::new()).unwrap())
            .await
    }

    #[tokio::test]
    async fn an_answer_is_read_whole_or_not_at_all() {
        let whole = answered(200, b"{}".to_vec()).await.unwrap();
        assert!(matches!(whole, Fetched::Whole(bytes) if *bytes == *b"{}"));
        let large = answered(200, vec![b' '; LARGEST + 1]).await.unwrap();
        assert!(matches!(large, Fetched::TooLarge));
    }

    #[tokio::test]
    async fn a_refusal_is_what_it_says_or_its_code() {
        let gone =
            json!({"kind": "Status", "status": "Failure", "message": "too old", "code": 410});
        let page = b"<html>bad gateway</html>".to_vec();
        let lying = json!({"kind": "Status", "status": "Success", "code": 200}).to_string();
        let bodies = [
            (410, gone.to_string().into_bytes(), "too old"),
            (502, page, "it says no more than its code"),
            (503, lying.into_bytes(), "it says no more than its code"),
            (500, vec![b' '; LARGEST_REFUSAL + 1], "it says no more than its code"),
        ];
        for (code, body, message) in bodies {
            let Err(kube::Error::Api(status)) = answered(code, body).await else {
                panic!("{code} is a refusal");
            };
            assert_eq!((status.code, &*status.message), (code, message));
        }
    }
}
