//! What the pipeline counts about itself, exported through itself.
//!
//! A program asks for it with [`Catalogue::observe_pipeline`]. Counters are written where things
//! happen, so that they outlive the sinks that they are about; gauges are read when totals are. The
//! same facts are in [`DebugSnapshot`](crate::DebugSnapshot), for when every exporter is down.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;

use crate::config::{MetricSink, Roots, ScrapeTransport};
use crate::instrument::{Catalogue, Counter, Histogram, Observer};
use crate::pipeline::Shared;
use crate::signal::{Signal, SinkId};

mod declarations;

use declarations as declared;
pub use declarations::DECLARATIONS;
pub use declarations::key;

/// The instruments of a pipeline about itself.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    sent: Counter,
    dropped: Counter,
    exports: Counter,
    retried: Counter,
    duration: Histogram,
    reloads: Counter,
    reload_duration: Histogram,
    watched: Watched,
}

/// The pipeline that gauges are read from: none before it starts, and none once it is gone.
#[derive(Clone, Debug, Default)]
struct Watched(Arc<OnceLock<Weak<Shared>>>);

/// The instruments, for one sink.
#[derive(Debug)]
pub(crate) struct OwnOfSink {
    own: Own,
    exporter: KeyValue,
    signal: KeyValue,
}

// === impl Own ===

impl Own {
    pub(crate) fn declare(catalogue: &mut Catalogue) -> Self {
        let watched = Watched::default();
        watched.gauge(catalogue, &declared::QUEUED_ITEMS, observe_queues);
        watched.gauge(catalogue, &declared::GENERATION, observe_generation);
        watched.gauge(catalogue, &declared::CERTIFICATE_EXPIRY, observe_certificates);
        watched.gauge(catalogue, &declared::OVERFLOWING_METRICS, observe_overflow);
        Self {
            sent: catalogue.counter(&declared::SENT_ITEMS),
            dropped: catalogue.counter(&declared::DROPPED_ITEMS),
            exports: catalogue.counter(&declared::EXPORTS),
            retried: catalogue.counter(&declared::RETRIED_EXPORTS),
            duration: catalogue.histogram(&declared::EXPORT_DURATION),
            reloads: catalogue.counter(&declared::RELOADS),
            reload_duration: catalogue.histogram(&declared::RELOAD_DURATION),
            watched,
        }
    }

    /// Reads gauges from this pipeline from now on.
    pub(crate) fn watch(&self, shared: &Arc<Shared>) {
        // A catalogue starts one pipeline.
        let _ = self.watched.0.set(Arc::downgrade(shared));
    }

    pub(crate) fn of(&self, sink: &SinkId) -> OwnOfSink {
        let exporter: Arc<str> = sink.name.as_str().into();
        OwnOfSink {
            own: self.clone(),
            exporter: KeyValue::new(key::EXPORTER, exporter),
            signal: KeyValue::new(key::SIGNAL, sink.signal.as_str()),
        }
    }

    /// Counts a reload by what became of it; `took` only where it was put in force.
    pub(crate) fn reloaded(&self, outcome: &'static str, took: Option<Duration>) {
        self.reloads.add(1, &[KeyValue::new(key::OUTCOME, outcome)]);
        if let Some(took) = took {
            self.reload_duration.record(took.as_secs_f64(), &[]);
        }
    }
}

// === impl OwnOfSink ===

impl OwnOfSink {
    pub(crate) fn answered(&self, outcome: &'static str, accepted: u64, took: Duration) {
        let [exporter, signal] = self.attributes();
        self.own.duration.record(took.as_secs_f64(), &[exporter.clone(), signal.clone()]);
        if accepted > 0 {
            self.own.sent.add(accepted, &[exporter.clone(), signal.clone()]);
        }
        self.own.exports.add(1, &[exporter, KeyValue::new(key::OUTCOME, outcome), signal]);
    }

    pub(crate) fn dropped(&self, reason: &'static str, items: u64) {
        let [exporter, signal] = self.attributes();
        self.own.dropped.add(items, &[exporter, KeyValue::new(key::REASON, reason), signal]);
    }

    pub(crate) fn retried(&self) {
        self.own.retried.add(1, &self.attributes());
    }

    fn attributes(&self) -> [KeyValue; 2] {
        [self.exporter.clone(), self.signal.clone()]
    }
}

// === impl Watched ===

impl Watched {
    fn gauge(
        &self,
        catalogue: &mut Catalogue,
        declaration: &'static crate::Declaration,
        read: fn(&Shared, &Observer<'_, f64>),
    ) {
        let watched = self.clone();
        catalogue.observable_gauge(declaration, move |observer| {
            if let Some(shared) = watched.0.get().and_then(Weak::upgrade) {
                read(&shared, observer);
            }
        });
    }
}

fn observe_queues(shared: &Shared, observer: &Observer<'_, f64>) {
    for (sink, stats) in shared.stats.load().iter() {
        if sink.signal != Signal::Metrics {
            observer.observe(stats.held() as f64, &attributes(sink));
        }
    }
}

fn observe_generation(shared: &Shared, observer: &Observer<'_, f64>) {
    observer.observe(shared.totals.generations().0 as f64, &[]);
}

fn observe_overflow(shared: &Shared, observer: &Observer<'_, f64>) {
    observer.observe(shared.totals.overflowing().len() as f64, &[]);
}

fn observe_certificates(shared: &Shared, observer: &Observer<'_, f64>) {
    let running = shared.running.load();
    let expires = |sink: &SinkId, certificate: &'static str, at: jiff::Timestamp| {
        let [exporter, signal] = attributes(sink);
        let attributes = [KeyValue::new(key::CERTIFICATE, certificate), exporter, signal];
        observer.observe(at.as_second() as f64, &attributes);
    };
    for (sink, receiver) in running.receivers().filter(|(_, it)| it.endpoint.is_tls()) {
        if let Roots::Bundle(bundle) = &receiver.tls.roots {
            expires(&sink, "authorities", bundle.not_after());
        }
        if let Some(certificate) = &receiver.tls.client_certificate {
            expires(&sink, "client", certificate.not_after());
        }
    }
    for (name, sink) in running.metric_sinks() {
        let MetricSink::Prometheus(ScrapeTransport::Tls(tls)) = sink else { continue };
        let sink = SinkId::new(Signal::Metrics, name.clone());
        expires(&sink, "server", tls.certificate.not_after());
        if let Some(authorities) = &tls.client_ca {
            expires(&sink, "authorities", authorities.not_after());
        }
    }
}

fn attributes(sink: &SinkId) -> [KeyValue; 2] {
    [
        KeyValue::new(key::EXPORTER, sink.name.as_str().to_owned()),
        KeyValue::new(key::SIGNAL, sink.signal.as_str()),
    ]
}
