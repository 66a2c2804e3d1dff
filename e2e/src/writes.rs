//! What was written to the API server, as it counts that itself.

use std::collections::BTreeMap;
use std::fmt;

use crate::stage::Stage;

const REQUESTS: &str = "apiserver_request_total";
const VERBS: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// How many requests wrote, by verb, resource and the class of the status code.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Writes(BTreeMap<Kind, f64>);

/// A kind of write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE` or `DELETECOLLECTION`.
    pub verb: String,
    /// The plural name, with its subresource, as in a Role.
    pub resource: String,
    /// The status code.
    pub code: u16,
}

// === impl Writes ===

impl Writes {
    /// Since the API server started.
    pub async fn so_far(stage: &Stage) -> anyhow::Result<Self> {
        let mut writes = BTreeMap::new();
        for sample in stage.cluster.metrics().await? {
            let label = |name| sample.label(name).unwrap_or_default().to_owned();
            if sample.name != REQUESTS || !VERBS.contains(&label("verb").as_str()) {
                continue;
            }
            let resource = match label("subresource") {
                none if none.is_empty() => label("resource"),
                subresource => format!("{}/{subresource}", label("resource")),
            };
            let code = label("code").parse()?;
            let kind = Kind { verb: label("verb"), resource, code };
            *writes.entry(kind).or_default() += sample.value;
        }
        Ok(Self(writes))
    }

    /// Those that came after `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let more = self.0.iter().filter_map(|(kind, now)| {
            let more = now - before.0.get(kind).copied().unwrap_or_default();
            (more > 0.0).then(|| (kind.clone(), more))
        });
        Self(more.collect())
    }

    /// Those of one kind, or of several.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&Kind) -> bool) -> Self {
        let only = self.0.iter().filter(|(kind, _)| wanted(kind));
        Self(only.map(|(kind, count)| (kind.clone(), *count)).collect())
    }

    /// To this resource, or subresource.
    #[must_use]
    pub fn to(&self, resource: &str) -> f64 {
        self.only(|kind| kind.resource == resource).total()
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> f64 {
        // A sum of none is -0, which reads oddly.
        self.0.values().fold(0.0, |total, count| total + count)
    }
}

impl fmt::Display for Writes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|(kind, count)| {
            format!("{count} {} {} ({})", kind.verb, kind.resource, kind.code)
        });
        formatter.write_str(&each.collect::<Vec<_>>().join(", "))
    }
}
