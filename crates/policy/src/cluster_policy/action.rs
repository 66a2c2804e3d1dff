//! What follows when a rule is failed: the same for every request, or another action in some
//! namespaces.

use pharos_api::policy::ValidationAction;
use pharos_api::policy::cluster_policy::{
    ClusterPolicySpec, FailureAction, FailureActionOverride, ValidateRule,
};

use super::labels::Labels;
use crate::actions::Actions;
use crate::error::CompileError;
use crate::request::Request;
use crate::wildcard;

/// Other actions in some namespaces.
#[derive(Debug)]
pub(crate) struct ActionOverride {
    /// Patterns; empty where only the labels decide, or nothing.
    namespaces: Vec<String>,
    labels: Option<Labels>,
    actions: Actions,
}

/// What a rule does, and its overrides, of which the first that is about a request counts. What the
/// policy says stands in where the rule says nothing.
pub(super) fn compile(
    spec: &ClusterPolicySpec,
    rule: &ValidateRule,
    path: &str,
    errors: &mut Vec<CompileError>,
) -> (Actions, Vec<ActionOverride>) {
    let warns = spec.emit_warning == Some(true);
    let mut overrides = overridden(
        &rule.failure_action_overrides,
        &format!("{path}.validate.failureActionOverrides"),
        warns,
        errors,
    );
    let action = rule.failure_action.unwrap_or_else(|| {
        overrides.extend(overridden(
            &spec.validation_failure_action_overrides,
            "spec.validationFailureActionOverrides",
            warns,
            errors,
        ));
        spec.validation_failure_action.unwrap_or_default()
    });
    (actions(action, warns), overrides)
}

/// Warnings are for those who are not refused.
pub(super) fn actions(action: FailureAction, warns: bool) -> Actions {
    use ValidationAction::{Audit, Deny, Warn};

    match (action.enforces(), warns) {
        (true, _) => Actions::from_iter([Deny]),
        (false, false) => Actions::from_iter([Audit]),
        (false, true) => Actions::from_iter([Audit, Warn]),
    }
}

fn overridden(
    overrides: &[FailureActionOverride],
    path: &str,
    warns: bool,
    errors: &mut Vec<CompileError>,
) -> Vec<ActionOverride> {
    let compile = |(index, it): (usize, &FailureActionOverride)| {
        let FailureActionOverride { action, namespaces, namespace_selector } = it;
        let path = format!("{path}[{index}].namespaceSelector");
        let labels = namespace_selector.as_ref().map(|it| Labels::compile(it, &path, errors));
        // One that names no action changes none.
        let actions = actions((*action)?, warns);
        Some(ActionOverride { namespaces: namespaces.clone(), labels, actions })
    };
    overrides.iter().enumerate().filter_map(compile).collect()
}

// === impl ActionOverride ===

impl ActionOverride {
    /// What follows, if it is about the request.
    pub(crate) fn actions_for(&self, request: &Request<'_>) -> Option<Actions> {
        let namespace = match request.namespace {
            Some(namespace) if !request.is_namespace() => namespace,
            _ => "",
        };
        let named =
            self.namespaces.is_empty() || wildcard::any_matches(&self.namespaces, namespace);
        let selected = || {
            self.labels.as_ref().is_none_or(|labels| {
                request.namespace_object.is_some_and(|object| labels.selects(object))
            })
        };
        (named && selected()).then_some(self.actions)
    }

    /// Whether the labels of the request's namespace decide.
    pub(crate) fn needs_namespace(&self) -> bool {
        self.labels.is_some()
    }
}
