//! Metrics: where they go, and in which shape.

use std::num::NonZeroU32;

use pharos_api::telemetryconfig::{MetricsSpec, Mode, NamespaceFilter, Temporality};
use pharos_telemetry::config::{
    self, DEFAULT_PERIOD, MetricShape, MetricSink, Metrics, OtlpSink, ValueFilter,
};

use super::destinations::Destinations;
use super::exporter::{Destination, seconds};
use super::problem::Findings;
use super::view;

/// The attribute that tells the namespace of a resource.
const NAMESPACE: &str = "resource_namespace";

pub(super) fn metrics(
    metrics: &MetricsSpec,
    destinations: &Destinations<'_>,
    findings: &mut Findings,
) -> Metrics {
    let MetricsSpec {
        mode,
        exporters,
        export_period_seconds,
        temporality,
        cardinality_limit,
        namespaces,
        views,
    } = metrics;
    if *mode == Mode::Disabled {
        return Metrics::default();
    }
    let period = seconds(*export_period_seconds).unwrap_or_else(|| {
        findings.invalid("spec.metrics.exportPeriodSeconds", "must be at least 1");
        DEFAULT_PERIOD
    });
    let temporality = match temporality {
        Temporality::Cumulative => config::Temporality::Cumulative,
        Temporality::Delta => config::Temporality::Delta,
        Temporality::LowMemory => config::Temporality::LowMemory,
    };
    let sinks = destinations
        .chosen("spec.metrics.exporters", exporters, findings)
        .into_iter()
        .map(|(name, destination)| match destination {
            Destination::Scrapes(transport) => (name, MetricSink::Prometheus(transport.clone())),
            Destination::Receiver(receiver) => {
                let receiver = receiver.clone();
                (name, MetricSink::Otlp(OtlpSink { receiver, period, temporality }))
            }
        })
        .collect();
    let cardinality_limit = limit(*cardinality_limit).unwrap_or_else(|| {
        findings.invalid("spec.metrics.cardinalityLimit", "must be at least 1");
        config::DEFAULT_CARDINALITY_LIMIT
    });
    let views = views.iter().filter_map(|it| view::view(it, findings)).collect();
    let values = namespaces.as_ref().map(value_filter).unwrap_or_default();
    Metrics { sinks, shape: MetricShape { cardinality_limit, values, views } }
}

fn value_filter(namespaces: &NamespaceFilter) -> ValueFilter {
    let NamespaceFilter { include, exclude } = namespaces;
    ValueFilter {
        key: NAMESPACE.to_owned(),
        include: include.iter().cloned().collect(),
        exclude: exclude.iter().cloned().collect(),
    }
}

/// A limit that lets anything through.
pub(super) fn limit(limit: i32) -> Option<NonZeroU32> {
    u32::try_from(limit).ok().and_then(NonZeroU32::new)
}
