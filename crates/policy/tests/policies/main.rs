//! Policies from their YAML to their verdict, by the public functions alone.

mod allocation;
mod compilation;
mod conformance;
mod evaluation;
mod support;
