//! Digests that every replica, of whatever version, computes alike.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// 64 bits of what was digested. The default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u64);

/// 64 bits of the SHA-256 of these bytes.
pub fn of(bytes: &[u8]) -> u64 {
    of_parts(&[bytes])
}

/// The same of several texts, none of which runs into the next.
pub fn of_parts(parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

// === impl Digest ===

impl Digest {
    /// The digest that these digits write.
    pub fn parse(hex: &str) -> Option<Self> {
        u64::from_str_radix(hex, 16).ok().map(Self)
    }

    /// Whether it is none.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written() {
        let digest = Digest(0x00ff_0000_0000_0001);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        assert_eq!(Digest::parse("no digest"), None);
    }

    /// Replicas of two versions must agree on who owns what.
    #[test]
    fn digests_stay_what_they_are() {
        assert_eq!(of(b"pods"), of_parts(&[b"pods"]));
        assert_ne!(of_parts(&[b"po", b"ds"]), of_parts(&[b"pod", b"s"]));
        assert_eq!(of(b""), 0xaf55_70f5_a181_0b7a);
    }
}
