//! Spans: one tracer provider for ever, whose sampler and processor follow every reload.
//!
//! Tracers stay bound to the provider that made them, and a provider's processors are fixed, so
//! neither is ever replaced: what changes is what they delegate to. The resource is the sinks'
//! affair. Nothing is recorded where spans go nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler as SdkSampler, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider,
    ShouldSample, Span, SpanData, SpanLimits, SpanProcessor,
};
use tracing::level_filters::LevelFilter;

use crate::config::{self, Parent, RootSampler, Sampler};
use crate::layers::Gate;
use crate::records::Route;
use crate::signal::SinkId;
use crate::stats::Stats;

/// What `tracing` spans and events are at least, to be spans and their events.
const TRACED: LevelFilter = LevelFilter::INFO;

/// The permanent half of spans.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    route: Arc<Route<SpanData>>,
    sampler: LiveSampler,
    gate: Gate,
}

/// Hands every ended span to the sinks there are.
#[derive(Debug)]
struct Processor(Arc<Route<SpanData>>);

/// Decides as the configuration in force says; drops everything where spans go nowhere.
#[derive(Clone, Debug, Default)]
struct LiveSampler(Arc<ArcSwapOption<SdkSampler>>);

// === impl Traces ===

impl Default for Traces {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the provider that all others are told to use"
    )]
    fn default() -> Self {
        let (route, sampler) = (Arc::<Route<SpanData>>::default(), LiveSampler::default());
        let provider = SdkTracerProvider::builder()
            // The defaults would read the environment.
            .with_resource(Resource::builder_empty().build())
            .with_span_limits(SpanLimits::default())
            .with_sampler(sampler.clone())
            .with_span_processor(Processor(Arc::clone(&route)))
            .build();
        Self { provider, route, sampler, gate: Gate::closed() }
    }
}

impl Traces {
    #[expect(clippy::disallowed_methods, reason = "spans are made of it here")]
    pub(crate) fn tracer(&self, scope: &'static str) -> SdkTracer {
        self.provider.tracer(scope)
    }

    pub(crate) fn route(&self) -> &Route<SpanData> {
        &self.route
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Puts in force which spans are recorded, and where they go.
    pub(crate) fn apply(&self, wanted: &config::Traces, stats: &BTreeMap<SinkId, Arc<Stats>>) {
        let nowhere = wanted.sinks.is_empty();
        self.route.lead_to(&wanted.sinks, stats);
        self.sampler.0.store((!nowhere).then(|| Arc::new(sdk_sampler(wanted.sampler))));
        self.gate.set(if nowhere { LevelFilter::OFF } else { TRACED });
    }
}

fn sdk_sampler(sampler: Sampler) -> SdkSampler {
    let root = match sampler.root {
        RootSampler::AlwaysOn => SdkSampler::AlwaysOn,
        RootSampler::AlwaysOff => SdkSampler::AlwaysOff,
        RootSampler::TraceIdRatio { per_million } => {
            SdkSampler::TraceIdRatioBased(f64::from(per_million) / 1e6)
        }
    };
    match sampler.parent {
        Parent::Followed => SdkSampler::ParentBased(Box::new(root)),
        Parent::Ignored => root,
    }
}

// === impl LiveSampler ===

impl ShouldSample for LiveSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        if let Some(sampler) = &*self.0.load() {
            return sampler.should_sample(parent, trace_id, name, kind, attributes, links);
        }
        let trace_state = parent.map(|parent| parent.span().span_context().trace_state().clone());
        SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: trace_state.unwrap_or_default(),
        }
    }
}

// === impl Processor ===

impl SpanProcessor for Processor {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !self.0.leads_nowhere() {
            self.0.push(span);
        }
    }

    /// Who flushes is the [`Reloader`](crate::Reloader), and it waits for nobody's thread.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
