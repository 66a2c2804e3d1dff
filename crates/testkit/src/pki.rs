//! Certificates for tests: authorities, servers and clients, with every kind of key.
//!
//! Owns making them; where they are put is the test's affair. Enter at [`Authority::new`], and at
//! [`Leaf`] for a certificate that is out of the ordinary. Everything is PEM. A certificate is
//! followed by those of the intermediates above it, as a server has to send them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

mod keys;
mod leaf;

pub use keys::{Algorithm, Encoding};
pub use leaf::Leaf;

/// The names of a server of this machine.
pub const LOOPBACK: [&str; 2] = ["127.0.0.1", "localhost"];

/// Who signs: a root, or an intermediate under one.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What a peer that trusts the root alone has to be sent: nothing for a root itself.
    intermediates_pem: String,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The certificate and the intermediates above it.
    pub certificate_pem: String,
    /// The private key.
    pub key_pem: String,
}

/// Where a [`Pair`] was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairFiles {
    /// The certificate and the intermediates above it.
    pub certificate: PathBuf,
    /// The private key, readable by its owner only.
    pub key: PathBuf,
}

// === impl Authority ===

impl Authority {
    /// A root with an ECDSA key. The name is its common name.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        Self::with(name, Algorithm::EcdsaP256)
    }

    /// A root with such a key.
    pub fn with(name: &str, algorithm: Algorithm) -> anyhow::Result<Self> {
        let issuer = CertifiedIssuer::self_signed(parameters(name), algorithm.generate()?)
            .with_context(|| format!("cannot make the authority {name}"))?;
        Ok(Self { issuer, intermediates_pem: String::new() })
    }

    /// An authority that this one vouches for.
    pub fn intermediate(&self, name: &str) -> anyhow::Result<Self> {
        let key = Algorithm::EcdsaP256.generate()?;
        let issuer = CertifiedIssuer::signed_by(parameters(name), key, &self.issuer)
            .with_context(|| format!("cannot make the authority {name}"))?;
        let intermediates_pem = issuer.pem() + &self.intermediates_pem;
        Ok(Self { issuer, intermediates_pem })
    }

    /// A certificate for a server of these names and addresses, such as [`LOOPBACK`].
    pub fn server(&self, names: &[&str]) -> anyhow::Result<Pair> {
        self.issue(&Leaf::server(names))
    }

    /// A certificate for a client; the name is its common name.
    pub fn client(&self, name: &str) -> anyhow::Result<Pair> {
        self.issue(&Leaf::client(name))
    }

    /// Such a certificate.
    pub fn issue(&self, leaf: &Leaf) -> anyhow::Result<Pair> {
        let key = leaf.algorithm.generate()?;
        let certificate = leaf
            .parameters()
            .and_then(|parameters| parameters.signed_by(&key, &self.issuer))
            .with_context(|| format!("cannot issue {leaf:?}"))?;
        Ok(Pair {
            certificate_pem: certificate.pem() + &self.intermediates_pem,
            key_pem: leaf.algorithm.encode(&key, leaf.encoding)?,
        })
    }

    /// Its own certificate: for a root, what peers have to trust.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes its own certificate to `NAME.crt`.
    pub fn write(&self, dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
        let path = dir.join(name).with_added_extension("crt");
        write_private(&path, &self.pem())?;
        Ok(path)
    }
}

// === impl Pair ===

impl Pair {
    /// The certificate as peers see it.
    pub fn der(&self) -> anyhow::Result<Vec<u8>> {
        Ok(pem::parse(&self.certificate_pem)?.into_contents())
    }

    /// Writes `NAME.crt` and `NAME.key`.
    pub fn write(&self, dir: &Path, name: &str) -> anyhow::Result<PairFiles> {
        let path = |extension| dir.join(name).with_added_extension(extension);
        let files = PairFiles { certificate: path("crt"), key: path("key") };
        write_private(&files.certificate, &self.certificate_pem)?;
        write_private(&files.key, &self.key_pem)?;
        Ok(files)
    }
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Tells authorities of the same name apart, as they are while one replaces the other.
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

fn write_private(path: &Path, content: &str) -> anyhow::Result<()> {
    // A mode is given to new files only.
    let _ = fs::remove_file(path);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
