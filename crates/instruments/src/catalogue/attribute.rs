//! Attributes as they are declared.

/// One attribute of a metric or of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeDeclaration {
    /// The name; Prometheus shows dots as underscores.
    pub key: &'static str,
    /// What it means.
    pub description: &'static str,
    /// What it can be.
    pub values: Values,
    /// When it is there.
    pub presence: Presence,
}

/// What an attribute can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Any text.
    Text,
    /// Several texts.
    Texts,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
}

/// When an attribute is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Whenever its metric or span is.
    Always,
    /// Only under this condition.
    If(&'static str),
}

// === impl AttributeDeclaration ===

impl AttributeDeclaration {
    pub(super) const fn new(key: &'static str, values: Values, description: &'static str) -> Self {
        Self { key, description, values, presence: Presence::Always }
    }

    pub(super) const fn only_if(self, condition: &'static str) -> Self {
        Self { presence: Presence::If(condition), ..self }
    }
}
