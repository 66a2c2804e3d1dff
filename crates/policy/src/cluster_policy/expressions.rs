//! The expressions of one rule, compiled under the path of the rule.

use std::collections::BTreeSet;

use pharos_api::policy::{MatchCondition, Validation as ValidationSpec, Variable};

use crate::cel::{Compiler, Expression, Problem, Program, Reason, Variables};
use crate::error::CompileError;
use crate::policy::StatusReason;
use crate::rule::{Condition, Validation};

/// A compilation under way.
pub(super) struct Expressions<'e> {
    compiler: Compiler,
    errors: &'e mut Vec<CompileError>,
}

// === impl Expressions ===

impl<'e> Expressions<'e> {
    pub(super) fn new(errors: &'e mut Vec<CompileError>) -> Self {
        Self { compiler: Compiler::default(), errors }
    }

    /// What the expressions share; none where one of the variables has problems.
    pub(super) fn finish(self) -> Option<Program> {
        self.compiler.finish()
    }

    pub(super) fn conditions(
        &mut self,
        conditions: &[MatchCondition],
        path: &str,
    ) -> Vec<Condition> {
        let compile = |(index, condition): (usize, &MatchCondition)| {
            let MatchCondition { name, expression } = condition;
            let path = format!("{path}[{index}].expression");
            let expression = self.expression(&path, expression, Variables::Hidden)?;
            Some(Condition { name: name.clone(), expression })
        };
        conditions.iter().enumerate().filter_map(compile).collect()
    }

    pub(super) fn variables(&mut self, variables: &[Variable], path: &str) {
        let mut names = BTreeSet::new();
        for (index, Variable { name, expression }) in variables.iter().enumerate() {
            if !names.insert(name) {
                let path = format!("{path}[{index}].name");
                self.invalid(path, "there is another variable of that name");
            }
            let compiled = self.compiler.variable(name, expression);
            self.keep(&format!("{path}[{index}].expression"), expression, compiled);
        }
    }

    /// What must be true. `message` is for those that have none of their own.
    pub(super) fn validations(
        &mut self,
        validations: &[ValidationSpec],
        path: &str,
        message: Option<&str>,
    ) -> Vec<Validation> {
        let compile = |(index, validation)| {
            self.validation(validation, &format!("{path}[{index}]"), message)
        };
        validations.iter().enumerate().filter_map(compile).collect()
    }

    fn validation(
        &mut self,
        validation: &ValidationSpec,
        path: &str,
        otherwise: Option<&str>,
    ) -> Option<Validation> {
        let ValidationSpec { expression, message, message_expression, reason } = validation;
        let compiled =
            self.expression(&format!("{path}.expression"), expression, Variables::Visible);
        let message_expression = message_expression.as_ref().and_then(|source| {
            self.expression(&format!("{path}.messageExpression"), source, Variables::Visible)
        });
        let reason = match reason.as_deref().map(StatusReason::parse) {
            None => StatusReason::default(),
            Some(Some(reason)) => reason,
            Some(None) => {
                let names = "must be Unauthorized, Forbidden, Invalid or RequestEntityTooLarge";
                self.invalid(format!("{path}.reason"), names);
                return None;
            }
        };
        let message = message.as_deref().filter(|it| !it.is_empty()).or(otherwise);
        Some(Validation {
            expression: compiled?,
            message: message.filter(|it| !it.trim().is_empty()).map(str::to_owned),
            message_expression,
            reason,
        })
    }

    fn expression(
        &mut self,
        path: &str,
        source: &str,
        variables: Variables,
    ) -> Option<Expression> {
        let compiled = self.compiler.expression(source, variables);
        self.keep(path, source, compiled)
    }

    /// The value, or the problems added to the others.
    fn keep<T>(
        &mut self,
        path: &str,
        source: &str,
        compiled: Result<T, Vec<Problem>>,
    ) -> Option<T> {
        compiled
            .map_err(|problems| {
                let located = |problem| CompileError::expression(path, source, problem);
                self.errors.extend(problems.into_iter().map(located));
            })
            .ok()
    }

    fn invalid(&mut self, path: String, message: &str) {
        self.errors.push(CompileError::field(path, Reason::Invalid, message));
    }
}
