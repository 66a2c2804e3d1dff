//! Where we say something else, and why. An entry that does not differ fails the test.

/// Expressions that one side refuses when a policy is created.
pub(crate) const CREATION: &[(&str, &str)] = &[];

/// Expressions that say something else of some object.
pub(crate) const EVALUATION: &[(&str, &str)] = &[];
