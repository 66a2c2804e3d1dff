//! Certificates and keys change under exports that go on, by both protocols, against real TLS: only
//! the sinks that use them are swapped, and what is no good never gets that far.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may fail anywhere")]

mod support;

use std::time::{Duration, SystemTime};

use pharos_telemetry::config::{
    CaBundle, CertifiedKey, ClientTls, MaterialError, OtlpSink, Protocol, Roots, ServerTls,
    Temporality,
};
use pharos_telemetry::{
    Change, Config, GenerationChange, LastExport, OtlpReceiver, Pipeline, Prepared, RecordSink,
    Reloader,
};
use pharos_testkit::pki::{Algorithm, Authority, Encoding, LOOPBACK, Leaf, Pair};
use support::program::{Instruments, started};
use support::records::batch;
use support::{Export, PATIENCE, Receiver, commit, gateway, metrics};

const OFTEN: Duration = Duration::from_millis(5);
const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const KEYS: [(Algorithm, Encoding); 5] = [
    (Algorithm::EcdsaP256, Encoding::Pkcs8),
    (Algorithm::EcdsaP256, Encoding::Traditional),
    (Algorithm::Rsa2048, Encoding::Pkcs8),
    (Algorithm::Rsa2048, Encoding::Traditional),
    (Algorithm::Ed25519, Encoding::Pkcs8),
];

/// A pipeline with sinks that use the material, and one of each kind that does not.
struct Stage {
    by: Protocol,
    receiver: Receiver,
    other: Receiver,
    pipeline: Pipeline,
    reloader: Reloader,
    instruments: Instruments,
    recorded: u64,
}

fn certified(pair: &Pair) -> CertifiedKey {
    parsed(pair).unwrap()
}

fn parsed(pair: &Pair) -> Result<CertifiedKey, MaterialError> {
    let (certificate, key) = (pair.certificate_pem.as_bytes(), pair.key_pem.as_bytes());
    CertifiedKey::parse(certificate, key, SystemTime::now())
}

fn bundle(authorities: &[&Authority]) -> CaBundle {
    let pem: String = authorities.iter().map(|authority| authority.pem()).collect();
    CaBundle::parse(pem.as_bytes(), SystemTime::now()).unwrap()
}

fn client(trusts: &[&Authority], shows: &Pair) -> ClientTls {
    ClientTls {
        roots: Roots::Bundle(bundle(trusts)),
        client_certificate: Some(certified(shows)),
        server_name: None,
    }
}

fn server(shows: &Pair, trusts: &[&Authority]) -> rustls::ServerConfig {
    let tls = ServerTls { certificate: certified(shows), client_ca: Some(bundle(trusts)) };
    tls.server_config().unwrap()
}

// === impl Stage ===

impl Stage {
    fn start(by: Protocol, tls: rustls::ServerConfig) -> Self {
        let (pipeline, reloader, instruments) = started();
        let (receiver, other) = (Receiver::with_tls(tls), Receiver::start());
        Self { by, receiver, other, pipeline, reloader, instruments, recorded: 0 }
    }

    fn config(&self, tls: ClientTls) -> Config {
        let secure = OtlpReceiver { tls, ..self.receiver.by(self.by) };
        let plain = self.other.by(self.by);
        let totals = |receiver: &OtlpReceiver| OtlpSink {
            period: OFTEN,
            receiver: receiver.clone(),
            temporality: Temporality::Cumulative,
        };
        let records = |receiver: &OtlpReceiver| RecordSink {
            receiver: receiver.clone(),
            batch: batch(100, 10),
        };
        let delta = OtlpSink { temporality: Temporality::Delta, ..totals(&secure) };
        Config::prometheus()
            .with_sink("gateway", totals(&secure))
            .with_sink("delta", delta)
            .with_sink("plain", totals(&plain))
            .with_traces("gateway", records(&secure))
            .with_traces("plain", records(&plain))
            .with_logs("gateway", records(&secure))
    }

    /// The first configuration of all.
    async fn begin(&mut self, tls: ClientTls) {
        let config = self.config(tls);
        commit(&mut self.reloader, config).await.in_force().await;
        self.until_arrived().await;
    }

    /// New material, in force, and with it an export of what is recorded after it.
    async fn rotate(&mut self, tls: ClientTls) {
        let config = self.config(tls);
        let prepared = self.reloader.prepare(config).await.unwrap();
        assert_swaps_what_uses_it(&prepared);
        let drained = prepared.commit().drain(PATIENCE).await;
        assert_eq!(drained.lost(), 0, "{drained:?}");
        self.until_arrived().await;
    }

