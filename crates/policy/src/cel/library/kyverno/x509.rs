//! X.509 certificates and requests for them, decoded.
//!
//! What is told of them, and under which names, is what Go's `crypto/x509` says and Kyverno writes as
//! JSON, so all numbers are doubles and bytes are in base64. Source: the `x509` library of Kyverno's
//! SDK, which knows keys of RSA only.

use x509_parser::error::X509Error;
use x509_parser::pem::Pem;

use super::super::Library;
use super::super::arguments::{error, text};
use super::json::value_of;
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;

mod certificate;
mod der;
mod extensions;
mod key;
mod name;
mod oid;
mod request;
#[cfg(test)]
mod tests;

/// What a byte of DER may become while it is read, at worst: a name of two bytes in a list of them, or
/// a few bytes of a distinguished name that are told in an object of their own.
const BYTES_PER_BYTE: usize = 256;

/// Why a text is neither a certificate nor a request that can be told.
#[derive(Debug, thiserror::Error)]
enum Invalid {
    #[error("not PEM")]
    NotPem,
    #[error("a PEM block of a {0:.64}, which is neither a CERTIFICATE nor a CERTIFICATE REQUEST")]
    OtherKind(String),
    #[error("not X.509: {0}")]
    Unreadable(#[from] X509Error),
    #[error("not X.509: {0}")]
    Malformed(&'static str),
    #[error("the key is not one of RSA, which is the only kind that is decoded")]
    NotRsa,
}

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("x509.decode", [Type::String], Type::Dyn, |host, arguments| {
        let written = text(arguments, 0)?;
        host.meter.scan(8 * written.len())?;
        host.meter.allocate(2 * written.len())?;
        // The first block that can be read, whatever stands around it.
        let block = Pem::iter_from_buffer(written.as_bytes()).find_map(Result::ok);
        let block = block.ok_or_else(|| error(Invalid::NotPem.to_string()))?;
        charge(host, block.contents.len())?;
        let decoded = match &*block.label {
            "CERTIFICATE" => certificate::decode(&block.contents),
            "CERTIFICATE REQUEST" => request::decode(&block.contents),
            other => Err(Invalid::OtherKind(other.to_owned())),
        };
        value_of(host, decoded.map_err(|reason| error(reason.to_string()))?)
    });
}

/// Pays for reading that much DER. A key may be all of it, and to write a number of that many digits
/// takes a time that grows with their square.
fn charge(host: &Host<'_>, length: usize) -> Result<(), Fault> {
    host.meter.allocate(BYTES_PER_BYTE * length)?;
    host.meter.scan(BYTES_PER_BYTE * length)?;
    let words = (length / 8) as u64;
    host.meter.step(words * words / 16)
}

// === impl Invalid ===

impl From<x509_parser::nom::Err<X509Error>> for Invalid {
    fn from(error: x509_parser::nom::Err<X509Error>) -> Self {
        Self::Unreadable(error.into())
    }
}
