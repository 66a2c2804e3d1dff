//! Reading PEM within bounds, and the time in which a certificate is valid.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Material, MaterialError};

/// Of one PEM text. A Secret or ConfigMap cannot hold more.
pub(super) const SIZE_LIMIT: usize = 1024 * 1024;
/// Operating systems trust some 150 authorities.
pub(super) const BUNDLE_LIMIT: usize = 512;
/// rustls follows fewer.
pub(super) const CHAIN_LIMIT: usize = 16;

/// What openssl writes into the head of an encrypted key in its old format, and into the label of
/// one in PKCS#8.
const ENCRYPTED: [&[u8]; 2] = [b"Proc-Type: 4,ENCRYPTED", b"-----BEGIN ENCRYPTED PRIVATE KEY"];

/// A certificate that parses, and when it is valid.
pub(super) struct Certificate {
    pub(super) der: CertificateDer<'static>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

/// Every certificate in `pem`, one at least; blocks of other kinds and text around are read over.
pub(super) fn certificates(
    pem: &[u8],
    material: Material,
) -> Result<Vec<Certificate>, MaterialError> {
    let mut certificates = Vec::new();
    let mut others = false;
    for section in sections(pem, material)? {
        match section? {
            (SectionKind::Certificate, _) if certificates.len() == material.limit() => {
                return Err(MaterialError::TooMany { material, limit: material.limit() });
            }
            (SectionKind::Certificate, der) => {
                let index = certificates.len();
                let certificate = Certificate::parse(der);
                certificates
                    .push(certificate.ok_or(MaterialError::NotACertificate { material, index })?);
            }
            _ => others = true,
        }
    }
    if certificates.is_empty() {
        return Err(if others {
            MaterialError::OtherBlocks(material)
        } else {
            none(pem, material)
        });
    }
    Ok(certificates)
}

/// The only private key in `pem`; blocks of other kinds and text around are read over.
pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, MaterialError> {
    let material = Material::PrivateKey;
    let sections = sections(pem, material)?;
    if ENCRYPTED.iter().any(|mark| pem.windows(mark.len()).any(|window| window == *mark)) {
        return Err(MaterialError::EncryptedKey);
    }
    let mut found = None;
    let mut others = false;
    for section in sections {
        let (kind, der) = section?;
        match PrivateKeyDer::from_pem(kind, der) {
            Some(_) if found.is_some() => return Err(MaterialError::SeveralKeys),
            Some(key) => found = Some(key),
            None => others = true,
        }
    }
    let missing =
        || if others { MaterialError::OtherBlocks(material) } else { none(pem, material) };
    found.ok_or_else(missing)
}

type Section = (SectionKind, Vec<u8>);

/// The blocks of `pem`. What a parser has to say about a broken one may quote it, and is dropped.
fn sections(
    pem: &[u8],
    material: Material,
) -> Result<impl Iterator<Item = Result<Section, MaterialError>> + '_, MaterialError> {
    if pem.len() > SIZE_LIMIT {
        return Err(MaterialError::TooLarge(material));
    }
    if pem.trim_ascii().is_empty() {
        return Err(MaterialError::Empty(material));
    }
    let sections = Section::pem_slice_iter(pem);
    Ok(sections.map(move |section| section.map_err(|_| MaterialError::NotPem(material))))
}

/// Why there is no block in `pem` that the parser knows.
fn none(pem: &[u8], material: Material) -> MaterialError {
    let begin = b"-----BEGIN ";
    if pem.windows(begin.len()).any(|window| window == begin) {
        return MaterialError::OtherBlocks(material);
    }
    MaterialError::NotPem(material)
}

// === impl Certificate ===

impl Certificate {
    fn parse(der: Vec<u8>) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let validity = certificate.validity();
        let not_before = timestamp(validity.not_before.timestamp());
        let not_after = timestamp(validity.not_after.timestamp());
        Some(Self { not_before, not_after, der: der.into() })
    }

    pub(super) fn is_expired_at(&self, now: Timestamp) -> bool {
        self.not_after < now
    }

    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && !self.is_expired_at(now)
    }
}

/// X.509 says "never" with the last second of the year 9999, which is more than jiff has.
fn timestamp(seconds: i64) -> Timestamp {
    let limit = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(seconds).unwrap_or(limit)
}

/// `now` in whole seconds, as certificates tell time.
pub(super) fn moment(now: SystemTime) -> Timestamp {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    timestamp(i64::try_from(seconds).unwrap_or(i64::MAX))
}
