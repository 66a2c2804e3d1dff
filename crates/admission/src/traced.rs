//! The telemetry of every request, around all that a request goes through.
//!
//! It is outside of the router, so that what is refused is told, too, and made per connection, so
//! that the client's address costs nothing where there is no span.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use axum::{BoxError, Router};
use futures::future::{BoxFuture, FutureExt as _};
use http::Request;
use pharos_instruments::{Call, CallFacts, Instruments};
use tower::Service;

use crate::webhook;

/// A router as one connection sees it.
#[derive(Clone)]
pub(crate) struct Traced {
    router: Router,
    instruments: Instruments,
    peer: SocketAddr,
}

/// Makes one for each connection.
#[derive(Clone)]
pub(crate) struct EveryConnection {
    router: Router,
    instruments: Instruments,
}

// === impl Traced ===

impl Traced {
    pub(crate) fn every_connection(router: Router, instruments: Instruments) -> EveryConnection {
        EveryConnection { router, instruments }
    }
}

impl<B> Service<Request<B>> for Traced
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = self.instruments.begin_call(&CallFacts {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            route: webhook::route(request.uri().path()),
            peer: self.peer,
        });
        told(call, self.router.call(request)).boxed()
    }
}

async fn told(call: Call, answer: RouteFuture<Infallible>) -> Result<Response, Infallible> {
    let response = call.within(answer).await?;
    call.end(response.status(), response.body().size_hint().exact());
    Ok(response)
}

// === impl EveryConnection ===

impl Service<SocketAddr> for EveryConnection {
    type Response = Traced;
    type Error = Infallible;
    type Future = Ready<Result<Traced, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        let Self { router, instruments } = self.clone();
        ready(Ok(Traced { router, instruments, peer }))
    }
}

#[cfg(test)]
mod tests;
