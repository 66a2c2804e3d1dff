//! Which generations were seen and run, so that nothing goes back to an older one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::view::{Observed, Uid};

/// All objects of the namespace.
pub(super) type Objects = Arc<BTreeMap<Uid, Observed<TelemetryConfig>>>;

/// How many objects that are gone are remembered: a view from before their deletion may come late.
const REMEMBERED: usize = 256;

/// The newest generations of every object, by uid: no two objects ever have the same.
#[derive(Debug, Default)]
pub(super) struct History {
    marks: BTreeMap<Uid, Marks>,
    /// Those that are not there any more, the latest last.
    gone: VecDeque<Uid>,
}

#[derive(Debug, Default)]
struct Marks {
    seen: i64,
    ran: Option<i64>,
}

// === impl History ===

impl History {
    /// The objects of a view, each as it was seen last: one that went back since `before` is older
    /// than what was seen already.
    pub(super) fn admit(&mut self, view: Objects, before: &Objects) -> Objects {
        let mut objects = view;
        let older = |(uid, it): (&Uid, &Observed<_>)| {
            let known = self.marks.get(uid)?;
            (it.generation() < known.seen).then(|| uid.clone())
        };
        let stale: Vec<_> = objects.iter().filter_map(older).collect();
        if !stale.is_empty() {
            let mut merged = BTreeMap::clone(&objects);
            for uid in stale {
                match before.get(&uid) {
                    Some(newer) => drop(merged.insert(uid, newer.clone())),
                    None => drop(merged.remove(&uid)),
                }
            }
            objects = Arc::new(merged);
        }
        self.note(&objects, before);
        objects
    }

    /// Notes that a generation of an object was put in force.
    pub(super) fn ran(&mut self, uid: &str, generation: i64) {
        let marks = self.marks.entry(uid.to_owned()).or_default();
        marks.ran = marks.ran.max(Some(generation));
    }

    /// Whether running this generation would be going back.
    pub(super) fn ran_newer(&self, uid: &str, generation: i64) -> bool {
        let ran = self.marks.get(uid).and_then(|marks| marks.ran);
        ran.is_some_and(|ran| ran > generation)
    }

    fn note(&mut self, objects: &Objects, before: &Objects) {
        for (uid, observed) in objects.iter() {
            let marks = self.marks.entry(uid.clone()).or_default();
            marks.seen = marks.seen.max(observed.generation());
        }
        self.gone.retain(|uid| !objects.contains_key(uid));
        self.gone.extend(before.keys().filter(|uid| !objects.contains_key(*uid)).cloned());
        while self.gone.len() > REMEMBERED {
            if let Some(forgotten) = self.gone.pop_front() {
                self.marks.remove(&forgotten);
            }
        }
    }
}
