//! Instruments that are not declared: those of libraries. They have a provider for themselves, for
//! ever, which no view reaches.

use std::sync::Arc;

use arc_swap::ArcSwap;
use opentelemetry::metrics::Meter;
use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;
use opentelemetry_sdk::metrics::InstrumentKind as SdkKind;
use tokio_util::sync::CancellationToken;

use crate::instrument::InstrumentKind;
use crate::snapshot::{Kinds, convert};

use super::{ReadError, Source};

/// What happened when they cannot be read any more, and what to do about it.
pub(crate) const BROKEN: &str = "a callback of an observable instrument that is not declared \
                                 panicked; restart the process";

/// Instruments that are not declared.
pub(super) struct Foreign {
    source: Source,
    kinds: Arc<ArcSwap<Kinds>>,
    /// Cancelled when a callback panicked.
    broken: CancellationToken,
}

// === impl Foreign ===

impl Foreign {
    pub(super) fn new() -> Self {
        let kinds = Arc::<ArcSwap<Kinds>>::default();
        let noted = Arc::clone(&kinds);
        let source = Source::new(move |instrument| {
            let (scope, name) = (instrument.scope().name(), instrument.name());
            noted.rcu(|kinds| {
                let mut kinds = Kinds::clone(kinds);
                let names = kinds.entry(scope.to_owned()).or_default();
                names.insert(name.to_owned(), kind(instrument.kind()));
                kinds
            });
            None
        });
        Self { source, kinds, broken: CancellationToken::new() }
    }

    pub(super) fn meter(&self, scope: &'static str) -> Meter {
        self.source.meter(scope)
    }

    #[cfg(test)]
    pub(super) fn meter_with_scope(&self, scope: opentelemetry::InstrumentationScope) -> Meter {
        self.source.meter_with_scope(scope)
    }

    /// What there is, so far.
    pub(super) fn kinds(&self) -> Arc<Kinds> {
        self.kinds.load_full()
    }

    /// Cancelled when a callback panicked. That is permanent: it poisons a lock of the SDK, which
    /// cannot be read from then on. Only a new process helps.
    pub(super) fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    /// Only one thread may read at a time.
    pub(super) fn read(&self) -> Result<Vec<ScopeMetrics>, ReadError> {
        match self.source.read() {
            Ok(collected) => Ok(convert(&collected)),
            Err(error) => {
                if matches!(error, ReadError::Panicked) {
                    self.broken.cancel();
                }
                Err(error)
            }
        }
    }
}

fn kind(kind: SdkKind) -> InstrumentKind {
    match kind {
        SdkKind::Counter => InstrumentKind::Counter,
        SdkKind::UpDownCounter => InstrumentKind::UpDownCounter,
        SdkKind::Histogram => InstrumentKind::Histogram,
        SdkKind::Gauge => InstrumentKind::Gauge,
        SdkKind::ObservableCounter => InstrumentKind::ObservableCounter,
        SdkKind::ObservableUpDownCounter => InstrumentKind::ObservableUpDownCounter,
        SdkKind::ObservableGauge => InstrumentKind::ObservableGauge,
    }
}
