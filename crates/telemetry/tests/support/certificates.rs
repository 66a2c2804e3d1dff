//! Certificates for tests: an authority, and what it issues.

use std::time::SystemTime;

use pharos_telemetry::config::{CaBundle, CertifiedKey, ClientTls, Roots, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SignatureAlgorithm, date_time_ymd,
};
use uuid::Uuid;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

// === impl Authority ===

impl Authority {
    /// One with a name and a key of its own.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, Uuid::new_v4().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn bundle(&self) -> CaBundle {
        CaBundle::parse(self.pem().as_bytes(), SystemTime::now()).unwrap()
    }

    /// A certificate that is valid for `names`, which may be addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_as(names, &PKCS_ECDSA_P256_SHA256, |_| {})
    }

    /// One that has been of no use for a year.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Pair {
        self.issue_as(names, &PKCS_ECDSA_P256_SHA256, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        })
    }

    pub(crate) fn issue_as(
        &self,
        names: &[&str],
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// What clients trust that trust this authority alone, and show no certificate.
    pub(crate) fn trusted(&self) -> ClientTls {
        ClientTls { roots: Roots::Bundle(self.bundle()), ..ClientTls::default() }
    }

    /// A server on this host that demands no certificate.
    pub(crate) fn server(&self) -> rustls::ServerConfig {
        self.issue(&["127.0.0.1", "localhost"]).server(None)
    }
}

// === impl Pair ===

impl Pair {
    pub(crate) fn certified(&self) -> CertifiedKey {
        self.certified_at(SystemTime::now())
    }

    fn certified_at(&self, now: SystemTime) -> CertifiedKey {
        let (certificate, key) = (self.certificate.as_bytes(), self.key.as_bytes());
        CertifiedKey::parse(certificate, key, now).unwrap()
    }

    /// A server that nobody looked after.
    pub(crate) fn expired_server(&self) -> rustls::ServerConfig {
        let certificate = self.certified_at(date_time_ymd(2020, 7, 1).into());
        ServerTls { certificate, client_ca: None }.server_config().unwrap()
    }

    /// A server that shows this, and demands certificates of `client_ca`.
    pub(crate) fn server(&self, client_ca: Option<&Authority>) -> rustls::ServerConfig {
        let client_ca = client_ca.map(Authority::bundle);
        ServerTls { certificate: self.certified(), client_ca }.server_config().unwrap()
    }
}
