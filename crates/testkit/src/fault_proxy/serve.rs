//! Connections in, requests out.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Fault;
use super::answer::{self, Body, closed};
use super::matching::ProxiedRequest;
use super::shared::{Answering, Befalling, Flow, Shared, cut};

/// Accepts connections until it is dropped, and they with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else { return };
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| take(Arc::clone(&shared), request));
        // A connection that ends with an error is what was asked for, or the client's doing.
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn take(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = ProxiedRequest::new(&parts, body.clone());
    let (answering, befalling) = shared.arrive(request.clone());
    let flow = answering.flow.clone();
    let head = async {
        match befalling {
            None => pass_on(&shared, parts, body, answering, CancellationToken::new()).await,
            Some(befalling) => befall(befalling, &shared, parts, request, answering).await,
        }
    };
    tokio::select! {
        response = head => response,
        () = cut(flow) => Err(closed()),
    }
}

async fn befall(
    Befalling { fault, ended }: Befalling,
    shared: &Shared,
    parts: Parts,
    request: ProxiedRequest,
    answering: Answering,
) -> io::Result<Response<Body>> {
    let body = request.body.clone();
    match fault {
        Fault::Answer(status) => Ok(answer::refusal(status, &answering)),
        Fault::Expire => Ok(answer::expiry(&answering)),
        Fault::Replay(list) => Ok(answer::replay(&request, list, answering, ended)),
        Fault::Close => Err(closed()),
        Fault::Hold => {
            ended.cancelled().await;
            pass_on(shared, parts, body, answering, ended).await
        }
        Fault::Swallow => {
            let _answer = pass_on(shared, parts, body, answering, CancellationToken::new()).await?;
            ended.cancelled().await;
            Err(closed())
        }
        Fault::Cut => {
            answering.set(Flow::Half);
            pass_on(shared, parts, body, answering, ended).await
        }
        Fault::Silence => {
            answering.set(Flow::Silent);
            pass_on(shared, parts, body, answering, ended).await
        }
    }
}

async fn pass_on(
    shared: &Shared,
    parts: Parts,
    body: Bytes,
    answering: Answering,
    ended: CancellationToken,
) -> io::Result<Response<Body>> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut headers = parts.headers;
    // They are about the connection from the client, and answers are to be read here.
    for header in [CONNECTION, HOST, CONTENT_LENGTH, TRANSFER_ENCODING, ACCEPT_ENCODING] {
        headers.remove(header);
    }
    let url = format!("{}{target}", shared.upstream);
    let request = shared.client.request(parts.method, url).headers(headers).body(body);
    // An API server that is away closes the connection here, too.
    let upstream = request.send().await.map_err(io::Error::other)?;
    Ok(answer::deliver(upstream, answering, ended))
}
