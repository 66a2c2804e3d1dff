//! A way to a receiver that can change, like the address behind a name.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Forwards connections, all of which hang for ever once the way has changed: nobody says that a
/// receiver has moved.
pub(crate) struct Forwarder {
    address: SocketAddr,
    way: watch::Sender<Option<SocketAddr>>,
    connections: watch::Sender<usize>,
    runtime: Option<Runtime>,
}

// === impl Forwarder ===

impl Forwarder {
    /// Leads to `upstream`; to nowhere, it lets connections wait until there is a way.
    pub(crate) fn start(upstream: Option<SocketAddr>) -> Self {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let (way, connections) = (watch::Sender::new(upstream), watch::Sender::new(0));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(accept(socket, way.subscribe(), connections.clone()));
        Self { address, way, connections, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn leads_to(&self, upstream: Option<SocketAddr>) {
        self.way.send_replace(upstream);
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    pub(crate) async fn until_connections(&self, number: usize) {
        let mut connections = self.connections.subscribe();
        let waited = connections.wait_for(|made| *made >= number);
        tokio::time::timeout(super::PATIENCE, waited).await.expect("connections").unwrap();
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(
    socket: std::net::TcpListener,
    way: watch::Receiver<Option<SocketAddr>>,
    connections: watch::Sender<usize>,
) {
    let listener = TcpListener::from_std(socket).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.send_modify(|made| *made += 1);
        tokio::spawn(forward(stream, way.clone()));
    }
}

async fn forward(mut stream: TcpStream, mut way: watch::Receiver<Option<SocketAddr>>) {
    let upstream = way.wait_for(Option::is_some).await.unwrap().unwrap();
    way.mark_unchanged();
    let Ok(mut there) = TcpStream::connect(upstream).await else { return };
    there.set_nodelay(true).unwrap();
    stream.set_nodelay(true).unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut stream, &mut there) => {}
        // Both ends stay open.
        _ = way.changed() => std::future::pending().await,
    }
}
