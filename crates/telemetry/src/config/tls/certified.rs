//! A certificate with its private key.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use rustls::sign::{self, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{Material, MaterialError, PROVIDER, pem};

/// A certificate with the chain that it was issued by, and its private key.
#[derive(Clone)]
pub struct CertifiedKey {
    certified: Arc<sign::CertifiedKey>,
    kind: KeyKind,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// The kind of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum KeyKind {
    /// RSA.
    #[serde(rename = "RSA")]
    Rsa,
    /// ECDSA on a curve of NIST.
    #[serde(rename = "ECDSA")]
    Ecdsa,
    /// Ed25519.
    Ed25519,
    /// Of a kind that came after these.
    Other,
}

// === impl CertifiedKey ===

impl CertifiedKey {
    /// Parses a certificate (first) with its chain (after it, if any) and the key of the
    /// certificate.
    ///
    /// # Errors
    /// What is wrong with which of both, or that they do not belong together.
    pub fn parse(
        certificate_pem: &[u8],
        key_pem: &[u8],
        now: SystemTime,
    ) -> Result<Self, MaterialError> {
        let material = Material::Certificate;
        let now = pem::moment(now);
        let chain = pem::certificates(certificate_pem, material)?;
        if let Some(leaf) = chain.first() {
            let (not_before, not_after) = (leaf.not_before, leaf.not_after);
            if leaf.is_expired_at(now) {
                return Err(MaterialError::Expired { material, not_after });
            }
            if !leaf.is_valid_at(now) {
                return Err(MaterialError::NotYetValid { material, not_before });
            }
        }
        let key = pem::private_key(key_pem)?;
        let key = PROVIDER
            .key_provider
            .load_private_key(key)
            .map_err(|_| MaterialError::UnsupportedKey)?;
        let kind = KeyKind::of(key.algorithm());
        let not_before = chain.first().map(|certificate| certificate.not_before);
        // What expired of a chain is no use any more, and not what is to be renewed.
        let unexpired = chain.iter().filter(|certificate| !certificate.is_expired_at(now));
        let not_after = unexpired.map(|certificate| certificate.not_after).min();
        let chain = chain.into_iter().map(|certificate| certificate.der).collect();
        let certified = sign::CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => MaterialError::KeyMismatch,
            Error::InconsistentKeys(_) => MaterialError::UnsupportedKey,
            _ => MaterialError::NotACertificate { material, index: 0 },
        })?;
        let not_before = not_before.unwrap_or(Timestamp::MIN);
        let not_after = not_after.unwrap_or(Timestamp::MAX);
        Ok(Self { certified: Arc::new(certified), kind, not_before, not_after })
    }

    /// When the certificate became valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the first of the certificate and its chain expires that had not when they were parsed.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// The kind of the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// This as what either side of a connection shows.
    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(Arc::clone(&self.certified)))
    }
}

impl PartialEq for CertifiedKey {
    fn eq(&self, other: &Self) -> bool {
        // A key that matches the first certificate is that key, in whatever encoding it came.
        self.certified.cert == other.certified.cert
    }
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut certified = formatter.debug_struct("CertifiedKey");
        certified.field("certificates", &self.certified.cert.len());
        certified.field("key", &self.kind);
        certified.field("not_after", &self.not_after).finish()
    }
}

impl Serialize for CertifiedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut certified = serializer.serialize_struct("CertifiedKey", 3)?;
        certified.serialize_field("certificates", &self.certified.cert.len())?;
        certified.serialize_field("key", &self.kind)?;
        certified.serialize_field("notAfter", &self.not_after)?;
        certified.end()
    }
}

// === impl KeyKind ===

impl KeyKind {
    fn of(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::RSA => Self::Rsa,
            SignatureAlgorithm::ECDSA => Self::Ecdsa,
            SignatureAlgorithm::ED25519 => Self::Ed25519,
            _ => Self::Other,
        }
    }
}
