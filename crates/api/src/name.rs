//! Names as Kubernetes allows them.

/// Whether it is a DNS label (RFC 1123), as the names of namespaces and Services are.
pub fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_label_has_lower_case_letters_and_digits_at_its_ends() {
        for label in ["a", "0", "shop-2", &"a".repeat(63)] {
            assert!(is_dns_label(label), "{label:?}");
        }
        for other in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(!is_dns_label(other), "{other:?}");
        }
    }
}
