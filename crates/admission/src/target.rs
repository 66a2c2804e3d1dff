//! Where the API server reaches the webhook, as given on the command line.
//!
//! Owns the two forms that `clientConfig` knows, a Service and a URL, parsed so that everything
//! behind it (certificate names, webhook configurations) cannot fail on them. Enter by `FromStr`.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;
use k8s_openapi::api::admissionregistration::v1::{ServiceReference, WebhookClientConfig};
use pharos_api::name::is_dns_label;
use rustls::pki_types::ServerName;

/// How the API server reaches the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookTarget {
    /// By a Service, the form for a webhook inside the cluster.
    Service(WebhookService),
    /// By a URL, for a webhook outside of it.
    Url(WebhookUrl),
}

/// A Service and one of its ports, written `namespace/name:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookService {
    namespace: String,
    name: String,
    port: NonZeroU16,
}

/// An `https` URL under which `/validate/...` is reachable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl {
    base: String,
    host: ServerName<'static>,
}

/// Why a target cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not of the form `namespace/name:port`.
    #[error("{0:?} is not of the form namespace/name:port, for example pharos/pharos-webhook:443")]
    ServiceForm(String),
    /// The port is not one.
    #[error("{0:?} is not a port from 1 to 65535")]
    Port(String),
    /// A namespace or name that no API server accepts.
    #[error(
        "{0:?} is not a DNS label: lower case letters, digits and '-', at most 63, \
         starting and ending with a letter or digit"
    )]
    Label(String),
    /// Not a URL that `clientConfig.url` accepts.
    #[error("{url:?} cannot be a webhook's URL: {problem}")]
    Url {
        /// The text as given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

// === impl WebhookTarget ===

impl FromStr for WebhookTarget {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        text.parse().map(Self::Service)
    }
}

impl fmt::Display for WebhookTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(WebhookService { namespace, name, port }) => {
                write!(f, "{namespace}/{name}:{port}")
            }
            Self::Url(url) => f.write_str(&url.base),
        }
    }
}

impl WebhookTarget {
    /// The names by which a client may verify the certificate; the API server uses the first.
    pub(crate) fn server_names(&self) -> Vec<ServerName<'static>> {
        match self {
            Self::Service(service) => service.server_names(),
            Self::Url(url) => vec![url.host.clone()],
        }
    }

    /// The `clientConfig` for one path of the server.
    pub(crate) fn client_config(&self, path: &str) -> WebhookClientConfig {
        match self {
            Self::Service(WebhookService { namespace, name, port }) => WebhookClientConfig {
                service: Some(ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    port: Some(i32::from(port.get())),
                    path: Some(path.to_owned()),
                }),
                ..WebhookClientConfig::default()
            },
            Self::Url(url) => WebhookClientConfig {
                url: Some(format!("{}{path}", url.base)),
                ..WebhookClientConfig::default()
            },
        }
    }
}

// === impl WebhookService ===

impl FromStr for WebhookService {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (namespace, name, port) = text
            .split_once('/')
            .and_then(|(namespace, rest)| {
                let (name, port) = rest.split_once(':')?;
                Some((namespace, name, port))
            })
            .ok_or_else(|| TargetError::ServiceForm(text.to_owned()))?;
        let port = port.parse().map_err(|_| TargetError::Port(port.to_owned()))?;
        Self::new(namespace, name, port)
    }
}

impl WebhookService {
    /// A Service from its parts.
    pub fn new(namespace: &str, name: &str, port: NonZeroU16) -> Result<Self, TargetError> {
        Ok(Self { namespace: dns_label(namespace)?, name: dns_label(name)?, port })
    }

    fn server_names(&self) -> Vec<ServerName<'static>> {
        let Self { namespace, name, port: _ } = self;
        [
            format!("{name}.{namespace}.svc"),
            format!("{name}.{namespace}.svc.cluster.local"),
            format!("{name}.{namespace}"),
        ]
        .into_iter()
        .map(|name| ServerName::try_from(name).expect("DNS labels joined by dots are a DNS name"))
        .collect()
    }
}

fn dns_label(text: &str) -> Result<String, TargetError> {
    if is_dns_label(text) { Ok(text.to_owned()) } else { Err(TargetError::Label(text.to_owned())) }
}

