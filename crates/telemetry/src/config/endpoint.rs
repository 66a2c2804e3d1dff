//! The address of an OTLP receiver.

use std::fmt;

use http::Uri;
use serde::{Serialize, Serializer};

/// A gRPC receiver: `http://host:port`, and nothing else.
///
/// It is what it is written as, but for upper and lower case: a name and its address, say, or a
/// name with and without its domain are two endpoints, and exports to them do not take turns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Lower case: names of hosts have none.
    authority: String,
}

/// Why something is not an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL with a scheme and a host.
    #[error("must be an absolute URL such as http://collector:4317")]
    NotAUrl,
    /// Neither http nor https.
    #[error("the scheme must be http")]
    Scheme,
    /// https, which sinks cannot do yet.
    #[error("https is not supported yet")]
    Tls,
    /// User name or password.
    #[error("must not contain credentials; use a header")]
    Credentials,
    /// A port is missing, zero or too large.
    #[error("must name a port between 1 and 65535")]
    Port,
    /// gRPC has a path of its own.
    #[error("must not contain a path")]
    Path,
    /// A query or a fragment.
    #[error("must not contain a query or a fragment")]
    QueryOrFragment,
}

// === impl Endpoint ===

impl Endpoint {
    /// Parses `http://host:port`; one trailing slash is accepted.
    ///
    /// # Errors
    /// What keeps `url` from being an address that a gRPC client could be built for.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        // The parser of `http` drops a fragment without a word.
        if url.contains(['?', '#']) {
            return Err(EndpointError::QueryOrFragment);
        }
        let uri: Uri = url.parse().map_err(|_| EndpointError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(EndpointError::NotAUrl);
        };
        match scheme {
            "http" => {}
            "https" => return Err(EndpointError::Tls),
            _ => return Err(EndpointError::Scheme),
        }
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        if authority.host().is_empty() {
            return Err(EndpointError::NotAUrl);
        }
        if authority.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointError::Port);
        }
        if !matches!(uri.path(), "" | "/") {
            return Err(EndpointError::Path);
        }
        Ok(Self { authority: authority.as_str().to_ascii_lowercase() })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}", self.authority)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl EndpointError ===

impl EndpointError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAUrl => "NotAUrl",
            Self::Scheme => "Scheme",
            Self::Tls => "Tls",
            Self::Credentials => "Credentials",
            Self::Port => "Port",
            Self::Path => "Path",
            Self::QueryOrFragment => "QueryOrFragment",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_a_port() {
        for (url, shown) in [
            ("http://collector:4317", "http://collector:4317"),
            ("http://collector:4317/", "http://collector:4317"),
            ("http://Collector.Observability.SVC:4317", "http://collector.observability.svc:4317"),
            ("HTTP://collector:1", "http://collector:1"),
            ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
            ("http://[::1]:4317", "http://[::1]:4317"),
        ] {
            assert_eq!(
                Endpoint::parse(url).map(|it| it.to_string()).as_deref(),
                Ok(shown),
                "{url}"
            );
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use EndpointError::{Credentials, NotAUrl, Path, Port, QueryOrFragment, Scheme, Tls};
        for (url, error) in [
            ("", NotAUrl),
            ("collector:4317", NotAUrl),
            ("/collector", NotAUrl),
            ("http://", NotAUrl),
            ("http://:4317", NotAUrl),
            ("http://col lector:4317", NotAUrl),
            ("grpc://collector:4317", Scheme),
            ("https://collector:4317", Tls),
            ("http://user:password@collector:4317", Credentials),
            ("http://collector", Port),
            ("http://collector:", Port),
            ("http://collector:0", Port),
            ("http://collector:70000", Port),
            ("http://collector:4317/v1/metrics", Path),
            ("http://collector:4317?a=b", QueryOrFragment),
            ("http://collector:4317/#a", QueryOrFragment),
        ] {
            assert_eq!(Endpoint::parse(url), Err(error), "{url}");
        }
    }
}
