//! The one Secret that keeps the webhook's CA, certificate and key for all processes.
//!
//! Enter by [`keep`]. [`decide`] says, purely, what to do with what was found; [`settle`] does it
//! by compare-and-swap: whoever creates or replaces the Secret first wins, the others read and use
//! what the winner wrote. The CA's key is not in it (see [`crate::certificate`]). Deleting the
//! Secret is the way to ask for a new CA that shares nothing with the old one. Of the Secret nothing
//! but its metadata is watched: its key is in memory while it is parsed, and parsed after that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use kube::core::PartialObjectMeta;
use pharos_cluster::in_time;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::View;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use tokio::sync::watch;

use crate::certificate::{Encoded, Flaw, Issued, Material, issue};

/// The Secret's name in the engine's namespace.
pub(crate) const SECRET_NAME: &str = "pharos-webhook-tls";

const CA: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

/// How often an unchanged Secret is looked at for the end of its certificate.
const LOOK_EVERY: Duration = Duration::from_secs(12 * 60 * 60);
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Lost races after which something other than our replicas must be writing.
const ROUNDS: usize = 10;

/// What to do with what was found.
#[derive(Debug)]
pub(crate) enum Decision {
    /// It is good: serve it.
    Use(Material),
    /// Make new material and write it in its place.
    Issue { because: Because, predecessor: Option<Material> },
}

/// Why new material is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Because {
    #[error("there is none")]
    Absent,
    #[error(transparent)]
    Flawed(Flaw),
    #[error("it is for other names")]
    OtherNames,
    #[error("its end is near")]
    ExpiresSoon,
}

/// What came of an attempt to write.
pub(crate) enum Write {
    Done,
    /// Somebody else wrote, or deleted, since we read.
    Lost,
}

/// The API server's part in the race for the Secret.
pub(crate) trait Store {
    async fn read(&self) -> Result<Option<Secret>, kube::Error>;
    /// Creates a Secret that has no resourceVersion, else replaces exactly that version.
    async fn write(&self, secret: &Secret) -> Result<Write, kube::Error>;
}

/// Why there is no certificate to serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettleError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    #[error("it is being replaced again and again by others, last because {0}")]
    Contended(Because),
}

// === impl Store ===

impl Store for Api<Secret> {
    async fn read(&self) -> Result<Option<Secret>, kube::Error> {
        in_time(self.get_opt(SECRET_NAME)).await
    }

    async fn write(&self, secret: &Secret) -> Result<Write, kube::Error> {
        let written = if secret.metadata.resource_version.is_some() {
            in_time(self.replace(SECRET_NAME, &PostParams::default(), secret)).await
        } else {
            in_time(self.create(&PostParams::default(), secret)).await
        };
        match written {
            Ok(_) => Ok(Write::Done),
            // Conflict and AlreadyExists alike.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Write::Lost),
            Err(kube::Error::Api(status))
                if status.code == 404 && secret.metadata.resource_version.is_some() =>
            {
                Ok(Write::Lost)
            }
            Err(error) => Err(error),
        }
    }
}

// === decide, settle, keep ===

