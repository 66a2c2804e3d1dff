//! What Kyverno's ConfigMap says about admission, honoured as it changes.
//!
//! [`Configuration::parse`] reads the keys that concern requests and Events; what cannot be used is a
//! [`Problem`] and leaves the rest in force. Those about webhooks are not honoured: what no policy
//! sees is the same in every cluster. Without a ConfigMap, what Kyverno's chart would put into
//! it holds, as far as it is not about Kyverno's own objects: [`Configuration::default`].
//! [`keep`] follows the ConfigMap of a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use pharos_cluster::view::{self, View};
use pharos_policy::Request;
use tokio::sync::watch;

mod filter;
mod subjects;

use filter::Filter;
pub(crate) use subjects::Roles;
use subjects::Subjects;

/// More than this of one list is not read: every request is compared with all of it.
const MOST_ENTRIES: usize = 2_000;
/// How many problems are kept to be said.
const MOST_PROBLEMS: usize = 20;
/// What Kyverno's chart filters, without the objects of its own release.
const DEFAULT_FILTERS: &str = "[Event,*,*][*/*,kube-system,*][*/*,kube-public,*]\
     [*/*,kube-node-lease,*][Node,*,*][Node/?*,*,*][APIService,*,*][APIService/?*,*,*]\
     [TokenReview,*,*][SubjectAccessReview,*,*][SelfSubjectAccessReview,*,*][Binding,*,*]\
     [Pod/binding,*,*][ReplicaSet,*,*][ReplicaSet/?*,*,*][EphemeralReport,*,*]\
     [ClusterEphemeralReport,*,*]";
const DEFAULT_EXCLUDED_GROUPS: &str = "system:nodes";

/// What is in force.
#[derive(Debug, PartialEq)]
pub(crate) struct Configuration {
    filters: Vec<Filter>,
    excluded: Subjects,
    included: Subjects,
    /// Which Events tell that a policy was obeyed.
    pub(crate) success_events: SuccessEvents,
    /// What could not be used, and why.
    pub(crate) problems: Vec<Problem>,
}

/// Which Events of reason PolicyApplied are told, where `--omit-events` lets them pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum SuccessEvents {
    #[default]
    None,
    All,
    /// Those with one of these actions.
    Actions(Vec<String>),
}

/// Something in the ConfigMap that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {message}")]
pub(crate) struct Problem {
    pub(crate) key: &'static str,
    pub(crate) message: String,
}

/// A ConfigMap under way into a [`Configuration`].
struct Reading<'a> {
    data: &'a BTreeMap<String, String>,
    problems: Vec<Problem>,
}

// === impl Configuration ===

impl Default for Configuration {
    fn default() -> Self {
        let entries =
            [("resourceFilters", DEFAULT_FILTERS), ("excludeGroups", DEFAULT_EXCLUDED_GROUPS)];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self::parse(&BTreeMap::from(entries))
    }
}

impl Configuration {
    /// What the data of the ConfigMap says.
    pub(crate) fn parse(data: &BTreeMap<String, String>) -> Self {
        let mut reading = Reading { data, problems: Vec::new() };
        let filters = reading.filters();
        let (excluded, included) = reading.subjects();
        let success_events = reading.success_events();
        let problems = reading.problems;
        Self { filters, excluded, included, success_events, problems }
    }

    /// Whether no policy is to see this request.
    pub(crate) fn filters(&self, request: &Request<'_>, roles: &Roles) -> bool {
        let user = subjects::User::of(request);
        let excluded =
            !self.included.match_any(&user, roles) && self.excluded.match_any(&user, roles);
        excluded || self.filters.iter().any(|filter| filter.matches(request))
    }

    /// Whether who may do what has to be known to say that.
    pub(crate) fn needs_roles(&self) -> bool {
        self.excluded.name_roles() || self.included.name_roles()
    }
}

// === impl SuccessEvents ===

impl SuccessEvents {
    pub(crate) fn tell(&self, action: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Actions(actions) => actions.iter().any(|it| it == action),
        }
    }
}

// === impl Reading ===

