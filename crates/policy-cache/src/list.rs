//! The policies of a cluster, listed once by whoever wants to know.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use kube::api::ListParams;
use pharos_cluster::served;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::Observed;

use crate::{ExceptionNamespaces, Kind, Objects, Policies};

const PAGE: u32 = 500;

/// Why policies cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("cannot list {what}: {source}; {remedy}")]
pub struct ListError {
    what: String,
    remedy: String,
    #[source]
    source: Box<kube::Error>,
}

/// Everything that the API server holds of policies and exceptions now, compiled, where the exceptions
/// of those namespaces count.
///
/// # Errors
/// If any served kind cannot be listed.
pub async fn list(client: &Client, exceptions: ExceptionNamespaces) -> Result<Policies, ListError> {
    let kinds: Vec<_> = Kind::all().map(Kind::custom).collect();
    let served = served::look(client, &kinds).await;
    let served = served.map_err(|error| ListError::new("which policies are served", error))?;
    let mut objects: BTreeMap<Kind, Objects> = BTreeMap::new();
    for kind in Kind::all() {
        let custom = kind.custom();
        let Some(version) = served.version(&custom) else { continue };
        let api = custom.api(client.clone(), version);
        let mut asked = ListParams { limit: Some(PAGE), ..ListParams::default() };
        let mut found = BTreeMap::new();
        loop {
            let page = api.list(&asked).await;
            let page = page.map_err(|error| ListError::new(custom.plural, error))?;
            for object in page.items {
                let observed = Observed::from(object);
                found.insert(observed.uid().to_owned(), observed);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => asked.continue_token = Some(token),
                None => break,
            }
        }
        objects.insert(kind, Arc::new(found));
    }
    Ok(Policies::with_exceptions_of(exceptions).succeed(&objects))
}

// === impl ListError ===

impl ListError {
    fn new(what: &str, error: kube::Error) -> Self {
        let remedy = match Trouble::of(&error) {
            Trouble::Forbidden => {
                format!("whoever asks needs a ClusterRole that may list {what}")
            }
            trouble => trouble.remedy().to_owned(),
        };
        Self { what: what.to_owned(), remedy, source: Box::new(error) }
    }

    /// A closed word.
    pub fn reason(&self) -> &'static str {
        Trouble::of(&self.source).reason()
    }
}
