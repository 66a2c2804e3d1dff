//! The other side of a sink that pushes.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::{ClientTls, Endpoint, Header};

/// How long one request may take unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A receiver of OTLP, and how to talk to it.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpReceiver {
    /// Where it listens, and by which protocol.
    pub endpoint: Endpoint,
    /// How requests are compressed.
    pub compression: Compression,
    /// How long one request may take.
    pub timeout: Duration,
    /// Sent with every request.
    pub headers: Vec<Header>,
    /// Only used where the endpoint is https.
    pub tls: ClientTls,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

// === impl OtlpReceiver ===

impl OtlpReceiver {
    /// Everything by default: gzip, 10 s, no headers, the system's roots.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            compression: Compression::Gzip,
            timeout: DEFAULT_TIMEOUT,
            headers: Vec::new(),
            tls: ClientTls::default(),
        }
    }
}

impl Serialize for OtlpReceiver {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { endpoint, compression, timeout, headers, tls } = self;
        let mut receiver = serializer.serialize_struct("OtlpReceiver", 6)?;
        receiver.serialize_field("endpoint", endpoint)?;
        receiver.serialize_field("protocol", &endpoint.protocol())?;
        receiver.serialize_field("compression", compression)?;
        receiver.serialize_field("timeoutSeconds", &timeout.as_secs_f64())?;
        receiver.serialize_field("headers", headers)?;
        if endpoint.is_tls() {
            receiver.serialize_field("tls", tls)?;
        } else {
            receiver.skip_field("tls")?;
        }
        receiver.end()
    }
}