impl Reading<'_> {
    fn text(&self, key: &str) -> &str {
        self.data.get(key).map(String::as_str).unwrap_or_default()
    }

    fn problem(&mut self, key: &'static str, message: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(Problem { key, message: message.into() });
        }
    }

    fn filters(&mut self) -> Vec<Filter> {
        const KEY: &str = "resourceFilters";
        let (mut filters, problems) = filter::parse(self.text(KEY));
        for problem in problems {
            self.problem(KEY, problem);
        }
        self.cut(KEY, &mut filters);
        filters
    }

    /// Who is excluded, and who is not for all that.
    fn subjects(&mut self) -> (Subjects, Subjects) {
        let [usernames, groups, roles, cluster_roles] =
            ["excludeUsernames", "excludeGroups", "excludeRoles", "excludeClusterRoles"].map(
                |key| {
                    let (mut excluded, mut included) = subjects::parse(self.text(key));
                    self.cut(key, &mut excluded);
                    self.cut(key, &mut included);
                    (excluded, included)
                },
            );
        let excluded = Subjects {
            usernames: usernames.0,
            groups: groups.0,
            roles: roles.0,
            cluster_roles: cluster_roles.0,
        };
        let included = Subjects {
            usernames: usernames.1,
            groups: groups.1,
            roles: roles.1,
            cluster_roles: cluster_roles.1,
        };
        (excluded, included)
    }

    fn success_events(&mut self) -> SuccessEvents {
        const KEY: &str = "generateSuccessEvents";
        match self.text(KEY) {
            "" => SuccessEvents::None,
            // All that Kyverno takes for a truth value.
            "1" | "t" | "T" | "true" | "TRUE" | "True" => {
                let actions = self.text("successEventActions").split(',').map(str::trim);
                let actions: Vec<_> =
                    actions.filter(|it| !it.is_empty()).map(str::to_owned).collect();
                if actions.is_empty() {
                    SuccessEvents::All
                } else {
                    SuccessEvents::Actions(actions)
                }
            }
            "0" | "f" | "F" | "false" | "FALSE" | "False" => SuccessEvents::None,
            other => {
                let message = format!("must be true or false, is {:?}", shown(other));
                self.problem(KEY, message);
                SuccessEvents::None
            }
        }
    }

    fn cut<T>(&mut self, key: &'static str, entries: &mut Vec<T>) {
        if entries.len() > MOST_ENTRIES {
            let count = entries.len();
            self.problem(key, format!("{count} entries, of which {MOST_ENTRIES} are honoured"));
            entries.truncate(MOST_ENTRIES);
        }
    }
}

/// As much of what somebody wrote as is repeated.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}

// === keep ===

/// What is in force; `None` until it was asked for.
pub(crate) type Known = Option<Arc<Configuration>>;

/// Keeps `configuration` what the ConfigMap named `name` says, for as long as it is polled.
pub(crate) async fn keep(
    api: Api<DeserializeGuard<ConfigMap>>,
    name: String,
    configuration: watch::Sender<Known>,
) {
    let selection = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let (sender, mut view) = watch::channel(View::default());
    let watching = view::keep(api, selection, "Kyverno's ConfigMap", sender);
    let reading = async {
        while view.changed().await.is_ok() {
            let Some(read) = of(&view.borrow_and_update(), &configuration.borrow()) else {
                continue;
            };
            let read = Some(Arc::new(read));
            let news = configuration.send_if_modified(|configuration| {
                let news = *configuration != read;
                *configuration = read;
                news
            });
            if let (true, Some(read)) = (news, &*configuration.borrow()) {
                say(&name, read);
            }
        }
    };
    tokio::join!(watching, reading);
}

/// What a view of the ConfigMap says; `None` where it says nothing new. What cannot be read at first
/// is as if it was not there: reviews do not wait for it.
fn of(view: &View<ConfigMap>, known: &Known) -> Option<Configuration> {
    let unread = || (known.is_none() && view.trouble.is_some()).then(Configuration::default);
    let Some(objects) = &view.objects else { return unread() };
    match objects.values().next().map(|observed| &observed.object) {
        None => Some(Configuration::default()),
        Some(Ok(object)) => {
            Some(Configuration::parse(object.data.as_ref().unwrap_or(&BTreeMap::new())))
        }
        Some(Err(_)) => known.is_none().then(Configuration::default),
    }
}

fn say(name: &str, configuration: &Configuration) {
    let filters = configuration.filters.len();
    tracing::info!(name, filters, "Kyverno's ConfigMap is in force");
    for problem in &configuration.problems {
        tracing::warn!(name, %problem, "an entry of Kyverno's ConfigMap cannot be used");
    }
}

#[cfg(test)]
mod tests;
