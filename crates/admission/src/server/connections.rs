//! A bound on connections. Those over it are closed before the TLS handshake, which is what costs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use super::limits::semaphore;

/// Room for connections.
#[derive(Clone)]
pub(crate) struct Connections {
    room: Arc<Semaphore>,
    turned_away: Arc<dyn Fn() + Send + Sync>,
}

/// Makes the service of a connection if there is room for it.
#[derive(Clone)]
pub(super) struct Bounded<M> {
    make: M,
    connections: Connections,
}

/// The service of one connection, and its place.
#[derive(Clone)]
pub(crate) struct Placed<S> {
    service: S,
    _place: Arc<OwnedSemaphorePermit>,
}

/// There is no room.
#[derive(Debug, thiserror::Error)]
#[error("there are too many connections")]
pub(super) struct Full;

// === impl Connections ===

impl Connections {
    /// Room for so many; of each that is turned away, somebody is told.
    pub(crate) fn new(limit: usize, turned_away: impl Fn() + Send + Sync + 'static) -> Self {
        Self { room: semaphore(limit), turned_away: Arc::new(turned_away) }
    }

    /// Room for all.
    #[cfg(test)]
    pub(crate) fn any() -> Self {
        Self::new(usize::MAX, || {})
    }

    pub(super) fn bound<M>(self, make: M) -> Bounded<M> {
        Bounded { make, connections: self }
    }
}

// === impl Bounded ===

impl<M, S> Service<SocketAddr> for Bounded<M>
where
    M: Service<SocketAddr, Response = S>,
    M::Future: Send + 'static,
    M::Error: Into<axum::BoxError>,
{
    type Response = Placed<S>;
    type Error = axum::BoxError;
    type Future = BoxFuture<'static, Result<Placed<S>, axum::BoxError>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.make.poll_ready(task).map_err(Into::into)
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        let Ok(place) = self.connections.room.clone().try_acquire_owned() else {
            (self.connections.turned_away)();
            return Box::pin(async { Err(Full.into()) });
        };
        let making = self.make.call(peer);
        Box::pin(async move {
            let service = making.await.map_err(Into::into)?;
            Ok(Placed { service, _place: Arc::new(place) })
        })
    }
}

// === impl Placed ===

impl<S: Service<R>, R> Service<R> for Placed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(task)
    }

    fn call(&mut self, request: R) -> Self::Future {
        self.service.call(request)
    }
}
