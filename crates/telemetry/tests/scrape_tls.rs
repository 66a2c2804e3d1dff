//! The endpoint that Prometheus scrapes, by HTTPS, and the way from one to the other.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/scraper.rs"]
mod scraper;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use certificates::{Authority, Issued, trusting};
use http_body_util::BodyExt as _;
use pharos_telemetry::config::{ClientTls, ScrapeTransport, ServerTls};
use pharos_telemetry::{Change, Config, MetricSink, Signal};
use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use scraper::{OFF, Scraper, Served, WIDE, serve};
use support::{PATIENCE, commit, scraped};
use tokio::net::TcpStream;

fn secure(issued: &Issued, client_ca: Option<&Authority>) -> Config {
    let client_ca = client_ca.map(Authority::bundle);
    let tls = ServerTls { certificate: issued.certified(), client_ca };
    Config::off().with_sink("prometheus", MetricSink::Prometheus(ScrapeTransport::Tls(tls)))
}

async fn run(served: &mut Served, config: Config) {
    commit(&mut served.reloader, config).await.drain(PATIENCE).await;
}

async fn assert_scraped(scraper: &mut Scraper) {
    let answer = scraper.scrape(&[]).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(scraped(answer.text(), "requests_total"), 3.0);
}

/// Waits until the other side has ended the connection.
async fn ended(scraper: Scraper) {
    tokio::time::timeout(PATIENCE, scraper.connection).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn one_listener_goes_from_http_to_https_and_back() {
    let root = Authority::root("one");
    let mut served = serve().await;
    run(&mut served, Config::prometheus()).await;
    let mut plain = Scraper::plain(served.address).await.unwrap();
    assert_scraped(&mut plain).await;

    run(&mut served, secure(&root.issue(), None)).await;
    ended(plain).await;
    let mut tls = Scraper::secure(served.address, &root.trusted()).await.unwrap();
    assert_scraped(&mut tls).await;
    assert_scraped(&mut tls).await;

    run(&mut served, Config::off()).await;
    ended(tls).await;
    let mut plain = Scraper::plain(served.address).await.unwrap();
    let answer = plain.scrape(&[]).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text()), (404, OFF));
}

#[tokio::test]
async fn http_is_refused_with_a_sentence_where_https_is_served() {
    let mut served = serve().await;
    run(&mut served, secure(&Authority::root("one").issue(), None)).await;
    let mut plain = Scraper::plain(served.address).await.unwrap();
    let answer = plain.scrape(&[]).await.unwrap();
    assert_eq!(answer.status, 400);
    assert_eq!(answer.text(), "Metrics are served by HTTPS here; this was HTTP.\n");
    ended(plain).await;
}

#[tokio::test]
async fn only_scrapers_with_the_right_certificate_are_served_where_one_is_asked_for() {
    let (root, scrapers, strangers) =
        (Authority::root("one"), Authority::root("scrapers"), Authority::root("strangers"));
    let mut served = serve().await;
    run(&mut served, secure(&root.issue(), Some(&scrapers))).await;
    let with = |issued: Issued| ClientTls {
        client_certificate: Some(issued.certified()),
        ..root.trusted()
    };
    let mut welcome = Scraper::secure(served.address, &with(scrapers.issue())).await.unwrap();
    assert_scraped(&mut welcome).await;
    for tls in [root.trusted(), with(strangers.issue())] {
        // In TLS 1.3 a client hears of it after its own side of the handshake.
        if let Ok(mut scraper) = Scraper::secure(served.address, &tls).await {
            assert!(scraper.scrape(&[]).await.is_err());
        }
    }
    // The same authority by way of another one.
    let middle = scrapers.intermediate("middle");
    let mut chained = Scraper::secure(served.address, &with(middle.issue_chain())).await.unwrap();
    assert_scraped(&mut chained).await;

    // Who was welcome under the old rules has to come again.
    run(&mut served, secure(&root.issue(), Some(&strangers))).await;
    ended(welcome).await;
    if let Ok(mut scraper) = Scraper::secure(served.address, &with(scrapers.issue())).await {
        assert!(scraper.scrape(&[]).await.is_err());
    }
    let mut other = Scraper::secure(served.address, &with(strangers.issue())).await.unwrap();
    assert_scraped(&mut other).await;
}

#[tokio::test]
async fn every_kind_of_key_and_a_chain_can_be_served() {
    let root = Authority::root("one");
    let mut served = serve().await;
    for issued in [
        root.issue_for(&PKCS_RSA_SHA256),
        root.issue_for(&PKCS_ECDSA_P384_SHA384),
        root.issue_for(&PKCS_ED25519),
        root.issue(),
        root.intermediate("two").issue_chain(),
    ] {
        run(&mut served, secure(&issued, None)).await;
        let mut scraper = Scraper::secure(served.address, &root.trusted()).await.unwrap();
        assert_scraped(&mut scraper).await;
    }
}

