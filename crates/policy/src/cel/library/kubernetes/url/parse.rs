//! What a URL is, and what is none.

use std::fmt;
use std::net::Ipv6Addr;

use super::escape::{self, Malformed, Part, unescape};

/// A URL, in its parts.
#[derive(Debug, Default)]
pub(in crate::cel::library::kubernetes) struct Url {
    /// In lower case; empty for a path.
    pub(super) scheme: String,
    /// What follows the scheme where that is not a path.
    pub(super) opaque: String,
    pub(super) user: Option<User>,
    /// The host, with its port. Unescaped.
    pub(super) host: Vec<u8>,
    /// The path, escaped.
    pub(super) path: String,
    /// The query, as it is written.
    pub(super) query: String,
    /// Whether a question mark ends it.
    pub(super) empty_query: bool,
    /// Whether a path follows the scheme without an authority between them.
    pub(super) without_authority: bool,
    /// The fragment, escaped.
    pub(super) fragment: String,
}

#[derive(Debug)]
pub(super) struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

/// Whether a relative reference is one too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As in the request line of HTTP: an absolute URI or path.
    Request,
    Reference,
}

/// Why a string is no URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cel::library::kubernetes) enum Invalid {
    #[error("net/url: invalid control character in URL")]
    ControlCharacter,
    #[error("empty url")]
    Empty,
    #[error("missing protocol scheme")]
    NoScheme,
    #[error("invalid URI for request")]
    Relative,
    #[error("first path segment in URL cannot contain colon")]
    Colon,
    #[error("net/url: invalid userinfo")]
    User,
    #[error("invalid IP-literal")]
    Literal,
    #[error("missing ']' in host")]
    OpenLiteral,
    #[error("invalid port after host")]
    Port,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

// === impl Url ===

impl Url {
    /// Whether a string is an absolute URI or an absolute path.
    pub(in crate::cel::library::kubernetes) fn check(written: &str) -> Result<(), Invalid> {
        Self::read(written, Reading::Request).map(drop)
    }

    /// The URL, which must pass [`Url::check`], and of which the fragment is known.
    pub(super) fn parse(written: &str) -> Result<Self, Invalid> {
        Self::check(written)?;
        Self::reference(written)
    }

    /// The URL, which may be relative.
    pub(super) fn reference(written: &str) -> Result<Self, Invalid> {
        let (rest, fragment) = written.split_once('#').unwrap_or((written, ""));
        let mut url = Self::read(rest, Reading::Reference)?;
        url.fragment = escaped(fragment, Part::Fragment)?;
        Ok(url)
    }

    pub(super) fn is_authority(text: &str) -> bool {
        Self::read(&format!("//{text}"), Reading::Reference)
            .is_ok_and(|url| url.host == text.as_bytes())
    }

