//! What a review costs, and how much of it is for telling about it. CPU time.
#![expect(clippy::unwrap_used, reason = "a bench may fail anywhere")]

use std::time::Duration;

use criterion::Criterion;
use pharos_admission::reviewer::{EXPRESSIONS, Reviewer, review_of_a_pod};
use pharos_api::policy::ValidatingPolicy;
use pharos_instruments::Instruments;
use pharos_testkit::bench::{Section, compare};
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

const TIMES: u32 = 200;

fn policies(count: usize) -> Vec<ValidatingPolicy> {
    let policy = |index: usize| {
        json!({
            "apiVersion": "policies.kyverno.io/v1",
            "kind": "ValidatingPolicy",
            "metadata": {"name": format!("policy-{index}"), "generation": 1},
            "spec": {
                "failurePolicy": "Ignore",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"],
                    "resources": ["pods"], "operations": ["CREATE"],
                }]},
                "validations": [{"expression": EXPRESSIONS[index % EXPRESSIONS.len()]}],
            },
        })
    };
    (0..count).map(|index| serde_json::from_value(policy(index)).unwrap()).collect()
}

fn answer(runtime: &Runtime, reviewer: &Reviewer, review: &[u8]) {
    let response = runtime.block_on(reviewer.answer(review.to_vec()));
    assert!(response.status().is_success());
}

fn main() -> std::io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _within = runtime.enter();
    let (instruments, _running) = Instruments::running();
    let review = review_of_a_pod();
    let mut criterion = Criterion::default().configure_from_args();
    let mut section = Section::new(
        "review",
        "A review",
        "CPU time of one review of a Pod of 2.4 KB, from the whole body to the answer, without \
         TLS and HTTP: nobody is told, or metrics are recorded. Medians of rounds in turns.",
    );
    for count in [1, 16] {
        let untold = Reviewer::new(policies(count), None);
        let told = Reviewer::new(policies(count), Some(instruments.clone()));
        criterion.bench_function(&format!("a review under {count} policies"), |it| {
            it.iter(|| answer(&runtime, &told, &review));
        });
        let both = compare(
            TIMES,
            || answer(&runtime, &untold, &review),
            || answer(&runtime, &told, &review),
        );
        section.figure(&format!("{count} policies, nobody is told"), micros(both.first), "");
        section.figure(&format!("{count} policies, with metrics"), micros(both.second), "");
        let share = (both.ratio - 1.0) / both.ratio * 100.0;
        section.figure("share of telemetry", format!("{share:.1} %"), "");
    }
    criterion.final_summary();
    section.publish()
}

fn micros(time: Duration) -> String {
    format!("{:.1} \u{b5}s", time.as_secs_f64() * 1e6)
}
