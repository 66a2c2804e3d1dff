//! What the API server holds that a check wants to know, read once, with the rights of whoever asks:
//! the TelemetryConfigs of a namespace, and exactly the Secrets and ConfigMaps that are named.

use std::collections::BTreeMap;

use kube::core::DeserializeGuard;
use kube::{Api, Client};
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::references::{self, DataObject, Reading, References, Wanted};
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::Observed;
use pharos_operator::resolve::{Reference, wanted};
use pharos_operator::select::Scope;

use super::selection::Existing;
use super::subject::Subject;
use super::verdict::{Finding, Severity};

/// The TelemetryConfigs of a namespace by name, or what is to be said where they cannot be told.
pub(super) async fn existing(
    client: &Client,
    namespace: &str,
) -> Result<BTreeMap<String, Existing>, Finding> {
    let api = Api::<DeserializeGuard<TelemetryConfig>>::namespaced(client.clone(), namespace);
    let listed = match api.list(&kube::api::ListParams::default()).await {
        Ok(listed) => listed,
        Err(error) => {
            // Without the definition there are none, and none can be applied.
            let severity = match Trouble::of(&error) {
                Trouble::UnknownKind => Severity::Warning,
                _ => Severity::Unchecked,
            };
            let message = refused("the TelemetryConfigs", namespace, &error);
            return Err(Finding::new(severity, "NotRead", "spec.components", message));
        }
    };
    let existing = |guarded| {
        let observed = Observed::<TelemetryConfig>::from(guarded);
        let created = observed.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let scope = observed.object.as_ref().map(|it| Scope::of(&it.spec.components));
        (observed.name().to_owned(), Existing { created, scope: scope.unwrap_or(Scope::All) })
    };
    Ok(listed.items.into_iter().map(existing).collect())
}

/// Reads what a subject refers to; what could not be read is a finding of its own, and not read.
pub(super) async fn references(client: &Client, subject: &Subject) -> (References, Vec<Finding>) {
    let named = subject.references();
    let mut readings = Vec::new();
    let mut findings = Vec::new();
    let wanted: Wanted = wanted(&named);
    for (object, keys) in &wanted {
        let read = references::read(client, &subject.namespace, object, keys).await;
        let message = match read {
            Ok(Reading::Forbidden) => {
                format!("you may not get {object}, so whether it is right cannot be told")
            }
            Ok(reading) => {
                readings.push((object.clone(), reading));
                continue;
            }
            Err(error) => refused(&object.to_string(), &subject.namespace, &error),
        };
        findings.extend(
            fields(&named, object)
                .map(|field| Finding::new(Severity::Unchecked, "NotRead", field, message.clone())),
        );
    }
    (readings.into_iter().collect(), findings)
}

fn fields<'a>(
    references: &'a std::collections::BTreeSet<Reference>,
    object: &'a DataObject,
) -> impl Iterator<Item = &'a str> {
    let of_object = references.iter().filter(move |reference| reference.object == *object);
    of_object.map(|reference| reference.field.as_str())
}

fn refused(what: &str, namespace: &str, error: &kube::Error) -> String {
    let remedy = Trouble::of(error).remedy();
    format!("cannot read {what} of namespace {namespace:?}: {error}; {remedy}")
}
