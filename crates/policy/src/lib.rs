//! Policies: compiled when they change, evaluated when a request comes.
//!
//! Enter at [`compile()`], which turns a ValidatingPolicy into a [`CompiledPolicy`] or says everything
//! that is wrong with it; at [`PolicySet`], an immutable snapshot that finds the policies a request
//! is about; and at [`evaluate()`], which returns what came out of each. [`Request::parse`] reads the
//! request of an AdmissionReview in place.
//!
//! Nothing here does I/O, knows a clock or a client, or records anything: facts go out, and what
//! follows from them (deny, warn, count) is the caller's. What this version does not evaluate is
//! refused by name when a policy is compiled, never ignored. The one thing that Kyverno does
//! without being asked and this version does not is generating rules for the controllers of Pods:
//! a policy for Pods is a policy for Pods.
//!
//! How long an evaluation takes is bounded in part; see the notes in `cel.rs`.

mod cel;
mod compile;
mod error;
mod evaluate;
mod matching;
mod policy;
mod request;
mod set;

pub use cel::{Position, Reason};
pub use compile::compile;
pub use error::{CompileError, CompileErrors};
pub use evaluate::{Evaluation, PolicyOutcome, PolicyResult, evaluate};
pub use policy::{CompiledPolicy, Origin, StatusReason};
pub use request::{GroupVersionKind, GroupVersionResource, MalformedRequest, Operation, Request};
pub use set::{PolicySet, RegisteredRule};
