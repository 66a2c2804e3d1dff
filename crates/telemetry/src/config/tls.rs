//! Certificates and keys: parsed and checked here, so that a sink cannot be built from nonsense.
//!
//! Enter with [`CaBundle::parse`] and [`CertifiedKey::parse`]; [`ClientTls`] and [`ServerTls`] make
//! of them what rustls takes. Equal content is equal material: what was written anew and says the
//! same changes nothing. No form of any of it shows more than counts, kinds and expiry, and nothing
//! here reads a file, but for the system's roots when a client is built.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde::Serialize;

mod authorities;
mod certified;
mod error;
mod pem;
mod server_name;

pub use authorities::CaBundle;
pub use certified::{CertifiedKey, KeyKind};
pub use error::{Material, MaterialError};
pub use server_name::{ServerName, ServerNameError};

/// How the other side of a connection is verified, and what it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// Who may have issued the receiver's certificate.
    pub roots: Roots,
    /// What the receiver is shown; nothing unless set.
    pub client_certificate: Option<CertifiedKey>,
    /// The name that the receiver's certificate must be valid for, which is also the one that is
    /// asked for; unset means the endpoint's host.
    pub server_name: Option<ServerName>,
}

/// Who may have issued the other side's certificate.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Roots {
    /// Whom the operating system trusts.
    #[default]
    System,
    /// These and nobody else.
    Bundle(CaBundle),
}

/// How scrapes are served by TLS.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerTls {
    /// What scrapers are shown.
    pub certificate: CertifiedKey,
    /// Who must have issued the scrapers' own certificates; unset means that they need none.
    pub client_ca: Option<CaBundle>,
}

/// The one provider of cryptography, said at every use: a process may have installed no default,
/// or another one.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

const VERSIONS: &str = "the provider has cipher suites for TLS 1.2 and 1.3";

// === impl ClientTls ===

impl ClientTls {
    /// This as rustls takes it: TLS 1.2 at least, no ALPN set. The system's roots are read now.
    /// Which name to verify is not in it; that is [`ClientTls::server_name`], else the host.
    ///
    /// # Errors
    /// If no authority would be trusted.
    pub fn client_config(&self) -> Result<ClientConfig, MaterialError> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_safe_default_protocol_versions()
            .expect(VERSIONS)
            .with_root_certificates(self.roots.store()?);
        Ok(match &self.client_certificate {
            Some(certificate) => builder.with_client_cert_resolver(certificate.resolver()),
            None => builder.with_no_client_auth(),
        })
    }

    /// When the first of what was given for this expires; nothing was given for the system's roots.
    pub fn not_after(&self) -> Option<Timestamp> {
        let certificate = self.client_certificate.as_ref().map(CertifiedKey::not_after);
        [self.roots.not_after(), certificate].into_iter().flatten().min()
    }
}

// === impl Roots ===

impl Roots {
    fn store(&self) -> Result<Arc<RootCertStore>, MaterialError> {
        match self {
            Self::Bundle(bundle) => Ok(bundle.store()),
            Self::System => {
                let mut store = RootCertStore::empty();
                // One file of many that cannot be read is the system's affair while others can.
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() { Err(MaterialError::NoRoots) } else { Ok(Arc::new(store)) }
            }
        }
    }

    fn not_after(&self) -> Option<Timestamp> {
        match self {
            Self::System => None,
            Self::Bundle(bundle) => Some(bundle.not_after()),
        }
    }
}

// === impl ServerTls ===

impl ServerTls {
    /// This as rustls takes it: TLS 1.2 at least, no ALPN set.
    ///
    /// # Errors
    /// If no client could ever be verified.
    pub fn server_config(&self) -> Result<ServerConfig, MaterialError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_safe_default_protocol_versions()
            .expect(VERSIONS);
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(bundle) => {
                let provider = Arc::clone(&PROVIDER);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(bundle.store(), provider)
                        .build()
                        .map_err(|_| MaterialError::NoRoots)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        Ok(builder.with_cert_resolver(self.certificate.resolver()))
    }

    /// When the first of its certificates expires.
    pub fn not_after(&self) -> Timestamp {
        let certificate = self.certificate.not_after();
        let authorities = self.client_ca.as_ref().map(CaBundle::not_after);
        authorities.map_or(certificate, |authorities| authorities.min(certificate))
    }
}

#[cfg(test)]
mod tests;
