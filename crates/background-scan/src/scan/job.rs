//! What is given out to be done, and what comes back.

use std::sync::Arc;

use pharos_api::report::ReportKind;
use pharos_cluster::trouble::Trouble;
use pharos_reports::{Desired, Own};

use crate::known::{Stamp, TargetId, Uid, Version};
use crate::target::Target;

/// Something to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Job {
    /// To read and judge a page of objects.
    Page(Page),
    /// To read and judge one.
    Object(Single),
    /// To make a report what it should be.
    Write(Box<Write>),
    /// To take out of a report what is of no policy any more.
    Tidy(Tidy),
    /// To delete a report.
    Delete(Removal),
}

/// A page of the objects of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) id: TargetId,
    pub(crate) target: Arc<Target>,
    pub(crate) place: Place,
    /// Where it goes on; none for the first page.
    pub(crate) token: Option<String>,
    /// Of which sweep it is.
    pub(crate) round: u32,
}

/// Where objects are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Wherever they are.
    Everywhere,
    /// In one namespace.
    Namespace(Arc<str>),
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Single {
    pub(crate) id: TargetId,
    pub(crate) target: Arc<Target>,
    pub(crate) uid: Uid,
    /// Empty for what is in none.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// During which sweep it was given out.
    pub(crate) round: u32,
}

/// What was read.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    /// These, and whether there is more.
    Judged { objects: Vec<Judged>, more: Option<String> },
    /// The place to go on from is too long ago.
    Expired,
    /// Nothing; it is to be tried again.
    Failed(Trouble),
}

/// That a target is to be left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Rest(pub(super) TargetId);

/// An object, and what its report should be.
#[derive(Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) uid: Uid,
    pub(crate) version: Version,
    /// None where no policy says anything about it.
    pub(crate) desired: Option<Desired>,
}

/// A report to write.
#[derive(Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) uid: Uid,
    pub(crate) desired: Desired,
    /// Whether there is one to be replaced, as far as is known.
    pub(crate) is_there: bool,
}

/// A report that admissions write, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tidy {
    /// As it is deleted if nothing is left of it.
    pub(crate) removal: Removal,
    pub(crate) own: Own,
}

/// A report to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removal {
    pub(crate) uid: Uid,
    pub(crate) kind: ReportKind,
    /// Empty for one that is in none.
    pub(crate) namespace: String,
    /// The version that is known; another one is left alone.
    pub(crate) version: Version,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It was written.
    Stored(Version, Stamp),
    /// It was as it should be.
    Unchanged(Version, Stamp),
    /// It is not there any more.
    Deleted,
    /// It is to be tried again.
    Failed,
    /// It is not taken as it is: to be tried again when something may have changed.
    Refused,
}
