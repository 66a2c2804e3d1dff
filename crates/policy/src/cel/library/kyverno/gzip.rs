//! Compressed data.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::super::Library;
use super::super::arguments::{error, no_such_overload};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Octets, Value};

/// How much is decompressed before it is paid for.
const CHUNK: usize = 8 << 10;
/// What a compressor takes, however little it compresses.
const STATE: usize = 320 << 10;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("gzip.decompress", [Type::Bytes], Type::String, |host, arguments| {
        let Some(Value::Bytes(bytes)) = arguments.first() else { return Err(no_such_overload()) };
        decompress(host, bytes)
    });
    library.global("gzip.compress", [Type::Dyn], Type::Bytes, |host, arguments| {
        match arguments.first() {
            Some(Value::String(text)) => compress(host, text.as_bytes()),
            Some(Value::Bytes(bytes)) => compress(host, bytes),
            _ => Err(no_such_overload()),
        }
    });
}

fn decompress<'a>(host: &Host<'_>, bytes: &[u8]) -> Result<Value<'a>, Fault> {
    let mut reader = MultiGzDecoder::new(bytes);
    let mut decompressed = Vec::new();
    loop {
        let before = decompressed.len();
        host.meter.allocate(CHUNK)?;
        host.meter.scan(8 * CHUNK)?;
        let read = reader.by_ref().take(CHUNK as u64).read_to_end(&mut decompressed);
        read.map_err(|reason| error(format!("not gzip: {reason}")))?;
        if decompressed.len() == before {
            return Ok(Value::string(String::from_utf8_lossy(&decompressed)));
        }
    }
}

fn compress<'a>(host: &Host<'_>, bytes: &[u8]) -> Result<Value<'a>, Fault> {
    host.meter.scan(64 * (STATE / 16 + bytes.len()))?;
    host.meter.allocate(STATE + bytes.len())?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    let compressed = written.map_err(|reason| error(reason.to_string()))?;
    Ok(Value::Bytes(Octets::Shared(compressed.into())))
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::{call, error_of, text_of, value};
    use crate::cel::meter::Fault;
    use crate::cel::value::{Octets, Value};

    #[test]
    fn what_is_compressed_can_be_read_again() {
        for text in ["", "abc", &"é".repeat(10_000)] {
            let compressed = value("gzip.compress", &[Value::string(text)]);
            assert_eq!(text_of("gzip.decompress", &[compressed]), text);
        }
        error_of("gzip.decompress", &[Value::Bytes(Octets::Borrowed(b"abc"))]);
    }

    #[test]
    fn a_bomb_ends_in_the_budget() {
        use std::io::Write;
        let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&vec![0; 64 << 20]).expect("memory takes it");
        let bomb = Value::Bytes(Octets::Shared(bomb.finish().expect("memory takes it").into()));
        let exhausted = call("gzip.decompress", &[bomb]);
        assert!(matches!(exhausted, Err(Fault::Exhausted(_))), "{exhausted:?}");
    }
}
