//! A watch that outlives broken objects, missing CRDs and absent API servers.
//!
//! [`keep`] folds the events of one watch into a [`View`]: the whole set of objects, published
//! when the first list is complete and after every change, latest wins. An object that cannot be
//! decoded is an entry with an error, never the end of the watch. Watches restart every 60 s, so
//! that a half-open connection is noticed; failures are retried after 0.5 to 5 s, and logged when
//! they begin and when they end, not every time.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::backoff::RetryDelay;
use crate::trouble::Trouble;

pub(crate) const WATCH_SECONDS: u32 = 60;
/// Longer than any watch that does not fail is silent about it.
const QUIET: Duration = Duration::from_secs(70);

/// The identity that the API server gave an object, unique over time and names.
pub type Uid = String;

/// One object as the API server holds it.
#[derive(Debug)]
pub struct Observed<K> {
    /// Its metadata, without `managedFields`.
    pub metadata: ObjectMeta,
    /// The object, or why it cannot be decoded.
    pub object: Result<Arc<K>, String>,
}

/// All objects of a watch at one moment.
#[derive(Debug)]
pub struct View<K> {
    /// The objects by uid; `None` until the first list is complete.
    pub objects: Option<Arc<BTreeMap<Uid, Observed<K>>>>,
    /// What broke the watch last, until it is mended. A set once published stays in force meanwhile,
    /// so this explains a missing first list and nothing else.
    pub trouble: Option<Trouble>,
}

/// Folds watch events into a set. Pure: see its tests for the rules.
struct Fold<K> {
    current: BTreeMap<Uid, Observed<K>>,
    relisted: Option<BTreeMap<Uid, Observed<K>>>,
}

// === impl Observed ===

impl<K> Clone for Observed<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), object: self.object.clone() }
    }
}

impl<K> Observed<K> {
    /// The object's name; empty only if the API server sent none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The object's uid; empty only if the API server sent none.
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The generation of the object's spec.
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }
}

impl<K: Resource> From<DeserializeGuard<K>> for Observed<K> {
    fn from(DeserializeGuard(decoded): DeserializeGuard<K>) -> Self {
        let mut metadata = match &decoded {
            Ok(object) => object.meta().clone(),
            Err(invalid) => invalid.metadata.clone(),
        };
        metadata.managed_fields = None;
        let object = decoded
            .map(|mut object| {
                object.managed_fields_mut().clear();
                Arc::new(object)
            })
            .map_err(|invalid| invalid.error);
        Self { metadata, object }
    }
}

// === impl View ===

impl<K> Default for View<K> {
    fn default() -> Self {
        Self { objects: None, trouble: None }
    }
}

impl<K> Clone for View<K> {
    fn clone(&self) -> Self {
        Self { objects: self.objects.clone(), trouble: self.trouble }
    }
}

// === impl Fold ===

impl<K> Default for Fold<K> {
    fn default() -> Self {
        Self { current: BTreeMap::new(), relisted: None }
    }
}

impl<K: Resource> Fold<K> {
    /// Takes one event in and says whether the set is complete and may have changed.
    fn take(&mut self, event: Event<DeserializeGuard<K>>) -> bool {
        match event {
            Event::Init => self.relisted = Some(BTreeMap::new()),
            Event::InitApply(object) => {
                let observed = Observed::from(object);
                self.relisted.get_or_insert_default().insert(observed.uid().to_owned(), observed);
            }
            Event::InitDone => self.current = self.relisted.take().unwrap_or_default(),
            Event::Apply(object) => {
                let observed = Observed::from(object);
                self.current.insert(observed.uid().to_owned(), observed);
            }
            Event::Delete(object) => {
                self.current.remove(object.uid().as_deref().unwrap_or_default());
            }
        }
        self.relisted.is_none()
    }
}

