//! What a rule asks for and this version does not do, by name.

use pharos_api::policy::cluster_policy::{CelRule, PolicyRule, ValidateRule};

/// The fields of a rule that are not evaluated, and what they are for.
pub(super) fn of_rule(rule: &PolicyRule) -> impl Iterator<Item = (&'static str, &'static str)> {
    // All fields by name, so that a new one cannot be overlooked.
    let PolicyRule {
        name: _,
        matches: _,
        exclude: _,
        cel_preconditions: _,
        validate,
        mutate,
        generate,
        verify_images,
        context,
        preconditions,
        image_extractors,
        // About requests of background controllers, which this version has not, and reports.
        skip_background_requests: _,
        report_properties: _,
    } = rule;
    let of_validate = validate.iter().flat_map(of_validate);
    [
        (mutate.is_some(), "mutate", "a rule that mutates"),
        (generate.is_some(), "generate", "a rule that generates"),
        (!verify_images.is_empty(), "verifyImages", "a rule that verifies images"),
        (!context.is_empty(), "context", "data for JMESPath"),
        (preconditions.is_some(), "preconditions", "preconditions in JMESPath"),
        (image_extractors.is_some(), "imageExtractors", "extracting images"),
    ]
    .into_iter()
    .chain(of_validate)
    .filter_map(|(asked, field, what)| asked.then_some((field, what)))
}

fn of_validate(validate: &ValidateRule) -> Vec<(bool, &'static str, &'static str)> {
    let ValidateRule {
        failure_action: _,
        failure_action_overrides: _,
        // About rules with patterns.
        allow_existing_violations: _,
        message: _,
        cel,
        pattern,
        any_pattern,
        deny,
        foreach,
        pod_security,
        manifests,
        assert,
    } = validate;
    let mut asked = vec![
        (pattern.is_some(), "validate.pattern", "a rule with a pattern"),
        (any_pattern.is_some(), "validate.anyPattern", "a rule with patterns"),
        (deny.is_some(), "validate.deny", "a rule that denies by JMESPath"),
        (!foreach.is_empty(), "validate.foreach", "a rule for each element"),
        (pod_security.is_some(), "validate.podSecurity", "a rule with Pod Security Standards"),
        (manifests.is_some(), "validate.manifests", "a rule that verifies manifests"),
        (assert.is_some(), "validate.assert", "a rule with an assertion tree"),
    ];
    if let Some(CelRule { param_kind, param_ref, generate, .. }) = cel {
        let admission_policy = "generating a ValidatingAdmissionPolicy";
        asked.extend([
            (param_kind.is_some(), "validate.cel.paramKind", "reading parameters"),
            (param_ref.is_some(), "validate.cel.paramRef", "reading parameters"),
            (*generate == Some(true), "validate.cel.generate", admission_policy),
        ]);
    }
    asked
}
