//! What it costs to tell: recording against the bare SDK, inside a sampled span, and all that is
//! told of one review. Criterion shows wall time; the figures of the section are CPU time.
#![expect(clippy::disallowed_methods, reason = "the bare SDK is what is compared with")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use allocation_counter::AllocationInfo;
use criterion::Criterion;
use http::{HeaderMap, Method, StatusCode, Uri, Version};
use opentelemetry::metrics::{Counter, Histogram, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, Span, SpanData, SpanProcessor};
use pharos_instruments::catalogue::metrics::{
    BOUNDARIES, VALIDATING_POLICY_DURATION, VALIDATING_POLICY_RESULTS,
};
use pharos_instruments::{
    AdmissionReviewFacts, Answer, BackgroundMode, CallFacts, Instruments, Operation, PolicyFacts,
    PolicyKind, PolicyResult, PolicyRun, RequestDetails, RuleFacts, Running, Spans, Subject,
    Target, ValidationMode, Webhook,
};
use pharos_telemetry::{Catalogue, Identity, Pipeline};
use pharos_testkit::bench::{Section, compare, measure};

const TIMES: u32 = 20_000;
const POLICIES: usize = 16;

/// Instruments of the bare SDK, as a program without this crate would make them.
struct Bare {
    results: Counter<u64>,
    duration: Histogram<f64>,
    _provider: SdkMeterProvider,
}

/// The same instruments, declared.
struct Declared {
    results: pharos_telemetry::Counter,
    duration: pharos_telemetry::Histogram,
    _running: (Pipeline, pharos_telemetry::Reloader),
}

/// A processor that a span costs nothing more with.
#[derive(Debug)]
struct Nowhere;

// === impl Bare ===

impl Bare {
    fn new() -> Self {
        let reader = ManualReader::builder().build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let meter = provider.meter("kyverno");
        Self {
            results: meter.u64_counter("results").build(),
            duration: meter.f64_histogram("seconds").with_boundaries(BOUNDARIES.to_vec()).build(),
            _provider: provider,
        }
    }
}

// === impl Declared ===

impl Declared {
    fn new() -> Self {
        let mut catalogue = Catalogue::new();
        let results = catalogue.counter(&VALIDATING_POLICY_RESULTS);
        let duration = catalogue.histogram(&VALIDATING_POLICY_DURATION);
        let identity = Identity::from_environment("1.0.0", &|_| None);
        let running = Pipeline::start(identity, catalogue).expect("the pipeline starts");
        Self { results, duration, _running: running }
    }
}

// === impl Nowhere ===

impl SpanProcessor for Nowhere {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        black_box(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn attributes(kind: &Arc<str>, namespace: &Arc<str>, policy: &Arc<str>) -> [KeyValue; 9] {
    [
        KeyValue::new("execution_cause", "admission_request"),
        KeyValue::new("policy_background_mode", "true"),
        KeyValue::new("policy_name", Arc::clone(policy)),
        KeyValue::new("policy_namespace", ""),
        KeyValue::new("policy_validation_mode", "Deny"),
        KeyValue::new("resource_kind", Arc::clone(kind)),
        KeyValue::new("resource_namespace", Arc::clone(namespace)),
        KeyValue::new("resource_request_operation", "create"),
        KeyValue::new("result", "pass"),
    ]
}

fn policy(name: &str) -> PolicyFacts<'_> {
    PolicyFacts {
        kind: PolicyKind::ValidatingPolicy,
        namespace: None,
        name,
        validation_mode: ValidationMode::Deny,
        background_mode: BackgroundMode::Enabled,
    }
}

/// A policy that was passed.
fn tell(instruments: &Instruments, subject: &Subject, policy: PolicyFacts<'_>) {
    let (started, duration) = (Instant::now(), Duration::from_micros(40));
    let (rule, result) = ("", PolicyResult::Pass);
    let rule = RuleFacts { policy, rule, result, because: None, started, duration };
    let run = PolicyRun { policy, started, duration };
    instruments.record_policy(subject, &run, &mut std::iter::once(rule));
}

fn spans(sampler: Sampler) -> (Spans, SdkTracerProvider) {
    let provider =
        SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(Nowhere).build();
    (Spans::of_tracer(provider.tracer("pharos")), provider)
}

fn details() -> RequestDetails<'static> {
    let target = Target {
        kind_version: "v1",
        kind: "Pod",
        resource_version: "v1",
        resource: "pods",
        ..Target::default()
    };
    RequestDetails {
        uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
        name: "web-7c5ddbdf54-x2x9q",
        namespace: "shop",
        target,
        original: Some(target),
        user_name: "system:serviceaccount:kube-system:replicaset-controller",
        user_groups: vec!["system:serviceaccounts", "system:authenticated"],
        ..RequestDetails::default()
    }
}

