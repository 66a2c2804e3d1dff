//! Objects, read by the page and judged before the next page is asked for.

use std::sync::Arc;

use kube::Client;
use kube::core::{Request, params};
use pharos_cluster::discovery::Scope;
use pharos_instruments::carry_trace;
use pharos_policy::NotJson;

use super::Edge;
use crate::judge::{Judge, JudgedList};
use crate::scan::{Page, Place, Read, Single};
use crate::target::Target;

/// How many objects a page has.
const PAGE: u32 = 200;

/// One page of the objects of a target, of a namespace or of all, as it is sent.
pub(crate) async fn list(
    client: &Client,
    target: &Target,
    namespace: Option<&str>,
    token: Option<String>,
) -> kube::Result<String> {
    let asked = params::ListParams {
        limit: Some(PAGE),
        continue_token: token,
        ..params::ListParams::default()
    };
    let request = Request::new(path(target, namespace)).list(&asked);
    let mut request = request.map_err(kube::Error::BuildRequest)?;
    carry_trace(&mut request);
    client.request_text(request).await
}

// === impl Edge ===

impl Edge {
    pub(super) async fn read_page(&self, page: &Page, judge: Judge) -> Read {
        let namespace = match &page.place {
            Place::Everywhere => None,
            Place::Namespace(namespace) => Some(&**namespace),
        };
        let asked = list(&self.client, &page.target, namespace, page.token.clone());
        match self.pressure.ask(asked).await {
            Ok(list) => {
                let target = Arc::clone(&page.target);
                judged(move || {
                    let JudgedList { objects, more, .. } = judge.list(&target, list.as_bytes())?;
                    Ok(Read::Judged { objects, more })
                })
                .await
            }
            Err(kube::Error::Api(status)) if status.code == 410 => Read::Expired,
            // The namespace, or the kind, went meanwhile.
            Err(kube::Error::Api(status)) if status.code == 404 => {
                Read::Judged { objects: Vec::new(), more: None }
            }
            Err(_) => Read::Failed,
        }
    }

    pub(super) async fn read_object(&self, single: &Single, judge: Judge) -> Read {
        let namespace = Some(&*single.namespace).filter(|namespace| !namespace.is_empty());
        let request = Request::new(path(&single.target, namespace));
        let Ok(mut request) = request.get(&single.name, &params::GetParams::default()) else {
            return Read::Failed;
        };
        carry_trace(&mut request);
        match self.pressure.ask(self.client.request_text(request)).await {
            Ok(object) => {
                let target = Arc::clone(&single.target);
                judged(move || {
                    let judged = judge.object(&target, object.as_bytes())?;
                    Ok(Read::Judged { objects: judged.into_iter().collect(), more: None })
                })
                .await
            }
            // The watch tells that it is gone.
            Err(kube::Error::Api(status)) if status.code == 404 => {
                Read::Judged { objects: Vec::new(), more: None }
            }
            Err(_) => Read::Failed,
        }
    }
}

/// Judges on a thread where that keeps nobody waiting.
async fn judged(judge: impl FnOnce() -> Result<Read, NotJson> + Send + 'static) -> Read {
    match tokio::task::spawn_blocking(judge).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            tracing::warn!(%error, "what was read is not JSON");
            Read::Failed
        }
        Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
        // The runtime ends.
        Err(_) => Read::Failed,
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
