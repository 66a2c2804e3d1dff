//! Label selectors, as Kubernetes reads them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::cel::Reason;
use crate::error::CompileError;
use crate::json::Json;

/// A selector that selects something; all its requirements must hold.
#[derive(Debug)]
pub(crate) struct Selector(Vec<Requirement>);

#[derive(Debug)]
struct Requirement {
    key: String,
    values: Values,
}

/// What the label's value may be.
#[derive(Debug)]
enum Values {
    In(Vec<String>),
    /// No label at all is fine too.
    NotIn(Vec<String>),
    Any,
    /// There must be no such label.
    None,
}

// === impl Selector ===

impl Selector {
    /// None for a selector that selects everything.
    pub(crate) fn compile(
        selector: Option<&LabelSelector>,
        path: &str,
        errors: &mut Vec<CompileError>,
    ) -> Option<Self> {
        let LabelSelector { match_labels, match_expressions } = selector?;
        let mut requirements: Vec<_> = match_labels
            .iter()
            .flatten()
            .map(|(key, value)| Requirement {
                key: key.clone(),
                values: Values::In(vec![value.clone()]),
            })
            .collect();
        for (index, expression) in match_expressions.iter().flatten().enumerate() {
            let values = expression.values.clone().unwrap_or_default();
            match Values::parse(&expression.operator, values) {
                Ok(values) => {
                    requirements.push(Requirement { key: expression.key.clone(), values })
                }
                Err(message) => errors.push(CompileError::field(
                    format!("{path}.matchExpressions[{index}]"),
                    Reason::Invalid,
                    message,
                )),
            }
        }
        (!requirements.is_empty()).then_some(Self(requirements))
    }

    /// Whether the labels of an object are selected. What is no object has no labels to select.
    pub(crate) fn selects(&self, object: &Json<'_>) -> bool {
        let label = |key: &str| object.pointer("/metadata/labels")?.get(key)?.as_str();
        object.is_object()
            && self.0.iter().all(|requirement| requirement.values.allow(label(&requirement.key)))
    }
}

// === impl Values ===

impl Values {
    fn parse(operator: &str, values: Vec<String>) -> Result<Self, &'static str> {
        match (operator, values.is_empty()) {
            ("In", false) => Ok(Self::In(values)),
            ("NotIn", false) => Ok(Self::NotIn(values)),
            ("Exists", true) => Ok(Self::Any),
            ("DoesNotExist", true) => Ok(Self::None),
            ("In" | "NotIn", true) => Err("values must not be empty"),
            ("Exists" | "DoesNotExist", false) => Err("values must be empty"),
            _ => Err("operator must be In, NotIn, Exists or DoesNotExist"),
        }
    }

    fn allow(&self, value: Option<&str>) -> bool {
        let listed =
            |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
        match self {
            Self::In(values) => listed(values),
            Self::NotIn(values) => !listed(values),
            Self::Any => value.is_some(),
            Self::None => value.is_none(),
        }
    }
}
