//! The webhook's own CA and serving certificate: made by [`issue`], parsed and checked by
//! [`Material::parse`].
//!
//! A CA signs exactly one serving certificate and its key is dropped at once, so that nobody, not
//! even Pharos, can sign another; a renewal makes both anew. To renew without an interruption the
//! new CA is published together with its predecessor (see [`CaBundle`]). Whoever holds a
//! [`Material`] need not check it again, except that time passes. No I/O here, and no clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_LIFE: Duration = DAY.saturating_mul(3650);
const CERTIFICATE_LIFE: Duration = DAY.saturating_mul(365);
/// How long before its end a certificate is renewed.
const RENEW_BEFORE: Duration = DAY.saturating_mul(60);
/// How far the clock of an API server may lag behind ours.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// PEM as a Secret holds it, not looked at yet.
#[derive(Clone, Copy)]
pub(crate) struct Encoded<'a> {
    pub(crate) ca: &'a [u8],
    pub(crate) certificate: &'a [u8],
    pub(crate) key: &'a [u8],
}

/// A CA bundle, a certificate that it signed, and the certificate's key, as PEM.
pub(crate) struct Issued {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The CAs that vouch for us: what `caBundle` publishes. Never empty, and only CAs in their time.
#[derive(Clone)]
pub(crate) struct CaBundle {
    pem: Vec<u8>,
    certificates: Vec<CertificateDer<'static>>,
    roots: RootCertStore,
}

/// A serving certificate with its key, signed by the bundle beside it, in its time.
pub(crate) struct Material {
    bundle: CaBundle,
    certified: Arc<CertifiedKey>,
}

/// Why PEM is no [`Material`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("it has no certificate of a CA that is in its time")]
    NoCa,
    #[error("it has no serving certificate")]
    NoCertificate,
    #[error("it has no private key that we can use")]
    NoKey,
    #[error("its private key does not belong to its certificate")]
    KeyMismatch,
    #[error("its certificate is not signed by its CA, or not in its time")]
    Unverified,
}

// === impl CaBundle ===

impl PartialEq for CaBundle {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaBundle").field("certificates", &self.certificates.len()).finish()
    }
}

impl CaBundle {
    /// Takes from PEM what a client would trust at `now`.
    pub(crate) fn parse(pem: &[u8], now: UnixTime) -> Result<Self, Flaw> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .filter_map(Result::ok)
            .filter(|certificate| is_ca_at(certificate, now))
            .collect();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        if roots.is_empty() {
            return Err(Flaw::NoCa);
        }
        Ok(Self { pem: encoded(&certificates).into_bytes(), certificates, roots })
    }

    /// What `caBundle` carries: these certificates, and nothing else that was found beside them.
    pub(crate) fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// Whether a client that trusts this bundle accepts `material` at `now`.
    pub(crate) fn trusts(&self, material: &Material, now: UnixTime) -> bool {
        chains_to(&material.certified.cert, &self.roots, now)
    }
}

// === impl Material ===

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("bundle", &self.bundle)
            .field("names", &self.server_names())
            .field("key", &"[redacted]")
            .finish()
    }
}

impl Material {
    /// Checks everything that a client of the webhook would check at `now`, except the name.
    pub(crate) fn parse(
        encoded: Encoded<'_>,
        now: UnixTime,
        provider: &CryptoProvider,
    ) -> Result<Self, Flaw> {
        let bundle = CaBundle::parse(encoded.ca, now)?;
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(encoded.certificate).filter_map(Result::ok).collect();
        if chain.is_empty() {
            return Err(Flaw::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(encoded.key).map_err(|_| Flaw::NoKey)?;
        let signing = provider.key_provider.load_private_key(key).map_err(|_| Flaw::NoKey)?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|_| Flaw::KeyMismatch)?;
        if !chains_to(&certified.cert, &bundle.roots, now) {
            return Err(Flaw::Unverified);
        }
        Ok(Self { bundle, certified: Arc::new(certified) })
    }

    /// The CAs to publish for it.
    pub(crate) fn bundle(&self) -> &CaBundle {
        &self.bundle
    }

    /// What a TLS server presents.
    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// Whether both are the same bundle, certificate and, with them, key.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.bundle == other.bundle && self.certified.cert == other.certified.cert
    }

