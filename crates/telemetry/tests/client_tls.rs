//! TLS with receivers, by both protocols: what works, and what is known about what does not.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::time::Duration;

use certificates::{Authority, Issued};
use pharos_telemetry::config::{ClientTls, Compression, Protocol, Roots, ServerName, ServerTls};
use pharos_telemetry::{
    Config, FailureReason, OtlpReceiver, ProbeReport, Proxies, Signal, SinkHealth, probe,
};
use rcgen::date_time_ymd;
use support::{PATIENCE, Receiver, Versions, commit, gateway, start};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const HERE: &[&str] = &["127.0.0.1"];

async fn probed(receiver: &OtlpReceiver) -> ProbeReport {
    let proxies = Proxies::none();
    let probe = probe(receiver, Signal::Metrics, &proxies);
    tokio::time::timeout(PATIENCE, probe).await.unwrap().unwrap()
}

/// What comes of `tls` at `receiver`: nothing, or why it fails.
async fn tried(receiver: &Receiver, tls: &ClientTls) -> [Option<String>; 2] {
    let mut told = [None, None];
    for (protocol, told) in PROTOCOLS.into_iter().zip(&mut told) {
        let to = OtlpReceiver { tls: tls.clone(), ..receiver.by(protocol) };
        let report = probed(&to).await;
        *told = match (report.outcome, report.health) {
            ("accepted", SinkHealth::Healthy) => None,
            ("tls", SinkHealth::Failing { reason, message }) => {
                assert_eq!(reason, FailureReason::TLSHandshakeFailed);
                Some(message.strip_prefix("the TLS handshake fails: ").unwrap().to_owned())
            }
            other => panic!("{protocol:?}: {other:?}"),
        };
    }
    told
}

fn named(tls: ClientTls, name: &str) -> ClientTls {
    ClientTls { server_name: Some(ServerName::parse(name).unwrap()), ..tls }
}

fn showing(tls: ClientTls, authority: &Authority) -> ClientTls {
    ClientTls { client_certificate: Some(authority.issue().certified()), ..tls }
}

/// What a client needs that trusts `authority`, and expects the name of the endpoint.
fn trusting(authority: &Authority) -> ClientTls {
    ClientTls { roots: Roots::Bundle(authority.bundle()), ..ClientTls::default() }
}

fn server(issued: &Issued, client_ca: Option<&Authority>) -> rustls::ServerConfig {
    let client_ca = client_ca.map(Authority::bundle);
    ServerTls { certificate: issued.certified(), client_ca }.server_config().unwrap()
}

/// A server that nobody looked after.
fn expired_server(authority: &Authority) -> rustls::ServerConfig {
    let issued = authority.issue_to(HERE, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let certificate = issued.certified_at(date_time_ymd(2020, 7, 1).into());
    ServerTls { certificate, client_ca: None }.server_config().unwrap()
}

#[tokio::test]
async fn each_side_of_tls_is_verified_and_each_failure_has_its_words() {
    let (ours, theirs) = (Authority::root("ours"), Authority::root("theirs"));
    let plain = server(&ours.issue_to(HERE, |_| {}), None);
    let mutual = server(&ours.issue_to(HERE, |_| {}), Some(&theirs));
    let elsewhere = server(&ours.issue(), None);
    let expired = expired_server(&ours);
    let unknown_issuer =
        "the receiver's certificate is not issued by the CA in use (UnknownIssuer)";
    for (server, client, expected) in [
        (&plain, trusting(&ours), None),
        (&plain, showing(trusting(&ours), &theirs), None),
        (&plain, trusting(&theirs), Some(unknown_issuer)),
        (
            &plain,
            named(trusting(&ours), "pharos.test"),
            Some("the receiver's certificate is not valid for the name pharos.test"),
        ),
        (
            &elsewhere,
            trusting(&ours),
            Some("the receiver's certificate is not valid for the name 127.0.0.1"),
        ),
        (&elsewhere, named(trusting(&ours), "pharos.test"), None),
        (
            &expired,
            trusting(&ours),
            Some("the receiver's certificate is expired, or one of its chain is"),
        ),
        (&mutual, showing(trusting(&ours), &theirs), None),
        (&mutual, trusting(&ours), Some("the receiver demands a client certificate")),
        (
            &mutual,
            showing(trusting(&ours), &ours),
            Some("the receiver does not accept our client certificate (UnknownCA)"),
        ),
    ] {
        let receiver = Receiver::with_tls(server.clone());
        let told = tried(&receiver, &client).await;
        assert_eq!(told, [expected.map(str::to_owned), expected.map(str::to_owned)], "{client:?}");
    }
}

#[tokio::test]
async fn tls_where_there_is_none_and_versions_that_do_not_fit_are_told() {
    let authority = Authority::root("ours");
    let receiver = Receiver::with_tls(server(&authority.issue_to(HERE, |_| {}), None));
    let to: Vec<_> = PROTOCOLS
        .map(|protocol| OtlpReceiver { tls: trusting(&authority), ..receiver.by(protocol) })
        .into();
    let address = receiver.die().await;
    let _plaintext = Receiver::start_at(address);
    for to in to {
        let report = probed(&to).await;
        let SinkHealth::Failing { reason, message } = report.health else { panic!("{to:?}") };
        assert_eq!(reason, FailureReason::TLSHandshakeFailed);
        assert!(message.contains("does not speak TLS"), "{message}");
    }
    let http1 = Receiver::speaking(Versions::Http1);
    http1.speaks_tls(server(&authority.issue_to(HERE, |_| {}), None));
    let to = OtlpReceiver { tls: trusting(&authority), ..http1.by(Protocol::HttpProtobuf) };
    assert_eq!(probed(&to).await.outcome, "accepted");
    let to = OtlpReceiver { tls: trusting(&authority), ..http1.by(Protocol::Grpc) };
    let report = probed(&to).await;
    let SinkHealth::Failing { message, .. } = report.health else { panic!("{to:?}") };
    assert!(message.contains("ALPN"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_exports_are_told_of_a_refused_certificate_too() {
    let (ours, theirs) = (Authority::root("ours"), Authority::root("theirs"));
    let receiver = Receiver::with_tls(server(&ours.issue_to(HERE, |_| {}), Some(&theirs)));
    for protocol in PROTOCOLS {
        let (pipeline, mut reloader) = start();
        let counter = pipeline.meter("test").u64_counter("requests").build();
        for series in 0..1500 {
            let value = format!("{series:01000}");
            counter.add(1, &[opentelemetry::KeyValue::new("series", value)]);
        }
        let mut sink = receiver.sink_by(protocol, Duration::from_millis(5));
        sink.receiver.tls = showing(trusting(&ours), &ours);
        sink.receiver.compression = Compression::None;
        let config = Config::off().with_sink("gateway", sink);
        commit(&mut reloader, config).await.drain(PATIENCE).await;
        let mut health = pipeline.health();
        let failing = health.wait_for(|all| {
            let health = all.sinks.get(&gateway());
            matches!(health, Some(SinkHealth::Failing { message, .. }) if message.contains("UnknownCA"))
        });
        tokio::time::timeout(PATIENCE, failing).await.expect("a failure").unwrap();
        let stats = &pipeline.debug().sinks[&gateway()];
        assert_eq!(stats.exports_ambiguous, 0, "{protocol:?}: {stats:?}");
    }
}
