//! Views: which metrics are changed, and how.
//!
//! What a view makes of the instruments that it finds, only the pipeline can judge, which knows
//! them: what it says comes as [`ViewRemark`]s once the rest is resolved.

use pharos_api::telemetryconfig::{
    Aggregation, AggregationType, AttributeKeys, Base2ExponentialHistogram,
    ExplicitBucketHistogram, InstrumentType, View, ViewSelector, ViewStream,
};
use pharos_telemetry::config::{self, Glob, MetricSink, Metrics, Selector};
use pharos_telemetry::{InstrumentKind, ViewFinding};

use super::metrics::limit;
use super::problem::{Findings, Problems};

/// What the pipeline says about a view, given the instruments that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewRemark {
    /// The view's name.
    pub view: String,
    /// Whether no pipeline can run a configuration with it. Else it is only odd, and said so.
    pub refuses: bool,
    /// What is odd or impossible about it.
    pub message: String,
}

impl From<&ViewFinding> for ViewRemark {
    fn from(finding: &ViewFinding) -> Self {
        Self {
            view: finding.view().to_owned(),
            refuses: finding.refuses(),
            message: finding.to_string(),
        }
    }
}

/// What is odd about views, in one message; or that some of them cannot be.
///
/// # Errors
/// A [`Problem`](super::Problem) for each view that the pipeline refuses.
pub fn judge_views(remarks: &[ViewRemark]) -> Result<String, Problems> {
    let mut findings = Findings::default();
    let field = |remark: &ViewRemark| format!("spec.metrics.views[{}]", remark.view);
    for remark in remarks.iter().filter(|remark| remark.refuses) {
        findings.unsupported(field(remark), &remark.message);
    }
    let odd: Vec<_> =
        remarks.iter().map(|remark| format!("{}: {}", field(remark), remark.message)).collect();
    findings.or(odd.join("; "))
}

/// What views make of what is scraped that may surprise.
pub fn scraped_views(metrics: &Metrics) -> Vec<ViewRemark> {
    let scraped = metrics.sinks.values().any(|sink| matches!(sink, MetricSink::Prometheus(_)));
    let exponential = |view: &&config::View| {
        matches!(view.aggregation, Some(config::Aggregation::Exponential { .. }))
    };
    let message = "Prometheus gets these buckets as native histograms, by protobuf; in text such a \
                   histogram has a count and a sum only";
    let views = metrics.shape.views.iter().filter(exponential).filter(|_| scraped);
    views
        .map(|view| ViewRemark {
            view: view.name.clone(),
            refuses: false,
            message: message.to_owned(),
        })
        .collect()
}

/// The view, or `None` if something is wrong with it.
pub(super) fn view(view: &View, findings: &mut Findings) -> Option<config::View> {
    let View { name, selector, stream } = view;
    let ViewStream { attribute_keys, cardinality_limit, aggregation } = stream;
    let path = format!("spec.metrics.views[{name}]");
    let selector = self::selector(&path, selector, findings);
    let attributes = match attribute_keys {
        None => Some(config::AttributeKeys::Unchanged),
        Some(keys) => attributes(&path, keys, findings),
    };
    let cardinality_limit = cardinality_limit.map(|it| {
        limit(it).or_else(|| {
            let field = format!("{path}.stream.cardinalityLimit");
            findings.invalid(field, "must be at least 1");
            None
        })
    });
    let aggregation = aggregation.as_ref().map(|it| self::aggregation(&path, it, findings));
    let broken = cardinality_limit == Some(None) || aggregation == Some(None);
    if broken {
        return None;
    }
    Some(config::View {
        name: name.clone(),
        selector: selector?,
        attributes: attributes?,
        cardinality_limit: cardinality_limit.flatten(),
        aggregation: aggregation.flatten(),
    })
}

