//! One list and the watches that go on from it, as events that never go back in time.
//!
//! `kube::runtime::watcher` does most of this, and does not tell three things that are needed here:
//! which version a list is of, that a watch was accepted, and that one ended as soon as it began.
//! Enter at [`ListWatch::next`]; after a failure its caller waits a while and calls it again. What
//! an object means is decided elsewhere.
//!
//! **What is guarded.** The versions of one resource are comparable, as Kubernetes documents, and
//! a watch tells changes in their order. So what is not newer than what was told is a repetition
//! and is left out, and a list that is older is refused: no object goes back to an older version,
//! and none that was deleted comes back, without a memory of every object. A list that is new
//! enough is the truth, also about what is not in it. See [`Progress`] for the one exception.
//!
//! **What is not.** A server that gives old objects a new version is believed. The guard lasts as
//! long as its [`ListWatch`]: what a new one lists first is believed, unless it was told better by
//! [`ListWatch::not_before`]. Versions that are no decimal numbers are never older than others.
//!
//! **What is kept.** The pages of a list while they arrive, one change at a time after that.

use std::fmt::Debug;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use self::progress::{Outdated, Progress};
use crate::trouble::Trouble;

mod progress;

/// How long the API server keeps a watch open.
const WATCH_SECONDS: u32 = 60;
/// Silence on a watch after which it counts as half-open: longer than any that the server ends.
const SILENCE: Duration = Duration::from_secs(65);
/// A watch that told nothing and ended within this failed, as client-go has it.
const SHORT: Duration = Duration::from_secs(1);
const PAGE: u32 = 500;

/// What the API server holds of one selection of objects.
pub(crate) struct ListWatch<K> {
    api: Api<K>,
    selection: watcher::Config,
    progress: Progress,
    state: State<K>,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<T> {
    /// All objects that there are.
    Listed(Vec<T>),
    /// The API server accepted a watch that goes on from what was told.
    Watching,
    /// An object was created or changed.
    Applied(T),
    /// An object was deleted, or left the selection.
    Deleted(T),
}

/// Why nothing can be told for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Outdated(#[from] Outdated),
    #[error("a list without a resourceVersion")]
    Unversioned,
    #[error("a watch ended as soon as it began")]
    Short,
}

enum State<K> {
    /// A list is needed.
    Unlisted,
    /// A watch can go on from what was told.
    Listed,
    Watching(Watch<K>),
}

struct Watch<K> {
    events: BoxStream<'static, kube::Result<WatchEvent<K>>>,
    since: Instant,
    told: bool,
}

// === impl ListWatch ===

impl<K> ListWatch<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// The labels and fields of `selection` count, nothing else of it.
    pub(crate) fn new(api: Api<K>, selection: watcher::Config) -> Self {
        Self { api, selection, progress: Progress::default(), state: State::Unlisted }
    }

    /// Believes no list older than this version.
    #[must_use]
    pub(crate) fn not_before(mut self, version: &str) -> Self {
        self.progress.advance(version);
        self
    }

    /// The next event, whenever there is one.
    pub(crate) async fn next<T: From<K>>(&mut self) -> Result<Event<T>, Failure> {
        loop {
            match &mut self.state {
                State::Unlisted => return self.list().await.map(Event::Listed),
                State::Listed => return self.watch().await.map(|()| Event::Watching),
                State::Watching(watch) => {
                    match tokio::time::timeout(SILENCE, watch.events.next()).await {
                        // It was away for longer than versions are kept.
                        Ok(Some(Ok(WatchEvent::Error(status))))
                            if status.code == 410 && watch.lived() =>
                        {
                            self.state = State::Unlisted;
                        }
                        Ok(Some(Ok(event))) => {
                            watch.told = true;
                            if let Some(event) = self.sift(event)? {
                                return Ok(event);
                            }
                        }
                        Ok(Some(Err(error))) => return Err(self.failed(error)),
                        Ok(None) | Err(_) => {
                            let lived = watch.lived();
                            self.state = State::Listed;
                            if !lived {
                                return Err(Failure::Short);
                            }
                        }
                    }
                }
            }
        }
    }

    async fn list<T: From<K>>(&mut self) -> Result<Vec<T>, Failure> {
        // The most recent state, not what some cache holds.
        let mut asked = ListParams {
            label_selector: self.selection.label_selector.clone(),
            field_selector: self.selection.field_selector.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        let mut objects = Vec::new();
        let version = loop {
            let page = Box::pin(self.api.list(&asked)).await;
            let page = page.inspect_err(|_| self.progress.interrupted())?;
            objects.extend(page.items.into_iter().map(T::from));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => asked.continue_token = Some(token),
                None => break page.metadata.resource_version.filter(|it| !it.is_empty()),
            }
        };
        self.progress.listed(&version.ok_or(Failure::Unversioned)?, Instant::now())?;
        self.state = State::Listed;
        Ok(objects)
    }

    async fn watch(&mut self) -> Result<(), Failure> {
        let asked = WatchParams {
            label_selector: self.selection.label_selector.clone(),
            field_selector: self.selection.field_selector.clone(),
            timeout: Some(WATCH_SECONDS),
            ..WatchParams::default()
        };
        match Box::pin(self.api.watch(&asked, self.progress.newest())).await {
            Ok(events) => {
                let events = events.boxed();
                self.state = State::Watching(Watch { events, since: Instant::now(), told: false });
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What of an event is news.
    fn sift<T: From<K>>(&mut self, event: WatchEvent<K>) -> Result<Option<Event<T>>, Failure> {
        let is_news = |progress: &mut Progress, object: &K| {
            progress.advance(object.meta().resource_version.as_deref().unwrap_or_default())
        };
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let news = is_news(&mut self.progress, &object);
                Ok(news.then(|| Event::Applied(T::from(object))))
            }
            WatchEvent::Deleted(object) => {
                let news = is_news(&mut self.progress, &object);
                Ok(news.then(|| Event::Deleted(T::from(object))))
            }
            WatchEvent::Bookmark(bookmark) => {
                self.progress.advance(&bookmark.metadata.resource_version);
                Ok(None)
            }
            WatchEvent::Error(status) => Err(self.failed(kube::Error::Api(status))),
        }
    }

    /// After a watch failed: where only the way was cut, one that goes on misses nothing. Anything
    /// else, above all a version that is too old or too new to go on from, needs a list.
    fn failed(&mut self, error: kube::Error) -> Failure {
        let throttled = matches!(&error, kube::Error::Api(status) if status.code == 429);
        let goes_on = throttled || Trouble::of(&error) == Trouble::Unreachable;
        self.state = if goes_on { State::Listed } else { State::Unlisted };
        Failure::Api(error)
    }
}

// === impl Watch ===

impl<K> Watch<K> {
    /// Whether it was of use, so that another one may begin at once.
    fn lived(&self) -> bool {
        self.told || self.since.elapsed() >= SHORT
    }
}

// === impl Failure ===

impl Failure {
    /// What kind of trouble it is.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            Self::Api(error) => Trouble::of(error),
            Self::Outdated(_) => Trouble::Outdated,
            Self::Unversioned | Self::Short => Trouble::Refused,
        }
    }
}

#[cfg(test)]
mod tests;
