//! Which results of a test are looked at, where not all are. Pure.
//!
//! As with Kyverno, a result that names no rule or no resource is about all of them.

use pharos_policy::wildcard;

use super::suite::{Expectation, Suite};
use crate::arguments::test::TestCaseSelector;

// === impl Suite ===

impl Suite {
    /// The test with those of its results that are selected, and of their resources those; none if no
    /// result is left.
    pub(super) fn selected(mut self, selector: &TestCaseSelector) -> Option<Self> {
        let had_none = self.results.is_empty();
        self.results.retain_mut(|expected| expected.is_selected(selector));
        (had_none || !self.results.is_empty()).then_some(self)
    }
}

// === impl Expectation ===

impl Expectation {
    fn is_selected(&mut self, selector: &TestCaseSelector) -> bool {
        let TestCaseSelector { policies, rules, resources } = selector;
        if !matches(policies, &self.policy) || !(self.rule.is_empty() || matches(rules, &self.rule))
        {
            return false;
        }
        let named = self.resources.len() + self.resource_specs.len();
        self.resources.retain(|resource| matches(resources, resource));
        self.resource_specs.retain(|spec| matches(resources, &spec.name));
        named == 0 || self.resources.len() + self.resource_specs.len() > 0
    }
}

fn matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().all(|pattern| wildcard::matches(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: &str = "{results: [{policy: p, rule: r, resources: [bad-a, good-a], result: fail}, \
         {policy: q, rule: s, result: pass}, {policy: n/p, result: pass}]}";

    /// Policies of the results that are left, with their resources.
    fn left(selector: &str) -> Option<Vec<(String, Vec<String>)>> {
        let suite = Suite::parse(serde_saphyr::from_str(RESULTS).unwrap()).unwrap();
        let suite = suite.selected(&selector.parse().unwrap())?;
        Some(suite.results.into_iter().map(|it| (it.policy, it.resources)).collect())
    }

    #[test]
    fn results_are_selected_by_policy_rule_and_resource() {
        let policies = |selector: &str| {
            left(selector)
                .map(|left| left.into_iter().map(|(policy, _)| policy).collect::<Vec<_>>())
        };
        assert_eq!(policies("policy=*,rule=*,resource=*").unwrap(), ["p", "q", "n/p"]);
        assert_eq!(policies("policy=?").unwrap(), ["p", "q"]);
        assert_eq!(policies("rule=r").unwrap(), ["p", "n/p"], "one names no rule");
        assert_eq!(policies("resource=good-*,policy=p").unwrap(), ["p"]);
        assert_eq!(policies("policy=nobody"), None);
        assert_eq!(left("policy=p,resource=bad*").unwrap()[0].1, ["bad-a"]);
    }
}