/// Judges what the Secret holds. Pure.
pub(crate) fn decide(
    found: Option<&Secret>,
    names: &[ServerName<'_>],
    now: UnixTime,
    provider: &CryptoProvider,
) -> Decision {
    let Some(secret) = found else {
        return Decision::Issue { because: Because::Absent, predecessor: None };
    };
    match Material::parse(encoded(secret), now, provider) {
        Err(flaw) => Decision::Issue { because: Because::Flawed(flaw), predecessor: None },
        Ok(material) if !material.covers(names) => {
            Decision::Issue { because: Because::OtherNames, predecessor: Some(material) }
        }
        Ok(material) if material.expires_soon(now) => {
            Decision::Issue { because: Because::ExpiresSoon, predecessor: Some(material) }
        }
        Ok(material) => Decision::Use(material),
    }
}

/// Reads, decides and writes until what is read can be used.
pub(crate) async fn settle(
    store: &impl Store,
    names: &[ServerName<'_>],
    clock: fn() -> UnixTime,
    provider: &CryptoProvider,
) -> Result<Material, SettleError> {
    let mut last = Because::Absent;
    for _ in 0..ROUNDS {
        let found = store.read().await?;
        let now = clock();
        let (because, predecessor) = match decide(found.as_ref(), names, now, provider) {
            Decision::Use(material) => return Ok(material),
            Decision::Issue { because, predecessor } => (because, predecessor),
        };
        let issued = issue(names, predecessor.as_ref(), now)?;
        match store.write(&filled(found.unwrap_or_default(), issued)).await? {
            Write::Done => tracing::info!(
                secret = SECRET_NAME,
                %because,
                "wrote a new webhook certificate"
            ),
            Write::Lost => tracing::debug!(secret = SECRET_NAME, "another process wrote first"),
        }
        last = because;
    }
    Err(SettleError::Contended(last))
}

/// Keeps `newest` equal to what the Secret holds, and the Secret good, for as long as it is polled.
///
/// `seen` only wakes it: what counts is read anew, so that a view that lags decides nothing.
pub(crate) async fn keep(
    secrets: Api<Secret>,
    names: Vec<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
    mut seen: watch::Receiver<View<PartialObjectMeta<Secret>>>,
    newest: watch::Sender<Option<Arc<Material>>>,
) {
    let mut episode = Episode::of("keep the webhook certificate");
    loop {
        match settle(&secrets, &names, UnixTime::now, &provider).await {
            Ok(material) => {
                episode.succeeded();
                newest.send_if_modified(|newest| take_in(newest, material));
            }
            Err(error) => {
                let (trouble, remedy) = trouble(&error);
                episode.failed_for(trouble, &error, remedy);
                // Whatever is seen meanwhile: it may be what we wrote ourselves.
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        }
        tokio::select! {
            changed = seen.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn take_in(newest: &mut Option<Arc<Material>>, material: Material) -> bool {
    let changed = newest.as_ref().is_none_or(|newest| !newest.same_as(&material));
    if changed {
        *newest = Some(Arc::new(material));
    }
    changed
}

fn trouble(error: &SettleError) -> (Trouble, &'static str) {
    let trouble = match error {
        SettleError::Api(error) => Trouble::of(error),
        SettleError::Issue(_) | SettleError::Contended(_) => Trouble::Refused,
    };
    match trouble {
        // Secrets are known everywhere.
        Trouble::UnknownKind => (trouble, Trouble::NoNamespace.remedy()),
        Trouble::Forbidden => {
            (trouble, "grant the service account get, list, watch, create and update of it")
        }
        trouble => (trouble, trouble.remedy()),
    }
}

fn encoded(secret: &Secret) -> Encoded<'_> {
    let entry = |key| {
        let data = secret.data.as_ref().and_then(|data| data.get(key));
        data.map(|bytes| &*bytes.0).unwrap_or_default()
    };
    Encoded { ca: entry(CA), certificate: entry(CERTIFICATE), key: entry(KEY) }
}

/// The Secret to write over `found`, whose identity, version and type it keeps: the type of a
/// Secret cannot be changed, and an operator may have made an empty one to give us rights to it.
fn filled(found: Secret, issued: Issued) -> Secret {
    let data = BTreeMap::from([
        (CA.to_owned(), ByteString(issued.ca.into_bytes())),
        (CERTIFICATE.to_owned(), ByteString(issued.certificate.into_bytes())),
        (KEY.to_owned(), ByteString(issued.key.into_bytes())),
    ]);
    Secret {
        metadata: ObjectMeta {
            name: Some(SECRET_NAME.to_owned()),
            managed_fields: None,
            ..found.metadata
        },
        type_: found.type_.or_else(|| Some("kubernetes.io/tls".to_owned())),
        data: Some(data),
        ..found
    }
}

#[cfg(test)]
mod tests;
