//! One address for several processes, as a Service gives it.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::ports::loopback;

/// Forwards each TCP connection to the next of its backends that accepts one.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    backends: Arc<RwLock<Vec<SocketAddr>>>,
    task: AbortHandle,
}

// === impl Balancer ===

impl Balancer {
    /// Starts forwarding from a free loopback port.
    pub async fn start(backends: Vec<SocketAddr>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(loopback(0)).await.context("no free loopback port")?;
        let address = listener.local_addr()?;
        let backends = Arc::new(RwLock::new(backends));
        let task = tokio::spawn(forward(listener, Arc::clone(&backends))).abort_handle();
        Ok(Self { address, backends, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends connections made from now on to these backends; established ones stay.
    pub fn set_backends(&self, backends: Vec<SocketAddr>) {
        *self.backends.write().unwrap_or_else(PoisonError::into_inner) = backends;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(listener: TcpListener, backends: Arc<RwLock<Vec<SocketAddr>>>) {
    let mut connections = JoinSet::new();
    let mut turn = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((mut client, _)) = accepted else {
            return;
        };
        let mut order = backends.read().unwrap_or_else(PoisonError::into_inner).clone();
        let first = turn % order.len().max(1);
        order.rotate_left(first);
        turn = turn.wrapping_add(1);
        connections.spawn(async move {
            for backend in order {
                if let Ok(mut server) = TcpStream::connect(backend).await {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn backend(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind(loopback(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(answer).await.unwrap();
            }
        });
        address
    }

    async fn ask(balancer: &Balancer) -> String {
        let mut stream = TcpStream::connect(balancer.address()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn connections_go_round() {
        let balancer =
            Balancer::start(vec![backend(b"a").await, backend(b"b").await]).await.unwrap();
        assert_eq!((ask(&balancer).await, ask(&balancer).await), ("a".into(), "b".into()));
        balancer.set_backends(vec![backend(b"c").await]);
        assert_eq!(ask(&balancer).await, "c");
    }

    #[tokio::test]
    async fn a_backend_that_is_gone_is_passed_over() {
        let gone = TcpListener::bind(loopback(0)).await.unwrap().local_addr().unwrap();
        let balancer = Balancer::start(vec![gone, backend(b"b").await]).await.unwrap();
        assert_eq!((ask(&balancer).await, ask(&balancer).await), ("b".into(), "b".into()));
    }
}
