//! From what was read of Secrets and ConfigMaps to header values, authorities and certificates.
//!
//! Everything here names the field, the object, the key and the remedy, and never a byte of what
//! was read.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use pharos_cluster::references::{
    Content, DataKind, DataObject, Found, KeyReading, Reading, References,
};
use pharos_telemetry::config::{CaBundle, CertifiedKey, Header, HeaderError, MaterialError};

use super::problem::{Findings, ReferenceProblem};
use super::reference::{CERTIFICATE, PRIVATE_KEY, Reference};
use crate::report::CertificateReport;

/// How long before its end a certificate is said to expire soon, at most.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// A shorter-lived one is when this part of its life is left. cert-manager renews at a third:
/// what gets here was not renewed when it should have been.
const SOON_PART: i32 = 5;

/// The certificates, and when they expire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// When the first of them does.
    pub next: Option<Timestamp>,
    /// Which ones do soon, each as a sentence with its field path.
    pub soon: Vec<String>,
    /// Those with keys, in order, each once.
    pub certificates: Vec<CertificateReport>,
}

/// Reads what a spec refers to.
pub(super) struct Reader<'a> {
    references: &'a References,
    remembered: &'a BTreeSet<&'a DataObject>,
    now: Timestamp,
    pub(super) expiry: Expiry,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub(super) fn new(
        references: &'a References,
        remembered: &'a BTreeSet<&'a DataObject>,
        now: Timestamp,
    ) -> Self {
        Self { references, remembered, now, expiry: Expiry::default() }
    }

    /// What `parse` makes of material at this moment; of what is remembered, while it was valid.
    fn parse<T>(
        &self,
        reference: &Reference,
        parse: impl Fn(SystemTime) -> Result<T, MaterialError>,
    ) -> Result<T, MaterialError> {
        match parse(self.now.into()) {
            Err(MaterialError::Expired { not_after, .. })
                if self.remembered.contains(&reference.object) =>
            {
                parse(SystemTime::from(not_after) - Duration::from_secs(1))
            }
            judged => judged,
        }
    }

    /// The header `name` with the value that `reference` refers to.
    pub(super) fn header(
        &self,
        name: &str,
        reference: &Reference,
        findings: &mut Findings,
    ) -> Option<Header> {
        let content =
            value(self.found(reference, findings)?, only(reference), reference, findings)?;
        let value = str::from_utf8(without_newline(content.expose()));
        match value.map_err(|_| HeaderError::Value).and_then(|value| Header::parse(name, value)) {
            Ok(header) => Some(header),
            Err(HeaderError::Value) => {
                let message = format!(
                    "the value of key {:?} of {} must be printable ASCII on one line",
                    only(reference),
                    reference.object
                );
                let problem = ReferenceProblem::InvalidHeaderValue;
                findings.reference(&reference.field, problem, &reference.object, message);
                None
            }
            // Said of the name already, whatever the value.
            Err(HeaderError::Name | HeaderError::Reserved) => None,
        }
    }

    /// The authorities that `reference` refers to.
    pub(super) fn authorities(
        &mut self,
        reference: &Reference,
        findings: &mut Findings,
    ) -> Option<CaBundle> {
        let content =
            value(self.found(reference, findings)?, only(reference), reference, findings)?;
        let parsed = self.parse(reference, |at| CaBundle::parse(content.expose(), at));
        let bundle = usable(parsed, reference, findings)?;
        // While authorities overlap, the end of one of them is how it should be.
        self.expires(reference, bundle.not_after(), bundle.trusted_until(), SOON);
        Some(bundle)
    }

    /// The certificate with its key that `reference` refers to.
    pub(super) fn certificate(
        &mut self,
        reference: &Reference,
        findings: &mut Findings,
    ) -> Option<CertifiedKey> {
        let found = self.found(reference, findings)?;
        let certificate = value(found, CERTIFICATE, reference, findings);
        let key = value(found, PRIVATE_KEY, reference, findings);
        let (certificate, key) = (certificate?.expose(), key?.expose());
        let parsed = self.parse(reference, |at| CertifiedKey::parse(certificate, key, at));
        let certified = usable(parsed, reference, findings)?;
        let not_after = certified.not_after();
        let lifetime = not_after.duration_since(certified.not_before());
        self.expires(reference, not_after, not_after, SOON.min(lifetime / SOON_PART));
        let (secret, version) = (reference.object.name.clone(), found.content_version().to_owned());
        let report = CertificateReport { secret, version, not_after };
        if let Err(place) = self.expiry.certificates.binary_search(&report) {
            self.expiry.certificates.insert(place, report);
        }
        Some(certified)
    }

    /// Notes that the first of some certificates expires then, and the last one `until` then.
    fn expires(
        &mut self,
        reference: &Reference,
        not_after: Timestamp,
        until: Timestamp,
        soon: SignedDuration,
    ) {
        let next = self.expiry.next.map_or(not_after, |next| next.min(not_after));
        self.expiry.next = Some(next);
        if until.duration_since(self.now) <= soon {
            let Reference { field, object, .. } = reference;
            self.expiry.soon.push(format!(
                "{field}: a certificate in {object} expires soon and was not renewed; \
                 see status.nextCertificateExpiryTime"
            ));
        }
    }

    /// The object that a reference names, or why there is nothing to read in it.
    fn found(&self, reference: &Reference, findings: &mut Findings) -> Option<&'a Found> {
        let Reference { field, object, .. } = reference;
        let (problem, message) = match self.references.of(object) {
            Reading::Found(found) => return Some(found),
            Reading::NotRead => {
                (ReferenceProblem::Pending, format!("{object} has not been read yet"))
            }
            Reading::Missing => {
                let problem = match object.kind {
                    DataKind::Secret => ReferenceProblem::SecretNotFound,
                    DataKind::ConfigMap => ReferenceProblem::ConfigMapNotFound,
                };
                (problem, format!("create {object} in the same namespace: there is none"))
            }
            Reading::Forbidden => {
                let message = format!(
                    "Pharos may not read {object}; add it to `{}` in the values of the Helm chart, or \
                     add this rule to a Role of its ServiceAccount: {}",
                    chart_value(object.kind),
                    object.rule()
                );
                (ReferenceProblem::NotPermitted, message)
            }
        };
        findings.reference(field, problem, object, message);
        None
    }
}

