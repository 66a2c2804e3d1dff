//! The TLS side of a gRPC server: demands client certificates and takes note of whose each call is.
//!
//! A Collector tells nobody which certificate a client showed. This proxy ends TLS before one, so
//! that a test can tell the certificate of every single call, and when it was there in full. Enter
//! at [`MutualTlsProxy::start`]. It passes bytes on as they are, and must not change any.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::pki::{Authority, Pair};
use crate::ports::loopback;

mod frames;

use frames::Frames;

/// A proxy for gRPC that demands client certificates, ended on drop.
#[derive(Debug)]
pub struct MutualTlsProxy {
    address: SocketAddr,
    server: Pair,
    config: watch::Sender<Arc<ServerConfig>>,
    notes: Arc<Mutex<Notes>>,
    task: AbortHandle,
}

/// A call that came in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The certificate that the client showed, as [`Pair::der`] has it.
    pub certificate: Arc<[u8]>,
    /// The bytes of its messages, compressed as they came.
    pub message_bytes: usize,
    /// When its last byte came.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Notes {
    connections: usize,
    calls: Vec<Call>,
}

// === impl MutualTlsProxy ===

impl MutualTlsProxy {
    /// Starts on a free loopback port, as `server`, for clients with a certificate of one of these
    /// authorities; passes their calls on to `backend` without TLS.
    pub async fn start(
        server: &Pair,
        clients: &[&Authority],
        backend: SocketAddr,
    ) -> anyhow::Result<Self> {
        let (config, told) = watch::channel(config(server, clients)?);
        let listener = TcpListener::bind(loopback(0)).await.context("no free loopback port")?;
        let address = listener.local_addr()?;
        let notes = Arc::default();
        let task = tokio::spawn(accept(listener, told, backend, Arc::clone(&notes)));
        Ok(Self { address, server: server.clone(), config, notes, task: task.abort_handle() })
    }

    /// Where clients find it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Closes every connection, and lets in only clients with a certificate of these authorities.
    pub fn trust(&self, clients: &[&Authority]) -> anyhow::Result<()> {
        self.config.send_replace(config(&self.server, clients)?);
        Ok(())
    }

    /// The calls so far, in the order in which they were there in full.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.notes).calls.clone()
    }

    /// How many handshakes succeeded so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.notes).connections
    }
}

impl Drop for MutualTlsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    mut config: watch::Receiver<Arc<ServerConfig>>,
    backend: SocketAddr,
    notes: Arc<Mutex<Notes>>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            changed = config.changed() => match changed {
                Ok(()) => {
                    connections.abort_all();
                    continue;
                }
                Err(_) => return,
            },
        };
        let Ok((client, _)) = accepted else { return };
        let acceptor = TlsAcceptor::from(Arc::clone(&config.borrow()));
        let notes = Arc::clone(&notes);
        // What fails, fails the client's call, which is what a test sees.
        connections.spawn(async move { serve(client, acceptor, backend, &notes).await.ok() });
    }
}

/// Serves one connection to its end.
async fn serve(
    client: TcpStream,
    acceptor: TlsAcceptor,
    backend: SocketAddr,
    notes: &Mutex<Notes>,
) -> anyhow::Result<()> {
    client.set_nodelay(true)?;
    let client = acceptor.accept(client).await?;
    let chain = client.get_ref().1.peer_certificates().context("a certificate is demanded")?;
    let certificate = Arc::from(chain.first().context("a chain starts with a leaf")?.as_ref());
    lock(notes).connections += 1;
    let server = TcpStream::connect(backend).await?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (split(client), server.into_split());
    let calls = async {
        let mut frames = Frames::default();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return anyhow::Ok(());
            }
            for message_bytes in frames.read(&buffer[..read]) {
                let (certificate, at) = (Arc::clone(&certificate), Instant::now());
                lock(notes).calls.push(Call { certificate, message_bytes, at });
            }
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let answers = copy(&mut from_server, &mut to_client);
    tokio::select! {
        ended = calls => ended,
        ended = answers => Ok(ended.map(drop)?),
    }
}

fn config(server: &Pair, clients: &[&Authority]) -> anyhow::Result<Arc<ServerConfig>> {
    let mut trusted = RootCertStore::empty();
    for authority in clients {
        trusted.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(trusted.into(), provider.clone());
    let chain = CertificateDer::pem_slice_iter(server.certificate_pem.as_bytes());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(
            chain.collect::<Result<_, _>>()?,
            PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes())?,
        )?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn lock(notes: &Mutex<Notes>) -> std::sync::MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}
