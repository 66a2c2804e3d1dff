//! The roles that are bound to whoever makes a request, for policies and filters that name roles.
//!
//! [`keep`] holds who is bound to what, from the moment that somebody needs it: a cluster may have
//! many bindings, and most have no policy about roles. [`Bindings::of`] is pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use kube::runtime::watcher;
use kube::{Api, Client};
use pharos_cluster::view::{self, Observed, Uid, View};
use pharos_policy::Request;
use tokio::sync::watch;

pub(crate) use crate::configuration::Roles;

/// Who is bound to what, by the subject; `None` until both kinds of bindings are known.
pub(crate) type Known = Option<Arc<Bindings>>;

/// Who is bound to what.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bindings {
    users: BTreeMap<String, BTreeSet<Grant>>,
    groups: BTreeMap<String, BTreeSet<Grant>>,
}

/// What a binding gives its subjects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Grant {
    /// A Role, as `namespace:name`.
    Role(String),
    /// A ClusterRole in one namespace.
    Within { namespace: String, cluster_role: String },
    /// A ClusterRole in every namespace.
    Everywhere(String),
}

type Objects<K> = Arc<BTreeMap<Uid, Observed<K>>>;

// === impl Bindings ===

impl Bindings {
    fn new(in_namespaces: &Objects<RoleBinding>, everywhere: &Objects<ClusterRoleBinding>) -> Self {
        let mut bindings = Self::default();
        // A binding that cannot be decoded binds nobody.
        for binding in in_namespaces.values().filter_map(|it| it.object.as_ref().ok()) {
            let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
            let subjects = binding.subjects.as_deref().unwrap_or_default();
            let Some(grant) = Grant::in_namespace(&binding.role_ref, namespace) else { continue };
            bindings.bind(subjects, namespace, &grant);
        }
        for binding in everywhere.values().filter_map(|it| it.object.as_ref().ok()) {
            let subjects = binding.subjects.as_deref().unwrap_or_default();
            let RoleRef { kind, name, .. } = &binding.role_ref;
            if kind == "ClusterRole" {
                bindings.bind(subjects, "", &Grant::Everywhere(name.clone()));
            }
        }
        bindings
    }

    fn bind(&mut self, subjects: &[Subject], namespace: &str, grant: &Grant) {
        for subject in subjects {
            let (subjects, name) = match subject.kind.as_str() {
                "User" => (&mut self.users, subject.name.clone()),
                "Group" => (&mut self.groups, subject.name.clone()),
                "ServiceAccount" => {
                    let given = subject.namespace.as_deref().filter(|it| !it.is_empty());
                    let namespace = given.unwrap_or(namespace);
                    let name = format!("system:serviceaccount:{namespace}:{}", subject.name);
                    (&mut self.users, name)
                }
                _ => continue,
            };
            subjects.entry(name).or_default().insert(grant.clone());
        }
    }

    /// The roles of whoever makes the request. A Role counts wherever the request goes, a ClusterRole
    /// where it is bound.
    pub(crate) fn of(&self, request: &Request<'_>) -> Roles {
        let user = self.users.get(request.user_name());
        let groups = request.user_groups().filter_map(|group| self.groups.get(group));
        let granted = user.into_iter().chain(groups);
        let (mut roles, mut cluster_roles) = (BTreeSet::new(), BTreeSet::new());
        for grant in granted.flatten() {
            match grant {
                Grant::Role(role) => drop(roles.insert(role)),
                Grant::Everywhere(role) => drop(cluster_roles.insert(role)),
                Grant::Within { namespace, cluster_role } => {
                    if request.namespace == Some(namespace) {
                        cluster_roles.insert(cluster_role);
                    }
                }
            }
        }
        Roles {
            roles: roles.into_iter().cloned().collect(),
            cluster_roles: cluster_roles.into_iter().cloned().collect(),
        }
    }
}

// === impl Grant ===

