//! Private keys and the forms in which they stand in files.

use anyhow::{Context, bail};
use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256};

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// The kind of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on the curve P-256.
    #[default]
    EcdsaP256,
    /// RSA with 2048 bits; slow to make.
    Rsa2048,
    /// Ed25519.
    Ed25519,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// `PRIVATE KEY`.
    #[default]
    Pkcs8,
    /// What was there before: `EC PRIVATE KEY` (SEC1) or `RSA PRIVATE KEY` (PKCS#1).
    Traditional,
}

// === impl Algorithm ===

impl Algorithm {
    pub(super) fn generate(self) -> anyhow::Result<KeyPair> {
        let algorithm = match self {
            Self::EcdsaP256 => &PKCS_ECDSA_P256_SHA256,
            Self::Rsa2048 => &PKCS_RSA_SHA256,
            Self::Ed25519 => &PKCS_ED25519,
        };
        KeyPair::generate_for(algorithm).with_context(|| format!("cannot make a key of {self:?}"))
    }

    /// The PEM of a key of this algorithm.
    pub(super) fn encode(self, key: &KeyPair, encoding: Encoding) -> anyhow::Result<String> {
        match (encoding, self) {
            (Encoding::Pkcs8, _) => Ok(key.serialize_pem()),
            (Encoding::Traditional, Self::EcdsaP256) => {
                Ok(pem("EC PRIVATE KEY", sec1(key.serialized_der())?))
            }
            (Encoding::Traditional, Self::Rsa2048) => {
                let der = pkcs1(key.serialized_der()).context("this is no PKCS#8 key")?;
                Ok(pem("RSA PRIVATE KEY", der.to_vec()))
            }
            (Encoding::Traditional, Self::Ed25519) => bail!("Ed25519 has no encoding but PKCS#8"),
        }
    }
}

/// Not what lies within the PKCS#8 key: that may leave out the curve, which readers want here.
fn sec1(pkcs8: &[u8]) -> anyhow::Result<Vec<u8>> {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8)?;
    let der: EcPrivateKeyRfc5915Der<'_> = key.private_key().as_der()?;
    Ok(der.as_ref().to_vec())
}

/// What lies within the PKCS#8 key: a sequence of version, algorithm and the key in an octet string.
fn pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    let (fields, _) = element(pkcs8, SEQUENCE)?;
    let (_version, fields) = element(fields, INTEGER)?;
    let (_algorithm, fields) = element(fields, SEQUENCE)?;
    Some(element(fields, OCTET_STRING)?.0)
}

/// The content of the DER element of this tag at the start, and what follows the element.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // The lower bits say how many bytes of length follow.
        0x80.. => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
    };
    rest.split_at_checked(length)
}

fn pem(tag: &str, der: Vec<u8>) -> String {
    pem::encode_config(&Pem::new(tag, der), EncodeConfig::new().set_line_ending(LineEnding::LF))
}
