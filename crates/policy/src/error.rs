//! What is wrong with a policy: every problem, and where it is.

use std::fmt;

use crate::cel::{Position, Problem, Reason};

/// One problem of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    path: String,
    expression: Option<String>,
    position: Option<Position>,
    message: String,
    reason: Reason,
}

/// Every problem of a policy; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct CompileErrors(Vec<CompileError>);

// === impl CompileError ===

impl CompileError {
    pub(crate) fn field(
        path: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            path: path.into(),
            expression: None,
            position: None,
            message: message.into(),
            reason,
        }
    }

    pub(crate) fn unsupported(path: impl Into<String>, what: &str) -> Self {
        let message = format!("{what} is not something that this version does");
        Self::field(path, Reason::Unsupported, message)
    }

    pub(crate) fn expression(path: &str, expression: &str, problem: Problem) -> Self {
        Self {
            path: path.to_owned(),
            expression: Some(expression.to_owned()),
            position: problem.position,
            message: problem.message,
            reason: problem.reason,
        }
    }

    /// Where the problem is, as in `spec.validations[0].expression`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The expression it is in, if it is in one.
    pub fn source_expression(&self) -> Option<&str> {
        self.expression.as_deref()
    }

    /// Where in the expression it is, if that is known.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What kind of problem it is, from a closed set.
    pub fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(position) = self.position {
            write!(f, " at {position}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for CompileError {}

// === impl CompileErrors ===

impl CompileErrors {
    /// None if there are no problems.
    pub(crate) fn new(errors: Vec<CompileError>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self(errors))
    }

    /// The problems, in the order of the policy's fields.
    pub fn iter(&self) -> impl Iterator<Item = &CompileError> {
        self.0.iter()
    }

    /// The kind of the first problem, from a closed set.
    pub fn reason(&self) -> &'static str {
        self.0.first().map_or(Reason::Invalid.as_str(), CompileError::reason)
    }
}

impl fmt::Display for CompileErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}
