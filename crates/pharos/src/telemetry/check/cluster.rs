//! What the API server holds that a check wants to know, read once, with the rights of whoever asks:
//! the TelemetryConfigs of a namespace, and exactly the Secrets and ConfigMaps that are named.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::references::{self, DataObject, Reading, References, Wanted};
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::Observed;
use pharos_operator::resolve::{Reference, wanted};
use pharos_operator::select::Scope;

use super::deadline::Deadline;
use super::selection::Existing;
use super::subject::Subject;
use super::verdict::{Finding, Severity};

/// How long the API server may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How many objects are read at a time.
const AT_ONCE: usize = 16;

/// The TelemetryConfigs of a namespace by name, or what is to be said where they cannot be told.
pub(super) async fn existing(
    client: &Client,
    namespace: &str,
    deadline: Deadline,
) -> Result<BTreeMap<String, Existing>, Finding> {
    let api = Api::<DeserializeGuard<TelemetryConfig>>::namespaced(client.clone(), namespace);
    let everything = kube::api::ListParams::default();
    let what = "the TelemetryConfigs";
    let listed = match deadline.answer(ANSWER, api.list(&everything)).await {
        Ok(Ok(listed)) => listed,
        Err(lapse) => {
            let message = unread(what, namespace, &lapse);
            return Err(Finding::new(Severity::Unchecked, "NotRead", "spec.components", message));
        }
        Ok(Err(error)) => {
            // Without the definition there are none, and none can be applied.
            let severity = match Trouble::of(&error) {
                Trouble::UnknownKind => Severity::Warning,
                _ => Severity::Unchecked,
            };
            let message = refused(what, namespace, &error);
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
pub(super) async fn references(
    client: &Client,
    subject: &Subject,
    deadline: Deadline,
) -> (References, Vec<Finding>) {
    let named = subject.references();
    let mut readings = Vec::new();
    let mut findings = Vec::new();
    let wanted: Wanted = wanted(&named);
    let reads = wanted.iter().map(async |(object, keys)| {
        let read = references::read(client, &subject.namespace, object, keys);
        (object, deadline.answer(ANSWER, read).await)
    });
    let mut reads = stream::iter(reads).buffered(AT_ONCE);
    while let Some((object, read)) = reads.next().await {
        let message = match read {
            Ok(Ok(Reading::Forbidden)) => {
                format!("you may not get {object}, so whether it is right cannot be told")
            }
            Ok(Ok(reading)) => {
                readings.push((object.clone(), reading));
                continue;
            }
            Ok(Err(error)) => refused(&object.to_string(), &subject.namespace, &error),
            Err(lapse) => unread(&object.to_string(), &subject.namespace, &lapse),
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
    unread(what, namespace, &format_args!("{error}; {remedy}"))
}

fn unread(what: &str, namespace: &str, why: &dyn fmt::Display) -> String {
    format!("cannot read {what} of namespace {namespace:?}: {why}")
}
