//! Exporters: what each of them is for the pipeline, whichever signals go there.

use std::time::Duration;

use pharos_api::telemetryconfig::{
    Compression, Exporter, ExporterType, Header, OtlpExporter, OtlpProtocol, OtlpTls,
    PrometheusExporter, PrometheusTls,
};
use pharos_telemetry::config::{
    self, ClientTls, Endpoint, HeaderError, OtlpReceiver, Roots, ScrapeTransport, ServerName,
    ServerTls,
};

use super::material::Reader;
use super::problem::Findings;
use super::reference::{Reference, exporter_path, header_path};

/// Where signals can go.
#[derive(Clone)]
pub(super) enum Destination {
    /// Scrapers come for it.
    Scrapes(ScrapeTransport),
    /// It is pushed there.
    Receiver(OtlpReceiver),
}

/// What an exporter is; nothing if it has a problem of its own.
pub(super) fn destination(
    exporter: &Exporter,
    reader: &mut Reader<'_>,
    findings: &mut Findings,
) -> Option<Destination> {
    let Exporter { name, r#type, prometheus, otlp } = exporter;
    let path = exporter_path(name);
    match (r#type, prometheus, otlp) {
        (ExporterType::Prometheus, prometheus, None) => {
            let tls = prometheus.as_ref().and_then(|PrometheusExporter { tls }| tls.as_ref());
            scrapes(&path, tls, reader, findings).map(Destination::Scrapes)
        }
        (ExporterType::Otlp, None, Some(otlp)) => {
            receiver(&path, otlp, reader, findings).map(Destination::Receiver)
        }
        (r#type, ..) => {
            let r#type = match r#type {
                ExporterType::Otlp => "OTLP",
                ExporterType::Prometheus => "Prometheus",
            };
            findings.invalid(path, format!("the settings do not fit type {type}"));
            None
        }
    }
}

fn scrapes(
    path: &str,
    tls: Option<&PrometheusTls>,
    reader: &mut Reader<'_>,
    findings: &mut Findings,
) -> Option<ScrapeTransport> {
    let Some(PrometheusTls { certificate_ref, client_ca_ref }) = tls else {
        return Some(ScrapeTransport::Plaintext);
    };
    let certificate = Reference::scrape_certificate(path, certificate_ref);
    let certificate = reader.certificate(&certificate, findings);
    let client_ca = optional(client_ca_ref.as_ref(), |ca| {
        reader.authorities(&Reference::scraper_ca(path, ca), findings)
    });
    Some(ScrapeTransport::Tls(ServerTls { certificate: certificate?, client_ca: client_ca? }))
}

fn receiver(
    path: &str,
    otlp: &OtlpExporter,
    reader: &mut Reader<'_>,
    findings: &mut Findings,
) -> Option<OtlpReceiver> {
    let OtlpExporter { protocol, endpoint, compression, timeout_seconds, headers, tls } = otlp;
    let parsed = match protocol {
        OtlpProtocol::Grpc => Endpoint::grpc(endpoint),
        OtlpProtocol::HttpProtobuf => Endpoint::http_protobuf(endpoint),
    };
    let endpoint =
        parsed.map_err(|error| findings.invalid(format!("{path}.otlp.endpoint"), error)).ok();
    let timeout = seconds(*timeout_seconds);
    if timeout.is_none() {
        findings.invalid(format!("{path}.otlp.timeoutSeconds"), "must be at least 1");
    }
    let headers = every(headers.iter().map(|it| header(path, it, reader, findings)));
    if tls.is_some() && endpoint.as_ref().is_some_and(|endpoint| !endpoint.is_tls()) {
        findings.invalid(format!("{path}.otlp.tls"), "needs an https:// endpoint");
    }
    let tls = match tls {
        None => Some(ClientTls::default()),
        Some(tls) => client_tls(path, tls, reader, findings),
    };
    Some(OtlpReceiver {
        compression: match compression {
            Compression::None => config::Compression::None,
            Compression::Gzip => config::Compression::Gzip,
            Compression::Zstd => config::Compression::Zstd,
        },
        timeout: timeout?,
        headers: headers?,
        tls: tls?,
        ..OtlpReceiver::new(endpoint?)
    })
}

fn client_tls(
    path: &str,
    tls: &OtlpTls,
    reader: &mut Reader<'_>,
    findings: &mut Findings,
) -> Option<ClientTls> {
    let OtlpTls { ca_ref, client_certificate_ref, server_name } = tls;
    let roots = match ca_ref {
        None => Some(Roots::System),
        Some(ca) => {
            reader.authorities(&Reference::receiver_ca(path, ca), findings).map(Roots::Bundle)
        }
    };
    let client_certificate = optional(client_certificate_ref.as_ref(), |it| {
        reader.certificate(&Reference::client_certificate(path, it), findings)
    });
    let server_name = optional(server_name.as_ref(), |name| {
        let refuse = |error| findings.invalid(format!("{path}.otlp.tls.serverName"), error);
        ServerName::parse(name).map_err(refuse).ok()
    });
    Some(ClientTls {
        roots: roots?,
        client_certificate: client_certificate?,
        server_name: server_name?,
    })
}

fn header(
    path: &str,
    header: &Header,
    reader: &Reader<'_>,
    findings: &mut Findings,
) -> Option<config::Header> {
    let Header { name, value, value_from } = header;
    let field = header_path(path, name);
    match (value, value_from) {
        (Some(value), None) => {
            config::Header::parse(name, value).map_err(|error| findings.invalid(field, error)).ok()
        }
        (None, Some(source)) => {
            if let Err(error @ (HeaderError::Name | HeaderError::Reserved)) =
                config::Header::parse(name, "")
            {
                findings.invalid(field, error);
            }
            reader.header(name, &Reference::header_value(path, name, source), findings)
        }
        (None, None) | (Some(_), Some(_)) => {
            findings.invalid(field, "exactly one of value and valueFrom must be set");
            None
        }
    }
}

/// Something that need not be set: the outer `None` if it is set and has a problem.
fn optional<T, U>(set: Option<T>, resolve: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match set {
        None => Some(None),
        Some(set) => resolve(set).map(Some),
    }
}

/// All, or nothing if one has a problem. Looks at every one, so that each says its problem.
fn every<T>(items: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    items.collect::<Vec<_>>().into_iter().collect()
}

/// A number of seconds that makes sense.
pub(super) fn seconds(seconds: i32) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds))
}
