//! Reading and telling 100,000 series in every format, and what a record costs meanwhile.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark may fail anywhere")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use peak_alloc::PeakAlloc;
use pharos_telemetry::config::{Compression, Protocol};
use pharos_telemetry::{
    Catalogue, Config, Counter, Declaration, ExpositionFormat, InstrumentKind, Pipeline, Reloader,
};
use pharos_testkit::bench::Section;
use support::{Answer, HttpAnswer, PATIENCE, Receiver, commit, scraping, start_with};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SERIES: usize = 100_000;
const TIMES: usize = 5;
const NEVER: Duration = Duration::from_secs(3600);
const MEBIBYTE: f64 = 1024.0 * 1024.0;
const FORMATS: [(&str, ExpositionFormat); 3] = [
    ("text 0.0.4", ExpositionFormat::Text),
    ("OpenMetrics 1.0", ExpositionFormat::OpenMetrics),
    ("protobuf", ExpositionFormat::Protobuf),
];

static REQUESTS: Declaration = Declaration {
    scope: "bench",
    name: "requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "Requests.",
    attributes: &["kind", "namespace", "operation", "policy"],
    boundaries: &[],
};

/// What one way of telling costs.
struct Cost {
    took: Duration,
    /// On top of what there was before.
    peak: f64,
}

/// A thread that records all along, and how long each record took.
struct Recorder {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<Duration>>,
}

fn attributes(number: usize) -> [KeyValue; 4] {
    [
        KeyValue::new("kind", "Pod"),
        KeyValue::new("namespace", format!("namespace-{}", number % 100)),
        KeyValue::new("operation", "CREATE"),
        KeyValue::new("policy", format!("policy-{}", number / 100)),
    ]
}

fn measure(mut work: impl FnMut()) -> Cost {
    work();
    let costs = (0..TIMES).map(|_| {
        ALLOCATOR.reset_peak_usage();
        let before = ALLOCATOR.current_usage();
        let began = Instant::now();
        work();
        let took = began.elapsed();
        Cost { took, peak: (ALLOCATOR.peak_usage() - before) as f64 / MEBIBYTE }
    });
    let mut costs: Vec<_> = costs.collect();
    costs.sort_unstable_by_key(|cost| cost.took);
    costs.swap_remove(TIMES / 2)
}

// === impl Recorder ===

impl Recorder {
    fn start(counter: &Counter) -> Self {
        let (stop, counter) = (Arc::new(AtomicBool::new(false)), counter.clone());
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let attributes = attributes(7);
            let mut times = Vec::with_capacity(50_000_000);
            while !stopped.load(Ordering::Relaxed) && times.len() < times.capacity() {
                let began = Instant::now();
                counter.add(1, &attributes);
                times.push(began.elapsed());
            }
            times
        });
        Self { stop, thread }
    }

    /// The time that one of a thousand records exceeded.
    fn stop(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().unwrap();
        times.sort_unstable();
        times[times.len() * 999 / 1000]
    }
}

fn started() -> (Pipeline, Reloader, Counter) {
    let mut catalogue = Catalogue::new();
    let counter = catalogue.counter(&REQUESTS);
    let (pipeline, reloader) = start_with(catalogue);
    (pipeline, reloader, counter)
}

fn scraped() -> Config {
    let mut config = Config::off().with_sink("scraped", scraping());
    config.metrics.shape.cardinality_limit = NonZeroU32::new(200_000).unwrap();
    config
}

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (pipeline, mut reloader, counter) = started();
    runtime.block_on(async { commit(&mut reloader, scraped()).await.drain(PATIENCE).await });
    (0..SERIES).for_each(|number| counter.add(1, &attributes(number)));
    let mut section = Section::new(
        "encode",
        "Reading and telling 100,000 series",
        "Wall time of one reading and its encoding (median of 5), the most memory that it needs on \
         top of the series themselves, and what one of a thousand records of another thread \
         exceeded meanwhile.",
    );
    let told = |section: &mut Section, name: &str, cost: &Cost, record: Duration| {
        section.figure(
            &format!("{name}, time"),
            format!("{:.0} ms", cost.took.as_secs_f64() * 1e3),
            "",
        );
        section.figure(&format!("{name}, peak memory"), format!("{:.0} MiB", cost.peak), "");
        section.figure(&format!("{name}, p99.9 of a record"), format!("{record:?}"), "");
    };
    let recorder = Recorder::start(&counter);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        thread::yield_now();
    }
    section.figure("nothing is read, p99.9 of a record", format!("{:?}", recorder.stop()), "");
    for (name, format) in FORMATS {
        let work = || {
            let page = pipeline.scrape_as(format).unwrap();
            assert!(page.len() > SERIES * 50);
        };
        let cost = measure(work);
        let recorder = Recorder::start(&counter);
        (0..TIMES).for_each(|_| work());
        told(&mut section, name, &cost, recorder.stop());
    }
    // A receiver that reads, takes everything and looks at nothing.
    let receiver = Receiver::start();
    receiver.answers(Answer::Http(HttpAnswer::new(200).body("application/x-protobuf", "")));
    let mut sink = receiver.sink_by(Protocol::HttpProtobuf, NEVER);
    sink.receiver.compression = Compression::None;
    let pushed = scraped().with_sink("gateway", sink);
    let mut work = || {
        runtime.block_on(async {
            // What a sink that ends tells last: the totals of the commit.
            commit(&mut reloader, pushed.clone()).await.in_force().await;
            let drained = commit(&mut reloader, scraped()).await.drain(PATIENCE).await;
            assert_eq!(drained.lost(), 0, "{drained:?}");
        });
    };
    let cost = measure(&mut work);
    let recorder = Recorder::start(&counter);
    (0..TIMES).for_each(|_| work());
    told(&mut section, "OTLP, two readings and two exports", &cost, recorder.stop());
    section.publish()
}