/// Where the chart lists what Pharos may read.
fn chart_value(kind: DataKind) -> &'static str {
    match kind {
        DataKind::Secret => "telemetry.secretNames",
        DataKind::ConfigMap => "telemetry.configMapNames",
    }
}

fn value<'a>(
    found: &'a Found,
    key: &str,
    reference: &Reference,
    findings: &mut Findings,
) -> Option<&'a Content> {
    let Reference { field, object, .. } = reference;
    let (problem, message) = match found.key(key) {
        KeyReading::Value(content) => return Some(content),
        KeyReading::NotRead => {
            (ReferenceProblem::Pending, format!("key {key:?} of {object} has not been read yet"))
        }
        KeyReading::Missing => {
            let problem = match object.kind {
                DataKind::Secret => ReferenceProblem::SecretKeyMissing,
                DataKind::ConfigMap => ReferenceProblem::ConfigMapNotFound,
            };
            (problem, format!("add the key {key:?} to {object}: it has none"))
        }
    };
    findings.reference(field, problem, object, message);
    None
}

fn usable<T>(
    parsed: Result<T, MaterialError>,
    reference: &Reference,
    findings: &mut Findings,
) -> Option<T> {
    let error = match parsed {
        Ok(material) => return Some(material),
        Err(error) => error,
    };
    let problem = match error {
        MaterialError::Expired { .. } => ReferenceProblem::CertificateExpired,
        MaterialError::KeyMismatch => ReferenceProblem::KeyPairMismatch,
        _ => ReferenceProblem::InvalidCertificate,
    };
    let Reference { field, object, keys, .. } = reference;
    let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
    let message = format!("{object}, {}: {error}", keys.join(" and "));
    findings.reference(field, problem, object, message);
    None
}

/// The key of a reference that has one.
fn only(reference: &Reference) -> &str {
    reference.keys.first().map_or("", String::as_str)
}

/// Tools that make Secrets of files or of standard input leave a newline at the end.
fn without_newline(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    value.strip_suffix(b"\r").unwrap_or(value)
}
