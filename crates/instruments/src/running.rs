//! Instruments that are told to somebody, for the tests and benches of who records with them.

use pharos_telemetry::{Catalogue, Identity, Pipeline, Reloader};

use crate::Instruments;

/// The pipeline of [`Instruments::running`]. It ends when this is dropped.
pub struct Running {
    _pipeline: Pipeline,
    _reloader: Reloader,
}

// === impl Instruments ===

impl Instruments {
    /// Instruments with a pipeline of their own, which exports nowhere.
    ///
    /// # Panics
    /// If that cannot be started.
    pub fn running() -> (Self, Running) {
        let mut catalogue = Catalogue::new();
        let instruments = Self::declare(&mut catalogue);
        let identity = Identity::from_environment("0.0.0", &|_| None);
        let (pipeline, reloader) =
            Pipeline::start(identity, catalogue).expect("what is declared can be started");
        (instruments, Running { _pipeline: pipeline, _reloader: reloader })
    }
}
