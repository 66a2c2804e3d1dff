//! Clients for loopback, past any proxy; GET and POST, bounded in time.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WARNING};
use reqwest::{Certificate, Client, ClientBuilder, RequestBuilder, StatusCode};

const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn plain() -> anyhow::Result<Client> {
    Ok(builder().build()?)
}

/// A client that trusts these PEM certificates and nothing else, and shows a bearer token.
pub(crate) fn authenticated(ca_pem: &[u8], token: &str) -> anyhow::Result<Client> {
    let bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    Ok(only(ca_pem)?.default_headers(headers).build()?)
}

/// A client that trusts these PEM certificates and nothing else.
pub(crate) fn trusting(ca_pem: &[u8]) -> anyhow::Result<Client> {
    Ok(only(ca_pem)?.build()?)
}

/// A client that trusts these PEM certificates and nothing else, and waits for an answer for as long
/// as it takes.
pub(crate) fn patient(ca_pem: &[u8]) -> anyhow::Result<Client> {
    let certificates = Certificate::from_pem_bundle(ca_pem).context("not a PEM bundle")?;
    Ok(Client::builder().no_proxy().tls_certs_only(certificates).build()?)
}

fn only(ca_pem: &[u8]) -> anyhow::Result<ClientBuilder> {
    let certificates = Certificate::from_pem_bundle(ca_pem).context("not a PEM bundle")?;
    Ok(builder().tls_certs_only(certificates))
}

/// The answer, whatever its status.
pub(crate) async fn get(client: &Client, url: &str) -> anyhow::Result<(StatusCode, String)> {
    answer(client.get(url)).await.with_context(|| format!("GET {url}"))
}

/// The answer to a JSON document, whatever its status.
pub(crate) async fn post(
    client: &Client,
    url: &str,
    document: &serde_json::Value,
) -> anyhow::Result<(StatusCode, String)> {
    answer(client.post(url).json(document)).await.with_context(|| format!("POST {url}"))
}

/// The warnings that come with the answer to a JSON document.
pub(crate) async fn post_for_warnings(
    client: &Client,
    url: &str,
    document: &serde_json::Value,
) -> anyhow::Result<(StatusCode, Vec<String>)> {
    let response = client.post(url).json(document).send().await?;
    let warnings = response.headers().get_all(WARNING).iter();
    let warnings = warnings.map(|warning| String::from_utf8_lossy(warning.as_bytes()).into_owned());
    Ok((response.status(), warnings.collect()))
}

async fn answer(request: RequestBuilder) -> anyhow::Result<(StatusCode, String)> {
    let response = request.send().await?;
    Ok((response.status(), response.text().await?))
}

/// The body of a 200; any other answer is an error that holds it.
pub(crate) async fn get_ok(client: &Client, url: &str) -> anyhow::Result<String> {
    let (status, body) = get(client, url).await?;
    anyhow::ensure!(status == StatusCode::OK, "GET {url}: {status}: {}", body.trim());
    Ok(body)
}

fn builder() -> ClientBuilder {
    Client::builder().no_proxy().timeout(TIMEOUT)
}
