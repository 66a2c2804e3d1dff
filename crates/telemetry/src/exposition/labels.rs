//! The labels of a series: sanitised, merged where two names became one, sorted, escaped.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;
use smallvec::SmallVec;

use super::family::Kind;
use super::number;

/// Names with their values, sorted by name, no name twice, nothing escaped. Short-lived: a page of
/// many series fills one and the same again and again.
pub(super) type Pairs<'a> = SmallVec<[(Cow<'a, str>, Cow<'a, str>); 16]>;

/// The labels that every series of a scope has.
pub(super) struct ScopeLabels<'a> {
    pub(super) name: &'a str,
    labels: Pairs<'a>,
}

// === impl ScopeLabels ===

impl<'a> ScopeLabels<'a> {
    pub(super) fn new(metrics: &'a ScopeMetrics) -> Self {
        let (name, version, attributes) = match &metrics.scope {
            Some(scope) => (scope.name.as_str(), scope.version.as_str(), &scope.attributes[..]),
            None => ("", "", &[][..]),
        };
        let attributes = attributes
            .iter()
            .map(|it| (Cow::Owned(format!("otel_scope_{}", it.key)), text(it.value.as_ref())));
        let mut labels = Pairs::new();
        merge(attributes.collect(), &mut labels);
        let own = [
            ("otel_scope_name", without_nul(name)),
            ("otel_scope_version", without_nul(version)),
            ("otel_scope_schema_url", without_nul(&metrics.schema_url)),
        ];
        labels.retain(|(name, _)| own.iter().all(|(own, _)| own != name));
        labels.extend(own.map(|(name, value)| (Cow::Borrowed(name), value)));
        labels.sort_unstable();
        Self { name, labels }
    }

    /// The labels of one series of this scope, in place of what is in `pairs`.
    pub(super) fn with<'s>(
        &'s self,
        attributes: &'a [KeyValue],
        kind: Kind,
        pairs: &mut Pairs<'s>,
    ) {
        pairs.clear();
        let attributes =
            attributes.iter().map(|it| (Cow::Borrowed(it.key.as_str()), text(it.value.as_ref())));
        merge(attributes.collect(), pairs);
        // All taken names begin like these; nearly no attribute does.
        let suspects = |name: &str| {
            name.starts_with("exported_") || name.starts_with("otel_scope_") || name == "le"
        };
        if pairs.iter().any(|(name, _)| suspects(name)) {
            self.rename(kind, pairs);
        }
        let borrow = |(name, value): &'s (Cow<'a, str>, Cow<'a, str>)| {
            (Cow::Borrowed(&**name), Cow::Borrowed(&**value))
        };
        pairs.extend(self.labels.iter().map(borrow));
        pairs.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    }

    /// Gives way to names that are taken.
    fn rename(&self, kind: Kind, pairs: &mut Pairs<'_>) {
        for index in 0..pairs.len() {
            let (before, rest) = pairs.split_at_mut(index);
            let name = &mut rest[0].0;
            let is_taken = |name: &str| {
                self.labels.iter().chain(&*before).any(|(taken, _)| taken == name)
                    || (kind == Kind::Histogram && name == "le")
            };
            // Prometheus's own word for a label whose name is taken.
            while is_taken(name) {
                name.to_mut().insert_str(0, "exported_");
            }
        }
    }
}

/// Writes labels as text, without the braces.
pub(super) fn write(pairs: &Pairs<'_>, to: &mut String) {
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            to.push(',');
        }
        to.push_str(name);
        to.push_str("=\"");
        escape(value, to);
        to.push('"');
    }
}

/// Sanitises names. Where two become one, their values are joined in the order of the original
/// names, as OpenTelemetry prescribes.
fn merge<'a>(mut raw: Pairs<'a>, merged: &mut Pairs<'a>) {
    raw.sort_unstable();
    for (name, value) in raw {
        merged.push((label_name(name), value));
    }
    merged.sort_by(|(one, _), (other, _)| one.cmp(other));
    merged.dedup_by(|(name, value), (first, joined)| {
        let same = name == first;
        if same {
            joined.to_mut().push(';');
            joined.to_mut().push_str(value);
        }
        same
    });
}

fn label_name(attribute: Cow<'_, str>) -> Cow<'_, str> {
    let mut name = match attribute {
        Cow::Borrowed(attribute) => sanitize(attribute, &['_']),
        Cow::Owned(attribute) => Cow::Owned(sanitize(&attribute, &['_']).into_owned()),
    };
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.to_mut().insert_str(0, "key_");
    }
    name
}

/// `name` with everything but ASCII letters, digits and `allowed` turned into `_`, and no two of
/// those in a row.
pub(super) fn sanitize<'a>(name: &'a str, allowed: &[char]) -> Cow<'a, str> {
    let is_valid = |it: char| it.is_ascii_alphanumeric() || allowed.contains(&it);
    if name.chars().all(is_valid) && !name.contains("__") {
        return Cow::Borrowed(name);
    }
    let mut sanitized = String::with_capacity(name.len());
    for character in name.chars() {
        let character = if is_valid(character) { character } else { '_' };
        if character != '_' || !sanitized.ends_with('_') {
            sanitized.push(character);
        }
    }
    Cow::Owned(sanitized)
}

/// An attribute's value as a label's; what is not scalar as JSON.
fn text(value: Option<&AnyValue>) -> Cow<'_, str> {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => without_nul(text),
        _ => match json(value) {
            serde_json::Value::Null => Cow::Borrowed(""),
            other => Cow::Owned(other.to_string()),
        },
    }
}

/// `text` without the one character that Prometheus takes for the end of a page.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
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

fn escape(value: &str, to: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, special) = rest.split_at(at);
        to.push_str(plain);
        to.push_str(match special.as_bytes()[0] {
            b'\\' => r"\\",
            b'"' => "\\\"",
            _ => r"\n",
        });
        rest = &special[1..];
    }
    to.push_str(rest);
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
            assert_eq!(label_name(attribute.into()), label, "{attribute}");
        }
    }

    #[test]
    fn values_of_names_that_become_one_are_joined_in_the_order_of_the_names() {
        let pairs = [("a.b", "2"), ("a-b", "1"), ("c", "3")];
        let mut merged = Pairs::new();
        merge(pairs.iter().map(|it| (it.0.into(), it.1.into())).collect(), &mut merged);
        assert_eq!(merged.as_slice(), [("a_b".into(), "1;2".into()), ("c".into(), "3".into())]);
    }

    #[test]
    fn values_are_escaped_where_a_quoted_string_needs_it() {
        for (value, escaped) in [
            ("plain, ünïcode {}", "plain, ünïcode {}"),
            ("say \"hi\"\n\\", r#"say \"hi\"\n\\"#),
            ("\n", r"\n"),
            ("", ""),
        ] {
            let mut text = String::new();
            escape(value, &mut text);
            assert_eq!(text, escaped);
        }
    }
}
