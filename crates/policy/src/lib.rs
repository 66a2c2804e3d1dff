//! Policies: compiled when they change, evaluated when a request comes.
//!
//! Enter at [`compile_validating_policy`], which turns a policy into a [`CompiledPolicy`] or says
//! everything that is wrong with it; at [`PolicySet`], an immutable snapshot of policies and
//! exceptions that finds those a request is about; and at [`evaluate()`], which returns what came out
//! of each. [`Request::parse`] reads the
//! request of an AdmissionReview in place.
//!
//! Nothing here does I/O, knows a clock or a client, or records anything: facts go out, and what
//! follows from them (deny, warn, count) is the caller's. What this version does not evaluate is
//! refused by name when a policy is compiled, never ignored.
//!
//! How long an evaluation takes is bounded in part; see the notes in `cel.rs`.

mod actions;
mod autogen;
mod cel;
mod clock;
mod cluster_policy;
mod compile;
mod error;
mod evaluate;
mod exception;
mod kind;
mod matching;
mod policy;
mod request;
mod rule;
mod set;
pub mod wildcard;

pub use actions::Actions;
pub use cel::{Position, Reason};
pub use clock::{Clock, SystemClock};
pub use cluster_policy::{compile_cluster_policy, compile_policy, generated_rules};
pub use compile::{
    compile_exception, compile_namespaced_validating_policy, compile_validating_policy,
};
pub use error::{CompileError, CompileErrors};
pub use evaluate::{Evaluation, PolicyOutcome, RuleOutcome, RuleResult, Skipped, evaluate};
pub use exception::CompiledException;
pub use kind::{PolicyKey, PolicyKind};
pub use policy::{CompiledPolicy, Origin, StatusReason};
pub use request::{
    GroupVersionKind, GroupVersionResource, MalformedRequest, Operation, Request, UserRoles,
};
pub use rule::{Autogen, KindPattern, RegisteredKind, Registration, Rule, RuleSource};
pub use set::{NeededKind, PolicySet, RegisteredRule};
