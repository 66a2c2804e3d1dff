//! The labels of a series: sanitised, merged where two names became one, sorted, escaped.

use std::collections::BTreeMap;
use std::fmt;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;

use super::{Kind, number};

/// The labels of one series, without the braces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels(String);

/// The labels that every series of a scope has.
pub(super) struct ScopeLabels {
    pub(super) name: String,
    labels: BTreeMap<String, String>,
}

// === impl Labels ===

impl Labels {
    /// The labels of a bucket; `le` comes last, as scrapers and people expect it.
    pub(super) fn with_bound(&self, bound: &str) -> Self {
        Self(format!("{},le=\"{bound}\"", self.0))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{{}}}", self.0)
    }
}

// === impl ScopeLabels ===

impl ScopeLabels {
    pub(super) fn new(metrics: &ScopeMetrics) -> Self {
        let scope = metrics.scope.clone().unwrap_or_default();
        let attributes = scope.attributes.iter();
        let attributes =
            attributes.map(|it| (format!("otel_scope_{}", it.key), text(it.value.as_ref())));
        let mut labels = merge(attributes);
        labels.extend([
            ("otel_scope_name".to_owned(), scope.name.clone()),
            ("otel_scope_version".to_owned(), scope.version),
            ("otel_scope_schema_url".to_owned(), metrics.schema_url.clone()),
        ]);
        Self { name: scope.name, labels }
    }

    /// The labels of one series of this scope.
    pub(super) fn with(&self, attributes: &[KeyValue], kind: Kind) -> Labels {
        let mut labels = self.labels.clone();
        let attributes = attributes.iter().map(|it| (it.key.clone(), text(it.value.as_ref())));
        for (mut name, value) in merge(attributes) {
            // Prometheus's own word for a label whose name is taken.
            while labels.contains_key(&name) || (kind == Kind::Histogram && name == "le") {
                name.insert_str(0, "exported_");
            }
            labels.insert(name, value);
        }
        let pairs: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        Labels(pairs.join(","))
    }
}

/// Sanitises names. Where two become one, their values are joined in the order of the original
/// names, as OpenTelemetry prescribes.
fn merge(pairs: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    let mut merged: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in pairs {
        merged
            .entry(label_name(&name))
            .and_modify(|joined| {
                joined.push(';');
                joined.push_str(&value);
            })
            .or_insert(value);
    }
    merged
}

fn label_name(attribute: &str) -> String {
    let mut name = sanitize(attribute, &['_']);
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert_str(0, "key_");
    }
    name
}

/// `name` with everything but ASCII letters, digits and `allowed` turned into `_`, and no two of
/// those in a row.
pub(super) fn sanitize(name: &str, allowed: &[char]) -> String {
    let mut sanitized = String::with_capacity(name.len());
    for character in name.chars() {
        let valid = character.is_ascii_alphanumeric() || allowed.contains(&character);
        let character = if valid { character } else { '_' };
        if character != '_' || !sanitized.ends_with('_') {
            sanitized.push(character);
        }
    }
    sanitized
}

/// An attribute's value as a label's; what is not scalar as JSON.
fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => match json(value) {
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        },
    }
}

fn json(value: Option<&AnyValue>) -> serde_json::Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.as_str().into(),
        Some(Value::BoolValue(value)) => (*value).into(),
        Some(Value::IntValue(value)) => (*value).into(),
        Some(Value::DoubleValue(value)) if value.is_finite() => (*value).into(),
        Some(Value::DoubleValue(value)) => number::float(*value).into(),
        Some(Value::ArrayValue(array)) => array.values.iter().map(|it| json(Some(it))).collect(),
        Some(Value::KvlistValue(list)) => {
            list.values.iter().map(|it| (it.key.clone(), json(it.value.as_ref()))).collect()
        }
        Some(Value::BytesValue(bytes)) => bytes.as_slice().into(),
        Some(Value::StringValueStrindex(_)) | None => serde_json::Value::Null,
    }
}

fn escape(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_what_prometheus_accepts() {
        for (attribute, label) in [
            ("http.method", "http_method"),
            ("a-b/c d", "a_b_c_d"),
            ("a..b__c", "a_b_c"),
            ("1st", "key_1st"),
            ("größe", "gr_e"),
            ("__name__", "_name_"),
            ("", "key_"),
            (":", "_"),
        ] {
            assert_eq!(label_name(attribute), label, "{attribute}");
        }
    }

    #[test]
    fn values_of_names_that_become_one_are_joined_in_the_order_of_the_names() {
        let pairs = [("a.b", "2"), ("a-b", "1"), ("c", "3")];
        let merged =
            merge(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(merged["a_b"], "1;2");
        assert_eq!(merged["c"], "3");
    }
}
