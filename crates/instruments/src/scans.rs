//! What is told of background scans as a whole: how far they are, and what becomes of reports.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use pharos_telemetry::{Catalogue, Counter};

use crate::Instruments;
use crate::catalogue::key;
use crate::catalogue::metrics::{
    BREAKER_DROPS, BREAKER_TOTAL, SCAN_OBJECTS, SCAN_OBJECTS_LEFT, SCAN_REPORTS_WAITING,
    SCAN_RESOURCES_UNREAD,
};

/// How far the scan of this process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanProgress {
    /// Objects that it scans.
    pub objects: u64,
    /// Those of them that have to be judged.
    pub left: u64,
    /// Reports that wait to be written.
    pub waiting: u64,
    /// Resources whose objects cannot be listed or read.
    pub unread: u64,
}

/// Why reports are written. Kyverno has a circuit breaker for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportCircuit {
    /// Objects were admitted.
    Admission,
    /// Objects were scanned.
    BackgroundScan,
}

/// Whether a report came to be what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportFate {
    /// It did.
    Kept,
    /// It did not: it was given up, or is to be tried again.
    Dropped,
}

/// The instruments about scans.
#[derive(Clone, Debug)]
pub(crate) struct Scans {
    breaker_total: Counter,
    breaker_drops: Counter,
    progress: Arc<Mutex<Option<ScanProgress>>>,
}

// === impl Scans ===

impl Scans {
    pub(crate) fn declare(catalogue: &mut Catalogue) -> Self {
        let progress = Arc::<Mutex<Option<ScanProgress>>>::default();
        let gauges = [
            (&SCAN_OBJECTS, (|progress| progress.objects) as fn(&ScanProgress) -> u64),
            (&SCAN_OBJECTS_LEFT, |progress| progress.left),
            (&SCAN_REPORTS_WAITING, |progress| progress.waiting),
            (&SCAN_RESOURCES_UNREAD, |progress| progress.unread),
        ];
        for (declaration, value) in gauges {
            let observed = Arc::clone(&progress);
            catalogue.observable_gauge(declaration, move |observer| {
                // A process that does not scan says nothing about it.
                let progress = *observed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(progress) = progress {
                    observer.observe(value(&progress) as f64, &[]);
                }
            });
        }
        Self {
            breaker_total: catalogue.counter(&BREAKER_TOTAL),
            breaker_drops: catalogue.counter(&BREAKER_DROPS),
            progress,
        }
    }
}

// === impl ReportCircuit ===

impl ReportCircuit {
    /// Kyverno's name.
    fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "admission reports",
            Self::BackgroundScan => "background scan reports",
        }
    }
}

// === impl Instruments ===

impl Instruments {
    /// Tells how far the scan is, from now on.
    pub fn set_scan_progress(&self, progress: ScanProgress) {
        let mut told = self.scans.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Some(progress);
    }

    /// Records that a report was to be written or deleted, and whether that came to be.
    pub fn record_report(&self, circuit: ReportCircuit, fate: ReportFate) {
        let attributes = [KeyValue::new(key::CIRCUIT_NAME, circuit.as_str())];
        self.scans.breaker_total.add(1, &attributes);
        if fate == ReportFate::Dropped {
            self.scans.breaker_drops.add(1, &attributes);
        }
    }
}
