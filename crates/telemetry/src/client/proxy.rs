//! Which receivers are reached through a proxy: one decision for both protocols.
//!
//! A proxy is asked for a tunnel, whatever goes through it: TLS is always between us and the
//! receiver, and gRPC in plaintext works as well. Owns reading the variables and the choice; the
//! connector makes the connection, [`open`] the tunnel.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::Endpoint;

/// Which receivers are reached through a proxy; by default none is.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    exempt: Option<Exempt>,
}

/// What one variable says.
#[derive(Clone, Debug)]
struct Setting {
    variable: &'static str,
    /// None if it is no proxy that we can use.
    proxy: Option<Proxy>,
}

/// `NO_PROXY`.
#[derive(Clone)]
struct Exempt {
    text: String,
    rules: Arc<Matcher>,
}

/// A proxy that is spoken to in plaintext.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) uri: Uri,
    authorization: Option<HeaderValue>,
}

/// The way to a receiver.
#[derive(Clone, Debug)]
pub(super) enum Route {
    Direct,
    Through(Proxy),
    /// There should be a proxy, and what the variable says is none that we can use. To go without
    /// could be what the proxy is there to prevent.
    Unusable {
        variable: &'static str,
    },
}

/// Why a proxy gives no tunnel.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    #[error("the connection to the proxy breaks")]
    Broken(#[from] std::io::Error),
    #[error("the proxy closes the connection")]
    Closed,
    #[error("the proxy demands other credentials (HTTP 407)")]
    Credentials,
    #[error("the proxy refuses the tunnel (HTTP {0})")]
    Refused(u16),
    #[error("the proxy does not speak HTTP")]
    Garbage,
}

/// The longest answer of a proxy.
const ANSWER_LIMIT: usize = 8 * 1024;

// === impl Proxies ===

impl Proxies {
    /// Every receiver is reached directly.
    pub fn none() -> Self {
        Self::default()
    }

    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, or the same in lower
    /// case, with `variable` as the environment. A variable that is empty says nothing.
    ///
    /// `HTTPS_PROXY` is for receivers whose endpoint is https, `HTTP_PROXY` for the others,
    /// `ALL_PROXY` for those without one. Receivers on this host are always reached directly.
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some((name, value.trim().to_owned()))
            })
        };
        let setting = |names| {
            let (variable, value) = first(names)?;
            Some(Setting { variable, proxy: Proxy::parse(&value) })
        };
        let all = setting(["ALL_PROXY", "all_proxy"]);
        Self {
            http: setting(["HTTP_PROXY", "http_proxy"]).or_else(|| all.clone()),
            https: setting(["HTTPS_PROXY", "https_proxy"]).or(all),
            exempt: first(["NO_PROXY", "no_proxy"]).map(|(_, text)| Exempt::parse(text)),
        }
    }

    /// Tells what was read, without credentials.
    pub(crate) fn log(&self) {
        for (scheme, setting) in [("http", &self.http), ("https", &self.https)] {
            let Some(Setting { variable, proxy }) = setting else { continue };
            let except = self.exempt.as_ref().map(|it| it.text.as_str()).unwrap_or_default();
            match proxy {
                Some(Proxy { uri, .. }) => {
                    tracing::info!(scheme, variable, proxy = %uri, except, "receivers have a proxy");
                }
                None => tracing::warn!(
                    scheme,
                    variable,
                    except,
                    "receivers will not be reached: the proxy must be http://[user:password@]host:port"
                ),
            }
        }
    }

    pub(super) fn route(&self, receiver: &Endpoint) -> Route {
        let setting = if receiver.is_tls() { &self.https } else { &self.http };
        let Some(Setting { variable, proxy }) = setting else { return Route::Direct };
        if is_loopback(receiver.host())
            || self.exempt.as_ref().is_some_and(|it| it.covers(receiver))
        {
            return Route::Direct;
        }
        match proxy {
            Some(proxy) => Route::Through(proxy.clone()),
            None => Route::Unusable { variable },
        }
    }
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

// === impl Exempt ===

impl Exempt {
    fn parse(text: String) -> Self {
        let rules = Matcher::builder().all("http://any.invalid").no(text.as_str()).build();
        Self { text, rules: Arc::new(rules) }
    }

    fn covers(&self, receiver: &Endpoint) -> bool {
        receiver.to_string().parse().is_ok_and(|uri| self.rules.intercept(&uri).is_none())
    }
}

impl fmt::Debug for Exempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

// === impl Proxy ===

impl Proxy {
    /// Only `http`: what else there is (TLS to the proxy, SOCKS) nobody asked for so far.
    fn parse(value: &str) -> Option<Self> {
        let rules = Matcher::builder().all(value).build();
        let found = rules.intercept(&Uri::from_static("http://any.invalid"))?;
        (found.uri().scheme() == Some(&Scheme::HTTP))
            .then(|| Self { uri: found.uri().clone(), authorization: found.basic_auth().cloned() })
    }

    /// Asks the proxy at the other end of `stream` for a tunnel to the receiver.
    ///
    /// Reads not one byte more than the answer: a receiver in plaintext may speak first.
    pub(super) async fn open(&self, stream: &mut TcpStream, to: &Uri) -> Result<(), TunnelError> {
        let host = to.host().unwrap_or_default();
        let default = if to.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = to.port_u16().unwrap_or(default);
        let mut request =
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
        if let Some(authorization) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(authorization.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        stream.write_all(&request).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await? == 0 {
                return Err(TunnelError::Closed);
            }
            answer.push(byte[0]);
            if answer.len() > ANSWER_LIMIT {
                return Err(TunnelError::Garbage);
            }
        }
        match status(&answer).ok_or(TunnelError::Garbage)? {
            200..=299 => Ok(()),
            407 => Err(TunnelError::Credentials),
            status => Err(TunnelError::Refused(status)),
        }
    }
}

/// The status of an answer `HTTP/1.1 200 ...`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(answer).ok()?.lines().next()?;
    let (version, rest) = line.split_once(' ')?;
    let status = rest.split(' ').next()?;
    version.starts_with("HTTP/1.").then(|| status.parse().ok())?
}

#[cfg(test)]
mod tests;