    fn read(written: &str, reading: Reading) -> Result<Self, Invalid> {
        if written.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(Invalid::ControlCharacter);
        }
        if written.is_empty() && reading == Reading::Request {
            return Err(Invalid::Empty);
        }
        let mut url = Self::default();
        if written == "*" {
            url.path = written.to_owned();
            return Ok(url);
        }
        let (scheme, rest) = scheme(written)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        url.query = query.to_owned();
        url.empty_query = query.is_empty() && written.ends_with('?');

        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            if reading == Reading::Request {
                return Err(Invalid::Relative);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err(Invalid::Colon);
            }
        }
        let may_have_authority =
            !url.scheme.is_empty() || reading == Reading::Reference && !rest.starts_with("///");
        if let Some(after) = rest.strip_prefix("//").filter(|_| may_have_authority) {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            rest = path;
            url.read_authority(authority)?;
        } else {
            url.without_authority = !url.scheme.is_empty() && rest.starts_with('/');
        }
        url.path = escaped(rest, Part::Path)?;
        Ok(url)
    }

    fn read_authority(&mut self, authority: &str) -> Result<(), Invalid> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self.host = host_of(&self.scheme, host)?;
        let Some(user) = user else { return Ok(()) };
        let is_of_user =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
        if !user.bytes().all(is_of_user) {
            return Err(Invalid::User);
        }
        let (name, password) = match user.split_once(':') {
            Some((name, password)) => (name, Some(unescape(password, Part::User)?)),
            None => (user, None),
        };
        self.user = Some(User { name: unescape(name, Part::User)?, password });
        Ok(())
    }

    /// The host without the brackets of an address, and the port.
    pub(super) fn host_and_port(&self) -> (&[u8], &[u8]) {
        let colon = self.host.iter().rposition(|byte| *byte == b':');
        let (host, port) = match colon.map(|colon| self.host.split_at(colon)) {
            Some((host, [_, port @ ..])) if port.iter().all(u8::is_ascii_digit) => (host, port),
            _ => (&*self.host, &[][..]),
        };
        let inside = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
        (inside.unwrap_or(host), port)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.opaque.is_empty() {
            let has_authority = !self.host.is_empty() || self.user.is_some();
            let is_rooted = !self.scheme.is_empty() && !self.without_authority;
            if has_authority || is_rooted && !self.path.is_empty() {
                f.write_str("//")?;
            }
            if let Some(user) = &self.user {
                f.write_str(&escape::escape(&user.name, Part::User))?;
                if let Some(password) = &user.password {
                    write!(f, ":{}", escape::escape(password, Part::User))?;
                }
                f.write_str("@")?;
            }
            write!(f, "{}{}", escape::escape(&self.host, Part::Host), self.path)?;
        } else {
            f.write_str(&self.opaque)?;
        }
        if self.empty_query || !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", self.fragment)?;
        }
        Ok(())
    }
}

/// A path or a fragment as it is written out: as it was written, if that is escaped.
fn escaped(written: &str, part: Part) -> Result<String, Invalid> {
    let unescaped = unescape(written, part)?;
    Ok(if escape::is_escaped(written, part) {
        written.to_owned()
    } else {
        escape::escape(&unescaped, part)
    })
}

/// What stands before the first colon, if that is a scheme, and the rest.
fn scheme(written: &str) -> Result<(&str, &str), Invalid> {
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let end = written.bytes().position(|byte| !is_of_scheme(&byte)).unwrap_or(written.len());
    match written[end..].strip_prefix(':') {
        Some(_) if end == 0 => Err(Invalid::NoScheme),
        Some(rest) if written.starts_with(|first: char| first.is_ascii_alphabetic()) => {
            Ok((&written[..end], rest))
        }
        _ => Ok(("", written)),
    }
}

/// A host, with or without its port.
fn host_of(scheme: &str, host: &str) -> Result<Vec<u8>, Invalid> {
    match host.rfind('[') {
        Some(0) => literal(host),
        Some(_) => Err(Invalid::Literal),
        None => {
            // Only the names of databases have more than one colon.
            let colon =
                if matches!(scheme, "http" | "https") { host.find(':') } else { host.rfind(':') };
            check_port(&host[colon.unwrap_or(host.len())..])?;
            Ok(unescape(host, Part::Host)?)
        }
    }
}

/// An IPv6 address in brackets, perhaps with a zone, perhaps with a port.
fn literal(host: &str) -> Result<Vec<u8>, Invalid> {
    let close = host.rfind(']').ok_or(Invalid::OpenLiteral)?;
    let (address, port) = (&host[1..close], &host[close + 1..]);
    check_port(port)?;
    let (address, zone) = address.split_at(address.find("%25").unwrap_or(address.len()));
    let mut inside = unescape(address, Part::Host)?;
    inside.extend(unescape(zone, Part::Zone)?);
    let (address, zone) = match inside.iter().position(|byte| *byte == b'%') {
        Some(at) => (&inside[..at], Some(&inside[at + 1..])),
        None => (&*inside, None),
    };
    let is_address = str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    if !is_address || zone.is_some_and(<[u8]>::is_empty) {
        return Err(Invalid::Literal);
    }
    Ok([b"[", &*inside, b"]", port.as_bytes()].concat())
}

fn check_port(port: &str) -> Result<(), Invalid> {
    match port.strip_prefix(':') {
        _ if port.is_empty() => Ok(()),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        _ => Err(Invalid::Port),
    }
}
