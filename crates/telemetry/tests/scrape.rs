//! The endpoint that Prometheus scrapes, by HTTP.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

#[path = "support/scraper.rs"]
mod scraper;
mod support;

use std::io::Read as _;

use flate2::read::GzDecoder;
use pharos_telemetry::Config;
use scraper::{Answer, OFF, Scraper, WIDE, serve};
use support::{PATIENCE, commit, scraped};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const PROTOBUF: &str = "application/vnd.google.protobuf; \
    proto=io.prometheus.client.MetricFamily; encoding=delimited";

#[tokio::test]
async fn a_scrape_shows_the_totals_while_a_prometheus_sink_runs() {
    let mut served = serve().await;
    commit(&mut served.reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let mut scraper = Scraper::plain(served.address).await.unwrap();
    let answer = scraper.scrape(&[]).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(scraped(answer.text(), "requests_total"), 3.0);

    commit(&mut served.reloader, Config::off()).await.drain(PATIENCE).await;
    // On the same connection: HTTP is HTTP.
    let answer = scraper.scrape(&[]).await.unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(answer.text(), OFF);
}

#[tokio::test]
async fn there_is_nothing_else_and_nothing_can_be_written() {
    let served = serve().await;
    let mut scraper = Scraper::plain(served.address).await.unwrap();
    assert_eq!(scraper.request("GET", "/", &[]).await.unwrap().status, 404);
    assert_eq!(scraper.request("POST", "/metrics", &[]).await.unwrap().status, 405);
}

#[tokio::test]
async fn a_scraper_gets_the_format_that_it_likes_best() {
    let mut served = serve().await;
    commit(&mut served.reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let mut scraper = Scraper::plain(served.address).await.unwrap();
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, content_type) in [
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", openmetrics),
        (PROTOBUF, PROTOBUF),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let answer = scraper.scrape(&[("accept", accept)]).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert_eq!(answer.header("vary"), Some("accept, accept-encoding"));
        assert_eq!(answer.body.ends_with(b"\n# EOF\n"), content_type == openmetrics);
    }
}

#[tokio::test]
async fn a_page_is_compressed_for_those_who_can_read_it() {
    let mut served = serve().await;
    commit(&mut served.reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let mut scraper = Scraper::plain(served.address).await.unwrap();
    let plain = scraper.scrape(&[]).await.unwrap();
    assert_eq!(plain.header("content-encoding"), None);
    let answer = scraper.scrape(&[("accept-encoding", "gzip")]).await.unwrap();
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut page = String::new();
    GzDecoder::new(&answer.body[..]).read_to_string(&mut page).unwrap();
    assert_eq!(page, plain.text());

    commit(&mut served.reloader, Config::off()).await.drain(PATIENCE).await;
    let answer = scraper.scrape(&[("accept-encoding", "gzip")]).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (404, None));
    assert_eq!(answer.text(), OFF);
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    let mut served = serve().await;
    commit(&mut served.reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let mut scraper = Scraper::plain(served.address).await.unwrap();
    let get = scraper.scrape(&[]).await.unwrap();
    let head = scraper.request("HEAD", "/metrics", &[]).await.unwrap();
    assert_eq!(head.status, 200);
    assert!(head.body.is_empty());
    let length = get.body.len().to_string();
    for answer in [&get, &head] {
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
    }
    let of = |answer: &Answer| answer.header("content-type").map(str::to_owned);
    assert_eq!(of(&get), of(&head));
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_keep_the_server_from_ending() {
    let served = serve().await;
    let mute = TcpStream::connect(served.address).await.unwrap();
    Scraper::plain(served.address).await.unwrap().scrape(&[]).await.unwrap();
    served.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, served.server).await.unwrap().unwrap().unwrap();
    drop(mute);
}

/// More of them than pages are made at once.
#[tokio::test]
async fn clients_that_never_read_hold_up_nobody() {
    let mut served = serve().await;
    commit(&mut served.reloader, Config::prometheus()).await.drain(PATIENCE).await;
    served.widen();
    let mut deaf = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: pharos\r\n\r\n";
        stream.write_all(request).await.unwrap();
        // There is an answer, and it is not read.
        stream.readable().await.unwrap();
        deaf.push(stream);
    }
    let mut scraper = Scraper::plain(served.address).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, scraper.scrape(&[])).await.unwrap().unwrap();
    assert!(answer.body.len() > WIDE);
    assert_eq!(scraped(answer.text(), "requests_total"), 3.0);
    drop(deaf);
}
