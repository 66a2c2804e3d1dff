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
    /// Those that had not expired when they were parsed: rustls takes a root's word for everything
    /// but its key, its expiry included.
    trusted: Arc<[CertificateDer<'static>]>,
    store: Arc<RootCertStore>,
    not_after: Timestamp,
    trusted_until: Timestamp,
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
        let mut trusted = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let mut expired = RootCertStore::empty();
            let store = if certificate.is_expired_at(now) { &mut expired } else { &mut trusted };
            store
                .add(certificate.der.clone())
                .map_err(|_| MaterialError::NotACertificate { material, index })?;
        }
        if !certificates.iter().any(|certificate| certificate.is_valid_at(now)) {
            return Err(none_is_valid(&certificates, now));
        }
        let unexpired = || certificates.iter().filter(|it| !it.is_expired_at(now));
        let ends = || unexpired().map(|certificate| certificate.not_after);
        Ok(Self {
            not_after: ends().min().unwrap_or(Timestamp::MAX),
            trusted_until: ends().max().unwrap_or(Timestamp::MAX),
            trusted: unexpired().map(|certificate| certificate.der.clone()).collect(),
            store: Arc::new(trusted),
        })
    }

    /// When the first of them expires that had not when they were parsed.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// When the last of them expires: nobody is trusted from then on.
    pub fn trusted_until(&self) -> Timestamp {
        self.trusted_until
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
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
        // The rest follows from these. What expired is no part of it, so that a bundle of which one
        // expired meanwhile is another one.
        self.trusted == other.trusted
    }
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bundle = formatter.debug_struct("CaBundle");
        bundle.field("certificates", &self.trusted.len());
        bundle.field("not_after", &self.not_after).finish()
    }
}

impl Serialize for CaBundle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bundle = serializer.serialize_struct("CaBundle", 2)?;
        bundle.serialize_field("certificates", &self.trusted.len())?;
        bundle.serialize_field("notAfter", &self.not_after)?;
        bundle.end()
    }
}
