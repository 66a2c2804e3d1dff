//! What came of an expression, on either side.

/// What came of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    True,
    False,
    /// The string that it made.
    Text(String),
    Error(Class),
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    NoSuchKey,
    NoSuchOverload,
    OutOfRange,
    DivisionByZero,
    Other,
}

// === impl Class ===

impl Class {
    /// The class of an error, by the words that both sides have for it.
    pub(crate) fn of(message: &str) -> Self {
        let message = message.to_lowercase();
        let classes: [(&[&str], Self); 4] = [
            (&["no such key"], Self::NoSuchKey),
            (&["no such overload", "no matching overload"], Self::NoSuchOverload),
            (
                &["out of range", "out of bounds", "overflow", "exceeds", "too large"],
                Self::OutOfRange,
            ),
            (&["division by zero", "divide by zero", "modulus by zero"], Self::DivisionByZero),
        ];
        let found =
            classes.iter().find(|(words, _)| words.iter().any(|word| message.contains(word)));
        found.map_or(Self::Other, |(_, class)| *class)
    }
}
