//! Policies: compiled when they change, evaluated when a request comes.
//!
//! Enter at [`compile_validating_policy`] and [`compile_cluster_policy`], which turn a policy into a
//! [`CompiledPolicy`] of one or more [`Rule`]s, written and generated, or say everything that is wrong
//! with it; at [`PolicySet`], an immutable snapshot of policies and exceptions that finds those a
//! request is about; and at [`evaluate()`], which returns what came out of each rule.
//! [`Request::parse`] reads the request of an AdmissionReview in place.
//!
//! Nothing here does I/O, knows a clock or a client, or records anything: facts go out, and what
//! follows from them (deny, warn, count) is the caller's. What this version does not evaluate is
//! refused by name when a policy is compiled, never ignored.
//!
//! What an evaluation takes is bounded, whatever the policies and the request are: each rule by a
//! budget of steps and of bytes, which no expression can go on beyond, and all rules that judge one
//! request by another. The notes in `cel.rs` say how; `tests/hostile` tries to get around it.

mod actions;
mod autogen;
mod cel;
mod clock;
mod cluster_policy;
mod compile;
mod error;
mod evaluate;
mod exception;
mod json;
mod kind;
mod lookups;
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
pub use json::{Fields, Json, NotJson, Read, Unread};
pub use kind::{PolicyKey, PolicyKind};
pub use lookups::{Context, ContextError, Lookups};
pub use policy::{CompiledPolicy, Origin, StatusReason};
pub use request::{
    GroupVersionKind, GroupVersionResource, MalformedRequest, Operation, Request, UserRoles,
};
pub use rule::{Autogen, KindPattern, RegisteredKind, Registration, Rule, RuleSource};
pub use set::PolicySet;
