//! Digests that every replica, of whatever version, computes alike.

use sha2::{Digest, Sha256};

/// 64 bits of the SHA-256 of these bytes.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    of_parts(&[bytes])
}

/// The same of several texts, none of which runs into the next.
pub(crate) fn of_parts(parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replicas of two versions must agree on who owns what.
    #[test]
    fn digests_stay_what_they_are() {
        assert_eq!(of(b"pods"), of_parts(&[b"pods"]));
        assert_ne!(of_parts(&[b"po", b"ds"]), of_parts(&[b"pod", b"s"]));
        assert_eq!(of(b""), 0xaf55_70f5_a181_0b7a);
    }
}
