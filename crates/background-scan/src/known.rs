//! What stays of an object between two looks at it: at most 200 bytes, however large the object is.
//!
//! [`Known`] is a table by uid. An entry holds what finds the object again, which version of it was
//! seen, and what its report is like; never the object, and never the report. What any of it means is
//! decided in [`crate::scan`].

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::num::NonZeroU16;

use pharos_reports::admitted::ADMISSION;
use pharos_reports::{DIGEST, Digest, digest};
use uuid::Uuid;

pub(crate) use names::NameId;
use names::Names;

mod names;

/// The identity that the API server gave an object. It names the object's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Uid(Uuid);

/// A resourceVersion. Those of one resource are numbers that grow, as Kubernetes documents; what is no
/// number can still be told from others. The default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version(u64);

/// What a report says of itself in its metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Of what scans say in it.
    pub(crate) digest: Digest,
    pub(crate) admitted: Admissions,
}

/// Which results of admissions a report has, told apart in a byte. The default is none; of those that are
/// some, two look alike once in 255 times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admissions(u8);

/// A resource that is scanned, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetId(NonZeroU16);

/// What an object is, as in `Deployment.apps`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KindInGroup(Box<str>);

/// Everything that is known.
#[derive(Debug, Default)]
pub(crate) struct Known {
    entries: HashMap<Uid, Entry>,
    names: Names,
}

/// One object, or the report of one that is not known.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Of a report without an object: what the object was.
    name: Box<str>,
    namespace: NameId,
    /// Whose object it is; none for a report without an object.
    pub(crate) target: Option<TargetId>,
    pub(crate) state: State,
    /// The newest version of the object that was told of or judged.
    pub(crate) seen: Version,
    /// The newest version of its report; none if it has no report.
    pub(crate) report: Version,
    /// What scans say in that report.
    pub(crate) digest: Digest,
    /// What admissions say in it.
    pub(crate) admitted: Admissions,
}

/// What is going on with an object, in a byte: a set of [`Flag`]s, and in the three highest bits how often
/// somebody else changed its report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State(u8);

/// Something that is going on with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flag {
    /// It has to be judged.
    Stale = 1,
    /// It waits in the queue of single objects.
    Queued = 2,
    /// Its report is being written, or waits for that.
    Writing = 4,
    /// It was a report without an object at the last look for those.
    Suspect = 8,
    /// Its report was written by us or another replica.
    Ours = 16,
}

const CONTESTS: u8 = 5;

// === impl State ===

impl State {
    pub(crate) fn is(self, flag: Flag) -> bool {
        self.0 & flag as u8 != 0
    }

    pub(crate) fn mark(&mut self, flag: Flag) {
        self.0 |= flag as u8;
    }

    pub(crate) fn clear(&mut self, flag: Flag) {
        self.0 &= !(flag as u8);
    }

    /// How often somebody else changed its report; seven times is any number of times.
    pub(crate) fn contests(self) -> u8 {
        self.0 >> CONTESTS
    }

    /// Somebody else changed its report.
    pub(crate) fn contest(&mut self) {
        let contests = (self.contests() + 1).min(7);
        self.0 = self.0 & !(7 << CONTESTS) | contests << CONTESTS;
    }

    /// Whoever did may have stopped.
    pub(crate) fn forgive(&mut self) {
        self.0 &= !(7 << CONTESTS);
    }
}

// === impl Uid ===

impl Uid {
    /// A uid as every API server makes them: in this form it can be written out again as it was.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uid = Self(Uuid::try_parse(text).ok()?);
        (uid.to_string() == text).then_some(uid)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

// === impl Version ===

impl Version {
    pub(crate) fn parse(text: &str) -> Self {
        let number = text.parse::<u64>().ok().filter(|number| number >> 63 == 0);
        Self(number.unwrap_or_else(|| digest::of(text.as_bytes()) | 1 << 63))
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Whether it is newer than another one. Of two that are no numbers, nobody knows which is: each is
    /// news after the other.
    pub(crate) fn is_after(self, other: Self) -> bool {
        if self.is_number() && other.is_number() { self.0 > other.0 } else { self != other }
    }

    /// As the API server knows it, if it is a number.
    pub(crate) fn text(self) -> Option<String> {
        (!self.is_none() && self.is_number()).then(|| self.0.to_string())
    }

    /// What is none has the highest bit.
    fn is_number(self) -> bool {
        self.0 >> 63 == 0
    }
}

// === impl TargetId ===

impl TargetId {
    /// The first number.
    pub(crate) const FIRST: Self = Self(NonZeroU16::MIN);