// === impl WebhookUrl ===

impl FromStr for WebhookUrl {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let refuse = |problem| TargetError::Url { url: text.to_owned(), problem };
        // `Uri` drops a fragment without a word.
        if text.contains('#') {
            return Err(refuse("it has a fragment"));
        }
        let uri: Uri = text.parse().map_err(|_| refuse("it is not a URL"))?;
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        if uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(refuse("API servers call webhooks by https only"));
        }
        if authority.as_str().contains('@') {
            return Err(refuse("it names a user"));
        }
        if uri.query().is_some() {
            return Err(refuse("it has a query"));
        }
        // `Uri` takes any number for a port.
        let port = authority.as_str().strip_prefix(authority.host());
        let port = port.and_then(|port| port.strip_prefix(':'));
        if port.is_some_and(|port| port.parse::<NonZeroU16>().is_err()) {
            return Err(refuse("its port is not one from 1 to 65535"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let host = ServerName::try_from(host.to_owned())
            .map_err(|_| refuse("its host is neither a DNS name nor an IP address"))?;
        Ok(Self { base: text.trim_end_matches('/').to_owned(), host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(target: &WebhookTarget) -> Vec<String> {
        target.server_names().iter().map(|name| name.to_str().into_owned()).collect()
    }

    #[test]
    fn a_service_is_reached_by_its_cluster_names() {
        let target: WebhookTarget = "pharos/webhook:8443".parse().unwrap();
        assert_eq!(
            names(&target),
            ["webhook.pharos.svc", "webhook.pharos.svc.cluster.local", "webhook.pharos"]
        );
        let service = target.client_config("/validate/fail").service.unwrap();
        assert_eq!(service.namespace, "pharos");
        assert_eq!(service.name, "webhook");
        assert_eq!(service.port, Some(8443));
        assert_eq!(service.path.as_deref(), Some("/validate/fail"));
        assert_eq!(target.to_string(), "pharos/webhook:8443");
    }

    #[test]
    fn a_url_is_reached_by_its_host() {
        for (url, name, called) in [
            ("https://127.0.0.1:9443", "127.0.0.1", "https://127.0.0.1:9443/validate/fail"),
            ("https://[::1]:9443/", "::1", "https://[::1]:9443/validate/fail"),
            ("https://a.example/b/", "a.example", "https://a.example/b/validate/fail"),
        ] {
            let target = WebhookTarget::Url(url.parse().unwrap());
            assert_eq!(names(&target), [name]);
            let config = target.client_config("/validate/fail");
            assert_eq!(config.url.as_deref(), Some(called));
            assert_eq!(config.service, None);
        }
    }

    #[test]
    fn a_service_in_another_form_is_refused_with_the_form() {
        for (text, part) in [
            ("", "namespace/name:port"),
            ("pharos", "namespace/name:port"),
            ("pharos/webhook", "namespace/name:port"),
            ("pharos:443", "namespace/name:port"),
            ("pharos/webhook:0", "\"0\" is not a port"),
            ("pharos/webhook:https", "\"https\" is not a port"),
            ("pharos/webhook:65536", "\"65536\" is not a port"),
            ("Pharos/webhook:443", "\"Pharos\" is not a DNS label"),
            ("pharos/-webhook:443", "\"-webhook\" is not a DNS label"),
            ("/webhook:443", "\"\" is not a DNS label"),
        ] {
            let error = text.parse::<WebhookTarget>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_url_that_the_api_server_would_refuse_is_refused() {
        for (url, problem) in [
            ("http://a.example", "https only"),
            ("a.example:443", "https only"),
            ("/path", "no host"),
            ("https://u:p@a.example", "names a user"),
            ("https://a.example?x=1", "has a query"),
            ("https://a.example#x", "has a fragment"),
            ("https://a example", "is not a URL"),
            ("https://a.example:0", "port is not one from 1 to 65535"),
            ("https://a.example:65536", "port is not one from 1 to 65535"),
            ("https://[::1]:0", "port is not one from 1 to 65535"),
            ("https://-._:1", "neither a DNS name nor an IP address"),
        ] {
            let error = url.parse::<WebhookUrl>().unwrap_err().to_string();
            assert!(error.contains(problem), "{url}: {error}");
        }
    }
}