fn selector(path: &str, selector: &ViewSelector, findings: &mut Findings) -> Option<Selector> {
    let ViewSelector { instrument_name, instrument_type } = selector;
    let kind = instrument_type.map(kind);
    let Some(pattern) = instrument_name else { return Some(Selector { name: None, kind }) };
    let refuse = |error| findings.invalid(format!("{path}.selector.instrumentName"), error);
    let name = Glob::parse(pattern).map_err(refuse).ok()?;
    Some(Selector { name: Some(name), kind })
}

fn kind(kind: InstrumentType) -> InstrumentKind {
    match kind {
        InstrumentType::Counter => InstrumentKind::Counter,
        InstrumentType::UpDownCounter => InstrumentKind::UpDownCounter,
        InstrumentType::Histogram => InstrumentKind::Histogram,
        InstrumentType::Gauge => InstrumentKind::Gauge,
        InstrumentType::ObservableCounter => InstrumentKind::ObservableCounter,
        InstrumentType::ObservableUpDownCounter => InstrumentKind::ObservableUpDownCounter,
        InstrumentType::ObservableGauge => InstrumentKind::ObservableGauge,
    }
}

fn attributes(
    path: &str,
    keys: &AttributeKeys,
    findings: &mut Findings,
) -> Option<config::AttributeKeys> {
    let set = |keys: &[String]| keys.iter().cloned().collect();
    match (&keys.included, &keys.excluded) {
        (Some(keys), None) => Some(config::AttributeKeys::Included(set(keys))),
        (None, Some(keys)) => Some(config::AttributeKeys::Excluded(set(keys))),
        (None, None) | (Some(_), Some(_)) => {
            let field = format!("{path}.stream.attributeKeys");
            findings.invalid(field, "exactly one of included and excluded must be set");
            None
        }
    }
}

fn aggregation(
    path: &str,
    aggregation: &Aggregation,
    findings: &mut Findings,
) -> Option<config::Aggregation> {
    use AggregationType as Type;
    let Aggregation { r#type, explicit_bucket_histogram, base2_exponential_histogram } =
        aggregation;
    let path = format!("{path}.stream.aggregation");
    match (r#type, explicit_bucket_histogram, base2_exponential_histogram) {
        (Type::Default, None, None) => Some(config::Aggregation::Default),
        (Type::Drop, None, None) => Some(config::Aggregation::Drop),
        (Type::ExplicitBucketHistogram, Some(histogram), None) => {
            let ExplicitBucketHistogram { boundaries } = histogram;
            let rising = rising(boundaries);
            if rising.is_none() {
                let field = format!("{path}.explicitBucketHistogram.boundaries");
                findings.invalid(field, "must be decimal numbers, increasing, at least one");
            }
            rising.map(config::Aggregation::ExplicitBuckets)
        }
        (Type::Base2ExponentialHistogram, None, histogram) => {
            let histogram = histogram.clone().unwrap_or_default();
            let exponential = exponential(&histogram);
            if exponential.is_none() {
                let field = format!("{path}.base2ExponentialHistogram");
                findings.invalid(field, "maxSize must be 2 to 320, and maxScale -10 to 20");
            }
            exponential
        }
        (r#type, ..) => {
            findings.invalid(path, format!("the settings do not fit type {type:?}"));
            None
        }
    }
}

/// Finite numbers, each greater than the one before.
fn rising(boundaries: &[String]) -> Option<Vec<f64>> {
    let parsed: Vec<f64> =
        boundaries.iter().map(|boundary| boundary.parse().ok()).collect::<Option<_>>()?;
    let rising = parsed.is_sorted_by(|one, next| one < next);
    let finite = parsed.iter().all(|boundary| boundary.is_finite());
    (rising && finite && !parsed.is_empty()).then_some(parsed)
}

fn exponential(histogram: &Base2ExponentialHistogram) -> Option<config::Aggregation> {
    let Base2ExponentialHistogram { max_size, max_scale } = histogram;
    let max_size = u32::try_from(*max_size).ok().filter(|size| (2..=320).contains(size))?;
    let max_scale = i8::try_from(*max_scale).ok().filter(|scale| (-10..=20).contains(scale))?;
    Some(config::Aggregation::Exponential { max_size, max_scale })
}
