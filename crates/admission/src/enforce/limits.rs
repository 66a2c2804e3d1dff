//! What the API server takes of an answer, so that what it would cut or drop is cut by us, with a
//! word about it. Pure.
//!
//! The API server repeats warnings in headers: 4,096 characters of them, or 256 of each if that is
//! not enough, and none with a control character. It keeps an audit annotation whose key, behind the
//! webhook's name and a slash, is a qualified name: 63 letters, digits and `-_.`, and no slash. So
//! a policy's annotation cannot be named `policy/key`, as a ValidatingAdmissionPolicy's is.

use std::collections::BTreeMap;

/// Of all warnings together.
const WARNINGS: usize = 4_096;
/// Of each, where all of them are too long.
const WARNING: usize = 256;
/// Of the answer to a request that is refused.
const MESSAGE: usize = 8_192;
/// Of an annotation's key and value; the latter as a ValidatingAdmissionPolicy has it.
const KEY: usize = 63;
const VALUE: usize = 10 * 1_024;
/// All annotations of one answer.
const ANNOTATIONS: usize = 64;

/// Warnings that the API server repeats as they are, each once.
pub(crate) fn bounded(warnings: Vec<String>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for warning in warnings {
        let warning = warning.replace(char::is_control, " ");
        if !told.contains(&warning) {
            told.push(warning);
        }
    }
    let length = |text: &str| text.chars().count();
    if told.iter().map(|text| length(text)).sum::<usize>() <= WARNINGS {
        return told;
    }
    // The last one says how many there are no more.
    let fit = WARNINGS / WARNING - 1;
    let left = told.len().saturating_sub(fit);
    let mut told: Vec<_> = told.iter().take(fit).map(|text| cut(text, WARNING)).collect();
    if left > 0 {
        told.push(format!("and {left} more warnings"));
    }
    told
}

/// A message that a person can still read.
pub(super) fn message(text: &str) -> String {
    cut(text, MESSAGE)
}

/// The annotations that the API server keeps, of policies and keys.
pub(super) fn annotations(
    annotations: impl IntoIterator<Item = (String, String, String)>,
) -> BTreeMap<String, String> {
    let bounded = |(policy, key, value): (String, String, String)| {
        (annotation_key(&policy, &key), cut(&value, VALUE))
    };
    annotations.into_iter().map(bounded).take(ANNOTATIONS).collect()
}

/// `policy.key`; where that is too long the policy's name is shortened, and a digest of it tells
/// policies apart.
fn annotation_key(policy: &str, key: &str) -> String {
    let allowed = |char: char| {
        let alike = char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
        if alike { char } else { '_' }
    };
    let whole: String = format!("{policy}.{key}").chars().map(allowed).collect();
    let whole = whole.trim_matches(|char: char| !char.is_ascii_alphanumeric());
    if !whole.is_empty() && whole.len() <= KEY {
        return whole.to_owned();
    }
    let digest = format!("{:08x}", fnv(format!("{policy}/{key}").as_bytes()));
    let rest = KEY - digest.len() - 1;
    let key: String = key.chars().map(allowed).take(rest / 2).collect();
    let policy: String = policy.chars().map(allowed).take(rest - key.len() - 1).collect();
    let name = format!("{policy}.{key}");
    let name = name.trim_matches(|char: char| !char.is_ascii_alphanumeric());
    if name.is_empty() { digest } else { format!("{name}-{digest}") }
}

/// A digest that stays the same between versions; nobody is kept from making two alike.
fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// At most so many characters, the last of which say that there were more.
fn cut(text: &str, longest: usize) -> String {
    if text.chars().nth(longest).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest - 3).collect();
    kept + "..."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_told_once_in_one_line_and_whole_where_they_fit() {
        let told = bounded(vec!["a\nb".to_owned(), "a b".to_owned(), "x".repeat(4_000)]);
        assert_eq!(told[0], "a b");
        assert_eq!((told.len(), told[1].len()), (2, 4_000));
    }

    #[test]
    fn warnings_that_do_not_fit_are_cut_and_counted() {
        let many = (0..100).map(|index| format!("{index} {}", "ä".repeat(300))).collect();
        let told = bounded(many);
        assert_eq!(told.last().unwrap(), "and 85 more warnings");
        assert!(told.iter().map(|text| text.chars().count()).sum::<usize>() <= WARNINGS);
        assert!(told.iter().all(|text| text.chars().count() <= WARNING));
        assert!(told[0].ends_with("..."));
    }

    #[test]
    fn the_key_of_an_annotation_is_one_that_the_api_server_keeps() {
        let qualified = |key: &str| {
            let inner = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
            let ends = |char: Option<char>| char.is_some_and(|char| char.is_ascii_alphanumeric());
            key.len() <= KEY
                && key.chars().all(inner)
                && ends(key.chars().next())
                && ends(key.chars().last())
        };
        assert_eq!(annotation_key("require-team", "team"), "require-team.team");
        assert_eq!(annotation_key("shop/require-team", "a"), "shop_require-team.a");
        let long = "p".repeat(253);
        for (policy, key) in
            [("p", "k"), (&*long, "k"), ("p", &*long), (&*long, &*long), ("", ""), ("ä", "-")]
        {
            let key = annotation_key(policy, key);
            assert!(qualified(&key), "{key}");
        }
        let other = "p".repeat(252) + "q";
        assert_ne!(annotation_key(&long, "k"), annotation_key(&other, "k"));
    }

    #[test]
    fn annotations_are_bounded() {
        let many = (0..100).map(|index| ("p".to_owned(), index.to_string(), "v".repeat(20_000)));
        let kept = annotations(many);
        assert_eq!(kept.len(), ANNOTATIONS);
        assert!(kept.values().all(|value| value.len() == VALUE));
    }
}
