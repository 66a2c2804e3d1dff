//! Authorities, and certificates that they issue, for one test.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::time::SystemTime;

use pharos_telemetry::config::{CaBundle, CertifiedKey, ClientTls, Roots, ServerName};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    SignatureAlgorithm,
};

/// The name that every server's certificate is valid for.
pub(crate) const NAME: &str = "pharos.test";

/// Issues certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate, and those between it and the root.
    chain: String,
}

/// A certificate with its chain, and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

// === impl Authority ===

impl Authority {
    /// A root.
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = authority(name);
        let chain = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), chain }
    }

    /// An authority that this one vouches for.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = authority(name);
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), chain }
    }

    /// A certificate for servers and clients alike, without its chain.
    pub(crate) fn issue(&self) -> Issued {
        self.issue_for(&PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn issue_for(&self, algorithm: &'static SignatureAlgorithm) -> Issued {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// A certificate for other names than [`NAME`], or addresses, and with what `change` makes of it.
    pub(crate) fn issue_to(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// A certificate with this authority's own behind it.
    pub(crate) fn issue_chain(&self) -> Issued {
        let Issued { certificate, key } = self.issue();
        Issued { certificate: format!("{certificate}{}", self.chain), key }
    }

    pub(crate) fn pem(&self) -> &str {
        &self.chain
    }

    pub(crate) fn bundle(&self) -> CaBundle {
        bundle(&[self])
    }

    /// What a client needs that trusts this authority.
    pub(crate) fn trusted(&self) -> ClientTls {
        trusting(&[self])
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params, KeyPair::generate().unwrap())
}

/// Several authorities, as while one replaces another.
pub(crate) fn bundle(authorities: &[&Authority]) -> CaBundle {
    let pem: String = authorities.iter().map(|authority| authority.pem()).collect();
    CaBundle::parse(pem.as_bytes(), SystemTime::now()).unwrap()
}

/// What a client needs that trusts these authorities.
pub(crate) fn trusting(authorities: &[&Authority]) -> ClientTls {
    ClientTls {
        roots: Roots::Bundle(bundle(authorities)),
        client_certificate: None,
        server_name: Some(ServerName::parse(NAME).unwrap()),
    }
}

// === impl Issued ===

impl Issued {
    pub(crate) fn certified(&self) -> CertifiedKey {
        self.certified_at(SystemTime::now())
    }

    /// This, parsed at another time: it may have expired since.
    pub(crate) fn certified_at(&self, now: SystemTime) -> CertifiedKey {
        let (certificate, key) = (self.certificate.as_bytes(), self.key.as_bytes());
        CertifiedKey::parse(certificate, key, now).unwrap()
    }
}