    /// The number after it; after the last, the first again.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        self.0.checked_add(1).map_or(Self::FIRST, Self)
    }
}

// === impl KindInGroup ===

impl KindInGroup {
    pub(crate) fn of(kind: &str, group: &str) -> Self {
        let text = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        Self(text.into())
    }
}

// === impl Stamp ===

impl Stamp {
    /// As the annotations of a report have it.
    pub(crate) fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let text = |key| annotations?.get(key);
        let digest = text(DIGEST).and_then(|hex| Digest::parse(hex)).unwrap_or_default();
        let admitted = text(ADMISSION).map_or(0, |it| digest::of(it.as_bytes()) % 255 + 1);
        Self { digest, admitted: Admissions(u8::try_from(admitted).unwrap_or(u8::MAX)) }
    }

    /// Whether a report is by Pharos.
    pub(crate) fn is_ours(self) -> bool {
        self != Self::default()
    }
}

// === impl Admissions ===

impl Admissions {
    pub(crate) fn is_some(self) -> bool {
        self != Self::default()
    }
}

// === impl Known ===

impl Known {
    pub(crate) fn get(&self, uid: Uid) -> Option<&Entry> {
        self.entries.get(&uid)
    }

    pub(crate) fn get_mut(&mut self, uid: Uid) -> Option<&mut Entry> {
        self.entries.get_mut(&uid)
    }

    /// The entry of an object, new or not, under the target, namespace and name that it has.
    pub(crate) fn object(
        &mut self,
        uid: Uid,
        target: TargetId,
        namespace: &str,
        name: &str,
    ) -> &mut Entry {
        let entry =
            self.entries.entry(uid).or_insert_with(|| Entry::new(self.names.add(namespace)));
        if entry.target != Some(target) {
            entry.target = Some(target);
            entry.name = name.into();
            entry.state.clear(Flag::Suspect);
        }
        entry
    }

    /// The entry of a report, whether or not its object is known.
    pub(crate) fn report(
        &mut self,
        uid: Uid,
        namespace: &str,
        owner: Option<&KindInGroup>,
    ) -> &mut Entry {
        self.entries.entry(uid).or_insert_with(|| {
            let name = owner.map(|KindInGroup(owner)| owner.clone()).unwrap_or_default();
            Entry { name, ..Entry::new(self.names.add(namespace)) }
        })
    }

    pub(crate) fn remove(&mut self, uid: Uid) {
        if let Some(entry) = self.entries.remove(&uid) {
            self.names.remove(entry.namespace);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Uid, &Entry)> {
        self.entries.iter().map(|(uid, entry)| (*uid, entry))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Uid, &mut Entry)> {
        self.entries.iter_mut().map(|(uid, entry)| (*uid, entry))
    }

    /// The objects of a target.
    pub(crate) fn of_target(&self, target: TargetId) -> impl Iterator<Item = (Uid, &Entry)> {
        self.iter().filter(move |(_, entry)| entry.target == Some(target))
    }

    /// Where an object is, or a report: empty for one that is in no namespace.
    pub(crate) fn namespace(&self, entry: &Entry) -> &str {
        self.names.get(entry.namespace)
    }
}

// === impl Entry ===

impl Entry {
    fn new(namespace: NameId) -> Self {
        Self {
            name: Box::default(),
            namespace,
            target: None,
            state: State::default(),
            seen: Version::default(),
            report: Version::default(),
            digest: Digest::default(),
            admitted: Admissions::default(),
        }
    }

    /// The number of its namespace.
    pub(crate) fn namespace(&self) -> NameId {
        self.namespace
    }

    /// There is no report any more.
    pub(crate) fn lose_report(&mut self) {
        (self.report, self.digest) = (Version::default(), Digest::default());
        self.admitted = Admissions::default();
        self.state.clear(Flag::Ours);
    }

    /// What the object of a report was that is not known, if the report says it.
    pub(crate) fn owner(&self) -> Option<KindInGroup> {
        let is_owner = self.target.is_none() && !self.name.is_empty();
        is_owner.then(|| KindInGroup(self.name.clone()))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The object is gone; what is left is the report.
    pub(crate) fn lose_object(&mut self) {
        self.target = None;
        self.name = Box::default();
        self.seen = Version::default();
        self.state.clear(Flag::Stale);
    }
}

#[cfg(test)]
mod tests;
