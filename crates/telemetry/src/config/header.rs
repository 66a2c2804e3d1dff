//! A header that goes with every request to a receiver.

use std::fmt;

use http::{HeaderName, HeaderValue};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// What gRPC and HTTP say themselves, or not at all, besides `grpc-*` and `*-bin`.
const RESERVED: [&str; 13] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// A header that goes with every request to a receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value, often a credential.
    pub value: Redacted<HeaderValue>,
}

/// A value that no log, status or debug output shows.
#[derive(Clone, PartialEq)]
pub struct Redacted<T>(T);

/// Why something is not a [`Header`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not the name of a header.
    #[error("is not a header name")]
    Name,
    /// A name that the protocol uses itself.
    #[error("is a name that gRPC or HTTP reserves")]
    Reserved,
    /// Not printable ASCII.
    #[error("has a value that is not printable ASCII")]
    Value,
}

// === impl Header ===

impl Header {
    /// Parses a header.
    ///
    /// # Errors
    /// What is wrong with the name or the value; never the value itself.
    pub fn parse(name: &str, value: &str) -> Result<Self, HeaderError> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::Name)?;
        let text = name.as_str();
        if RESERVED.contains(&text) || text.starts_with("grpc-") || text.ends_with("-bin") {
            return Err(HeaderError::Reserved);
        }
        if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(HeaderError::Value);
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| HeaderError::Value)?;
        // Keeps it out of the compression state of HTTP/2, too.
        value.set_sensitive(true);
        Ok(Self { name, value: Redacted(value) })
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut header = serializer.serialize_struct("Header", 2)?;
        header.serialize_field("name", self.name.as_str())?;
        header.serialize_field("value", &self.value)?;
        header.end()
    }
}

// === impl Redacted ===

impl<T> Redacted<T> {
    /// The value, for the one place that sends it.
    pub(crate) fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl<T> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

// === impl HeaderError ===

impl HeaderError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Reserved => "Reserved",
            Self::Value => "Value",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_says_itself_cannot_be_said_again() {
        for name in [
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "expect",
            "host",
            "Host",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "user-agent",
            "grpc-timeout",
            "trace-bin",
        ] {
            assert_eq!(Header::parse(name, "x"), Err(HeaderError::Reserved), "{name}");
        }
        assert_eq!(Header::parse("a b", "x"), Err(HeaderError::Name));
        assert_eq!(Header::parse("", "x"), Err(HeaderError::Name));
    }

    #[test]
    fn a_value_cannot_smuggle_in_another_header() {
        for value in ["x\r\nb: c", "x\0", "tab\t", "ä"] {
            assert_eq!(Header::parse("a", value), Err(HeaderError::Value), "{value:?}");
        }
        let header = Header::parse("a", "Bearer ~x").unwrap();
        assert_eq!(header.value.expose(), "Bearer ~x");
        assert!(header.value.expose().is_sensitive());
    }
}
