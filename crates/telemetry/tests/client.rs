//! What a receiver may do to an export, and what is known about it afterwards.

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
use opentelemetry::KeyValue;
use pharos_telemetry::config::{Compression, Protocol, ServerTls};
use pharos_telemetry::{
    Config, LastExport, OtlpReceiver, ProbeReport, Proxies, Signal, SinkHealth, probe,
};
use support::{Answer, HttpAnswer, PATIENCE, Receiver, Versions, commit, start};
use tonic::Code;

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

async fn probed(receiver: &OtlpReceiver) -> ProbeReport {
    let proxies = Proxies::none();
    let probe = probe(receiver, Signal::Traces, &proxies);
    tokio::time::timeout(PATIENCE, probe).await.unwrap().unwrap()
}

fn tls_server() -> rustls::ServerConfig {
    let certificate = Authority::root("ours").issue().certified();
    ServerTls { certificate, client_ca: None }.server_config().unwrap()
}

/// The kind of the outcome, and what a person is told.
fn told(report: &ProbeReport) -> (&'static str, &str) {
    match &report.health {
        SinkHealth::Failing { message, .. } => (report.outcome, message),
        _ => (report.outcome, ""),
    }
}

#[tokio::test]
async fn every_signal_arrives_by_both_protocols_in_every_encoding() {
    let receiver = Receiver::start();
    for protocol in PROTOCOLS {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let to = OtlpReceiver { compression, ..receiver.by(protocol) };
            for signal in Signal::ALL {
                let report = probe(&to, signal, &Proxies::none()).await.unwrap();
                assert_eq!(told(&report), ("accepted", ""), "{protocol:?} {compression:?}");
            }
        }
    }
    assert_eq!(receiver.exports().len(), 6);
    assert_eq!(receiver.span_exports().len(), 6);
    let encodings = receiver.log_exports();
    let encodings: Vec<_> = encodings
        .iter()
        .map(|it| it.header("grpc-encoding").or_else(|| it.header("content-encoding")))
        .collect();
    assert_eq!(encodings, [None, Some("gzip"), Some("zstd"), None, Some("gzip"), Some("zstd")]);
    let agent = concat!("pharos-telemetry/", env!("CARGO_PKG_VERSION"));
    let exports = receiver.exports();
    assert!(exports.iter().all(|it| it.header("user-agent") == Some(agent)), "{exports:?}");
}

#[tokio::test]
async fn what_a_receiver_answers_means_the_same_by_both_protocols() {
    let receiver = Receiver::start();
    for protocol in PROTOCOLS {
        for (answer, outcome) in [
            (Answer::Accept, "accepted"),
            (Answer::Warn("deprecated"), "accepted"),
            (Answer::Refuse(Code::Unauthenticated), "unauthenticated"),
            (Answer::Refuse(Code::PermissionDenied), "unauthenticated"),
            (Answer::Refuse(Code::Unimplemented), "unimplemented"),
            (Answer::Refuse(Code::InvalidArgument), "rejected"),
            (Answer::Refuse(Code::Unavailable), "unreachable"),
            (Answer::Refuse(Code::DeadlineExceeded), "ambiguous"),
            (Answer::Throttle(Code::Unavailable, Duration::from_secs(3)), "throttled"),
            (Answer::Throttle(Code::ResourceExhausted, Duration::from_secs(3)), "throttled"),
            (Answer::Reset, "ambiguous"),
            (Answer::Http(HttpAnswer::new(307).header("location", "http://a/")), "rejected"),
            (Answer::Http(HttpAnswer::new(413)), "rejected"),
            (Answer::Http(HttpAnswer::new(415)), "unimplemented"),
            (Answer::Http(HttpAnswer::new(502)), "ambiguous"),
            (Answer::Http(HttpAnswer::new(503)), "unreachable"),
            (Answer::Http(HttpAnswer::new(200).body("text/html", "<html>")), "rejected"),
            (
                Answer::Http(HttpAnswer::new(200).body("application/x-protobuf", vec![7; 1 << 20])),
                "rejected",
            ),
        ] {
            receiver.answers(answer.clone());
            let report = probed(&receiver.by(protocol)).await;
            assert_eq!(report.outcome, outcome, "{protocol:?} {answer:?} {report:?}");
        }
    }
}

#[tokio::test]
async fn the_words_of_a_receiver_are_kept_and_redirects_come_with_a_remedy() {
    let receiver = Receiver::start();
    for protocol in PROTOCOLS {
        receiver.answers(Answer::Refuse(Code::InvalidArgument));
        let report = probed(&receiver.by(protocol)).await;
        assert_eq!(report.said.as_deref(), Some("as the test wants it"));
        receiver.answers(Answer::Http(HttpAnswer::new(308).header("location", "http://a/")));
        let report = probed(&receiver.by(protocol)).await;
        let (_, message) = told(&report);
        assert!(message.contains("HTTP 308") && message.contains("not followed"), "{message}");
    }
}

