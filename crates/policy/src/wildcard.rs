//! Patterns as Kyverno has them: `*` is any text, also none, and `?` is any one character.

/// Whether the whole of `text` is what `pattern` says. It takes at most as many steps as the two
/// lengths multiplied.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern_rest, mut text_rest) = (pattern.chars(), text.chars());
    // Where to go on if the last `*` has to take one character more.
    let mut retry = None;
    loop {
        let mut next = text_rest.clone();
        match (pattern_rest.next(), next.next()) {
            (Some('*'), _) => retry = Some((pattern_rest.clone(), text_rest.clone())),
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => text_rest = next,
            _ => {
                let Some((after_star, taken)) = &mut retry else { return false };
                if taken.next().is_none() {
                    return false;
                }
                (pattern_rest, text_rest) = (after_star.clone(), taken.clone());
            }
        }
    }
}

/// Whether one of the patterns is about that text.
pub(crate) fn any_matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text))
}

/// Whether a text is a pattern, and not only itself.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_any_text_and_question_marks_one_character() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("kube-*", "kube-system", true),
            ("kube-*", "kub", false),
            ("*-system", "kube-system-system", true),
            ("a*b*c", "axxbxbc", true),
            ("a*b*c", "axxbxb", false),
            ("?*", "", false),
            ("?*", "ä", true),
            ("a?c", "ac", false),
            ("**?", "x", true),
            ("Pod", "pod", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_its_length_times_that_of_the_text() {
        let pattern = "*a".repeat(2_000) + "b";
        assert!(!matches(&pattern, &"a".repeat(5_000)));
    }
}
