//! The address of an OTLP receiver, and the protocol that it speaks.

use std::fmt;

use http::Uri;
use http::uri::{Authority, Scheme};
use serde::{Serialize, Serializer};

use crate::signal::Signal;

/// Where a receiver listens: `http(s)://host:port` for gRPC, for HTTP with an optional port and an
/// optional path.
///
/// It is what it is written as, but for upper and lower case: a name and its address, say, or a
/// name with and without its domain are two endpoints, and exports to them do not take turns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    protocol: Protocol,
    tls: bool,
    /// Lower case: names of hosts have none.
    authority: String,
    /// What comes before `/v1/metrics`: empty, or with a slash at its start and none at its end.
    base: String,
}

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Protocol {
    /// gRPC.
    #[serde(rename = "GRPC")]
    Grpc,
    /// HTTP with protobuf bodies.
    #[serde(rename = "HTTPProtobuf")]
    HttpProtobuf,
}

/// Why something is not an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL with a scheme and a host.
    #[error("must be an absolute URL such as http://collector:4317")]
    NotAUrl,
    /// Neither http nor https.
    #[error("the scheme must be http or https")]
    Scheme,
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
    /// Parses `http(s)://host:port`, a gRPC receiver; one trailing slash is accepted.
    ///
    /// # Errors
    /// What keeps `url` from being an address that a gRPC client could be built for.
    pub fn grpc(url: &str) -> Result<Self, EndpointError> {
        let (uri, authority, tls) = parse(url)?;
        if authority.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointError::Port);
        }
        if !matches!(uri.path(), "" | "/") {
            return Err(EndpointError::Path);
        }
        Ok(Self::new(Protocol::Grpc, tls, &authority, ""))
    }

    /// Parses `http(s)://host[:port][/base]`, an HTTP receiver; `/v1/{signal}` is appended to it.
    ///
    /// # Errors
    /// What keeps `url` from being an address that an HTTP client could be built for.
    pub fn http_protobuf(url: &str) -> Result<Self, EndpointError> {
        let (uri, authority, tls) = parse(url)?;
        let named = authority.as_str().len() > authority.host().len();
        if named && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointError::Port);
        }
        Ok(Self::new(Protocol::HttpProtobuf, tls, &authority, uri.path().trim_end_matches('/')))
    }

    fn new(protocol: Protocol, tls: bool, authority: &Authority, base: &str) -> Self {
        let authority = authority.as_str().to_ascii_lowercase();
        Self { protocol, tls, authority, base: base.to_owned() }
    }

    /// How OTLP is spoken there.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether the scheme is https.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        let host = match self.authority.rsplit_once(':') {
            Some((host, _)) if !self.authority.ends_with(']') => host,
            _ => &self.authority,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The URL that takes requests of `signal`.
    pub(crate) fn url(&self, signal: Signal) -> String {
        match self.protocol {
            Protocol::Grpc => format!("{self}{}", signal.grpc_path()),
            Protocol::HttpProtobuf => format!("{self}{}", signal.http_path()),
        }
    }
}

/// A URL whose scheme and authority are fit for any receiver.
fn parse(url: &str) -> Result<(Uri, Authority, bool), EndpointError> {
    // The parser of `http` drops a fragment without a word.
    if url.contains(['?', '#']) {
        return Err(EndpointError::QueryOrFragment);
    }
    let uri: Uri = url.parse().map_err(|_| EndpointError::NotAUrl)?;
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority().cloned()) else {
        return Err(EndpointError::NotAUrl);
    };
    let tls = match scheme {
        scheme if *scheme == Scheme::HTTP => false,
        scheme if *scheme == Scheme::HTTPS => true,
        _ => return Err(EndpointError::Scheme),
    };
    if authority.as_str().contains('@') {
        return Err(EndpointError::Credentials);
    }
    if authority.host().is_empty() {
        return Err(EndpointError::NotAUrl);
    }
    Ok((uri, authority, tls))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(formatter, "{scheme}://{}{}", self.authority, self.base)
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
            ("https://collector:4317", "https://collector:4317"),
        ] {
            assert_eq!(Endpoint::grpc(url).map(|it| it.to_string()).as_deref(), Ok(shown), "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        use EndpointError::{Credentials, NotAUrl, Path, Port, QueryOrFragment, Scheme};
        for (url, error) in [
            ("", NotAUrl),
            ("collector:4317", NotAUrl),
            ("/collector", NotAUrl),
            ("http://", NotAUrl),
            ("http://:4317", NotAUrl),
            ("http://col lector:4317", NotAUrl),
            ("grpc://collector:4317", Scheme),
            ("http://user:password@collector:4317", Credentials),
            ("http://collector", Port),
            ("http://collector:", Port),
            ("http://collector:0", Port),
            ("http://collector:70000", Port),
            ("http://collector:4317/v1/metrics", Path),
            ("http://collector:4317?a=b", QueryOrFragment),
            ("http://collector:4317/#a", QueryOrFragment),
        ] {
            assert_eq!(Endpoint::grpc(url), Err(error), "{url}");
        }
    }

    #[test]
    fn an_http_endpoint_may_have_a_path_and_needs_no_port() {
        for (url, metrics, host) in [
            ("http://c:4318", "http://c:4318/v1/metrics", "c"),
            ("https://Tempo.example", "https://tempo.example/v1/metrics", "tempo.example"),
            ("https://c/otlp/", "https://c/otlp/v1/metrics", "c"),
            ("https://c/Otlp/x", "https://c/Otlp/x/v1/metrics", "c"),
            ("http://[::1]/a", "http://[::1]/a/v1/metrics", "::1"),
            ("http://[::1]:1/a", "http://[::1]:1/a/v1/metrics", "::1"),
        ] {
            let endpoint = Endpoint::http_protobuf(url).unwrap();
            assert_eq!(endpoint.url(Signal::Metrics), metrics);
            assert_eq!(endpoint.host(), host);
        }
        assert_eq!(Endpoint::http_protobuf("http://c:0"), Err(EndpointError::Port));
        assert_eq!(Endpoint::http_protobuf("http://c:"), Err(EndpointError::Port));
        assert_eq!(Endpoint::http_protobuf("http://c/?a"), Err(EndpointError::QueryOrFragment));
    }
}
