//! The references of a spec to Secrets and ConfigMaps: the one list of them.
//!
//! What is watched, what [`resolve`](super::resolve()) reads and what a writer of the object must be
//! allowed to read all come from here: see [`references_of`] and [`Place::ALL`].

use std::collections::{BTreeMap, BTreeSet};

use pharos_api::telemetryconfig::{
    CaRef, CaRefKind, Exporter, Header, HeaderValueSource, OtlpExporter, OtlpTls,
    PrometheusExporter, PrometheusTls, SecretKeyRef, TelemetryConfigSpec, TlsSecretRef,
};
use pharos_cluster::references::{DataKind, DataObject, Wanted};

/// The keys of a Secret of type `kubernetes.io/tls`.
pub(super) const CERTIFICATE: &str = "tls.crt";
pub(super) const PRIVATE_KEY: &str = "tls.key";

/// A reference, at one field of one spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The path of the field, such as `spec.exporters[gateway].otlp.tls.caRef`.
    pub field: String,
    /// Which field of the schema that is.
    pub place: Place,
    /// What it names.
    pub object: DataObject,
    /// The keys that are read.
    pub keys: BTreeSet<String>,
}

/// The fields of the schema that hold references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The value of a header.
    HeaderValue,
    /// Who may have issued the certificate of a receiver.
    ReceiverCa,
    /// What a receiver is shown.
    ClientCertificate,
    /// What scrapers are shown.
    ScrapeCertificate,
    /// Who may have issued the certificates of scrapers.
    ScraperCa,
}

/// Every reference of a spec, of exporters that nothing uses, too.
pub fn references_of(spec: &TelemetryConfigSpec) -> BTreeSet<Reference> {
    // Destructured without `..`, here and below: a new field has to be looked at here.
    let TelemetryConfigSpec {
        components: _,
        resource: _,
        exporters,
        metrics: _,
        traces: _,
        logs: _,
    } = spec;
    exporters.iter().flat_map(of_exporter).collect()
}

/// The objects and keys to read for these references.
pub fn wanted(references: &BTreeSet<Reference>) -> Wanted {
    let mut wanted: Wanted = BTreeMap::new();
    for reference in references {
        let keys = wanted.entry(reference.object.clone()).or_default();
        keys.extend(reference.keys.iter().cloned());
    }
    wanted
}

fn of_exporter(exporter: &Exporter) -> Vec<Reference> {
    let Exporter { name, r#type: _, prometheus, otlp } = exporter;
    let path = exporter_path(name);
    let scraped = prometheus.iter().flat_map(|prometheus| {
        let PrometheusExporter { tls } = prometheus;
        tls.iter().flat_map(|tls| of_scrapes(&path, tls)).collect::<Vec<_>>()
    });
    let pushed = otlp.iter().flat_map(|otlp| of_receiver(&path, otlp));
    scraped.chain(pushed).collect()
}

fn of_scrapes(path: &str, tls: &PrometheusTls) -> Vec<Reference> {
    let PrometheusTls { certificate_ref, client_ca_ref } = tls;
    let mut references = vec![Reference::scrape_certificate(path, certificate_ref)];
    references.extend(client_ca_ref.iter().map(|ca| Reference::scraper_ca(path, ca)));
    references
}

fn of_receiver(path: &str, otlp: &OtlpExporter) -> Vec<Reference> {
    let OtlpExporter { protocol: _, endpoint: _, compression: _, timeout_seconds: _, headers, tls } =
        otlp;
    let mut references: Vec<_> = headers
        .iter()
        .filter_map(|header| {
            let Header { name, value: _, value_from } = header;
            Some(Reference::header_value(path, name, value_from.as_ref()?))
        })
        .collect();
    if let Some(tls) = tls {
        let OtlpTls { ca_ref, client_certificate_ref, server_name: _ } = tls;
        references.extend(ca_ref.iter().map(|ca| Reference::receiver_ca(path, ca)));
        let certificate = client_certificate_ref.iter();
        references.extend(certificate.map(|it| Reference::client_certificate(path, it)));
    }
    references
}

/// The path of an exporter.
pub(super) fn exporter_path(name: &str) -> String {
    format!("spec.exporters[{name}]")
}

/// The path of a header of the exporter at `path`.
pub(super) fn header_path(path: &str, name: &str) -> String {
    format!("{path}.otlp.headers[{name}]")
}

// === impl Reference ===

impl Reference {
    pub(super) fn header_value(path: &str, header: &str, source: &HeaderValueSource) -> Self {
        let HeaderValueSource { secret_key_ref: SecretKeyRef { name, key } } = source;
        Self {
            field: format!("{}.valueFrom.secretKeyRef", header_path(path, header)),
            place: Place::HeaderValue,
            object: DataObject::secret(name),
            keys: BTreeSet::from([key.clone()]),
        }
    }

    pub(super) fn receiver_ca(path: &str, ca: &CaRef) -> Self {
        Self::authorities(format!("{path}.otlp.tls.caRef"), Place::ReceiverCa, ca)
    }

    pub(super) fn client_certificate(path: &str, secret: &TlsSecretRef) -> Self {
        let field = format!("{path}.otlp.tls.clientCertificateRef");
        Self::certificate(field, Place::ClientCertificate, secret)
    }

    pub(super) fn scrape_certificate(path: &str, secret: &TlsSecretRef) -> Self {
        let field = format!("{path}.prometheus.tls.certificateRef");
        Self::certificate(field, Place::ScrapeCertificate, secret)
    }

    pub(super) fn scraper_ca(path: &str, ca: &CaRef) -> Self {
        Self::authorities(format!("{path}.prometheus.tls.clientCARef"), Place::ScraperCa, ca)
    }

    fn authorities(field: String, place: Place, ca: &CaRef) -> Self {
        let CaRef { kind, name, key } = ca;
        let kind = match kind {
            CaRefKind::ConfigMap => DataKind::ConfigMap,
            CaRefKind::Secret => DataKind::Secret,
        };
        let object = DataObject { kind, name: name.clone() };
        Self { field, place, object, keys: BTreeSet::from([key.clone()]) }
    }

    fn certificate(field: String, place: Place, secret: &TlsSecretRef) -> Self {
        let TlsSecretRef { name } = secret;
        let keys = [CERTIFICATE, PRIVATE_KEY].map(str::to_owned);
        Self { field, place, object: DataObject::secret(name), keys: keys.into() }
    }
}

// === impl Place ===

impl Place {
    /// Every field of the schema that holds a reference.
    pub const ALL: [Self; 5] = [
        Self::HeaderValue,
        Self::ReceiverCa,
        Self::ClientCertificate,
        Self::ScrapeCertificate,
        Self::ScraperCa,
    ];

    /// The path of the field in the schema; `[]` stands for each entry of a list.
    pub fn path(self) -> &'static str {
        match self {
            Self::HeaderValue => "spec.exporters[].otlp.headers[].valueFrom.secretKeyRef",
            Self::ReceiverCa => "spec.exporters[].otlp.tls.caRef",
            Self::ClientCertificate => "spec.exporters[].otlp.tls.clientCertificateRef",
            Self::ScrapeCertificate => "spec.exporters[].prometheus.tls.certificateRef",
            Self::ScraperCa => "spec.exporters[].prometheus.tls.clientCARef",
        }
    }

    /// The field of the reference that says which kind it names; without one it is a Secret.
    pub fn kind_field(self) -> Option<&'static str> {
        match self {
            Self::ReceiverCa | Self::ScraperCa => Some("kind"),
            Self::HeaderValue | Self::ClientCertificate | Self::ScrapeCertificate => None,
        }
    }
}
