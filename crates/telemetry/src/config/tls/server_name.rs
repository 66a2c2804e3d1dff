//! The name that a server's certificate must be valid for.

use std::fmt;

use rustls::pki_types;
use serde::{Serialize, Serializer};

/// The name that a server's certificate must be valid for: a DNS name or an IP address.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerName(pki_types::ServerName<'static>);

/// Why something is not a [`ServerName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerNameError {
    /// No certificate could be valid for it.
    #[error("is neither a DNS name nor an IP address")]
    Invalid,
}

// === impl ServerName ===

impl ServerName {
    /// Parses a name.
    ///
    /// # Errors
    /// If no certificate could be valid for it.
    pub fn parse(name: &str) -> Result<Self, ServerNameError> {
        let name = pki_types::ServerName::try_from(name).map_err(|_| ServerNameError::Invalid)?;
        Ok(Self(name.to_owned()))
    }

    /// This as rustls takes it.
    pub fn to_rustls(&self) -> pki_types::ServerName<'static> {
        self.0.clone()
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.to_str())
    }
}

impl fmt::Debug for ServerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ServerName({self})")
    }
}

impl Serialize for ServerName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl ServerNameError ===

impl ServerNameError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
        }
    }
}
