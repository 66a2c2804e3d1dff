//! Whether the API server can be sent here: policies known, and a certificate that it trusts.
//!
//! [`judge`] is the truth behind `/readyz`, pure; [`keep`] publishes it whenever it changes. A
//! process that serves a certificate of another CA than the published one is not ready: the API
//! server would refuse it.

use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use pharos_cluster::Readiness;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::View;
use rustls::pki_types::UnixTime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::certificate::Material;
use crate::certificate_secret::SECRET_NAME;
use crate::policies::{self, Missing, Policies};
use crate::webhook_configuration::Published;

/// What readiness is judged by.
pub(crate) struct Sources {
    pub(crate) objects: policies::Sources,
    pub(crate) policies: watch::Receiver<Option<Arc<Policies>>>,
    pub(crate) newest: watch::Receiver<Option<Arc<Material>>>,
    pub(crate) served: watch::Receiver<Option<Arc<Material>>>,
    pub(crate) view: watch::Receiver<View<ValidatingWebhookConfiguration>>,
}

/// One moment of [`Sources`].
struct Scene<'a> {
    /// The policies are compiled, or what keeps them from being listed.
    policies: Result<(), Option<Missing>>,
    newest: Option<&'a Material>,
    served: Option<&'a Material>,
    published: &'a Published,
    /// What can be done about a configuration that cannot be looked at.
    remedy: Option<&'static str>,
}

fn judge(scene: &Scene<'_>, now: UnixTime) -> Readiness {
    let hint =
        |remedy: Option<&str>| remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
    if let Err(missing) = scene.policies {
        let what = missing.map_or("policy", |missing| missing.kind.name());
        let hint = hint(missing.and_then(|missing| missing.trouble).map(Trouble::remedy));
        return Readiness::waiting_for(format_args!("the first list of every {what}{hint}"));
    }
    let Some(served) = scene.served else {
        return Readiness::waiting_for(format_args!("the certificate in Secret {SECRET_NAME}"));
    };
    let (publisher, trusted) = match (scene.published, scene.published.trusts(served, now)) {
        (Published::Unknown, _) => {
            let hint = hint(scene.remedy);
            return Readiness::waiting_for(format_args!(
                "a look at the ValidatingWebhookConfiguration{hint}"
            ));
        }
        (_, Some(trusted)) => ("the ValidatingWebhookConfiguration", trusted),
        (_, None) => {
            let trusted = scene.newest.is_some_and(|newest| newest.bundle().trusts(served, now));
            ("the Secret", trusted)
        }
    };
    if trusted {
        return Readiness::Ready;
    }
    Readiness::NotReady(format!(
        "the certificate that is served is not signed by the CA that {publisher} publishes"
    ))
}

// === impl Sources ===

impl Sources {
    fn judge(&mut self) -> Readiness {
        let newest = self.newest.borrow_and_update().clone();
        let served = self.served.borrow_and_update().clone();
        let compiled = self.policies.borrow_and_update().is_some();
        let missing = self.objects.snapshot().err();
        let now = UnixTime::now();
        let (published, unseen) = {
            let view = self.view.borrow_and_update();
            (Published::of(&view, now), view.trouble)
        };
        let scene = Scene {
            policies: if compiled { Ok(()) } else { Err(missing) },
            newest: newest.as_deref(),
            served: served.as_deref(),
            published: &published,
            remedy: unseen.map(Trouble::remedy),
        };
        judge(&scene, now)
    }

    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.objects.changed() => changed,
            changed = self.policies.changed() => changed,
            changed = self.newest.changed() => changed,
            changed = self.served.changed() => changed,
            changed = self.view.changed() => changed,
        }
    }
}

/// Publishes readiness whenever it changes, for as long as it is polled; once `leaving`, it is gone
/// for good.
pub(crate) async fn keep(
    mut sources: Sources,
    readiness: watch::Sender<Readiness>,
    leaving: CancellationToken,
) {
    let judging = async {
        loop {
            publish(&readiness, sources.judge());
            if sources.changed().await.is_err() {
                return;
            }
        }
    };
    if leaving.run_until_cancelled(judging).await.is_none() {
        leave(&readiness);
        std::future::pending().await
    }
}

/// Says that the end has begun.
pub(crate) fn leave(readiness: &watch::Sender<Readiness>) {
    publish(readiness, Readiness::NotReady("shutting down".to_owned()));
}

fn publish(readiness: &watch::Sender<Readiness>, judged: Readiness) {
    let news = judged.clone();
    if readiness.send_if_modified(|readiness| std::mem::replace(readiness, judged) != news) {
        match &*readiness.borrow() {
            Readiness::Ready => tracing::info!("the admission webhook is ready"),
            Readiness::NotReady(why) => tracing::info!(why, "the admission webhook is not ready"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policies::Kind;
    use crate::testing::material;

    #[test]
    fn ready_means_known_policies_and_a_certificate_that_callers_trust() {
        let (ours, other) = (material(), material());
        let publishing =
            |material: &Material| Published::Bundles(vec![Some(material.bundle().clone())]);
        let (unknown, nothing) = (Published::Unknown, Published::Nothing);
        let (publishing_ours, publishing_other) = (publishing(&ours), publishing(&other));
        let (ours, other) = (Some(&*ours), Some(&*other));
        let missing = Missing { kind: Kind::ClusterPolicy, trouble: Some(Trouble::Forbidden) };
        let cases = [
            (Err(None), None, None, &unknown, Err("list of every policy")),
            (Err(Some(missing)), ours, ours, &nothing, Err("every ClusterPolicy; grant the")),
            (Ok(()), None, None, &nothing, Err("certificate in Secret")),
            (Ok(()), ours, ours, &unknown, Err("WebhookConfiguration; do that")),
            (Ok(()), ours, ours, &nothing, Ok(())),
            (Ok(()), other, ours, &nothing, Err("the Secret publishes")),
            (Ok(()), ours, ours, &publishing_ours, Ok(())),
            (Ok(()), other, ours, &publishing_ours, Ok(())),
            (Ok(()), ours, ours, &publishing_other, Err("Configuration publishes")),
        ];
        for (row, (policies, newest, served, published, expected)) in cases.into_iter().enumerate()
        {
            let remedy = Some("do that");
            let scene = Scene { policies, newest, served, published, remedy };
            match (judge(&scene, UnixTime::now()), expected) {
                (Readiness::Ready, Ok(())) => {}
                (Readiness::NotReady(why), Err(part)) if why.contains(part) => {}
                (judged, expected) => panic!("row {row}: {judged:?} but expected {expected:?}"),
            }
        }
    }
}
