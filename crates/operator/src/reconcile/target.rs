//! Which object a process obeys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pharos_api::telemetryconfig::{Component, TelemetryConfig, TelemetryConfigSpec};
use pharos_cluster::view::{Observed, Uid};

use super::candidate::Identity;
use crate::select::{Scopes, select};

/// What a process should run.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// No object wins: the command line's defaults.
    Defaults,
    /// The object that wins, whatever it is worth.
    Object {
        /// Its uid.
        uid: Uid,
        /// Its name, for logs.
        name: String,
        /// The generation of its spec.
        generation: i64,
        /// The spec, or why the object cannot be decoded.
        spec: Result<Arc<TelemetryConfigSpec>, String>,
    },
}

/// The object that a process running `components` obeys.
pub fn choose(
    objects: &BTreeMap<Uid, Observed<TelemetryConfig>>,
    scopes: &Scopes,
    components: &BTreeSet<Component>,
) -> Target {
    let winners = select(&scopes.candidates(objects));
    let Some(observed) = winners.for_process(components).and_then(|uid| objects.get(uid)) else {
        return Target::Defaults;
    };
    let spec = |object: &Arc<TelemetryConfig>| Arc::new(object.spec.clone());
    Target::Object {
        uid: observed.uid().to_owned(),
        name: observed.name().to_owned(),
        generation: observed.generation(),
        spec: observed.object.as_ref().map(spec).map_err(String::clone),
    }
}

// === impl Target ===

impl Target {
    /// The object, if there is one: which generation of which, and what it asks for.
    pub(super) fn object(
        &self,
    ) -> Option<(Identity<'_>, &Result<Arc<TelemetryConfigSpec>, String>)> {
        match self {
            Self::Defaults => None,
            Self::Object { uid, name, generation, spec } => {
                Some((Identity { uid, name, generation: *generation }, spec))
            }
        }
    }

    /// What it asks for, if that is known.
    pub(super) fn spec(&self) -> Option<&TelemetryConfigSpec> {
        match self {
            Self::Object { spec: Ok(spec), .. } => Some(spec),
            Self::Object { spec: Err(_), .. } | Self::Defaults => None,
        }
    }
}
