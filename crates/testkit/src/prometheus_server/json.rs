//! The JSON of Prometheus' API, as far as the tests look into it.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

/// An element of the answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The labels of the series; its name is `__name__`.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: QueryValue,
}

/// What a series has as its value.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    /// A number.
    Number(f64),
    /// A native histogram in Prometheus' JSON: `count` and `sum`, which are strings, and `buckets`,
    /// each of which has the rule of its boundaries, lower and upper boundary and count.
    Histogram(Value),
}

/// Something that is scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name of the job.
    pub job: String,
    /// The page.
    pub url: String,
    /// How the last scrape went.
    pub health: Health,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
}

/// How the last scrape of a target went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not scraped yet.
    Unknown,
    /// Well.
    Up,
    /// It failed.
    Down,
}

/// An exemplar of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The labels of the series; its name is `__name__`.
    pub series: BTreeMap<String, String>,
    /// Its own labels, such as `trace_id`.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
    /// When it was taken, in seconds since 1970.
    pub time: f64,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueryResult {
    result_type: String,
    result: Value,
}

/// A time and a number, which is a string.
type Sample = (f64, String);

#[derive(Deserialize)]
struct VectorElement {
    metric: BTreeMap<String, String>,
    value: Option<Sample>,
    histogram: Option<(f64, Value)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<ActiveTarget>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTarget {
    scrape_pool: String,
    scrape_url: String,
    health: Health,
    last_error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExemplarsOfSeries {
    series_labels: BTreeMap<String, String>,
    exemplars: Vec<JsonExemplar>,
}

#[derive(Deserialize)]
struct JsonExemplar {
    labels: BTreeMap<String, String>,
    value: String,
    timestamp: f64,
}

// === impl Element ===

impl Element {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

// === impl QueryValue ===

impl QueryValue {
    /// The number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Histogram(_) => None,
        }
    }

    /// The histogram, if it is one.
    #[must_use]
    pub fn histogram(&self) -> Option<&Value> {
        match self {
            Self::Number(_) => None,
            Self::Histogram(histogram) => Some(histogram),
        }
    }
}

/// What is in an answer.
pub(super) fn data(body: &str) -> anyhow::Result<Value> {
    let answer: Answer = serde_json::from_str(body).context("Prometheus answers no JSON")?;
    ensure!(answer.status == "success", "Prometheus answers {}: {}", answer.status, answer.error);
    Ok(answer.data)
}

pub(super) fn elements(data: Value) -> anyhow::Result<Vec<Element>> {
    let QueryResult { result_type, result } = serde_json::from_value(data)?;
    match result_type.as_str() {
        "vector" => serde_json::from_value::<Vec<VectorElement>>(result)?
            .into_iter()
            .map(VectorElement::read)
            .collect(),
        "scalar" => {
            let (_, value): Sample = serde_json::from_value(result)?;
            let value = QueryValue::Number(number(&value)?);
            Ok(vec![Element { labels: BTreeMap::new(), value }])
        }
        other => bail!("it is a {other}, neither a vector nor a scalar"),
    }
}

pub(super) fn targets(data: Value) -> anyhow::Result<Vec<Target>> {
    let targets: Targets = serde_json::from_value(data)?;
    let read = |target: ActiveTarget| Target {
        job: target.scrape_pool,
        url: target.scrape_url,
        health: target.health,
        last_error: target.last_error,
    };
    Ok(targets.active_targets.into_iter().map(read).collect())
}

pub(super) fn exemplars(data: Value) -> anyhow::Result<Vec<Exemplar>> {
    let of_series: Vec<ExemplarsOfSeries> = serde_json::from_value(data)?;
    let mut exemplars = Vec::new();
    for ExemplarsOfSeries { series_labels, exemplars: of_this } in of_series {
        for JsonExemplar { labels, value, timestamp } in of_this {
            let (series, value) = (series_labels.clone(), number(&value)?);
            exemplars.push(Exemplar { series, labels, value, time: timestamp });
        }
    }
    Ok(exemplars)
}

// === impl VectorElement ===

impl VectorElement {
    fn read(self) -> anyhow::Result<Element> {
        let value = match (self.value, self.histogram) {
            (Some((_, value)), _) => QueryValue::Number(number(&value)?),
            (None, Some((_, histogram))) => QueryValue::Histogram(histogram),
            (None, None) => bail!("an element has no value"),
        };
        Ok(Element { labels: self.metric, value })
    }
}

/// Rust reads +Inf, -Inf and NaN in any case.
fn number(text: &str) -> anyhow::Result<f64> {
    text.parse().with_context(|| format!("{text:?} is not a number"))
}

#[cfg(test)]
mod tests;
