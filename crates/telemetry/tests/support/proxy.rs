//! A proxy that makes tunnels, and notes where to.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A proxy that makes tunnels, and notes what it was asked for. Whatever name a tunnel is asked
/// for, it leads to one address.
pub(crate) struct Proxy {
    address: SocketAddr,
    asked: watch::Sender<Vec<String>>,
    _running: DropGuard,
}

// === impl Proxy ===

impl Proxy {
    /// Tunnels lead to `target`; the first line of the answer is `answer`.
    pub(crate) async fn start(target: SocketAddr, answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, running) = (watch::Sender::new(Vec::new()), CancellationToken::new());
        let serving = {
            let (asked, running) = (asked.clone(), running.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let tunnel = tunnel(stream, target, answer, asked.clone());
                    tokio::spawn(running.clone().run_until_cancelled_owned(tunnel));
                }
            }
        };
        tokio::spawn(running.clone().run_until_cancelled_owned(serving));
        Self { address, asked, _running: running.drop_guard() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of the requests so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

async fn tunnel(
    mut client: TcpStream,
    target: SocketAddr,
    answer: &str,
    asked: watch::Sender<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    asked.send_modify(|asked| asked.push(String::from_utf8(head).unwrap()));
    client.write_all(format!("{answer}\r\nvia: test\r\n\r\n").as_bytes()).await.unwrap();
    if answer.contains("200") {
        let mut server = TcpStream::connect(target).await.unwrap();
        // Either side may end it at any time.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
