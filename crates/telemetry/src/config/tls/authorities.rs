//! Certificates of authorities.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::pem::{self, Certificate};
use super::{Material, MaterialError};

/// Certificates of authorities: one at least, each of them parsed, one of them valid.
#[derive(Clone)]
pub struct CaBundle {
    certificates: Arc<[CertificateDer<'static>]>,
    /// rustls takes a root's word for everything but its key, its expiry included.
    unexpired: Arc<RootCertStore>,
    not_after: Timestamp,
}

// === impl CaBundle ===

impl CaBundle {
    /// Parses every certificate in `pem`. Expired ones are not trusted, and are no error while
    /// another one is valid: authorities are replaced by listing both for a while.
    ///
    /// # Errors
    /// If something in it is not a certificate, or no authority is valid at `now`.
    pub fn parse(pem: &[u8], now: SystemTime) -> Result<Self, MaterialError> {
        let material = Material::Authorities;
        let now = pem::moment(now);
        let certificates = pem::certificates(pem, material)?;
        let mut unexpired = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let mut store = RootCertStore::empty();
            let store = if certificate.is_expired_at(now) { &mut store } else { &mut unexpired };
            store
                .add(certificate.der.clone())
                .map_err(|_| MaterialError::NotACertificate { material, index })?;
        }
        if !certificates.iter().any(|certificate| certificate.is_valid_at(now)) {
            return Err(none_is_valid(&certificates, now));
        }
        let current = certificates.iter().filter(|certificate| !certificate.is_expired_at(now));
        let not_after = current.map(|certificate| certificate.not_after).min();
        Ok(Self {
            not_after: not_after.unwrap_or(Timestamp::MAX),
            unexpired: Arc::new(unexpired),
            certificates: certificates.into_iter().map(|certificate| certificate.der).collect(),
        })
    }

    /// When the first of them expires that had not when they were parsed.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.unexpired)
    }
}

fn none_is_valid(certificates: &[Certificate], now: Timestamp) -> MaterialError {
    let material = Material::Authorities;
    let coming = certificates.iter().filter(|certificate| !certificate.is_expired_at(now));
    match coming.map(|certificate| certificate.not_before).min() {
        Some(not_before) => MaterialError::NotYetValid { material, not_before },
        None => {
            let ends = certificates.iter().map(|certificate| certificate.not_after);
            let not_after = ends.max().unwrap_or(Timestamp::MIN);
            MaterialError::Expired { material, not_after }
        }
    }
}

impl PartialEq for CaBundle {
    fn eq(&self, other: &Self) -> bool {
        // The rest follows from these, and from when somebody looked.
        self.certificates == other.certificates
    }
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bundle = formatter.debug_struct("CaBundle");
        bundle.field("certificates", &self.certificates.len());
        bundle.field("not_after", &self.not_after).finish()
    }
}

impl Serialize for CaBundle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bundle = serializer.serialize_struct("CaBundle", 2)?;
        bundle.serialize_field("certificates", &self.certificates.len())?;
        bundle.serialize_field("notAfter", &self.not_after)?;
        bundle.end()
    }
}