    async fn until_arrived(&mut self) {
        self.instruments.record(1, self.recorded);
        self.recorded += 1;
        let total = self.recorded as f64;
        let reached = |all: &[Export]| all.iter().any(|it| it.total("requests") == total);
        for receiver in [&self.receiver, &self.other] {
            receiver.until("the new total", reached).await;
        }
    }
}

fn assert_swaps_what_uses_it(prepared: &Prepared<'_>) {
    let plan = prepared.plan();
    assert_eq!(plan.generation(), GenerationChange::Keep);
    let swapped = plan.sinks().filter(|(_, change)| *change == Change::Swap);
    let swapped: Vec<_> = swapped.map(|(sink, _)| sink.to_string()).collect();
    let secure = ["metrics/delta", "metrics/gateway", "traces/gateway", "logs/gateway"];
    assert_eq!(swapped.len(), secure.len(), "{swapped:?}");
    assert!(secure.iter().all(|sink| swapped.iter().any(|it| it == sink)), "{swapped:?}");
    assert!(plan.sinks().all(|(_, change)| matches!(change, Change::Swap | Change::Keep)));
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_and_certificates_of_both_sides_rotate_without_a_gap() {
    let authority = |name| Authority::new(name).unwrap();
    let (root, next_root) = (authority("root"), authority("root"));
    let (clients, next_clients) = (authority("clients"), authority("clients"));
    for by in PROTOCOLS {
        let certificate = root.server(&LOOPBACK).unwrap();
        let shown = clients.client("pharos").unwrap();
        let mut stage = Stage::start(by, server(&certificate, &[&clients]));
        stage.begin(client(&[&root], &shown)).await;

        // Both authorities are trusted while the receiver goes from one to the other.
        stage.rotate(client(&[&root, &next_root], &shown)).await;
        let certificate = next_root.server(&LOOPBACK).unwrap();
        stage.receiver.speaks_tls(server(&certificate, &[&clients, &next_clients]));
        let shown = next_clients.client("pharos").unwrap();
        stage.rotate(client(&[&root, &next_root], &shown)).await;
        stage.rotate(client(&[&next_root], &shown)).await;

        // The receiver takes the new certificate only, and has one intermediate; so do we.
        let between = next_root.intermediate("between").unwrap();
        let certificate = between.server(&LOOPBACK).unwrap();
        stage.receiver.speaks_tls(server(&certificate, &[&next_clients]));
        let chain = next_clients.intermediate("between").unwrap().client("pharos").unwrap();
        assert_eq!(chain.certificate_pem.matches("BEGIN").count(), 2);
        stage.rotate(client(&[&next_root], &chain)).await;

        for (algorithm, encoding) in KEYS {
            let with = |leaf: Leaf| leaf.algorithm(algorithm).encoding(encoding);
            let certificate = between.issue(&with(Leaf::server(&LOOPBACK))).unwrap();
            stage.receiver.speaks_tls(server(&certificate, &[&next_clients]));
            let shown = next_clients.issue(&with(Leaf::client("pharos"))).unwrap();
            stage.rotate(client(&[&next_root], &shown)).await;
        }
        for (sink, stats) in stage.pipeline.debug().sinks {
            assert!(stats.exports_failed.is_empty(), "{by:?} {sink}: {stats:?}");
            assert!(stats.items_dropped.is_empty(), "{by:?} {sink}: {stats:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rotations_in_a_row_need_not_wait_for_each_other() {
    let (root, clients) = (Authority::new("root").unwrap(), Authority::new("clients").unwrap());
    for by in PROTOCOLS {
        let certificate = root.server(&LOOPBACK).unwrap();
        let mut stage = Stage::start(by, server(&certificate, &[&clients]));
        let shown = || clients.client("pharos").unwrap();
        stage.begin(client(&[&root], &shown())).await;
        for _ in 0..10 {
            let config = stage.config(client(&[&root], &shown()));
            let prepared = stage.reloader.prepare(config).await.unwrap();
            assert_swaps_what_uses_it(&prepared);
            stage.instruments.record(1, 1);
            stage.recorded += 1;
            drop(prepared.commit());
        }
        stage.until_arrived().await;
        let report = stage.reloader.shutdown(PATIENCE).await;
        assert_eq!(report.drained.lost(), 0, "{report:?}");
        let exports = stage.receiver.exports();
        let sum: f64 =
            exports.iter().filter(|it| is_delta(it)).map(|it| it.total("requests")).sum();
        assert_eq!(sum, stage.recorded as f64);
    }
}

fn is_delta(export: &Export) -> bool {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let scopes = export.request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
    scopes
        .flat_map(|it| &it.metrics)
        .any(|it| matches!(&it.data, Some(Data::Sum(sum)) if sum.aggregation_temporality == 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_the_old_certificate_no_more_loses_nothing() {
    let (root, clients) = (Authority::new("root").unwrap(), Authority::new("clients").unwrap());
    let next_clients = Authority::new("clients").unwrap();
    let certificate = root.server(&LOOPBACK).unwrap();
    for by in PROTOCOLS {
        let mut stage = Stage::start(by, server(&certificate, &[&clients]));
        stage.begin(client(&[&root], &clients.client("pharos").unwrap())).await;
        // It starts again, all connections are gone, and who shows the old one is refused.
        let next = Receiver::start();
        let before = std::mem::replace(&mut stage.receiver, next);
        before.until("the first delta", |all| all.iter().any(is_delta)).await;
        let told = before.exports();
        let address = before.die().await;
        stage.receiver = Receiver::start_at(address);
        stage.receiver.speaks_tls(server(&certificate, &[&next_clients]));
        stage.instruments.record(1, 1);
        stage.recorded += 1;

        let tls = client(&[&root], &next_clients.client("pharos").unwrap());
        let config = stage.config(tls);
        let drained = commit(&mut stage.reloader, config).await.drain(PATIENCE).await;
        let totals = drained.sinks[&gateway()];
        assert!(matches!(totals, LastExport::Lost { .. }), "nobody took them: {drained:?}");
        assert!(matches!(drained.sinks[&metrics("delta")], LastExport::HandedOver { .. }));
        stage.until_arrived().await;
        let report = stage.reloader.shutdown(PATIENCE).await;
        assert_eq!(report.drained.lost(), 0, "{report:?}");
        let mut exports = [told, stage.receiver.exports()].concat();
        exports.retain(is_delta);
        exports.dedup_by(|one, other| one.request == other.request);
        let sum: f64 = exports.iter().map(|it| it.total("requests")).sum();
        assert_eq!(sum, stage.recorded as f64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_is_refused_by_name_and_the_last_good_stays_in_force() {
    let root = Authority::new("root").unwrap();
    let (certificate, shown) = (root.server(&LOOPBACK).unwrap(), root.client("pharos").unwrap());
    let mut stage = Stage::start(Protocol::Grpc, server(&certificate, &[&root]));
    stage.begin(client(&[&root], &shown)).await;
    let running = stage.pipeline.running();

    let other = root.client("pharos").unwrap();
    let expired = root.issue(&Leaf::client("pharos").expired()).unwrap();
    let pair = |certificate: &str, key: &str| Pair {
        certificate_pem: certificate.to_owned(),
        key_pem: key.to_owned(),
    };
    let garbage = "-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n";
    let garbage_key = "-----BEGIN PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END PRIVATE KEY-----\n";
    let mut reasons = Vec::new();
    for bad in [
        expired,
        // Certificate and key of a renewal came in two updates.
        pair(&other.certificate_pem, &shown.key_pem),
        pair(&shown.certificate_pem, &other.key_pem),
        pair(garbage, &shown.key_pem),
        pair(&shown.certificate_pem, garbage_key),
        pair("no PEM at all", &shown.key_pem),
        pair("", &shown.key_pem),
        pair(&shown.certificate_pem, ""),
        pair(&shown.key_pem, &shown.certificate_pem),
    ] {
        let error = parsed(&bad).unwrap_err();
        reasons.push(error.reason());
        assert!(!format!("{error} {error:?}").contains("BEGIN"), "{error:?}");
        // So there is nothing to reload with.
        stage.until_arrived().await;
    }
    for bad in ["", "no PEM at all", garbage] {
        reasons.push(CaBundle::parse(bad.as_bytes(), SystemTime::now()).unwrap_err().reason());
    }
    let certificates = ["Expired", "KeyMismatch", "KeyMismatch", "NotACertificate"];
    let keys = ["UnsupportedKey", "NotPem", "Empty", "Empty", "OtherBlocks"];
    let bundles = ["Empty", "NotPem", "NotACertificate"];
    assert_eq!(reasons, [&certificates[..], &keys, &bundles].concat());
    assert_eq!(*stage.pipeline.running(), *running);
    // Both halves have come.
    stage.rotate(client(&[&root], &other)).await;
}
