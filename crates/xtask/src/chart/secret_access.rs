//! The ValidatingAdmissionPolicy by which nobody makes Pharos read a Secret for them that they may
//! not read themselves.
//!
//! Generated from [`Place::ALL`], the list of references that `resolve` walks: a reference that is
//! resolved is a reference that is checked.
//!
//! An authorization check is what expressions of the API server may do least of: two in one
//! expression and 28 in one policy, then its budget is gone. So the Secrets are put into one list,
//! and each validation takes the first of what the one before left, with all its equals; who may get
//! every Secret needs no other check. More Secrets than [`MOST`] are for the latter only.

use std::fmt::Write;

use pharos_operator::resolve::Place;

/// How many different Secrets an object may name of somebody who may not get all of them.
const MOST: usize = 16;

const CHECK: &str = "authorizer.group('').resource('secrets').namespace(request.namespace)";

const HEAD: &str = r#"{{- if .Values.telemetry.admissionPolicies.enabled }}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: pharos-secret-access.{{ include "pharos.scope" . }}
  labels:
    {{- include "pharos.labels" . | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [telemetry.pharos.dev]
      apiVersions: ["*"]
      operations: [CREATE, UPDATE]
      resources: [telemetryconfigs]
  matchConditions:
  - name: spec-changed
    expression: request.operation == 'CREATE' || object.spec != oldObject.spec
"#;

const TAIL: &str = r#"---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: pharos-secret-access.{{ include "pharos.scope" . }}
  labels:
    {{- include "pharos.labels" . | nindent 4 }}
spec:
  policyName: pharos-secret-access.{{ include "pharos.scope" . }}
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ .Release.Namespace }}
{{- end }}
"#;

/// The policy with its binding, as a template of the chart.
pub(super) fn policy(places: &[Place]) -> String {
    let mut yaml = HEAD.to_owned();
    yaml.push_str("  variables:\n");
    let names: Vec<_> = places.iter().map(|place| variable_name(*place)).collect();
    for (place, name) in places.iter().zip(&names) {
        // Joined by spaces, which no name has: there is no function that flattens lists.
        variable(&mut yaml, name, &names_at(*place));
    }
    variable(&mut yaml, "readsAll", &format!("{CHECK}.check('get').allowed()"));
    let joined: Vec<_> = names.iter().map(|name| format!("variables.{name}")).collect();
    let all = format!("[{}].join(' ').split(' ').filter(name, name != '')", joined.join(", "));
    variable(&mut yaml, "secrets0", &all);
    for index in 1..=MOST {
        let before = format!("variables.secrets{}", index - 1);
        let rest = format!("{before}.filter(name, name != {before}[0])");
        variable(&mut yaml, &format!("secrets{index}"), &rest);
    }
    yaml.push_str("  validations:\n");
    for index in 0..MOST {
        let rest = format!("variables.secrets{index}");
        let may = format!("{CHECK}.name({rest}[0]).check('get').allowed()");
        let message = format!(
            "'you may not get Secret \"' + {rest}[0] + '\" in namespace ' + request.namespace + \
             ', so you may not have Pharos read it: ask for the right to get it'"
        );
        let expression = format!("{rest}.size() == 0 || variables.readsAll || {may}");
        validation(&mut yaml, &expression, "messageExpression", &message);
    }
    let expression = format!("variables.secrets{MOST}.size() == 0 || variables.readsAll");
    let message = format!(
        "an object that names more than {MOST} different Secrets is only for those who may get \
         every Secret of its namespace"
    );
    validation(&mut yaml, &expression, "message", &message);
    yaml + TAIL
}

/// As the place itself is named: `HeaderValue` is `headerValue`.
fn variable_name(place: Place) -> String {
    let name = format!("{place:?}");
    let mut characters = name.chars();
    characters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(characters)
        .collect()
}

/// The expression of all names of Secrets that an object has at this place, in one string.
fn names_at(place: Place) -> String {
    let segments: Vec<_> = place.path().split('.').collect();
    below("object", &segments, 0, place.kind_field())
}

fn below(base: &str, segments: &[&str], depth: usize, kind_field: Option<&str>) -> String {
    let Some((segment, rest)) = segments.split_first() else {
        return match kind_field {
            Some(kind) => format!("({base}.{kind} == 'Secret' ? {base}.name : '')"),
            None => format!("{base}.name"),
        };
    };
    match segment.strip_suffix("[]") {
        Some(list) => {
            let entry = format!("entry{depth}");
            let each = below(&entry, rest, depth + 1, kind_field);
            format!("(has({base}.{list}) ? {base}.{list}.map({entry}, {each}).join(' ') : '')")
        }
        // The API server refuses an object without it before any policy sees it.
        None if *segment == "spec" => below(&format!("{base}.{segment}"), rest, depth, kind_field),
        None => {
            let field = format!("{base}.{segment}");
            let inner = below(&field, rest, depth, kind_field);
            format!("(has({field}) ? {inner} : '')")
        }
    }
}

fn variable(yaml: &mut String, name: &str, expression: &str) {
    let _ = write!(yaml, "  - name: {name}\n    expression: {}\n", quoted(expression));
}

fn validation(yaml: &mut String, expression: &str, field: &str, message: &str) {
    let (expression, message) = (quoted(expression), quoted(message));
    let _ = write!(
        yaml,
        "  - expression: {expression}\n    {field}: {message}\n    reason: Forbidden\n"
    );
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_becomes_the_names_that_an_object_has_there() {
        assert_eq!(
            names_at(Place::HeaderValue),
            "(has(object.spec.exporters) ? object.spec.exporters.map(entry0, \
             (has(entry0.otlp) ? (has(entry0.otlp.headers) ? entry0.otlp.headers.map(entry1, \
             (has(entry1.valueFrom) ? (has(entry1.valueFrom.secretKeyRef) ? \
             entry1.valueFrom.secretKeyRef.name : '') : '')).join(' ') : '') : '')).join(' ') : '')"
        );
        assert!(names_at(Place::ScraperCa).contains(
            "(entry0.prometheus.tls.clientCARef.kind == 'Secret' ? \
             entry0.prometheus.tls.clientCARef.name : '')"
        ));
    }

    #[test]
    fn every_place_is_checked() {
        let all = policy(&Place::ALL);
        for place in Place::ALL {
            let name = variable_name(place);
            assert!(all.contains(&format!("- name: {name}\n")), "{place:?}");
            assert!(all.contains(&format!("variables.{name}")), "{place:?}");
            let others: Vec<_> = Place::ALL.into_iter().filter(|it| *it != place).collect();
            assert_ne!(policy(&others), all, "without {place:?} the file is as it was");
        }
    }
}