/// Keeps `view` equal to what the API server holds, for as long as it is polled.
///
/// `what` names the kind in logs, in the plural. Ends only when nobody reads `view` any more.
pub async fn keep<K>(
    api: Api<DeserializeGuard<K>>,
    selection: watcher::Config,
    what: &'static str,
    view: watch::Sender<View<K>>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default,
{
    let events = watcher(api, selection.timeout(WATCH_SECONDS))
        .backoff(RetryDelay::default())
        .map_err(log_worthy);
    let mut events = std::pin::pin!(events);
    let mut fold = Fold::default();
    let mut complete = false;
    while !view.is_closed() {
        // A watch that goes on may have nothing to tell: no failure for so long is recovery, too.
        match tokio::time::timeout(QUIET, events.next()).await {
            Ok(None) => return,
            Ok(Some(Ok(event))) => {
                complete = fold.take(event);
                if complete {
                    recovered(&view, what);
                    let objects = Arc::new(fold.current.clone());
                    view.send_modify(|view| view.objects = Some(objects));
                }
            }
            Ok(Some(Err((trouble, error)))) => troubled(&view, what, trouble, &error),
            Err(_) if complete => recovered(&view, what),
            Err(_) => {}
        }
    }
}

fn log_worthy(error: watcher::Error) -> (Trouble, String) {
    (Trouble::of_watch(&error), error.to_string())
}

fn troubled<K>(view: &watch::Sender<View<K>>, what: &str, trouble: Trouble, error: &str) {
    let began = view.send_if_modified(|view| view.trouble.replace(trouble) != Some(trouble));
    if began {
        tracing::warn!(
            reason = trouble.reason(),
            error,
            "cannot watch {what}, retrying; {}",
            trouble.remedy()
        );
    }
}

fn recovered<K>(view: &watch::Sender<View<K>>, what: &str) {
    if view.send_if_modified(|view| view.trouble.take().is_some()) {
        tracing::info!("watching {what} again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::client::Body;
    use serde_json::json;

    fn object(name: &str, uid: &str, data: serde_json::Value) -> DeserializeGuard<ConfigMap> {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "uid": uid, "managedFields": [{"manager": "kubectl"}]},
            "data": data,
        }))
        .unwrap()
    }

    fn names(fold: &Fold<ConfigMap>) -> Vec<&str> {
        fold.current.values().map(Observed::name).collect()
    }

    #[test]
    fn a_list_is_published_whole_or_not_at_all() {
        let mut fold = Fold::default();
        assert!(!fold.take(Event::Init));
        assert!(!fold.take(Event::InitApply(object("a", "1", json!({})))));
        assert!(!fold.take(Event::InitApply(object("b", "2", json!({})))));
        assert!(names(&fold).is_empty());
        assert!(fold.take(Event::InitDone));
        assert_eq!(names(&fold), ["a", "b"]);
    }

    #[test]
    fn a_relist_drops_what_is_gone() {
        let mut fold = Fold::default();
        fold.take(Event::Apply(object("a", "1", json!({}))));
        fold.take(Event::Init);
        fold.take(Event::InitApply(object("b", "2", json!({}))));
        fold.take(Event::InitDone);
        assert_eq!(names(&fold), ["b"]);
    }

    #[test]
    fn a_recreated_object_is_another_object() {
        let mut fold = Fold::default();
        fold.take(Event::Apply(object("a", "1", json!({}))));
        fold.take(Event::Apply(object("a", "2", json!({}))));
        fold.take(Event::Delete(object("a", "1", json!({}))));
        assert_eq!(fold.current.keys().collect::<Vec<_>>(), ["2"]);
    }

    #[test]
    fn a_broken_object_is_an_entry_with_its_error() {
        let mut fold = Fold::default();
        fold.take(Event::Apply(object("good", "1", json!({}))));
        assert!(fold.take(Event::Apply(object("broken", "2", json!(["not", "a", "map"])))));
        assert!(fold.current["1"].object.is_ok());
        let error = fold.current["2"].object.as_ref().unwrap_err();
        assert!(error.contains("map"), "{error}");
        assert_eq!(fold.current["2"].name(), "broken");
    }

    #[test]
    fn managed_fields_are_not_kept() {
        let mut fold = Fold::default();
        fold.take(Event::Apply(object("a", "1", json!({}))));
        let observed = &fold.current["1"];
        assert_eq!(observed.metadata.managed_fields, None);
        assert!(observed.object.as_ref().unwrap().managed_fields().is_empty());
    }

    /// An API server that refuses the first lists and then has one ConfigMap.
    fn refusing(lists: usize, code: u16) -> (Api<DeserializeGuard<ConfigMap>>, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let answer = move |request: http::Request<Body>| {
            let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
            let nth = if watches { 0 } else { counted.fetch_add(1, Ordering::SeqCst) };
            async move {
                if watches {
                    return std::future::pending().await;
                }
                let refusal = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "code": code, "reason": "x", "message": "no",
                });
                let list = json!({
                    "kind": "ConfigMapList", "apiVersion": "v1",
                    "metadata": {"resourceVersion": "1"},
                    "items": [{"metadata": {"name": "a", "uid": "1"}}],
                });
                let (status, body) = if nth < lists { (code, refusal) } else { (200, list) };
                let response = http::Response::builder().status(status);
                Ok::<_, Infallible>(
                    response.body(Body::from(body.to_string().into_bytes())).unwrap(),
                )
            }
        };
        (Api::namespaced(Client::new(tower::service_fn(answer), "default"), "default"), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_list_is_a_trouble_until_it_is_answered() {
        for (code, trouble) in [
            (404, Trouble::UnknownKind),
            (403, Trouble::Forbidden),
            (401, Trouble::Unauthenticated),
            (500, Trouble::Refused),
        ] {
            let (api, asked) = refusing(4, code);
            let (view, mut seen) = watch::channel(View::default());
            let keeping = tokio::spawn(keep(api, watcher::Config::default(), "things", view));
            let started = tokio::time::Instant::now();
            seen.wait_for(|view| view.trouble == Some(trouble)).await.unwrap();
            assert!(seen.borrow().objects.is_none());
            seen.wait_for(|view| view.objects.is_some() && view.trouble.is_none()).await.unwrap();
            assert_eq!(asked.load(Ordering::SeqCst), 5);
            let patience = started.elapsed().as_millis();
            assert!((6_700..=7_600).contains(&patience), "0.5, 1, 2 and 4 s, not {patience} ms");
            keeping.abort();
        }
    }
}