    /// Whether a client may call it by every one of `names`.
    pub(crate) fn covers(&self, names: &[ServerName<'_>]) -> bool {
        let Some(leaf) = self.certified.cert.first() else {
            return false;
        };
        ParsedCertificate::try_from(leaf)
            .is_ok_and(|leaf| names.iter().all(|name| verify_server_name(&leaf, name).is_ok()))
    }

    /// Whether its end is near.
    pub(crate) fn expires_soon(&self, now: UnixTime) -> bool {
        let later = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + RENEW_BEFORE);
        CaBundle::parse(&self.bundle.pem, later).map_or(true, |bundle| !bundle.trusts(self, later))
    }

    /// The names by which it may be called.
    fn server_names(&self) -> Vec<ServerName<'static>> {
        let parsed = self.certified.cert.first().map(|leaf| X509Certificate::from_der(leaf));
        let Some(Ok((_, leaf))) = parsed else {
            return Vec::new();
        };
        let Ok(Some(names)) = leaf.subject_alternative_name() else {
            return Vec::new();
        };
        names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => ServerName::try_from((*name).to_owned()).ok(),
                GeneralName::IPAddress(bytes) => address(bytes).map(ServerName::from),
                _ => None,
            })
            .collect()
    }

    /// The CA of its bundle that signed it.
    fn issuer(&self, now: UnixTime) -> Option<&CertificateDer<'static>> {
        self.bundle.certificates.iter().find(|ca| {
            let mut roots = RootCertStore::empty();
            roots.add((*ca).clone()).is_ok() && chains_to(&self.certified.cert, &roots, now)
        })
    }
}

fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(v4.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(Into::into)
}

/// rustls takes a root's word for everything but its key; Go, which API servers verify with, does
/// not.
fn is_ca_at(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let now = i64::try_from(now.as_secs()).ok().and_then(|now| ASN1Time::from_timestamp(now).ok());
    let (Some(now), Ok((_, certificate))) = (now, X509Certificate::from_der(certificate)) else {
        return false;
    };
    certificate.is_ca() && certificate.validity().is_valid_at(now)
}

fn encoded<'a>(certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let encode = |certificate: &CertificateDer<'_>| {
        pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.as_ref()), config)
    };
    certificates.into_iter().map(encode).collect()
}

fn chains_to(chain: &[CertificateDer<'_>], roots: &RootCertStore, now: UnixTime) -> bool {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return false;
    };
    let algorithms =
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
    ParsedCertificate::try_from(leaf).is_ok_and(|leaf| {
        verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, now, algorithms.all)
            .is_ok()
    })
}

// === issue ===

/// Makes a CA and a certificate signed by it for `names`.
///
/// With a `predecessor`, its CA stays in the bundle, so that a process that serves it is trusted
/// until it has seen the new one, and its names stay covered, so that processes started with
/// different names (a rollout that changes them) do not replace each other's certificate for ever.
pub(crate) fn issue(
    names: &[ServerName<'_>],
    predecessor: Option<&Material>,
    now: UnixTime,
) -> Result<Issued, rcgen::Error> {
    let mut names: Vec<_> = names.iter().map(ServerName::to_owned).collect();
    for name in predecessor.map(Material::server_names).unwrap_or_default() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // Two CAs of one bundle must differ in more than their keys to be told apart at a glance.
    let mut ca_params = lasting(CA_LIFE, now, &format!("Pharos webhook CA {}", now.as_secs()));
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let ca = ca_params.self_signed(&ca_key)?;

    let names: Vec<_> = names.iter().map(|name| name.to_str().into_owned()).collect();
    let mut leaf_params = lasting(CERTIFICATE_LIFE, now, "Pharos webhook");
    leaf_params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
    leaf_params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf_params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf_params.use_authority_key_identifier_extension = true;
    let leaf_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let leaf = leaf_params.signed_by(&leaf_key, &Issuer::new(ca_params, ca_key))?;

    let issuer = predecessor.and_then(|predecessor| predecessor.issuer(now));
    let bundle = encoded([ca.der()].into_iter().chain(issuer));
    Ok(Issued { ca: bundle, certificate: leaf.pem(), key: leaf_key.serialize_pem() })
}

fn lasting(life: Duration, now: UnixTime, common_name: &str) -> CertificateParams {
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs());
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = now - BACKDATED;
    params.not_after = now + life;
    params
}

#[cfg(test)]
mod tests;
