//! Where PolicyExceptions count.

use std::str::FromStr;

use pharos_api::name::is_dns_label;

/// The namespaces whose PolicyExceptions count. Whoever may write one excepts from the policies of the
/// whole cluster, so this can be a namespace that few may write to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ExceptionNamespaces {
    /// All of them.
    #[default]
    Every,
    /// One, by its name.
    Only(Box<str>),
}

/// What is neither a namespace nor `*`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither the name of a namespace nor '*', which is every one")]
pub struct NoNamespace(String);

// === impl ExceptionNamespaces ===

impl ExceptionNamespaces {
    /// The one namespace that counts, if that is not this one.
    pub(super) fn other_than(&self, namespace: Option<&str>) -> Option<&str> {
        match self {
            Self::Every => None,
            Self::Only(only) => Some(&**only).filter(|only| namespace != Some(only)),
        }
    }
}

/// As Kyverno's flag is written for exceptions of `policies.kyverno.io`: nothing is every namespace.
impl FromStr for ExceptionNamespaces {
    type Err = NoNamespace;

    fn from_str(text: &str) -> Result<Self, NoNamespace> {
        match text {
            "" | "*" => Ok(Self::Every),
            name if is_dns_label(name) => Ok(Self::Only(name.into())),
            other => Err(NoNamespace(other.to_owned())),
        }
    }
}
