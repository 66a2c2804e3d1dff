//! What tests of this crate share: a certificate, policies, and a client that controls every byte.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificate::{CaBundle, Encoded, Issued, Material, issue};
use crate::tls;

pub(crate) use pharos_policy_cache::testing::{object, observed, policy};

/// An AdmissionReview of the creation of a Pod, with these fields of its request on top.
pub(crate) fn review(fields: Value) -> Value {
    let mut request = json!({
        "uid": "705ab4f5",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "web", "namespace": "shop", "operation": "CREATE",
        "userInfo": {"username": "jane"},
        "object": {"metadata": {"name": "web"}}, "oldObject": null,
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        request[field] = value.clone();
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
}

/// The name that certificates of tests are for.
pub(crate) const NAME: &str = "webhook.pharos.svc";

/// A certificate signed by a CA of its own.
pub(crate) fn material() -> Arc<Material> {
    made(None)
}

/// A certificate that is published together with the CA of `predecessor`.
pub(crate) fn successor(predecessor: &Material) -> Arc<Material> {
    made(Some(predecessor))
}

fn made(predecessor: Option<&Material>) -> Arc<Material> {
    let names = [ServerName::try_from(NAME).unwrap()];
    let (now, provider) = (UnixTime::now(), default_provider());
    let issued = issue(&names, predecessor, now).unwrap();
    Arc::new(Material::parse(encoded(&issued), now, &provider).unwrap())
}

/// What was issued, as it would be read back.
pub(crate) fn encoded(issued: &Issued) -> Encoded<'_> {
    Encoded {
        ca: issued.ca.as_bytes(),
        certificate: issued.certificate.as_bytes(),
        key: issued.key.as_bytes(),
    }
}

/// A server's settings that serve `material`.
pub(crate) fn serving(material: &Arc<Material>) -> ServerConfig {
    let (_, served) = watch::channel(Some(material.clone()));
    tls::server_config(served, Arc::new(default_provider())).unwrap()
}

/// A client that trusts these CAs.
pub(crate) fn client(
    trusted: &CaBundle,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(trusted.pem()) {
        roots.add(ca.unwrap()).unwrap();
    }
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A connection by that client.
pub(crate) async fn stream(
    address: SocketAddr,
    client: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(NAME).unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await
}

/// One HTTP/1.1 connection over TLS.
pub(crate) struct Connection(BufReader<TlsStream<TcpStream>>);

impl Connection {
    pub(crate) async fn open(address: SocketAddr, trusted: &CaBundle) -> io::Result<Self> {
        Ok(Self::over(stream(address, client(trusted, DEFAULT_VERSIONS)).await?))
    }

    pub(crate) fn over(stream: TlsStream<TcpStream>) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await?;
        self.0.flush().await
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<(u16, String)> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: {NAME}\r\n\r\n")).await?;
        self.response().await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> io::Result<(u16, String)> {
        let length = body.len();
        self.send(format!(
            "POST {path} HTTP/1.1\r\nhost: {NAME}\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        ))
        .await?;
        self.response().await
    }

    /// The next status and body; an error if the server closes instead.
    pub(crate) async fn response(&mut self) -> io::Result<(u16, String)> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut length = 0;
        loop {
            let header = self.line().await?.to_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok((status, String::from_utf8(body).unwrap()))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
