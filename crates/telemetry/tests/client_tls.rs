//! TLS with receivers, by both protocols: what works, and what is known about what does not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use pharos_telemetry::config::{ClientTls, Protocol, ServerName};
use pharos_telemetry::{
    Config, FailureReason, OtlpReceiver, ProbeReport, Proxies, Signal, SinkHealth, probe,
};
use support::{Authority, PATIENCE, Receiver, Versions, commit, gateway, start};

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
    ClientTls { client_certificate: Some(authority.issue(&["client"]).certified()), ..tls }
}

#[tokio::test]
async fn each_side_of_tls_is_verified_and_each_failure_has_its_words() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let plain = ours.server();
    let mutual = ours.issue(HERE).server(Some(&theirs));
    let elsewhere = ours.issue(&["collector.test"]).server(None);
    let expired = ours.issue_expired(HERE).expired_server();
    let unknown_issuer =
        "the receiver's certificate is not issued by the CA in use (UnknownIssuer)";
    let trusting = || ours.trusted();
    for (server, client, expected) in [
        (&plain, trusting(), None),
        (&plain, showing(trusting(), &theirs), None),
        (&plain, theirs.trusted(), Some(unknown_issuer)),
        (
            &plain,
            named(trusting(), "collector.test"),
            Some("the receiver's certificate is not valid for the name collector.test"),
        ),
        (
            &elsewhere,
            trusting(),
            Some("the receiver's certificate is not valid for the name 127.0.0.1"),
        ),
        (&elsewhere, named(trusting(), "collector.test"), None),
        (
            &expired,
            trusting(),
            Some("the receiver's certificate is expired, or one of its chain is"),
        ),
        (&mutual, showing(trusting(), &theirs), None),
        (&mutual, trusting(), Some("the receiver demands a client certificate")),
        (
            &mutual,
            showing(trusting(), &ours),
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
    let authority = Authority::new();
    let receiver = Receiver::with_tls(authority.server());
    let to: Vec<_> = PROTOCOLS
        .map(|protocol| OtlpReceiver { tls: authority.trusted(), ..receiver.by(protocol) })
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
    http1.speaks_tls(authority.server());
    let to = OtlpReceiver { tls: authority.trusted(), ..http1.by(Protocol::HttpProtobuf) };
    assert_eq!(probed(&to).await.outcome, "accepted");
    let to = OtlpReceiver { tls: authority.trusted(), ..http1.by(Protocol::Grpc) };
    let report = probed(&to).await;
    let SinkHealth::Failing { message, .. } = report.health else { panic!("{to:?}") };
    assert!(message.contains("ALPN"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_exports_are_told_of_a_refused_certificate_too() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let receiver = Receiver::with_tls(ours.issue(HERE).server(Some(&theirs)));
    for protocol in PROTOCOLS {
        let (pipeline, mut reloader) = start();
        let counter = pipeline.meter("test").u64_counter("requests").build();
        for series in 0..1500 {
            let value = format!("{series:01000}");
            counter.add(1, &[opentelemetry::KeyValue::new("series", value)]);
        }
        let mut sink = receiver.sink_by(protocol, std::time::Duration::from_millis(5));
        sink.receiver.tls = showing(ours.trusted(), &ours);
        sink.receiver.compression = pharos_telemetry::config::Compression::None;
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
