//! Receivers that are reached through a proxy, by both protocols.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::time::Duration;

use certificates::Authority;
use pharos_telemetry::config::{Endpoint, OtlpSink, Protocol, ServerTls};
use pharos_telemetry::{Config, OtlpReceiver, ProbeReport, Proxies, Signal, SinkHealth, probe};
use support::{PATIENCE, Proxy, Receiver, commit, start};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const ESTABLISHED: &str = "HTTP/1.1 200 Connection established";

/// A receiver by a name that nobody but the proxy can resolve.
fn named(protocol: Protocol, scheme: &str) -> OtlpReceiver {
    let url = format!("{scheme}://{}:4317", certificates::NAME);
    OtlpReceiver::new(match protocol {
        Protocol::Grpc => Endpoint::grpc(&url).unwrap(),
        Protocol::HttpProtobuf => Endpoint::http_protobuf(&url).unwrap(),
    })
}

fn through(proxy: &Proxy) -> Proxies {
    let proxy = format!("http://user:secret@{}", proxy.address());
    Proxies::from_environment(&|name| (name == "all_proxy").then(|| proxy.clone()))
}

async fn probed(receiver: &OtlpReceiver, proxies: &Proxies) -> ProbeReport {
    let probe = probe(receiver, Signal::Logs, proxies);
    tokio::time::timeout(PATIENCE, probe).await.unwrap().unwrap()
}

#[tokio::test]
async fn both_protocols_go_through_a_tunnel_and_tls_is_end_to_end() {
    let authority = Authority::root("ours");
    let tls = ServerTls { certificate: authority.issue().certified(), client_ca: None };
    let plaintext = Receiver::start();
    let secure = Receiver::with_tls(tls.server_config().unwrap());
    for protocol in PROTOCOLS {
        for (receiver, scheme) in [(&plaintext, "http"), (&secure, "https")] {
            let proxy = Proxy::start(receiver.address(), ESTABLISHED).await;
            let to = OtlpReceiver { tls: authority.trusted(), ..named(protocol, scheme) };
            let report = probed(&to, &through(&proxy)).await;
            assert_eq!(report.outcome, "accepted", "{protocol:?} {scheme} {report:?}");
            let asked = proxy.asked().pop().unwrap().to_lowercase();
            assert!(asked.starts_with("connect pharos.test:4317 http/1.1\r\n"), "{asked}");
            // user:secret
            assert!(asked.contains("proxy-authorization: basic dxnlcjpzzwnyzxq=\r\n"), "{asked}");
        }
    }
}

#[tokio::test]
async fn what_the_proxy_says_is_told_without_its_credentials() {
    let receiver = Receiver::start();
    for (answer, words) in [
        ("HTTP/1.1 407 Proxy Authentication Required", "credentials"),
        ("HTTP/1.1 403 Forbidden", "HTTP 403"),
        ("SSH-2.0-OpenSSH", "does not speak HTTP"),
    ] {
        let proxy = Proxy::start(receiver.address(), answer).await;
        let proxies = through(&proxy);
        for protocol in PROTOCOLS {
            let report = probed(&named(protocol, "https"), &proxies).await;
            assert_eq!(report.outcome, "unreachable");
            let told = format!("{report:?} {proxies:?}");
            assert!(told.contains(words) && told.contains("the proxy http://127."), "{told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
    let unusable =
        Proxies::from_environment(&|name| (name == "ALL_PROXY").then(|| "socks5://p:1".to_owned()));
    for protocol in PROTOCOLS {
        let report = probed(&named(protocol, "http"), &unusable).await;
        let SinkHealth::Failing { message, .. } = report.health else { panic!("{protocol:?}") };
        assert!(message.contains("ALL_PROXY must be"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_goes_through_the_proxies_that_its_reloader_was_given() {
    let receiver = Receiver::start();
    let proxy = Proxy::start(receiver.address(), ESTABLISHED).await;
    let (pipeline, reloader) = start();
    let mut reloader = reloader.with_proxies(through(&proxy));
    pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
    let period = Duration::from_secs(3600);
    let mut config = Config::off();
    for (name, protocol) in [("grpc", PROTOCOLS[0]), ("http", PROTOCOLS[1])] {
        let receiver = named(protocol, "http");
        let sink = OtlpSink { period, ..OtlpSink::new(receiver.endpoint) };
        config = config.with_sink(name, sink);
    }
    // This one is on this host, so that no proxy is asked.
    config = config.with_sink("local", receiver.sink(period));
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    receiver.until("all three", |all| all.len() == 3).await;
    assert_eq!(proxy.asked().len(), 2);
}
