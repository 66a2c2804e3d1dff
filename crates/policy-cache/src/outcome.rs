//! What becomes of one object: compiled, or why not. Pure.

use std::fmt;
use std::sync::Arc;

use kube::api::DynamicObject;
use pharos_policy::{
    CompileErrors, CompiledException, CompiledPolicy, Lookups, Origin, compile_cluster_policy,
    compile_exception, compile_namespaced_validating_policy, compile_policy,
    compile_validating_policy,
};
use serde::de::DeserializeOwned;

use crate::{ExceptionNamespaces, Kind};

/// What became of an object.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Evaluated at every request that it matches.
    InForce(Arc<CompiledPolicy>),
    /// Sound, but it says itself that it is not for admission.
    NotForAdmission(Arc<CompiledPolicy>),
    /// An exception, which counts where its policies are evaluated.
    Exception(Arc<CompiledException>),
    /// Evaluated nowhere.
    Broken(Defect),
}

/// Why an object is not evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum Defect {
    /// This version evaluates no object of its kind.
    Unsupported(Kind),
    /// It is not what its kind says that it is.
    Undecodable(String),
    /// Not all of it compiles.
    Uncompilable(Arc<CompileErrors>),
    /// An exception that does not count where it is, but would in this namespace.
    Elsewhere(Box<str>),
}

/// No policy asks the cluster or a registry while a request waits.
const LOOKUPS: Lookups = Lookups::Refused;
/// How much of an expression is repeated.
const QUOTED: usize = 256;

// === impl Outcome ===

impl Outcome {
    /// Compiles an object of that kind. What exceptions say counts in `exceptions` only.
    pub fn of(kind: Kind, object: &DynamicObject, exceptions: &ExceptionNamespaces) -> Self {
        match kind {
            Kind::ValidatingPolicy => {
                Self::policy(object, |policy| compile_validating_policy(policy, &LOOKUPS))
            }
            Kind::NamespacedValidatingPolicy => Self::policy(object, |policy| {
                compile_namespaced_validating_policy(policy, &LOOKUPS)
            }),
            Kind::ClusterPolicy => Self::policy(object, compile_cluster_policy),
            Kind::Policy => Self::policy(object, compile_policy),
            Kind::PolicyException => Self::exception(object, exceptions),
            Kind::Other(_) => Self::Broken(Defect::Unsupported(kind)),
        }
    }

    fn policy<K: DeserializeOwned>(
        object: &DynamicObject,
        compile: impl FnOnce(&K) -> Result<CompiledPolicy, CompileErrors>,
    ) -> Self {
        match compiled(object, compile) {
            Ok(compiled) if compiled.is_evaluated_for(Origin::Admission) => {
                Self::InForce(Arc::new(compiled))
            }
            Ok(compiled) => Self::NotForAdmission(Arc::new(compiled)),
            Err(defect) => Self::Broken(defect),
        }
    }

    fn exception(object: &DynamicObject, exceptions: &ExceptionNamespaces) -> Self {
        if let Some(namespace) = exceptions.other_than(object.metadata.namespace.as_deref()) {
            return Self::Broken(Defect::Elsewhere(namespace.into()));
        }
        match compiled(object, compile_exception) {
            Ok(exception) => Self::Exception(Arc::new(exception)),
            Err(defect) => Self::Broken(defect),
        }
    }

    /// Whether it is as its writer meant it.
    pub fn is_ready(&self) -> bool {
        !matches!(self, Self::Broken(_))
    }

    /// A closed word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InForce(_) | Self::Exception(_) => "Succeeded",
            Self::NotForAdmission(_) => "NotForAdmission",
            Self::Broken(defect) => defect.reason(),
        }
    }

    /// For people.
    pub fn message(&self) -> String {
        match self {
            Self::InForce(_) | Self::Exception(_) => "every expression compiles".to_owned(),
            Self::NotForAdmission(_) => "it says itself that it is not for admission".to_owned(),
            Self::Broken(defect) => defect.to_string(),
        }
    }
}

/// The object, decoded as its kind has it and compiled.
fn compiled<K: DeserializeOwned, C>(
    object: &DynamicObject,
    compile: impl FnOnce(&K) -> Result<C, CompileErrors>,
) -> Result<C, Defect> {
    let whole = serde_json::to_value(object);
    let decoded = whole.and_then(serde_json::from_value::<K>);
    let decoded = decoded.map_err(|error| Defect::Undecodable(error.to_string()))?;
    compile(&decoded).map_err(|errors| Defect::Uncompilable(Arc::new(errors)))
}

// === impl Defect ===

impl Defect {
    /// A closed word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unsupported(_) => "Unsupported",
            Self::Undecodable(_) => "Undecodable",
            Self::Uncompilable(errors) => errors.reason(),
            Self::Elsewhere(_) => "OtherNamespace",
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(kind) => {
                write!(f, "this version of Pharos evaluates no policies of kind {}", kind.name())
            }
            Self::Undecodable(error) => f.write_str(error),
            Self::Elsewhere(namespace) => {
                write!(
                    f,
                    "exceptions count in the namespace {namespace} only (--exception-namespace)"
                )
            }
            Self::Uncompilable(errors) => {
                for (index, error) in errors.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{error}")?;
                    if let Some(expression) = error.source_expression() {
                        let shown = &expression[..expression.floor_char_boundary(QUOTED)];
                        let more = if shown.len() < expression.len() { "..." } else { "" };
                        write!(f, ", in: {}{more}", shown.trim())?;
                    }
                }
                Ok(())
            }
        }
    }
}
