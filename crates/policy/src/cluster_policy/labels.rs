//! Label selectors whose `matchLabels` may have wildcards.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::error::CompileError;
use crate::json::Json;
use crate::matching::Selector;
use crate::wildcard;

/// A selector. One without requirements selects everything.
#[derive(Debug)]
pub(super) struct Labels {
    /// Keys and values, of which one or both are patterns.
    patterns: Vec<(String, String)>,
    exactly: Option<Selector>,
}

// === impl Labels ===

impl Labels {
    pub(super) fn compile(
        selector: &LabelSelector,
        path: &str,
        errors: &mut Vec<CompileError>,
    ) -> Self {
        let LabelSelector { match_labels, match_expressions } = selector;
        let (patterns, exactly): (Vec<_>, Vec<_>) = match_labels
            .clone()
            .into_iter()
            .flatten()
            .partition(|(key, value)| wildcard::is_pattern(key) || wildcard::is_pattern(value));
        let exactly = LabelSelector {
            match_labels: Some(exactly.into_iter().collect()),
            match_expressions: match_expressions.clone(),
        };
        Self { patterns, exactly: Selector::compile(Some(&exactly), path, errors) }
    }

    /// Whether the labels of an object are selected; what is no object has none.
    pub(super) fn selects(&self, object: &Json<'_>) -> bool {
        let labels = object.pointer("/metadata/labels").and_then(Json::as_object);
        let is_there = |(key, value): &(String, String)| {
            labels.into_iter().flatten().any(|(name, label)| {
                wildcard::matches(key, name)
                    && label.as_str().is_some_and(|label| wildcard::matches(value, label))
            })
        };
        self.patterns.iter().all(is_there)
            && self.exactly.as_ref().is_none_or(|exactly| exactly.selects(object))
    }
}