impl Grant {
    fn in_namespace(RoleRef { kind, name, .. }: &RoleRef, namespace: &str) -> Option<Self> {
        match kind.as_str() {
            "Role" => Some(Self::Role(format!("{namespace}:{name}"))),
            "ClusterRole" => {
                Some(Self::Within { namespace: namespace.to_owned(), cluster_role: name.clone() })
            }
            _ => None,
        }
    }
}

/// Keeps `known` what the API server holds, once somebody `needs` it, for as long as it is polled.
pub(crate) async fn keep(
    client: Client,
    needs: impl Future<Output = ()>,
    known: watch::Sender<Known>,
) {
    needs.await;
    let (in_namespaces, mut roles) = watch::channel(View::default());
    let (everywhere, mut cluster_roles) = watch::channel(View::default());
    let all = watcher::Config::default;
    let api = Api::all(client.clone());
    let watching = view::keep(api, all(), "RoleBindings", in_namespaces);
    let watching_all = view::keep(Api::all(client), all(), "ClusterRoleBindings", everywhere);
    let indexing = async {
        loop {
            let role_bindings = roles.borrow_and_update().objects.clone();
            let cluster_role_bindings = cluster_roles.borrow_and_update().objects.clone();
            if let (Some(some), Some(all)) = (role_bindings, cluster_role_bindings) {
                known.send_replace(Some(Arc::new(Bindings::new(&some, &all))));
            }
            let changed = tokio::select! {
                changed = roles.changed() => changed,
                changed = cluster_roles.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    };
    tokio::join!(watching, watching_all, indexing);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn objects<K: DeserializeOwned + kube::Resource>(objects: &[Value]) -> Objects<K> {
        let observe = |(index, object): (usize, &Value)| {
            let object: K = serde_json::from_value(object.clone()).unwrap();
            let metadata = object.meta().clone();
            (index.to_string(), Observed { metadata, object: Ok(Arc::new(object)) })
        };
        Arc::new(objects.iter().enumerate().map(observe).collect())
    }

    fn role_ref(kind: &str, name: &str) -> Value {
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})
    }

    #[test]
    fn roles_are_those_of_the_user_of_its_groups_and_of_service_accounts() {
        let bindings = Bindings::new(
            &objects(&[
                json!({"metadata": {"namespace": "a"}, "roleRef": role_ref("Role", "r"),
                    "subjects": [{"kind": "User", "name": "jane"}, {"kind": "ServiceAccount", "name": "sa"}]}),
                json!({"metadata": {"namespace": "b"}, "roleRef": role_ref("ClusterRole", "edit"),
                    "subjects": [{"kind": "Group", "name": "devs"}]}),
                json!({"metadata": {"namespace": "b"}, "roleRef": role_ref("Role", "other"),
                    "subjects": [{"kind": "ServiceAccount", "name": "sa", "namespace": "b"}]}),
            ]),
            &objects(&[
                json!({"metadata": {}, "roleRef": role_ref("ClusterRole", "view"),
                    "subjects": [{"kind": "Group", "name": "devs"}, {"kind": "User", "name": "jane"}]}),
                json!({"metadata": {}, "roleRef": role_ref("ClusterRole", "admin"), "subjects": null}),
            ]),
        );
        for (user, groups, namespace, roles, cluster_roles) in [
            ("jane", &["devs"][..], "b", &["a:r"][..], &["edit", "view"][..]),
            ("jane", &[], "a", &["a:r"], &["view"]),
            ("joe", &["devs"], "a", &[], &["view"]),
            ("joe", &[], "a", &[], &[]),
            ("system:serviceaccount:a:sa", &[], "b", &["a:r"], &[]),
            ("system:serviceaccount:b:sa", &[], "b", &["b:other"], &[]),
        ] {
            let review = json!({
                "uid": "1", "operation": "CREATE", "namespace": namespace,
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "userInfo": {"username": user, "groups": groups},
            });
            let review = review.into();
            let found = bindings.of(&Request::parse(&review).unwrap());
            assert_eq!(found.roles, roles, "{user} in {namespace}");
            assert_eq!(found.cluster_roles, cluster_roles, "{user} in {namespace}");
        }
    }
}
