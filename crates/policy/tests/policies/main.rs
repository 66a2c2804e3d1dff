//! Policies from their YAML to their verdict, by the public functions alone.

mod allocation;
mod autogen;
mod cluster_policies;
mod compilation;
mod conformance;
mod evaluation;
mod exceptions;
mod namespaced;
mod support;
