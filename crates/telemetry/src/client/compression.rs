//! Bodies, smaller: requests as the configuration says, answers as the receiver likes.

use std::io::{self, Read, Write as _};

use bytes::Bytes;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::config::Compression;

/// From this size on, compressing would keep other exports waiting.
const LARGE: usize = 64 * 1024;
/// The most memory that a receiver can make us use for an answer, as a power of two.
const WINDOW_LOG: u32 = 23;

/// The body of a request, and what it is compressed by in the end.
pub(super) struct Compressed {
    pub(super) body: Bytes,
    pub(super) by: Compression,
}

// === impl Compressed ===

impl Compressed {
    /// Compresses `body`, if it is large on a thread that may be busy.
    pub(super) async fn new(body: Bytes, by: Compression) -> Self {
        if by == Compression::None {
            return Self { body, by };
        }
        let compressed = if body.len() < LARGE {
            compress(&body, by)
        } else {
            let body = body.clone();
            let compressing = tokio::task::spawn_blocking(move || compress(&body, by));
            compressing.await.unwrap_or_else(|error| Err(io::Error::other(error)))
        };
        match compressed {
            Ok(compressed) => Self { body: compressed.into(), by },
            // Every receiver takes what is not compressed.
            Err(error) => {
                tracing::warn!(%error, "a request is sent without compression");
                Self { body, by: Compression::None }
            }
        }
    }
}

// === impl Compression ===

impl Compression {
    /// How headers name it; none if there is nothing to name.
    pub(super) fn token(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

fn compress(body: &[u8], by: Compression) -> io::Result<Vec<u8>> {
    match by {
        Compression::None => Ok(body.to_vec()),
        Compression::Gzip => {
            // The usual level takes five times as long for a tenth less, and there is much to send.
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(body)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::encode_all(body, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

/// What `body` was before it was compressed; none if that is not so, or more than `limit`.
pub(super) fn decompress(body: Bytes, token: Option<&[u8]>, limit: usize) -> Option<Bytes> {
    let bounded = |decoder: &mut dyn Read| {
        let mut plain = Vec::new();
        decoder.take(limit as u64 + 1).read_to_end(&mut plain).ok()?;
        (plain.len() <= limit).then(|| plain.into())
    };
    match token {
        None | Some(b"" | b"identity") => Some(body),
        Some(b"gzip") => bounded(&mut GzDecoder::new(&body[..])),
        Some(b"zstd") => {
            let mut decoder = zstd::stream::read::Decoder::new(&body[..]).ok()?;
            decoder.window_log_max(WINDOW_LOG).ok()?;
            bounded(&mut decoder)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_compressed_can_be_read_again_large_or_small() {
        for size in [0, 1, LARGE, 3 * LARGE] {
            let body = Bytes::from(vec![b'a'; size]);
            for by in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let compressed = Compressed::new(body.clone(), by).await;
                assert_eq!(compressed.by, by);
                assert!(by == Compression::None || compressed.body.len() < LARGE, "{by:?}");
                let token = by.token().map(str::as_bytes);
                assert_eq!(decompress(compressed.body, token, size), Some(body.clone()), "{by:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_receiver_cannot_fill_the_memory_with_a_small_answer() {
        let body = Bytes::from(vec![0; 1 << 20]);
        for by in [Compression::Gzip, Compression::Zstd] {
            let bomb = Compressed::new(body.clone(), by).await.body;
            let token = by.token().map(str::as_bytes);
            assert_eq!(decompress(bomb.clone(), token, body.len() - 1), None, "{by:?}");
            assert_eq!(decompress(bomb.slice(..bomb.len() / 2), token, body.len()), None, "{by:?}");
        }
        assert_eq!(decompress(body, Some(b"br"), usize::MAX), None);
    }
}