#[tokio::test]
async fn the_same_material_again_changes_nothing() {
    let root = Authority::root("one");
    let issued = root.issue();
    let mut served = serve().await;
    run(&mut served, secure(&issued, Some(&root))).await;
    let tls = ClientTls { client_certificate: Some(root.issue().certified()), ..root.trusted() };
    let mut scraper = Scraper::secure(served.address, &tls).await.unwrap();
    assert_scraped(&mut scraper).await;
    // As a Secret that was written anew, with other line ends.
    let again = Issued {
        certificate: issued.certificate.replace('\n', "\r\n"),
        key: format!("\n{}", issued.key),
    };
    let prepared = served.reloader.prepare(secure(&again, Some(&root))).await.unwrap();
    assert!(prepared.plan().of(Signal::Metrics).all(|(_, change)| change == Change::Keep));
    prepared.commit().drain(PATIENCE).await;
    assert_scraped(&mut scraper).await;
}

/// Scrapers without a pause while certificate and authority change again and again. Each of them
/// comes again when its connection has ended, as every HTTP client does, and is served then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_scrape_is_dropped_by_a_rotation() {
    let authorities: Vec<_> = (0..4).map(|it| Authority::root(&format!("root {it}"))).collect();
    let everybody = trusting(&authorities.iter().collect::<Vec<_>>());
    let mut served = serve().await;
    run(&mut served, secure(&authorities[0].issue(), None)).await;
    let (over, scrapes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let scraping: Vec<_> = (0..3)
        .map(|_| {
            let (over, scrapes) = (Arc::clone(&over), Arc::clone(&scrapes));
            let (address, tls) = (served.address, everybody.clone());
            tokio::spawn(async move {
                let mut scraper = Scraper::secure(address, &tls).await.unwrap();
                while !over.load(Ordering::Relaxed) {
                    if scraper.scrape(&[]).await.is_err() {
                        scraper = Scraper::secure(address, &tls).await.unwrap();
                        assert_scraped(&mut scraper).await;
                    }
                    scrapes.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for authority in authorities.iter().cycle().skip(1).take(12) {
        let issued = authority.issue();
        let before = Scraper::secure(served.address, &everybody).await.unwrap();
        run(&mut served, secure(&issued, None)).await;
        let after = Scraper::secure(served.address, &authority.trusted()).await.unwrap();
        assert_ne!(before.certificates, after.certificates);
        let mut after = after;
        assert_scraped(&mut after).await;
        drop(before);
        let seen = scrapes.load(Ordering::Relaxed);
        tokio::time::timeout(PATIENCE, async {
            while scrapes.load(Ordering::Relaxed) < seen + 3 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for scraper in scraping {
        scraper.await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_from_before_a_rotation_gets_its_first_answer() {
    let (old, new) = (Authority::root("old"), Authority::root("new"));
    let mut served = serve().await;
    run(&mut served, secure(&old.issue(), None)).await;
    let mut scraper = Scraper::secure(served.address, &old.trusted()).await.unwrap();
    run(&mut served, secure(&new.issue(), None)).await;
    assert_scraped(&mut scraper).await;
    ended(scraper).await;
}

#[tokio::test]
async fn an_answer_under_way_is_finished_whatever_changes() {
    let root = Authority::root("one");
    let mut served = serve().await;
    served.widen();
    run(&mut served, secure(&root.issue(), None)).await;
    let mut scraper = Scraper::secure(served.address, &root.trusted()).await.unwrap();
    let response = scraper.begin("GET", "/metrics", &[]).await.unwrap();
    run(&mut served, secure(&root.issue(), Some(&root))).await;
    run(&mut served, Config::off()).await;
    assert_eq!(response.status(), 200);
    let page = response.into_body().collect().await.unwrap().to_bytes();
    assert!(page.len() > WIDE);
    assert_eq!(scraped(std::str::from_utf8(&page).unwrap(), "requests_total"), 3.0);
    ended(scraper).await;
}

#[tokio::test]
async fn handshakes_that_never_end_hold_up_nobody() {
    let root = Authority::root("one");
    let mut served = serve().await;
    run(&mut served, secure(&root.issue(), None)).await;
    let mut mute = Vec::new();
    for _ in 0..32 {
        mute.push(TcpStream::connect(served.address).await.unwrap());
    }
    let half = TcpStream::connect(served.address).await.unwrap();
    half.writable().await.unwrap();
    half.try_write(&[22, 3, 1]).unwrap();
    let mut scraper = Scraper::secure(served.address, &root.trusted()).await.unwrap();
    assert_scraped(&mut scraper).await;
    served.stop.send(()).unwrap();
    tokio::time::timeout(PATIENCE, served.server).await.unwrap().unwrap().unwrap();
    drop((mute, half));
}
