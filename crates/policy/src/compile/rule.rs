//! The expressions of one rule, which share variables.

use std::collections::BTreeSet;

use pharos_api::policy::{AuditAnnotation, MatchCondition, Validation as ValidationSpec, Variable};

use super::keep;
use crate::cel::{Compiler, Expected, Expression, Input, Reason, Sight, Variables};
use crate::error::CompileError;
use crate::policy::StatusReason;
use crate::rule::{Annotation, Condition, RuleBody, Validation};

/// A rule's expressions under way. Variables come before what uses them.
pub(crate) struct RuleCompilation<'a> {
    /// Where the rule is, as in `spec` or `spec.rules[2].validate.cel`.
    path: &'a str,
    compiler: Compiler,
    errors: Vec<CompileError>,
    conditions: Vec<Condition>,
    validations: Vec<Validation>,
    annotations: Vec<Annotation>,
}

/// What the expressions of a policy can name beside its variables.
pub(crate) const INPUTS: &[Input] =
    &[Input::NamespaceObject, Input::Object, Input::OldObject, Input::Request, Input::Exceptions];

// === impl RuleCompilation ===

impl<'a> RuleCompilation<'a> {
    pub(crate) fn new(path: &'a str, inputs: &[Input], sight: Sight) -> Self {
        Self {
            path,
            compiler: Compiler::new(inputs, sight),
            errors: Vec::new(),
            conditions: Vec::new(),
            validations: Vec::new(),
            annotations: Vec::new(),
        }
    }

    /// Adds conditions, which cannot use variables.
    pub(crate) fn conditions(&mut self, conditions: &[MatchCondition], field: &str) {
        for (index, MatchCondition { name, expression }) in conditions.iter().enumerate() {
            let path = format!("{}.{field}[{index}].expression", self.path);
            let compiled = self.compiler.expression(expression, Variables::Hidden, Expected::Bool);
            let compiled = keep(&mut self.errors, &path, expression, compiled);
            let path = format!("{}.{field}[{name}].expression", self.path);
            self.conditions.extend(compiled.map(|expression| Condition { path, expression }));
        }
    }

    pub(crate) fn variables(&mut self, variables: &[Variable], field: &str) {
        let mut names = BTreeSet::new();
        for (index, Variable { name, expression }) in variables.iter().enumerate() {
            let path = format!("{}.{field}[{index}]", self.path);
            if !is_identifier(name) {
                self.invalid(format!("{path}.name"), "must be a CEL identifier");
            }
            if !names.insert(name) {
                self.invalid(format!("{path}.name"), "there is another variable of that name");
            }
            let compiled = self.compiler.variable(name, expression);
            keep(&mut self.errors, &format!("{path}.expression"), expression, compiled);
        }
    }

    pub(crate) fn validations(&mut self, validations: &[ValidationSpec], field: &str) {
        for (index, validation) in validations.iter().enumerate() {
            let compiled = self.validation(&format!("{}.{field}[{index}]", self.path), validation);
            self.validations.extend(compiled);
        }
    }

    fn validation(&mut self, path: &str, validation: &ValidationSpec) -> Option<Validation> {
        let ValidationSpec { expression, message, message_expression, reason } = validation;
        let path_of_expression = format!("{path}.expression");
        let compiled = self.visible(&path_of_expression, expression, Expected::Bool);
        let message_expression =
            message_expression.as_ref().filter(|source| !source.is_empty()).and_then(|source| {
                self.visible(&format!("{path}.messageExpression"), source, Expected::String)
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
        Some(Validation {
            path: path_of_expression,
            expression: compiled?,
            message: message.clone().filter(|message| !message.trim().is_empty()),
            message_expression,
            reason,
        })
    }

    pub(crate) fn audit_annotations(&mut self, annotations: &[AuditAnnotation], field: &str) {
        let mut keys = BTreeSet::new();
        for (index, AuditAnnotation { key, value_expression }) in annotations.iter().enumerate() {
            let path = format!("{}.{field}[{index}].key", self.path);
            if key.is_empty() {
                self.invalid(path, "must not be empty");
            } else if !keys.insert(key) {
                self.invalid(path, "there is another annotation of that key");
            }
            let path = format!("{}.{field}[{index}].valueExpression", self.path);
            let compiled = self.visible(&path, value_expression, Expected::StringOrNull);
            let key = key.clone();
            self.annotations.extend(compiled.map(|expression| Annotation {
                path,
                key,
                expression,
            }));
        }
    }

    /// What was compiled, if nothing is wrong; else the problems are added to `errors`.
    pub(crate) fn finish(mut self, errors: &mut Vec<CompileError>) -> Option<RuleBody> {
        let program = self.compiler.finish();
        let is_sound = self.errors.is_empty();
        errors.append(&mut self.errors);
        program.filter(|_| is_sound).map(|program| RuleBody {
            program,
            conditions: self.conditions,
            validations: self.validations,
            annotations: self.annotations,
        })
    }

    fn visible(&mut self, path: &str, source: &str, expected: Expected) -> Option<Expression> {
        let compiled = self.compiler.expression(source, Variables::Visible, expected);
        keep(&mut self.errors, path, source, compiled)
    }

    fn invalid(&mut self, path: impl Into<String>, message: &str) {
        self.errors.push(CompileError::field(path, Reason::Invalid, message));
    }
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|char| char == '_' || char.is_ascii_alphanumeric())
}
