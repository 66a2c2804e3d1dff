//! What engines have registered with the API server, for whoever wants it gone.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::{Api, Client, ResourceExt};

use crate::webhook_configuration::{MANAGED_BY, Registration};

/// A ValidatingWebhookConfiguration of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// How many of its webhooks let requests pass if they cannot be called.
    pub fail_open: usize,
    /// How many refuse them.
    pub fail_closed: usize,
    uid: Option<String>,
}

// === impl Registered ===

impl Registered {
    /// Whether the engine in this namespace registered it.
    pub fn is_of(&self, namespace: &str) -> bool {
        self.name == Registration::name_in(namespace)
    }
}

impl From<ValidatingWebhookConfiguration> for Registered {
    fn from(configuration: ValidatingWebhookConfiguration) -> Self {
        let webhooks = configuration.webhooks.iter().flatten();
        // Whoever says nothing fails closed.
        let ignores = |policy: Option<&str>| policy == Some("Ignore");
        let (open, closed): (Vec<_>, Vec<_>) =
            webhooks.partition(|webhook| ignores(webhook.failure_policy.as_deref()));
        Self {
            name: configuration.name_any(),
            fail_open: open.len(),
            fail_closed: closed.len(),
            uid: configuration.uid(),
        }
    }
}

// === registered, unregister ===

/// What every engine of the cluster has registered.
///
/// # Errors
/// As the API server answers.
pub async fn registered(client: &Client) -> kube::Result<Vec<Registered>> {
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let (label, value) = MANAGED_BY;
    let ours = api.list(&ListParams::default().labels(&format!("{label}={value}"))).await?;
    Ok(ours.into_iter().map(Registered::from).collect())
}

/// Deletes it, unless it has gone or is another one by now.
///
/// # Errors
/// As the API server answers.
pub async fn unregister(client: &Client, registered: &Registered) -> kube::Result<()> {
    let api = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let preconditions = Preconditions { uid: registered.uid.clone(), resource_version: None };
    let params = DeleteParams::default().preconditions(preconditions);
    match api.delete(&registered.name, &params).await {
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        outcome => outcome.map(drop),
    }
}