/// All that is told of one review, from its call to its answer.
struct Review {
    instruments: Instruments,
    headers: HeaderMap,
    uri: Uri,
    names: Vec<Arc<str>>,
}

// === impl Review ===

impl Review {
    fn new(instruments: Instruments) -> Self {
        let names = (0..POLICIES).map(|index| format!("policy-{index}").into()).collect();
        let uri = Uri::from_static("/validate/fail?timeout=10s");
        let mut headers = HeaderMap::new();
        headers.insert("host", http::HeaderValue::from_static("webhook.pharos.svc"));
        Self { instruments, headers, uri, names }
    }

    fn tell(&self, policies: usize) {
        let call = self.instruments.begin_call(&CallFacts {
            method: &Method::POST,
            uri: &self.uri,
            version: Version::HTTP_2,
            headers: &self.headers,
            route: Some("/validate/fail"),
            peer: ([127, 0, 0, 1], 1).into(),
        });
        let review = || {
            let (operation, namespace) = (Operation::Create, Some("shop"));
            let subject =
                self.instruments.begin_review(operation, false, "Pod", namespace, &details);
            for name in &self.names[..policies] {
                tell(&self.instruments, &subject, policy(name));
            }
            self.instruments.record_review(
                &subject,
                &AdmissionReviewFacts {
                    webhook: Webhook::Validating,
                    answer: Answer::Allowed,
                    warnings: &[],
                    duration: Duration::from_micros(700),
                },
            );
        };
        call.inside(review);
        call.end(StatusCode::OK, Some(2438));
    }

    fn allocations(&self, policies: usize) -> AllocationInfo {
        self.tell(policies);
        allocation_counter::measure(|| self.tell(policies))
    }
}

fn show(criterion: &mut Criterion, bare: &Bare, declared: &Declared, reviews: &[(&str, &Review)]) {
    let texts: [Arc<str>; 3] = ["Pod".into(), "shop".into(), "policy-0".into()];
    let attributes = attributes(&texts[0], &texts[1], &texts[2]);
    let mut group = criterion.benchmark_group("record");
    group.bench_function("bare counter", |it| it.iter(|| bare.results.add(1, &attributes)));
    group.bench_function("our counter", |it| it.iter(|| declared.results.add(1, &attributes)));
    group
        .bench_function("bare histogram", |it| it.iter(|| bare.duration.record(1e-5, &attributes)));
    group.bench_function("our histogram", |it| {
        it.iter(|| declared.duration.record(1e-5, &attributes));
    });
    for (name, review) in reviews {
        group.bench_function(format!("a review under 16 policies, {name}"), |it| {
            it.iter(|| review.tell(POLICIES));
        });
    }
    group.finish();
}

const GOAL: &str = "at most 1.5";

