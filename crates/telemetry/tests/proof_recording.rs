//! Recording waits for nothing outside. Everything that could hold it up is held open, and stays so:
//! that the threads end is the proof.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail anywhere, and makes spans of its own"
)]

mod support;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::Tracer as _;
use pharos_telemetry::config::{MetricShape, OtlpSink, Protocol, Temporality};
use pharos_telemetry::{Config, GenerationChange, Pipeline, Signal, serve_scrapes};
use support::program::{Instruments, changing, shaped, started, text};
use support::records::stats;
use support::{Answer, PATIENCE, Receiver, commit, scraped, scraping};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket};

const OFTEN: Duration = Duration::from_millis(5);
const NEVER: Duration = Duration::from_secs(3600);
const VALUES: u64 = 20_000;
const QUEUE: usize = 50;

/// What one thread records: known series, new ones, and spans into a queue that is full.
fn record(pipeline: &Pipeline, instruments: &Instruments, thread: i64) {
    let tracer = pipeline.tracer("test");
    for round in 0..VALUES {
        instruments.record(thread, round);
        if round % 10 == 0 {
            // A series that there never was.
            let number = i64::try_from(round).unwrap();
            let attributes = [KeyValue::new("thread", 1000 + thread), KeyValue::new("odd", number)];
            instruments.requests.add(1, &attributes);
        }
        if round % 100 == 0 {
            drop(tracer.start("span"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_record_to_the_end_while_everybody_else_stands_still() {
    let silent = Receiver::start();
    silent.answers(Answer::Nothing);
    let (pipeline, mut reloader, instruments) = started();
    let cardinality_limit = NonZeroU32::new(50_000).unwrap();
    let shape = MetricShape { cardinality_limit, ..changing(0) };
    let patient = OtlpSink { temporality: Temporality::Delta, ..silent.patient(OFTEN, NEVER) };
    let mut records = silent.records_by(Protocol::Grpc, QUEUE, 10);
    records.receiver.timeout = NEVER;
    let config = Config::off()
        .with_sink("scraped", scraping())
        .with_sink("silent", patient.clone())
        .with_sink("totals", OtlpSink { temporality: Temporality::Cumulative, ..patient })
        .with_traces("silent", records);
    let config = shaped(config, shape);
    commit(&mut reloader, config.clone()).await.in_force().await;

    // Enough for a page that no socket takes as a whole.
    for number in 0..5000 {
        let attributes =
            [KeyValue::new("thread", format!("{number:0100}")), KeyValue::new("odd", false)];
        instruments.requests.add(1, &attributes);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve_scrapes(listener, pipeline.clone(), "off", std::future::pending()));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut reader = socket.connect(address).await.unwrap();
    reader.write_all(b"GET /metrics HTTP/1.1\r\nhost: pharos\r\n\r\n").await.unwrap();
    reader.readable().await.unwrap();
    silent.until("exports that are never answered", |all| !all.is_empty()).await;

    // A reload that has everything ready, and is never committed.
    let prepared = reloader.prepare(shaped(config, changing(1))).await.unwrap();
    assert_eq!(prepared.plan().generation(), GenerationChange::Rebuild);
    let threads = [1, 2].map(|number| {
        let (pipeline, instruments) = (pipeline.clone(), instruments.clone());
        tokio::task::spawn_blocking(move || record(&pipeline, &instruments, number))
    });
    for thread in threads {
        tokio::time::timeout(PATIENCE, thread).await.expect("it stands still").unwrap();
    }

    let page = text(&pipeline);
    let requests = 5000 + 2 * (VALUES + VALUES / 10);
    assert_eq!(scraped(&page, "requests_total"), requests as f64);
    assert_eq!(scraped(&page, "seconds_count"), (2 * VALUES) as f64);
    let spans = stats(&pipeline, Signal::Traces, "silent");
    let dropped = 2 * VALUES / 100 - QUEUE as u64;
    assert_eq!((spans.items_queued, spans.items_dropped["queue_full"]), (QUEUE as u64, dropped));
    assert!(pipeline.debug().generations.overflowing.is_empty());
    drop(prepared);
    drop(reader);
    assert_eq!(pipeline.debug().reloads.abandoned, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_record_to_the_end_while_totals_are_read_without_a_pause() {
    let (pipeline, mut reloader, instruments) = started();
    commit(&mut reloader, shaped(Config::prometheus(), changing(0))).await.in_force().await;
    let (stop, stopped) = (Arc::new(AtomicBool::new(false)), pipeline.clone());
    let readers = [(); 2].map(|()| {
        let (stop, pipeline) = (Arc::clone(&stop), stopped.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                drop(text(&pipeline));
            }
        })
    });
    let recorders = [1, 2].map(|number| {
        let (pipeline, instruments) = (pipeline.clone(), instruments.clone());
        tokio::task::spawn_blocking(move || record(&pipeline, &instruments, number))
    });
    for recorder in recorders {
        tokio::time::timeout(PATIENCE, recorder).await.expect("it stands still").unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert_eq!(scraped(&text(&pipeline), "seconds_count"), (2 * VALUES) as f64);
    let requests = (2 * (VALUES + VALUES / 10)) as f64;
    // What is beyond the limit is counted together, not lost.
    assert_eq!(scraped(&text(&pipeline), "requests_total"), requests);
    assert!(pipeline.debug().generations.overflowing.contains("requests"));
}
