//! The span of every request, around all that a request goes through.
//!
//! It is outside of the router, so that what is refused has a span, too, and made per connection,
//! so that the client's address costs nothing where there is no span.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use axum::body::{Bytes, HttpBody};
use axum::response::Response;
use axum::routing::future::RouteFuture;
use axum::{BoxError, Router};
use futures::future::{BoxFuture, Either, FutureExt as _};
use http::Request;
use pharos_instruments::{CallFacts, CallSpan, Spans};
use tower::Service;

use crate::webhook;

/// A router as one connection sees it.
#[derive(Clone)]
pub(crate) struct Traced {
    router: Router,
    spans: Spans,
    peer: SocketAddr,
}

/// Makes one for each connection.
#[derive(Clone)]
pub(crate) struct EveryConnection {
    router: Router,
    spans: Spans,
}

// === impl Traced ===

impl Traced {
    pub(crate) fn every_connection(router: Router, spans: Spans) -> EveryConnection {
        EveryConnection { router, spans }
    }
}

impl<B> Service<Request<B>> for Traced
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<RouteFuture<Infallible>, BoxFuture<'static, Result<Response, Infallible>>>;

    fn poll_ready(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.router, task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let span = self.spans.start_call(&CallFacts {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            route: webhook::route(request.uri().path()),
            peer: self.peer,
        });
        let answer = self.router.call(request);
        match span {
            None => Either::Left(answer),
            Some(span) => Either::Right(told(span, answer).boxed()),
        }
    }
}

async fn told(span: CallSpan, answer: RouteFuture<Infallible>) -> Result<Response, Infallible> {
    let response = span.within(answer).await?;
    span.end(response.status(), response.body().size_hint().exact());
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
        let Self { router, spans } = self.clone();
        ready(Ok(Traced { router, spans, peer }))
    }
}

#[cfg(test)]
mod tests;
