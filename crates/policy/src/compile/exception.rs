//! From a PolicyException to a [`CompiledException`].

use pharos_api::policy::{
    EvaluationMode, MatchCondition, PolicyException, PolicyExceptionSpec, PolicyReference,
};

use super::{Compilation, RuleCompilation};
use crate::cel::{Input, Sight};
use crate::error::CompileErrors;
use crate::exception::{CompiledException, PolicyRef, Scope};
use crate::kind::PolicyKind;
use crate::rule::RuleBody;

/// Where an exception says how much its word counts among those of others.
const PRIORITY: &str = "polex.kyverno.io/priority";

pub(super) fn compile(exception: &PolicyException) -> Result<CompiledException, CompileErrors> {
    // All fields by name, so that a new one cannot be overlooked.
    let PolicyExceptionSpec {
        policy_refs,
        match_conditions,
        images,
        allowed_values,
        report_result,
        expires_at,
        properties: _,
        evaluation_mode,
    } = &exception.spec;
    let mut compilation = Compilation::default();
    let name = compilation.name(exception.metadata.name.as_deref());
    let policies = policies(&mut compilation, policy_refs);
    if let Some(mode @ (EvaluationMode::Json | EvaluationMode::Http | EvaluationMode::Envoy)) =
        evaluation_mode
    {
        compilation.unsupported("spec.evaluationMode", &format!("mode {}", mode.as_str()));
    }
    let conditions = conditions(&mut compilation, match_conditions);
    let scope = if images.is_empty() && allowed_values.is_empty() {
        Scope::Everything
    } else {
        Scope::Allows { images: images.clone(), values: allowed_values.clone() }
    };
    let labels = exception.metadata.labels.as_ref();
    let priority = labels.and_then(|labels| labels.get(PRIORITY)?.parse().ok());
    compilation.finish(()).map(|()| {
        let conditions = conditions.expect("conditions without a program have left their problems");
        CompiledException {
            namespace: exception.metadata.namespace.as_deref().unwrap_or_default().into(),
            name: name.into(),
            policies,
            expires_at: expires_at.as_ref().map(|at| at.0),
            conditions,
            scope,
            report_result: report_result.unwrap_or_default(),
            priority: priority.unwrap_or_default(),
        }
    })
}

/// Those that can be evaluated here; an exception may be from others, too.
fn policies(compilation: &mut Compilation, references: &[PolicyReference]) -> Vec<PolicyRef> {
    if references.is_empty() {
        compilation.invalid("spec.policyRefs", "must name at least one policy");
    }
    let mut policies = Vec::new();
    for (index, PolicyReference { name, kind }) in references.iter().enumerate() {
        for (field, value) in [("name", name), ("kind", kind)] {
            if value.is_empty() {
                let path = format!("spec.policyRefs[{index}].{field}");
                compilation.invalid(path, "must not be empty");
            }
        }
        let known = PolicyKind::parse(kind);
        policies.extend(known.map(|kind| PolicyRef { kind, name: name.as_str().into() }));
    }
    policies
}

fn conditions(compilation: &mut Compilation, conditions: &[MatchCondition]) -> Option<RuleBody> {
    let mut rule = RuleCompilation::new("spec", Input::ADMISSION, Sight::Nothing);
    rule.conditions(conditions, "matchConditions");
    rule.finish(compilation.errors())
}