#[tokio::test]
async fn who_never_answers_is_given_up_and_it_is_known_how_far_it_came() {
    let receiver = Receiver::start();
    for protocol in PROTOCOLS {
        let mut to = receiver.by(protocol);
        to.timeout = Duration::from_millis(200);
        receiver.answers(Answer::Nothing);
        assert_eq!(told(&probed(&to).await).0, "ambiguous", "it was sent");
    }
    // A handshake that nobody takes part in.
    let receiver = Receiver::with_tls(tls_server());
    receiver.swallows_connections(true);
    for protocol in PROTOCOLS {
        let mut to = receiver.by(protocol);
        to.timeout = Duration::from_millis(200);
        let report = probed(&to).await;
        assert_eq!(report.outcome, "unreachable", "nothing was sent: {report:?}");
    }
    let address = receiver.die().await;
    for protocol in PROTOCOLS {
        let report = probed(&OtlpReceiver::new(support::endpoint(protocol, address))).await;
        let (outcome, message) = told(&report);
        assert!(outcome == "unreachable" && message.contains("refused"), "{message}");
    }
}

#[tokio::test]
async fn a_receiver_that_speaks_something_else_is_recognized() {
    let tls = Receiver::with_tls(tls_server());
    let (http1, http2) = (Receiver::speaking(Versions::Http1), Receiver::speaking(Versions::Http2));
    let plaintext = |receiver: &Receiver, protocol| {
        OtlpReceiver::new(support::endpoint(protocol, receiver.address()))
    };
    for (to, words) in [
        // Some servers say why they close the connection, if there is time for it.
        (plaintext(&tls, Protocol::Grpc), ["expect", "TLS"]),
        (plaintext(&tls, Protocol::HttpProtobuf), ["expect", "TLS"]),
        (http1.by(Protocol::Grpc), ["without a word", "other protocol"]),
        (http2.by(Protocol::HttpProtobuf), ["HTTP/2", "gRPC?"]),
    ] {
        let report = probed(&to).await;
        let (outcome, message) = told(&report);
        assert!(matches!(outcome, "tls" | "unreachable" | "ambiguous"), "{report:?}");
        assert!(words.iter().all(|word| message.contains(word)), "{to:?}: {report:?}");
    }
}

#[tokio::test]
async fn a_collector_that_expects_tls_is_recognized_by_its_words() {
    let receiver = Receiver::start();
    let body = "Client sent an HTTP request to an HTTPS server.\n".into();
    receiver.answers(Answer::Http(HttpAnswer { body, ..HttpAnswer::new(400) }));
    let report = probed(&receiver.by(Protocol::HttpProtobuf)).await;
    let (outcome, message) = told(&report);
    assert!(outcome == "tls" && message.contains("https"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_lasts_until_an_export_fails() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start();
        let (pipeline, mut reloader) = start();
        pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
        let sink = receiver.sink_by(protocol, Duration::from_millis(5));
        let config = Config::off().with_sink("gateway", sink);
        commit(&mut reloader, config).await.drain(PATIENCE).await;
        receiver.until("several exports", |all| all.len() > 5).await;
        assert_eq!(receiver.connections(), 1, "{protocol:?}");
        receiver.answers(Answer::Refuse(Code::Unavailable));
        receiver.until_connections(3).await;
        receiver.answers(Answer::Accept);
        let before = receiver.exports().len();
        receiver.until("exports again", |all| all.len() > before + 5).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_success_is_counted_by_both_protocols() {
    for protocol in PROTOCOLS {
        let receiver = Receiver::start();
        receiver.answers(Answer::RejectPoints(2));
        let (pipeline, mut reloader) = start();
        let counter = pipeline.meter("test").u64_counter("requests").build();
        (0..5).for_each(|series| counter.add(1, &[KeyValue::new("series", series)]));
        let sink = receiver.sink_by(protocol, Duration::from_secs(3600));
        let config = Config::off().with_sink("gateway", sink);
        commit(&mut reloader, config).await.drain(PATIENCE).await;
        receiver.until("the first export", |all| !all.is_empty()).await;
        let drained = commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
        let last = &drained.sinks[&support::gateway()];
        let expected = LastExport::Delivered { points: 3, rejected: 2 };
        assert!(*last == expected, "{protocol:?} {last:?}");
    }
}
