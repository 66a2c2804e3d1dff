//! What can be wrong with material. No message holds a byte of it, and none changes from one look
//! to the next.

use std::fmt;

use jiff::Timestamp;

use super::pem::{CHAIN_LIMIT, SIZE_LIMIT};

/// Which part of some material an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(Material),
    /// More than any sensible material.
    #[error("{0} is larger than {limit} KiB", limit = SIZE_LIMIT / 1024)]
    TooLarge(Material),
    /// More certificates than any sensible material has.
    #[error("{material} has more than {limit} certificates")]
    TooMany {
        /// What has them.
        material: Material,
        /// How many there may be.
        limit: usize,
    },
    /// There is no PEM block in it, or a broken one.
    #[error("{0} is not PEM, or is cut off")]
    NotPem(Material),
    /// There are PEM blocks in it, and none is of the right kind.
    #[error("{0} has PEM blocks, but none that is {expected}", expected = .0.block())]
    OtherBlocks(Material),
    /// A block that says it is a certificate is none.
    #[error("{material} has a block that is not an X.509 certificate: number {number}", number = index + 1)]
    NotACertificate {
        /// What has it.
        material: Material,
        /// Which of its certificates it is, from zero.
        index: usize,
    },
    /// Its time is over.
    #[error("{material} expired at {not_after}; renew it")]
    Expired {
        /// What expired.
        material: Material,
        /// When. Of several authorities, when the last one did.
        not_after: Timestamp,
    },
    /// Its time is still to come.
    #[error("{material} is not valid before {not_before}")]
    NotYetValid {
        /// What is not valid yet.
        material: Material,
        /// When it will be. Of several authorities, when the first one will be.
        not_before: Timestamp,
    },
    /// A key that a passphrase protects, which nobody can type in here.
    #[error("the private key is encrypted; store it without a passphrase")]
    EncryptedKey,
    /// It cannot be told which one is meant.
    #[error("there is more than one private key where one belongs")]
    SeveralKeys,
    /// A key of a kind, or in an encoding, that nobody here reads.
    #[error(
        "the private key cannot be read; it must be RSA (2048 bits at least), ECDSA (P-256, P-384 \
         or P-521) or Ed25519, in PKCS#8, PKCS#1 or SEC1"
    )]
    UnsupportedKey,
    /// The key is that of another certificate.
    #[error(
        "the private key does not belong to the certificate (to the first one, where there is a \
         chain)"
    )]
    KeyMismatch,
    /// Nobody would be trusted.
    #[error("no certificate authority is trusted: the system has none that can be read")]
    NoRoots,
}

// === impl Material ===

impl Material {
    /// How many certificates it may have.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Authorities => super::pem::BUNDLE_LIMIT,
            Self::Certificate | Self::PrivateKey => CHAIN_LIMIT,
        }
    }

    fn block(self) -> &'static str {
        match self {
            Self::Authorities | Self::Certificate => "a certificate",
            Self::PrivateKey => "a private key",
        }
    }
}

impl fmt::Display for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Authorities => "the CA bundle",
            Self::Certificate => "the certificate",
            Self::PrivateKey => "the private key",
        })
    }
}

// === impl MaterialError ===

impl MaterialError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty(_) => "Empty",
            Self::TooLarge(_) => "TooLarge",
            Self::TooMany { .. } => "TooMany",
            Self::NotPem(_) => "NotPem",
            Self::OtherBlocks(_) => "OtherBlocks",
            Self::NotACertificate { .. } => "NotACertificate",
            Self::Expired { .. } => "Expired",
            Self::NotYetValid { .. } => "NotYetValid",
            Self::EncryptedKey => "EncryptedKey",
            Self::SeveralKeys => "SeveralKeys",
            Self::UnsupportedKey => "UnsupportedKey",
            Self::KeyMismatch => "KeyMismatch",
            Self::NoRoots => "NoRoots",
        }
    }

    /// Which part it is about.
    pub fn material(&self) -> Material {
        match self {
            Self::Empty(material)
            | Self::TooLarge(material)
            | Self::NotPem(material)
            | Self::OtherBlocks(material)
            | Self::TooMany { material, .. }
            | Self::NotACertificate { material, .. }
            | Self::Expired { material, .. }
            | Self::NotYetValid { material, .. } => *material,
            Self::EncryptedKey | Self::SeveralKeys | Self::UnsupportedKey | Self::KeyMismatch => {
                Material::PrivateKey
            }
            Self::NoRoots => Material::Authorities,
        }
    }
}
