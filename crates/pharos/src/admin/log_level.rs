//! `/debug/log-level`: what is logged to standard error, shown to everybody, changed from inside.
//!
//! Whoever can port-forward to the Pod, or exec into it, is told apart by Kubernetes; both come from
//! the loopback address. Nobody else may make a process log more, or nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;

use super::Admin;

/// What a proxy says of whom it asks for.
const FORWARDED: [&str; 3] = ["forwarded", "via", "x-forwarded-for"];
/// Longer than any filter that a person writes.
const FILTER_LIMIT: usize = 4096;
const FORBIDDEN: &str = "The log level can only be changed from inside the Pod: use kubectl \
    port-forward, or kubectl exec, and the loopback address.\n";

pub(super) fn routes() -> Router<Admin> {
    let show = async |State(admin): State<Admin>| format!("{}\n", admin.log_level.filter());
    Router::new()
        .route("/debug/log-level", get(show).put(change))
        .layer(DefaultBodyLimit::max(FILTER_LIMIT))
}

async fn change(
    State(admin): State<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    filter: String,
) -> (StatusCode, String) {
    if !is_inside(peer.ip(), &headers) {
        return (StatusCode::FORBIDDEN, FORBIDDEN.to_owned());
    }
    let filter = filter.trim();
    match admin.log_level.set(filter) {
        Ok(()) => {
            tracing::warn!(filter, "the log level was changed");
            (StatusCode::OK, format!("{filter}\n"))
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error:#}\n")),
    }
}

/// Whether somebody in the Pod asks. A mesh's proxy comes from other addresses of 127.0.0.0/8, and a
/// proxy that says for whom it asks does not ask for itself.
fn is_inside(peer: IpAddr, headers: &HeaderMap) -> bool {
    let address = peer.to_canonical();
    let own = address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST;
    own && !FORWARDED.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use pharos_telemetry::{Catalogue, Identity, Pipeline};
    use tower::ServiceExt as _;

    use crate::logging::LogLevel;

    async fn ask(level: &LogLevel, peer: &str, method: &str, body: &str) -> (StatusCode, String) {
        let identity = Identity::from_environment("1.0.0", &|_| None);
        let (pipeline, _reloader) = Pipeline::start(identity, Catalogue::new()).unwrap();
        let admin = Admin { pipeline, log_level: level.clone(), components: Vec::new() };
        let peer: SocketAddr = peer.parse().unwrap();
        let request = Request::builder()
            .method(method)
            .uri("/debug/log-level")
            .extension(ConnectInfo(peer))
            .body(Body::from(body.to_owned()))
            .unwrap();
        let answer = routes().with_state(admin).oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test]
    async fn only_who_is_inside_changes_what_is_logged() {
        let (level, _listener) = LogLevel::new("info").unwrap();
        for inside in ["127.0.0.1:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
            let (status, body) = ask(&level, inside, "PUT", "debug,hyper=off\n").await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, "debug,hyper=off\n"), "{inside}");
        }
        for outside in ["10.0.0.1:9", "127.0.0.6:9", "[2001:db8::1]:9", "[::ffff:10.0.0.1]:9"] {
            let (status, body) = ask(&level, outside, "PUT", "trace").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{outside}");
            assert!(body.contains("port-forward"), "{body}");
        }
        let (status, body) = ask(&level, "10.0.0.1:9", "GET", "").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "debug,hyper=off\n"));
    }

    #[tokio::test]
    async fn what_is_no_filter_is_refused_with_a_sentence_and_changes_nothing() {
        let (level, _listener) = LogLevel::new("info").unwrap();
        let (status, body) = ask(&level, "127.0.0.1:9", "PUT", "wran").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("neither a level"), "{body}");
        let long = "x=info,".repeat(1000);
        let (status, _) = ask(&level, "127.0.0.1:9", "PUT", &long).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(level.filter(), "info");
    }
}
