//! Which certificate is presented, and the TLS around it.
//!
//! The Secret says what the newest certificate is; what may be served is what callers trust. So a
//! new one is served when the published `caBundle` vouches for it, and until then the old one that
//! it does vouch for ([`choose`]). Handshakes read the choice as it is at that moment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use pharos_cluster::view::View;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::certificate::Material;
use crate::webhook_configuration::Published;

/// How long API servers get to see a `caBundle` that we see, while it vouches for the old
/// certificate too.
const SETTLING: Duration = Duration::from_secs(5);

/// The certificate to present; none before the Secret was read.
pub(crate) type Served = watch::Receiver<Option<Arc<Material>>>;

struct Resolver(Served);

/// What to do about a newest certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Keep,
    Serve,
    /// Both are trusted: there is time for callers that lag.
    ServeAfterSettling,
}

// === impl Resolver ===

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Resolver").field(&*self.0.borrow()).finish()
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.borrow().as_ref().map(|material| material.certified().clone())
    }
}

/// TLS 1.2 and 1.3 for HTTP/1.1 and 2.
///
/// Without sessions to resume: API servers never resume, and one that did would not see a new
/// certificate.
pub(crate) fn server_config(
    served: Served,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(served)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn choose(
    current: Option<&Material>,
    newest: &Material,
    published: &Published,
    now: UnixTime,
) -> Choice {
    let Some(current) = current else {
        return Choice::Serve;
    };
    if current.same_as(newest) {
        return Choice::Keep;
    }
    // What is not known yet is no reason to leave what callers may trust.
    if matches!(published, Published::Unknown) {
        return Choice::Keep;
    }
    match (published.trusts(current, now), published.trusts(newest, now)) {
        (Some(true), Some(true)) => Choice::ServeAfterSettling,
        (Some(true), Some(false)) => Choice::Keep,
        // Callers do not accept the current one, or there are none.
        _ => Choice::Serve,
    }
}

/// Keeps `served` what callers trust, for as long as it is polled.
pub(crate) async fn keep(
    mut newest: watch::Receiver<Option<Arc<Material>>>,
    mut view: watch::Receiver<View<ValidatingWebhookConfiguration>>,
    served: watch::Sender<Option<Arc<Material>>>,
) {
    let serve = |candidate| {
        served.send_replace(candidate);
        tracing::info!("serving a new webhook certificate");
    };
    loop {
        let candidate = newest.borrow_and_update().clone();
        let now = UnixTime::now();
        let published = Published::of(&view.borrow_and_update(), now);
        let current = served.borrow().clone();
        let choice = candidate.as_deref().map_or(Choice::Keep, |candidate| {
            choose(current.as_deref(), candidate, &published, now)
        });
        if choice == Choice::Serve {
            serve(candidate.clone());
        }
        let settling = choice == Choice::ServeAfterSettling;
        let changed = tokio::select! {
            // News may mean another choice.
            changed = newest.changed() => changed,
            changed = view.changed() => changed,
            () = tokio::time::sleep(SETTLING), if settling => {
                serve(candidate);
                Ok(())
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::CaBundle;
    use crate::testing::{material, serving, successor};
    use crate::webhook::Endpoint;
    use k8s_openapi::ByteString;
    use pharos_api::policy::FailurePolicy;
    use pharos_cluster::view::Observed;
    use serde_json::json;

    #[test]
    fn what_callers_trust_is_served() {
        let (old, foreign) = (material(), material());
        let renewed = successor(&old);
        let bundles = |bundles: &[&CaBundle]| {
            Published::Bundles(bundles.iter().map(|bundle| Some((*bundle).clone())).collect())
        };
        let cases = [
            ("first", None, Published::Unknown, Choice::Serve),
            ("unchanged", Some(&renewed), bundles(&[renewed.bundle()]), Choice::Keep),
            ("not published yet", Some(&old), bundles(&[old.bundle()]), Choice::Keep),
            (
                "both published",
                Some(&old),
                bundles(&[renewed.bundle()]),
                Choice::ServeAfterSettling,
            ),
            (
                "half published",
                Some(&old),
                bundles(&[renewed.bundle(), old.bundle()]),
                Choice::Keep,
            ),
            (
                "old one published no more",
                Some(&foreign),
                bundles(&[renewed.bundle()]),
                Choice::Serve,
            ),
            ("neither published", Some(&old), bundles(&[foreign.bundle()]), Choice::Serve),
            ("spoilt", Some(&old), Published::Bundles(vec![None]), Choice::Serve),
            ("nothing published", Some(&old), Published::Nothing, Choice::Serve),
            ("not looked yet", Some(&old), Published::Unknown, Choice::Keep),
        ];
        for (what, current, published, choice) in cases {
            let current = current.map(|current| &**current);
            let chosen = choose(current, &renewed, &published, UnixTime::now());
            assert_eq!(chosen, choice, "{what}");
        }
    }

    /// A view of a configuration that publishes this bundle.
    fn publishing(bundle: &CaBundle) -> View<ValidatingWebhookConfiguration> {
        let configuration: ValidatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": "c", "uid": "u"},
            "webhooks": [{
                "name": Endpoint::shared(FailurePolicy::Ignore).name(),
                "clientConfig": {"caBundle": ByteString(bundle.pem().to_owned())},
                "admissionReviewVersions": ["v1"], "sideEffects": "None",
            }],
        }))
        .unwrap();
        let metadata = configuration.metadata.clone();
        let observed = Observed { metadata, object: Ok(Arc::new(configuration)) };
        View { objects: Some(Arc::new([("u".to_owned(), observed)].into())), trouble: None }
    }

    #[tokio::test(start_paused = true)]
    async fn news_while_callers_get_their_time_are_heeded() {
        let (old, foreign) = (material(), material());
        let renewed = successor(&old);
        let second = Duration::from_secs(1);
        for (what, news, waited) in [
            ("none", None, SETTLING),
            ("callers accept it no more", Some(publishing(foreign.bundle())), second),
        ] {
            let (_newest, newest) = watch::channel(Some(renewed.clone()));
            let (published, view) = watch::channel(publishing(renewed.bundle()));
            let (serving, mut served) = watch::channel(Some(old.clone()));
            let start = tokio::time::Instant::now();
            let keeping = tokio::spawn(keep(newest, view, serving));
            if let Some(news) = news {
                tokio::time::sleep(second).await;
                published.send_replace(news);
            }
            let is_renewed =
                |now: &Option<Arc<Material>>| now.as_ref().is_some_and(|now| now.same_as(&renewed));
            served.wait_for(is_renewed).await.unwrap();
            assert_eq!(start.elapsed().as_secs(), waited.as_secs(), "{what}");
            keeping.abort();
        }
    }

    #[test]
    fn no_debug_output_of_the_server_shows_a_key() {
        let config = serving(&material());
        let shown = format!("{config:?}");
        assert!(shown.contains("[redacted]") && !shown.contains("PRIVATE"), "{shown}");
    }
}
