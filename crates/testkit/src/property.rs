//! Properties that are tried on generated values.

use std::env;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Tries a property on so many values that are the same in every run, unless `PROPTEST_CASES` or
/// `PROPTEST_RNG_SEED` say otherwise.
///
/// # Panics
///
/// With the smallest value that was found for which the property panics.
pub fn try_on<S: Strategy>(cases: u32, values: &S, property: impl Fn(S::Value)) {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(6);
    }
    let tried = TestRunner::new(config).run(values, |value| {
        property(value);
        Ok(())
    });
    assert!(tried.is_ok(), "{}", tried.err().map(|failed| failed.to_string()).unwrap_or_default());
}
