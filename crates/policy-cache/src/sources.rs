//! The objects of every kind, as they are watched.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::select_all;
use kube::Client;
use kube::api::DynamicObject;
use pharos_cluster::served::{self, CustomKind};
use pharos_cluster::tasks::Tasks;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::{Observed, Uid, View};
use tokio::sync::watch;

use crate::Kind;

/// The objects of one kind.
pub type Objects = Arc<BTreeMap<Uid, Observed<DynamicObject>>>;

/// Where the objects of every kind are published.
#[derive(Clone)]
pub struct Sources(Vec<(Kind, watch::Receiver<View<DynamicObject>>)>);

/// What keeps the policies from being known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The kind whose objects are not known.
    pub kind: Kind,
    /// Why, if that is known.
    pub trouble: Option<Trouble>,
}

// === impl Sources ===

impl Sources {
    /// Watches every kind, and which of them are served.
    pub fn watch(client: &Client, tasks: &mut Tasks) -> Self {
        let (tell, served) = watch::channel(None);
        let mut views = Vec::new();
        for kind in Kind::all() {
            let (sender, view) = watch::channel(View::default());
            let follow = served::follow(client.clone(), kind.custom(), served.clone(), sender);
            tasks.spawn("watches policies", follow);
            views.push((kind, view));
        }
        let client = client.clone();
        let look = async move {
            let kinds: Vec<CustomKind> = Kind::all().map(Kind::custom).collect();
            served::keep(client, &kinds, tell).await;
        };
        tasks.spawn("asks which policies are served", look);
        Self(views)
    }

    /// The objects of every kind.
    ///
    /// # Errors
    /// The first kind of which nothing is known, where policies could be missed.
    pub fn snapshot(&mut self) -> Result<BTreeMap<Kind, Objects>, Missing> {
        let mut snapshot = BTreeMap::new();
        for (kind, view) in &mut self.0 {
            let view = view.borrow_and_update();
            match &view.objects {
                Some(objects) => drop(snapshot.insert(*kind, objects.clone())),
                None if kind.is_evaluated() => {
                    return Err(Missing { kind: *kind, trouble: view.trouble });
                }
                None => {}
            }
        }
        Ok(snapshot)
    }

    /// Waits until any of them changes.
    ///
    /// # Errors
    /// Where the watches have ended.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        let changes = self.0.iter_mut().map(|(_, view)| Box::pin(view.changed()));
        select_all(changes).await.0
    }
}
