//! The endpoint that Prometheus scrapes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::net::SocketAddr;

use pharos_telemetry::{Config, Reloader, serve_scrapes};
use support::{PATIENCE, commit, scraped, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const OFF: &str = "No scrapes today; ask the cook.\n";

struct Served {
    address: SocketAddr,
    reloader: Reloader,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

async fn serve() -> Served {
    let (pipeline, reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(3, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve_scrapes(listener, pipeline, OFF, async {
        let _ = stopped.await;
    }));
    Served { address, reloader, stop, server }
}

/// The status line with the headers, in lower case, and the body.
async fn request(address: SocketAddr, line: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{line} HTTP/1.1\r\nhost: pharos\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn a_scrape_shows_the_totals_while_a_prometheus_sink_runs() {
    let mut served = serve().await;
    commit(&mut served.reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let (head, body) = request(served.address, "GET /metrics").await;
    assert!(head.starts_with("http/1.1 200 ok"), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert_eq!(scraped(&body, "requests_total"), 3.0);

    commit(&mut served.reloader, Config::off()).await.drain(PATIENCE).await;
    let (head, body) = request(served.address, "GET /metrics").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    assert_eq!(body, OFF);
}

#[tokio::test]
async fn there_is_nothing_else_and_nothing_can_be_written() {
    let served = serve().await;
    let (head, _) = request(served.address, "GET /").await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    let (head, _) = request(served.address, "POST /metrics").await;
    assert!(head.starts_with("http/1.1 405"), "{head}");
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_keep_the_server_from_ending() {
    let served = serve().await;
    let mute = TcpStream::connect(served.address).await.unwrap();
    request(served.address, "GET /metrics").await;
    served.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, served.server).await.unwrap().unwrap().unwrap();
    drop(mute);
}
