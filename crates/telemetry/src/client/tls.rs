//! What went wrong in TLS, in words that a person can act on.
//!
//! Texts are stable, since status shows them: names from the configuration and kinds of errors; no
//! address, no time, and nothing out of the other side's certificate.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// What a handshake was about, as far as its failure is told.
#[derive(Clone, Debug)]
pub(super) struct Circumstances {
    /// The name that the receiver's certificate must be valid for.
    pub(super) name: String,
    /// Whether we have a certificate to show.
    pub(super) has_certificate: bool,
}

// === impl Circumstances ===

impl Circumstances {
    /// Why TLS failed, if it was TLS that did.
    pub(super) fn explain(&self, error: &(dyn Error + 'static)) -> Option<String> {
        causes(error).find_map(|cause| cause.downcast_ref()).map(|error| self.why(error))
    }

    fn why(&self, error: &rustls::Error) -> String {
        match error {
            rustls::Error::InvalidCertificate(error) => self.certificate(error),
            rustls::Error::AlertReceived(alert) => self.alert(*alert),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                "the receiver does not speak TLS at this port; the endpoint would have to be http"
                    .to_owned()
            }
            rustls::Error::NoApplicationProtocol => NO_HTTP2.to_owned(),
            rustls::Error::PeerIncompatible(_) => NOTHING_IN_COMMON.to_owned(),
            // With what a stack that misbehaves says in detail nobody can do anything.
            _ => "the handshake breaks".to_owned(),
        }
    }

    fn certificate(&self, error: &CertificateError) -> String {
        let name = &self.name;
        let what = match error {
            CertificateError::UnknownIssuer => "is not issued by the CA in use (UnknownIssuer)",
            CertificateError::BadSignature => "is not signed by the CA in use (BadSignature)",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                return format!("the receiver's certificate is not valid for the name {name}");
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "is expired, or one of its chain is"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "is not valid yet"
            }
            CertificateError::Revoked => "is revoked",
            CertificateError::BadEncoding => "cannot be read",
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "is not for servers"
            }
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "is signed by an algorithm that is not supported"
            }
            // An authority's own certificate as that of a server, say.
            _ => "is not acceptable",
        };
        format!("the receiver's certificate {what}")
    }

    fn alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired => DEMANDED.to_owned(),
            // What TLS 1.2 has to say when there is none.
            Alert::BadCertificate | Alert::HandshakeFailure | Alert::NoCertificate
                if !self.has_certificate =>
            {
                format!("{DEMANDED}, or has nothing in common with us ({alert:?})")
            }
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::AccessDenied
            | Alert::DecryptError => {
                format!("the receiver does not accept our client certificate ({alert:?})")
            }
            Alert::NoApplicationProtocol => NO_HTTP2.to_owned(),
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
                NOTHING_IN_COMMON.to_owned()
            }
            Alert::UnrecognisedName => {
                format!("the receiver knows nothing of the name {}", self.name)
            }
            alert => format!("the receiver ends the handshake ({alert:?})"),
        }
    }
}

const DEMANDED: &str = "the receiver demands a client certificate";
const NO_HTTP2: &str = "the receiver offers no protocol that we speak (ALPN)";
const NOTHING_IN_COMMON: &str = "the two sides have no version or cipher of TLS in common";

/// An error and what caused it, outermost first. What an [`io::Error`] wraps is one of them, which
/// `source` leaves out.
pub(super) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
