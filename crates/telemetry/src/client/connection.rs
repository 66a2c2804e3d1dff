//! One connection to a receiver, which listens to what goes wrong on it.
//!
//! Owns nothing but finding out: whom the first bytes are from, and which error of TLS ended it.
//! Bytes pass unchanged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection as Connects};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::fault::{Fault, Faults};
use super::tls::Circumstances;

/// Plaintext or TLS.
pub(super) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// One connection to a receiver.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    dialect: Dialect,
    /// Only where there is TLS.
    circumstances: Option<Circumstances>,
    faults: Faults,
    /// Whether the receiver has said anything, or closed the connection.
    heard: bool,
    /// What it had said when writing failed, for whoever reads next.
    early: Vec<u8>,
}

/// What we speak on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Http1,
    Http2,
}

/// How much is read after writing failed: an alert, or the head of an answer.
const EARLY: usize = 4 * 1024;
/// Servers that expect TLS, or another HTTP, often say nothing to those who do not speak it.
const SILENT: &str =
    "it closes the connection without a word; does it expect TLS, or the other protocol?";
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

// === impl Connection ===

impl Connection {
    pub(super) fn new(
        stream: Stream,
        dialect: Dialect,
        circumstances: Option<Circumstances>,
        faults: Faults,
    ) -> Self {
        Self { stream, dialect, circumstances, faults, heard: false, early: Vec::new() }
    }

    /// The receiver says its first bytes, or closes the connection without a word.
    fn hear(&mut self, bytes: &[u8]) {
        if std::mem::replace(&mut self.heard, true) {
            return;
        }
        if let Some(fault) = strange(self.dialect, self.circumstances.is_some(), bytes) {
            self.faults.note(fault);
        }
    }

    /// The receiver refuses us, if it has said nothing before; later something else has broken, and
    /// requests may have been processed.
    fn note(&self, error: &io::Error) {
        if self.heard {
            return;
        }
        match &self.circumstances {
            None => self.faults.note(Fault::Lost(SILENT.to_owned())),
            Some(circumstances) => {
                if let Some(why) = circumstances.explain(error) {
                    self.faults.note(Fault::Tls(why));
                }
            }
        }
    }

    /// Writing failed: the reason may lie there to be read, an alert say, or come right behind. No
    /// error is passed on before that is known; who asks again will find the connection as broken.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = &written else { return written };
        self.note(error);
        if self.heard {
            return written;
        }
        let mut space = [0; EARLY];
        let mut buffer = ReadBuf::new(&mut space);
        match std::task::ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
            Ok(()) => {
                self.hear(buffer.filled());
                self.early = buffer.filled().to_vec();
            }
            Err(error) => self.note(&error),
        }
        written
    }
}

/// Whether the first bytes of a receiver show that it is none of ours.
fn strange(dialect: Dialect, tls: bool, bytes: &[u8]) -> Option<Fault> {
    // The first frame of a connection: length (3), type, flags, stream (4).
    let is_http2 = matches!(bytes, [_, _, _, SETTINGS | GOAWAY, _, 0, 0, 0, 0, ..]);
    match dialect {
        // A record with an alert. Inside of TLS nobody would see one.
        _ if !tls && bytes.starts_with(&[0x15, 0x03]) => Some(Fault::expects_tls()),
        Dialect::Http2 if bytes.starts_with(b"HTTP/") => Some(Fault::Unreachable(
            "the receiver answers in HTTP/1; is it that of OTLP over HTTP?".to_owned(),
        )),
        Dialect::Http1 if is_http2 => Some(Fault::Unreachable(
            "the receiver answers in HTTP/2; is it that of OTLP over gRPC?".to_owned(),
        )),
        _ if bytes.is_empty() && !tls => Some(Fault::Lost(SILENT.to_owned())),
        Dialect::Http1 | Dialect::Http2 => None,
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let some = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early[..some]);
            self.early.drain(..some);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match &read {
            Poll::Ready(Ok(())) => self.hear(&buffer.filled()[before..]),
            Poll::Ready(Err(error)) => self.note(error),
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.written(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connects for Connection {
    fn connected(&self) -> Connected {
        match (&self.stream, self.dialect) {
            (Either::Right(_), Dialect::Http2) => Connected::new().negotiated_h2(),
            _ => Connected::new(),
        }
    }
}

// === impl Fault ===

impl Fault {
    /// The receiver speaks TLS, and we do not.
    pub(super) fn expects_tls() -> Self {
        Self::Tls("the receiver expects TLS; the endpoint would have to be https".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_who_it_is() {
        use Dialect::{Http1, Http2};
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 200];
        for (dialect, tls, bytes, expected) in [
            (Http2, false, &settings[..], None),
            (Http2, false, b"\x15\x03\x03\0\x02\x02\x28", Some("https")),
            (Http1, false, b"\x15\x03\x01\0\x02\x02\x28", Some("https")),
            (Http2, false, b"", Some("TLS, or")),
            (Http1, false, b"", Some("TLS, or")),
            (Http2, true, b"", None),
            (Http2, true, b"HTTP/1.1 400 Bad Request", Some("HTTP/1;")),
            (Http1, false, &settings[..], Some("HTTP/2;")),
            (Http1, true, b"", None),
            (Http1, false, b"HTTP/1.1 200 OK", None),
            (Http1, false, b"garbage", None),
            (Http2, true, b"\x15\x03\x03\0\x02\x02\x28", None),
        ] {
            let fault = strange(dialect, tls, bytes).map(|it| it.to_string());
            let told = fault.as_deref();
            assert_eq!(told.is_some(), expected.is_some(), "{bytes:?}: {told:?}");
            assert!(told.unwrap_or_default().contains(expected.unwrap_or_default()), "{told:?}");
        }
    }
}
