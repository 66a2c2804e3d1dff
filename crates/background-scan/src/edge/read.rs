//! Objects, read by the page and judged before the next page is asked for.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use kube::Client;
use kube::core::{Request, params};
use pharos_cluster::discovery::Scope;
use pharos_cluster::pressure::Asked;
use pharos_cluster::trouble::Trouble;
use pharos_instruments::carry_trace;
use pharos_policy::NotJson;

use super::fetch::{Fetched, fetch};
use super::{Edge, PageSize};
use crate::judge::{Judge, JudgedList};
use crate::scan::{Page, Place, Read, Single};
use crate::target::Target;

/// One page of the objects of a target, of a namespace or of all, as it is sent.
pub(crate) async fn list(
    client: &Client,
    target: &Target,
    namespace: Option<&str>,
    token: Option<String>,
    size: PageSize,
) -> kube::Result<Fetched> {
    let asked = params::ListParams {
        limit: Some(size.limit()),
        continue_token: token,
        ..params::ListParams::default()
    };
    let request = Request::new(path(target, namespace)).list(&asked);
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    carry_trace(&mut request);
    fetch(client, request).await
}

// === impl Edge ===

impl Edge {
    pub(super) async fn read_page(&self, page: &Page, judge: Judge) -> Read {
        let namespace = match &page.place {
            Place::Everywhere => None,
            Place::Namespace(namespace) => Some(&**namespace),
        };
        let target = &page.target;
        let mut size = self.page_sizes().get(target).copied().unwrap_or_default();
        loop {
            let asked = list(&self.client, target, namespace, page.token.clone(), size);
            let written = match self.pressure.ask(asked_for(target), asked).await {
                Ok(Fetched::Whole(written)) => written,
                Ok(Fetched::TooLarge) => match size.after_too_large() {
                    Some(smaller) => {
                        size = smaller;
                        continue;
                    }
                    None => return too_large(target),
                },
                Err(kube::Error::Api(status)) if status.code == 410 => return Read::Expired,
                // The namespace, or the kind, went meanwhile.
                Err(kube::Error::Api(status)) if status.code == 404 => return nothing(),
                Err(error) => return Read::Failed(Trouble::of(&error)),
            };
            let bytes = written.len();
            let judged = {
                let target = Arc::clone(target);
                judged(move || judge.list(&target, &written)).await
            };
            let Some(JudgedList { objects, held, more, .. }) = judged else {
                return Read::Failed(Trouble::Refused);
            };
            self.page_sizes().insert(Arc::clone(target), size.after(held, bytes));
            return Read::Judged { objects, more };
        }
    }

    pub(super) async fn read_object(&self, single: &Single, judge: Judge) -> Read {
        let namespace = Some(&*single.namespace).filter(|namespace| !namespace.is_empty());
        let target = &single.target;
        let request = Request::new(path(target, namespace));
        let Ok(mut request) = request.get(&single.name, &params::GetParams::default()) else {
            return Read::Failed(Trouble::Refused);
        };
        carry_trace(&mut request);
        let asked = fetch(&self.client, request);
        match self.pressure.ask(asked_for(target), asked).await {
            Ok(Fetched::Whole(written)) => {
                let target = Arc::clone(target);
                match judged(move || judge.object(&target, &written)).await {
                    Some(judged) => {
                        Read::Judged { objects: judged.into_iter().collect(), more: None }
                    }
                    None => Read::Failed(Trouble::Refused),
                }
            }
            Ok(Fetched::TooLarge) => too_large(target),
            // The watch tells that it is gone.
            Err(kube::Error::Api(status)) if status.code == 404 => nothing(),
            Err(error) => Read::Failed(Trouble::of(&error)),
        }
    }

    fn page_sizes(&self) -> MutexGuard<'_, HashMap<Arc<Target>, PageSize>> {
        self.page_sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn asked_for(target: &Target) -> Asked {
    Asked::Served(format!("read {target}"))
}

fn nothing() -> Read {
    Read::Judged { objects: Vec::new(), more: None }
}

fn too_large(target: &Target) -> Read {
    tracing::warn!(%target, "an object is larger than any that an API server stores");
    Read::Failed(Trouble::Refused)
}

/// Judges on a thread where that keeps nobody waiting; nothing where what was read cannot be.
async fn judged<T: Send + 'static>(
    judge: impl FnOnce() -> Result<T, NotJson> + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(judge).await {
        Ok(Ok(judged)) => Some(judged),
        Ok(Err(error)) => {
            tracing::warn!(%error, "what was read is not JSON");
            None
        }
        Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
        // The runtime ends.
        Err(_) => None,
    }
}

fn path(target: &Target, namespace: Option<&str>) -> String {
    let Target { group, version, resource, scope, .. } = target;
    let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
    match namespace.filter(|_| *scope == Scope::Namespaced) {
        Some(namespace) => format!("{root}/{version}/namespaces/{namespace}/{resource}"),
        None => format!("{root}/{version}/{resource}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_asked_for_where_they_are_served() {
        let target = |group: &str, resource: &str, scope| Target {
            group: group.into(),
            resource: resource.into(),
            version: "v1".into(),
            kind: "".into(),
            scope,
        };
        let pods = target("", "pods", Scope::Namespaced);
        assert_eq!(path(&pods, None), "/api/v1/pods");
        assert_eq!(path(&pods, Some("shop")), "/api/v1/namespaces/shop/pods");
        let deployments = target("apps", "deployments", Scope::Namespaced);
        assert_eq!(path(&deployments, Some("a")), "/apis/apps/v1/namespaces/a/deployments");
        assert_eq!(path(&target("", "nodes", Scope::Cluster), None), "/api/v1/nodes");
    }
}
