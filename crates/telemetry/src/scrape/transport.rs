//! How scrapes are served now.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;

use crate::config::{Config, MaterialError, MetricSink, ScrapeTransport, ServerTls, SinkName};

/// What a scraper's browser would call `http/1.1`; there is nothing to gain from more.
const ALPN: &[u8] = b"http/1.1";

/// How scrapes are served. Equal if what it was made from is.
#[derive(Clone, Default)]
pub(crate) enum Transport {
    /// By HTTP; also what says that there is nothing to scrape.
    #[default]
    Plaintext,
    /// By HTTPS, with what was made of the material once for all connections.
    Tls(Arc<Tls>),
}

/// Material, and what rustls makes of it.
pub(crate) struct Tls {
    material: ServerTls,
    pub(super) config: Arc<ServerConfig>,
}

// === impl Transport ===

impl Transport {
    /// The transport that `wanted` asks for; the one that runs if it is the same. Of several sinks
    /// that are scraped the first one decides: there is one listener.
    ///
    /// # Errors
    /// If the sink's material is of no use, and which sink that is.
    pub(crate) fn prepare(
        wanted: &Config,
        running: &Self,
    ) -> Result<Self, (SinkName, MaterialError)> {
        let first = wanted.metric_sinks().find_map(|(name, sink)| match sink {
            MetricSink::Prometheus(transport) => Some((name, transport)),
            MetricSink::Otlp(_) => None,
        });
        match (first, running) {
            (None | Some((_, ScrapeTransport::Plaintext)), _) => Ok(Self::Plaintext),
            (Some((_, ScrapeTransport::Tls(wanted))), Self::Tls(running))
                if running.material == *wanted =>
            {
                Ok(Self::Tls(Arc::clone(running)))
            }
            (Some((name, ScrapeTransport::Tls(wanted))), _) => {
                let tls = Tls::new(wanted).map_err(|error| (name.clone(), error))?;
                Ok(Self::Tls(Arc::new(tls)))
            }
        }
    }
}

impl PartialEq for Transport {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plaintext, Self::Plaintext) => true,
            (Self::Tls(one), Self::Tls(other)) => one.material == other.material,
            (Self::Plaintext, Self::Tls(_)) | (Self::Tls(_), Self::Plaintext) => false,
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plaintext => formatter.write_str("Plaintext"),
            Self::Tls(tls) => formatter.debug_tuple("Tls").field(&tls.material).finish(),
        }
    }
}

// === impl Tls ===

impl Tls {
    fn new(material: &ServerTls) -> Result<Self, MaterialError> {
        let mut config = material.server_config()?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { material: material.clone(), config: Arc::new(config) })
    }
}
