//! The admin port: probes for the kubelet, and what the pipeline says of itself for people.
//!
//! The one thing that can be changed here is what is logged, and only from inside the Pod.

use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use pharos_cluster::Readiness;
use pharos_telemetry::Pipeline;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::logging::LogLevel;

mod log_level;

/// What the admin port shows.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) pipeline: Pipeline,
    pub(crate) log_level: LogLevel,
    /// The components of this process, by name.
    pub(crate) components: Vec<(&'static str, watch::Receiver<Readiness>)>,
}

// === impl Admin ===

impl Admin {
    /// Serves until `shutdown`.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route(
                "/debug/telemetry",
                get(async |State(admin): State<Self>| Json(admin.pipeline.debug())),
            )
            .route(
                "/debug/telemetry/last-commit",
                get(async |State(admin): State<Self>| admin.pipeline.last_commit_exposition()),
            )
            .merge(log_level::routes())
            .with_state(self)
            .into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, routes).with_graceful_shutdown(shutdown.cancelled_owned()).await
    }
}

/// 200 if every component is ready, else 503 with what each of them waits for.
async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let mut status = StatusCode::OK;
    let mut lines = String::new();
    for (name, readiness) in &admin.components {
        match &*readiness.borrow() {
            Readiness::Ready => lines.push_str(&format!("{name}: ready\n")),
            Readiness::NotReady(why) => {
                status = StatusCode::SERVICE_UNAVAILABLE;
                lines.push_str(&format!("{name}: not ready, {why}\n"));
            }
        }
    }
    (status, lines)
}
