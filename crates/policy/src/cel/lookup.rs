//! What the expressions of one policy may look up.

use std::sync::Arc;

use super::EvaluationError;
use super::library::Library;
use super::meter::Fault;
use crate::lookups::{Context, Lookups};

/// How far the expressions of a policy see beyond the request.
#[derive(Clone, Debug)]
pub(crate) enum Sight {
    /// What looks something up does not compile.
    Nothing,
    /// All of a context.
    Cluster(Arc<Context>),
    /// Of a context, the images and what is in that namespace.
    Namespace(Arc<Context>, Arc<str>),
}

// === impl Sight ===

impl Sight {
    /// What a policy for the whole cluster sees.
    pub(crate) fn of_cluster(lookups: &Lookups) -> Self {
        match lookups {
            Lookups::Refused => Self::Nothing,
            Lookups::Given(context) => Self::Cluster(context.clone()),
        }
    }

    /// What a policy for one namespace sees.
    pub(crate) fn of_namespace(lookups: &Lookups, namespace: &str) -> Self {
        match lookups {
            Lookups::Refused => Self::Nothing,
            Lookups::Given(context) => Self::Namespace(context.clone(), namespace.into()),
        }
    }

    /// The functions that can be called.
    pub(super) fn library(&self) -> &'static Library {
        match self {
            Self::Nothing => Library::shared(),
            Self::Cluster(_) => Library::of_cluster(),
            Self::Namespace(..) => Library::of_namespace(),
        }
    }

    pub(super) fn context(&self) -> Result<&Context, Fault> {
        match self {
            // The checker has refused the call.
            Self::Nothing => Err(EvaluationError::new("nothing is given here".to_owned()).into()),
            Self::Cluster(context) | Self::Namespace(context, _) => Ok(context),
        }
    }
}
