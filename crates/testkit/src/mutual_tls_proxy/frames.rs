//! The ends of calls in what an HTTP/2 client sends (RFC 9113, section 4.1).

use std::collections::BTreeMap;

const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();
const HEADER: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const END_STREAM: u8 = 0x1;
/// What gRPC puts before each message: whether it is compressed, and its length.
const MESSAGE_PREFIX: usize = 5;

/// A reader of frames, wherever the bytes of a connection were cut.
#[derive(Debug)]
pub(super) struct Frames {
    /// How many bytes are still to come before the next header.
    skip: usize,
    header: Vec<u8>,
    /// The bytes of data so far of each stream that goes on.
    open: BTreeMap<u32, usize>,
}

impl Default for Frames {
    fn default() -> Self {
        Self { skip: PREFACE, header: Vec::with_capacity(HEADER), open: BTreeMap::new() }
    }
}

// === impl Frames ===

impl Frames {
    /// Takes in more bytes: the size of the message of each call that is complete with them.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Vec<usize> {
        let mut complete = Vec::new();
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEADER - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.header.len() == HEADER {
                complete.extend(self.frame());
                self.header.clear();
            }
        }
        complete
    }

    /// A frame begins. What it ends counts as complete: its last bytes are on their way.
    fn frame(&mut self) -> Option<usize> {
        let length = self.header[..3].iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
        let (kind, flags) = (self.header[3], self.header[4]);
        let stream = u32::from_be_bytes(self.header[5..HEADER].try_into().ok()?) & 0x7fff_ffff;
        self.skip = length;
        if kind != DATA && kind != HEADERS {
            return None;
        }
        let data = self.open.entry(stream).or_default();
        if kind == DATA {
            *data += length;
        }
        if flags & END_STREAM == 0 {
            return None;
        }
        Some(self.open.remove(&stream)?.saturating_sub(MESSAGE_PREFIX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload).unwrap(), kind, flags, 0, 0, 0, stream];
        frame.extend(vec![0xff; payload]);
        frame
    }

    fn connection() -> Vec<u8> {
        let mut bytes = vec![0; PREFACE];
        bytes.extend(frame(0x4, 0, 0, 12));
        bytes.extend(frame(HEADERS, 0x4, 1, 30));
        bytes.extend(frame(DATA, 0, 1, 25));
        bytes.extend(frame(HEADERS, 0x4, 3, 8));
        bytes.extend(frame(DATA, END_STREAM, 3, 5));
        bytes.extend(frame(DATA, END_STREAM, 1, 0));
        bytes
    }

    #[test]
    fn calls_are_told_apart_and_their_messages_measured() {
        assert_eq!(Frames::default().read(&connection()), [0, 20]);
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        let mut frames = Frames::default();
        let calls: Vec<_> = connection().chunks(1).flat_map(|byte| frames.read(byte)).collect();
        assert_eq!(calls, [0, 20]);
    }
}
