//! What a review costs, from its body to its answer, in what can be counted: allocations, and
//! instructions. Both are the same in every run, so that a limit fails for what was changed and not for
//! what else the machine does. They are counted of what `cargo test` builds.
//!
//! Where a limit is in the way of a change that is worth it, set it to the figure that is printed.

#![expect(clippy::disallowed_methods, reason = "spans are dropped here instead of being sent")]

use std::env;
use std::process::Command;
use std::time::Duration;

use allocation_counter::measure;
use axum::body::HttpBody as _;
use http::{HeaderMap, Method, Uri, Version};
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use pharos_instruments::{CallFacts, Instruments, Spans};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::reviewer::{EXPRESSIONS, Reviewer, review_of_a_pod};
use crate::testing::policy;

/// Who is told of a review.
#[derive(Clone, Copy, Debug)]
enum Telemetry {
    Off,
    Metrics,
    MetricsAndTraces,
}

/// What one review may cost at most: today's figures and a little more; with traces some more than that,
/// as which exemplars are kept depends on how long things take.
struct Limit {
    policies: usize,
    telemetry: Telemetry,
    allocations: u64,
    bytes: u64,
}

const LIMITS: [Limit; 6] = [
    Limit { policies: 1, telemetry: Telemetry::Off, allocations: 104, bytes: 18_000 },
    Limit { policies: 1, telemetry: Telemetry::Metrics, allocations: 100, bytes: 17_500 },
    Limit { policies: 1, telemetry: Telemetry::MetricsAndTraces, allocations: 155, bytes: 25_000 },
    Limit { policies: 16, telemetry: Telemetry::Off, allocations: 121, bytes: 21_800 },
    Limit { policies: 16, telemetry: Telemetry::Metrics, allocations: 117, bytes: 21_300 },
    Limit { policies: 16, telemetry: Telemetry::MetricsAndTraces, allocations: 220, bytes: 39_500 },
];

/// Policies, and the instructions of one review under them with metrics.
const INSTRUCTIONS: [(usize, u64); 2] = [(1, 1_050_000), (16, 1_850_000)];

/// Spans end here.
#[derive(Debug)]
struct Dropped;

/// A webhook, and what has to run as long as it does.
struct Scene {
    runtime: Runtime,
    reviewer: Reviewer,
    /// They begin a call only where they are told of it.
    instruments: Instruments,
    _running: Box<dyn std::any::Any>,
}

// === impl Dropped ===

impl SpanProcessor for Dropped {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

// === impl Scene ===

impl Scene {
    fn new(policies: usize, telemetry: Telemetry) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let within = runtime.enter();
        let policies = (0..policies).map(|index| {
            let expression = EXPRESSIONS[index % EXPRESSIONS.len()];
            let spec = json!({"validations": [{"expression": expression}]});
            policy(&format!("policy-{index:02}"), spec)
        });
        let (instruments, running) = Instruments::running();
        let provider = SdkTracerProvider::builder().with_span_processor(Dropped).build();
        let (told, instruments) = match telemetry {
            Telemetry::Off => (None, Instruments::default()),
            Telemetry::Metrics => (Some(instruments.clone()), instruments),
            Telemetry::MetricsAndTraces => {
                let spans = Spans::of_tracer(provider.tracer("pharos"));
                let instruments = instruments.with_spans(spans);
                (Some(instruments.clone()), instruments)
            }
        };
        let reviewer = Reviewer::new(policies.collect(), told);
        drop(within);
        let _running = Box::new((running, provider));
        let scene = Self { runtime, reviewer, instruments, _running };
        // Once before, for what is only made once.
        scene.review(review_of_a_pod());
        scene
    }

    fn review(&self, body: Vec<u8>) {
        let (uri, headers) = (Uri::from_static("/validate/ignore"), HeaderMap::new());
        let call = self.instruments.begin_call(&CallFacts {
            method: &Method::POST,
            uri: &uri,
            version: Version::HTTP_2,
            headers: &headers,
            route: Some("/validate/ignore"),
            peer: ([127, 0, 0, 1], 1).into(),
        });
        let response = self.runtime.block_on(call.within(self.reviewer.answer(body)));
        assert!(response.status().is_success());
        call.end(response.status(), response.body().size_hint().exact());
    }
}

#[test]
fn a_review_allocates_no_more_than_it_did() {
    let mut over = Vec::new();
    for Limit { policies, telemetry, allocations, bytes } in LIMITS {
        let (scene, body) = (Scene::new(policies, telemetry), review_of_a_pod());
        let counted = measure(|| scene.review(body));
        let (counted, taken) = (counted.count_total, counted.bytes_total);
        let figure = format!(
            "{policies} policies, {telemetry:?}: {counted} allocations of {allocations}, {taken} bytes of {bytes}"
        );
        println!("{figure}");
        if counted > allocations || taken > bytes {
            over.push(figure);
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

/// How many reviews are made under each count of policies, for somebody who counts instructions.
const COUNTED: &str = "PHAROS_COUNTED_REVIEWS";

/// The instructions of this program while it makes these reviews, if they can be counted here.
fn instructions(reviews: [u64; INSTRUCTIONS.len()]) -> Option<u64> {
    let counted = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "routes::cost::a_review_takes_no_more_instructions_than_it_did"])
        .env(COUNTED, serde_json::to_string(&reviews).unwrap())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&counted.stderr).into_owned();
    assert!(counted.status.success(), "{said}{}", String::from_utf8_lossy(&counted.stdout));
    // `==1234== I   refs:      12,345,678`
    let line = said.lines().find(|line| line.contains("refs:")).expect("it counts");
    let digits: String = line.rsplit(':').next()?.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Makes the reviews that are to be counted.
fn be_counted(reviews: &str) {
    let reviews: [u64; INSTRUCTIONS.len()] = serde_json::from_str(reviews).unwrap();
    for ((policies, _), reviews) in INSTRUCTIONS.iter().zip(reviews) {
        let (scene, body) = (Scene::new(*policies, Telemetry::Metrics), review_of_a_pod());
        for _ in 0..reviews {
            scene.review(body.clone());
        }
    }
}

#[test]
fn a_review_takes_no_more_instructions_than_it_did() {
    const MORE: u64 = 50;
    if let Ok(reviews) = env::var(COUNTED) {
        return be_counted(&reviews);
    }
    // What starting takes is in both, and so in neither.
    let Some(few) = instructions([1, 1]) else {
        println!("instructions are not counted: there is no valgrind here");
        return;
    };
    let counts = [[1 + MORE, 1], [1, 1 + MORE]].map(|reviews| instructions(reviews).unwrap());
    let mut over = Vec::new();
    for ((policies, limit), many) in INSTRUCTIONS.into_iter().zip(counts) {
        let counted = many.saturating_sub(few) / MORE;
        let figure = format!("{policies} policies: {counted} instructions of {limit}");
        println!("{figure}");
        if counted > limit {
            over.push(figure);
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}
