//! Certificates and keys: parsed and checked here, so that a sink cannot be built from nonsense.
//!
//! Equal content is equal material: what was written anew and says the same changes nothing.

use serde::Serialize;

/// How the other side of a connection is verified, and what it is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientTls {
    /// Who may have issued the receiver's certificate.
    pub roots: Roots,
    /// What the receiver is shown; nothing unless set.
    pub client_certificate: Option<CertifiedKey>,
    /// The name that the receiver's certificate must be valid for; unset means the endpoint's host.
    pub server_name: Option<String>,
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

/// Certificates of authorities: one at least, each of them parsed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaBundle {}

/// A certificate with the chain that it was issued by, and its private key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CertifiedKey {}

/// Which part of some material an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Material {
    /// A bundle of authorities.
    Authorities,
    /// A certificate, or one of its chain.
    Certificate,
    /// A private key.
    PrivateKey,
}

/// Why some material cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// There is no PEM block of the right kind in it.
    #[error("has no certificate or key in PEM")]
    Empty(Material),
}
