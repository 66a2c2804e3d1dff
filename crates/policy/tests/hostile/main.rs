//! Policies and requests that mean harm, through the public functions alone: no panic and no overflow on
//! a server's stack, an end within the steps and the bytes that are promised, and a clear answer.
//!
//! What is generated is the same in every run. `PROPTEST_CASES=100000 cargo test -p pharos-policy
//! --test hostile` tries more, and `PROPTEST_RNG_SEED=7` others.
#![expect(clippy::panic, reason = "a promise that is not kept")]

mod corpus;
mod documents;
mod expressions;
mod generate;
mod requests;
mod support;
