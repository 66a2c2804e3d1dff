//! The request of an AdmissionReview, read in place.

use std::fmt;

use crate::json::Json;

/// A request to judge. Everything is borrowed from the review, which is parsed once.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The API server's name for this request.
    pub uid: &'a str,
    /// What is done.
    pub operation: Operation,
    /// The kind of the object.
    pub kind: GroupVersionKind<'a>,
    /// What it is done to, in the version in which the API server sends it: one that the webhook
    /// was registered for.
    pub resource: GroupVersionResource<'a>,
    /// What the client did it to, where the API server says that; another version or resource than
    /// `resource` if it converted the object.
    pub request_resource: Option<GroupVersionResource<'a>>,
    /// The part of the resource, as in `pods/eviction`.
    pub sub_resource: Option<&'a str>,
    /// The name; empty where the API server has yet to generate one.
    pub name: &'a str,
    /// The namespace, which for a Namespace is its own name.
    pub namespace: Option<&'a str>,
    /// The object afterwards; null for a deletion.
    pub object: &'a Json<'a>,
    /// The object before; null for a creation.
    pub old_object: &'a Json<'a>,
    /// The kind of what `resource` names. It is `kind`, but for parts of a resource that carry
    /// objects of their own: `pods/exec` carries PodExecOptions, and is about a Pod. Those of
    /// Kubernetes' own resources are known here; the caller may know others by discovery.
    pub resource_kind: GroupVersionKind<'a>,
    /// The roles of whoever asks, if the caller knows them. A policy that asks about roles which are
    /// not known cannot be evaluated; [`crate::PolicySet::needs_roles`] says when to look.
    pub user_roles: Option<UserRoles<'a>>,
    /// The Namespace object, if the caller knows it. A policy that asks about a namespace which is
    /// not known cannot be evaluated; [`crate::PolicySet::needs_namespace`] says when to look.
    pub namespace_object: Option<&'a Json<'a>>,
    /// The whole request, which expressions see as `request`.
    pub raw: &'a Json<'a>,
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub struct GroupVersionKind<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
}

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub struct GroupVersionResource<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
}

/// The roles that are bound to a user, or to a group of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRoles<'a> {
    /// Roles, as `namespace:name`.
    pub roles: &'a [String],
    /// ClusterRoles, by their names.
    pub cluster_roles: &'a [String],
}

/// Why a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedRequest {
    /// A field is missing, or no string.
    #[error("request.{0} must be a string")]
    NotAString(&'static str),
    /// The operation is none of Kubernetes'.
    #[error("request.operation must be CREATE, UPDATE, DELETE or CONNECT")]
    UnknownOperation,
}

static NULL: Json<'static> = Json::Null;

// === impl Request ===

impl<'a> Request<'a> {
    /// Reads the `request` of an AdmissionReview. The namespace object is the caller's to add.
    pub fn parse(raw: &'a Json<'a>) -> Result<Self, MalformedRequest> {
        let text = |pointer, field| string(raw, pointer).ok_or(MalformedRequest::NotAString(field));
        let non_empty = |pointer| string(raw, pointer).filter(|text| !text.is_empty());
        let operation = text("/operation", "operation")?;
        let kind = GroupVersionKind {
            group: text("/kind/group", "kind.group")?,
            version: text("/kind/version", "kind.version")?,
            kind: text("/kind/kind", "kind.kind")?,
        };
        let resource = GroupVersionResource {
            group: text("/resource/group", "resource.group")?,
            version: text("/resource/version", "resource.version")?,
            resource: text("/resource/resource", "resource.resource")?,
        };
        let sub_resource = non_empty("/subResource");
        Ok(Self {
            uid: text("/uid", "uid")?,
            operation: Operation::parse(operation).ok_or(MalformedRequest::UnknownOperation)?,
            kind,
            resource,
            request_resource: resource_of(raw, "/requestResource"),
            sub_resource,
            resource_kind: sub_resource.and_then(|_| owner(resource)).unwrap_or(kind),
            user_roles: None,
            name: string(raw, "/name").unwrap_or_default(),
            namespace: non_empty("/namespace"),
            object: raw.get("object").unwrap_or(&NULL),
            old_object: raw.get("oldObject").unwrap_or(&NULL),
            namespace_object: None,
            raw,
        })
    }

    /// Whether the API server converted the object, because no webhook names its own version.
    pub fn is_converted(&self) -> bool {
        self.request_resource.is_some_and(|requested| requested != self.resource)
    }

    /// Who asks; empty if nobody is known to.
    pub fn user_name(&self) -> &'a str {
        string(self.raw, "/userInfo/username").unwrap_or_default()
    }

    /// The groups of whoever asks.
    pub fn user_groups(&self) -> impl Iterator<Item = &'a str> {
        let groups = self.raw.pointer("/userInfo/groups").and_then(Json::as_array);
        groups.into_iter().flatten().filter_map(Json::as_str)
    }

    /// Whether nothing of it is to stay.
    pub fn is_dry_run(&self) -> bool {
        self.raw.get("dryRun").and_then(Json::as_bool).unwrap_or_default()
    }

    /// What the generated name will begin with; empty if the name is not to be generated.
    pub(crate) fn generate_name(&self) -> &'a str {
        string(self.object, "/metadata/generateName").unwrap_or_default()
    }

    /// Whether the object is a Namespace itself, which counts as a cluster's resource although the
    /// request carries a namespace.
    pub fn is_namespace(&self) -> bool {
        self.resource.group.is_empty() && self.resource.resource == "namespaces"
    }
}

fn resource_of<'a>(raw: &'a Json<'a>, pointer: &str) -> Option<GroupVersionResource<'a>> {
    let resource = raw.pointer(pointer)?;
    Some(GroupVersionResource {
        group: string(resource, "/group")?,
        version: string(resource, "/version")?,
        resource: string(resource, "/resource")?,
    })
}

/// The kind of a resource of Kubernetes' own whose parts carry objects of other kinds.
fn owner<'a>(resource: GroupVersionResource<'a>) -> Option<GroupVersionKind<'a>> {
    let GroupVersionResource { group, version, resource } = resource;
    let kind = match (group, resource) {
        ("", "pods") => "Pod",
        ("", "nodes") => "Node",
        ("", "services") => "Service",
        ("", "serviceaccounts") => "ServiceAccount",
        ("", "replicationcontrollers") => "ReplicationController",
        ("apps", "deployments") => "Deployment",
        ("apps", "replicasets") => "ReplicaSet",
        ("apps", "statefulsets") => "StatefulSet",
        _ => return None,
    };
    Some(GroupVersionKind { group, version, kind })
}

fn string<'a>(value: &'a Json<'a>, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

// === impl MalformedRequest ===

impl MalformedRequest {
    /// What kind of problem it is, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAString(_) => "NotAString",
            Self::UnknownOperation => "UnknownOperation",
        }
    }
}

// === impl Operation ===

impl Operation {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "CREATE" => Some(Self::Create),
            "UPDATE" => Some(Self::Update),
            "DELETE" => Some(Self::Delete),
            "CONNECT" => Some(Self::Connect),
            _ => None,
        }
    }

    /// The name that Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