fn instruments_against_the_sdk(section: &mut Section, bare: &Bare, declared: &Declared) {
    let texts: [Arc<str>; 3] = ["Pod".into(), "shop".into(), "policy-0".into()];
    let fixed = attributes(&texts[0], &texts[1], &texts[2]);
    let counter = compare(
        TIMES,
        || bare.results.add(1, black_box(&fixed)),
        || declared.results.add(1, black_box(&fixed)),
    );
    section.figure("counter of the SDK", nanos(counter.first), "");
    section.figure("counter of ours", nanos(counter.second), "");
    section.figure("ratio", format!("{:.2}", counter.ratio), GOAL);
    let histogram = compare(
        TIMES,
        || bare.duration.record(1e-5, black_box(&fixed)),
        || declared.duration.record(1e-5, black_box(&fixed)),
    );
    section.figure("histogram of the SDK", nanos(histogram.first), "");
    section.figure("histogram of ours", nanos(histogram.second), "");
    section.figure("ratio", format!("{:.2}", histogram.ratio), GOAL);
}

fn facts_against_the_sdk(section: &mut Section, bare: &Bare, review: &Review) {
    let texts: [Arc<str>; 3] = ["Pod".into(), "shop".into(), "policy-0".into()];
    let made = || attributes(&texts[0], &texts[1], &texts[2]);
    let subject =
        review.instruments.begin_review(Operation::Create, false, "Pod", Some("shop"), &details);
    let both = compare(
        TIMES,
        || {
            let attributes = made();
            bare.results.add(1, &attributes);
            bare.duration.record(4e-5, &attributes);
        },
        || tell(&review.instruments, &subject, black_box(policy(&texts[2]))),
    );
    section.figure("one policy, both instruments of the SDK", nanos(both.first), "");
    section.figure("one policy, facts to ours", nanos(both.second), "");
    section.figure("ratio", format!("{:.2}", both.ratio), GOAL);
}

fn reviews(section: &mut Section, review: &Review, sampled: &Review) {
    let told = compare(TIMES / 20, || review.tell(POLICIES), || sampled.tell(POLICIES));
    let policies = u32::try_from(POLICIES).expect("they are few");
    section.figure("all of a review under 16 policies, no trace", nanos(told.first), "");
    section.figure("the same in a sampled trace, with its 18 spans", nanos(told.second), "");
    let more = told.second.saturating_sub(told.first) / policies;
    section.figure("what a sampled span adds, for each policy", nanos(more), "");
    let unsampled = measure(TIMES, || review.tell(0));
    section.figure("all of a review under no policy, no trace", nanos(unsampled), "");
    for count in [1, 4, POLICIES] {
        let AllocationInfo { count_total, bytes_total, .. } = review.allocations(count);
        let what = format!("allocations for a review under {count} policies, no trace");
        section.figure(&what, format!("{count_total} ({bytes_total} bytes)"), "equal");
    }
    let in_trace = sampled.allocations(POLICIES).count_total;
    section.figure("allocations for one under 16 in a sampled trace", in_trace, "");
}

fn nanos(time: Duration) -> String {
    format!("{} ns", time.as_nanos())
}

fn main() -> std::io::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let (bare, declared) = (Bare::new(), Declared::new());
    let (instruments, _running): (_, Running) = Instruments::running();
    let ((none, _none), (all, _all)) = (spans(Sampler::AlwaysOff), spans(Sampler::AlwaysOn));
    let review = Review::new(instruments.clone().with_spans(none));
    let sampled = Review::new(instruments.with_spans(all));
    show(&mut criterion, &bare, &declared, &[("no trace", &review), ("sampled", &sampled)]);
    criterion.final_summary();
    let mut section = Section::new(
        "recording",
        "Recording",
        "CPU time of the thread that records, per record, medians; ratios are of rounds measured \
         in turns. Nine attributes, of which three are texts that are shared.",
    );
    instruments_against_the_sdk(&mut section, &bare, &declared);
    facts_against_the_sdk(&mut section, &bare, &review);
    reviews(&mut section, &review, &sampled);
    section.publish()
}
