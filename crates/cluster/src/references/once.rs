//! One object read once, for whoever asks and goes. See [`read`].

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};

use super::follow::{self, Keyed};
use super::{DataKind, DataObject, Reading};

/// Reads these keys of one object by GET.
///
/// # Errors
/// Whatever keeps the API server from answering. That there is no such object, or that the caller
/// may not read it, is an answer.
pub async fn read(
    client: &Client,
    namespace: &str,
    object: &DataObject,
    keys: &BTreeSet<String>,
) -> kube::Result<Reading> {
    let name = &object.name;
    match object.kind {
        DataKind::Secret => {
            get(&Api::<Secret>::namespaced(client.clone(), namespace), name, keys).await
        }
        DataKind::ConfigMap => {
            get(&Api::<ConfigMap>::namespaced(client.clone(), namespace), name, keys).await
        }
    }
}

async fn get<K: Keyed>(api: &Api<K>, name: &str, keys: &BTreeSet<String>) -> kube::Result<Reading> {
    match api.get(name).await {
        Ok(found) => Ok(follow::read(found, keys)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Reading::Missing),
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(Reading::Forbidden),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::references::KeyReading;
    use http::{Request, Response, StatusCode};
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;

    /// An API server that answers every request with this.
    fn client(status: StatusCode, body: Value) -> Client {
        let answer = tower::service_fn(move |_: Request<Body>| {
            let body = Body::from(body.to_string().into_bytes());
            let response = Response::builder().status(status).body(body).unwrap();
            async move { Ok::<_, Infallible>(response) }
        });
        Client::new(answer, "engine")
    }

    async fn reading(status: StatusCode, body: Value) -> kube::Result<Reading> {
        let keys = ["token".to_owned(), "other".to_owned()].into();
        read(&client(status, body), "engine", &DataObject::secret("s"), &keys).await
    }

    fn failure(code: u16) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code})
    }

    #[tokio::test]
    async fn the_keys_that_are_asked_for_are_read_and_no_other() {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "s", "uid": "u", "resourceVersion": "7"},
            "data": {"token": "aHVudGVyMg==", "else": "aHVudGVyMw=="},
        });
        let Reading::Found(found) = reading(StatusCode::OK, secret).await.unwrap() else {
            panic!("it is there")
        };
        let KeyReading::Value(token) = found.key("token") else { panic!("the key is there") };
        assert_eq!(token.expose(), b"hunter2");
        assert_eq!(found.key("other"), KeyReading::Missing);
        assert_eq!(found.key("else"), KeyReading::NotRead);
    }

    #[tokio::test]
    async fn missing_and_forbidden_are_answers_and_the_rest_is_none() {
        let answer = async |status: StatusCode| reading(status, failure(status.as_u16())).await;
        assert_eq!(answer(StatusCode::NOT_FOUND).await.unwrap(), Reading::Missing);
        assert_eq!(answer(StatusCode::FORBIDDEN).await.unwrap(), Reading::Forbidden);
        assert!(answer(StatusCode::INTERNAL_SERVER_ERROR).await.is_err());
    }
}
