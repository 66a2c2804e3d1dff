//! Where we say something else, and why. An entry that does not differ fails the test.

/// Expressions that one side refuses when a policy is created.
pub(crate) const CREATION: &[(&str, &str)] = &[
    (
        "authorizer.group('').resource('pods').check('get').allowed()",
        "Kyverno has no authorizer, and this evaluates nothing that asks a server",
    ),
    ("cel.bind(x, 1, x == 1)", "cel-go's bindings, which Kyverno has and the API server has not"),
    (
        "optional.of(1).orValue('a') == 1",
        "in Kyverno, orValue takes what it is given, whether it is an optional or not",
    ),
];

/// Expressions that say something else of a string.
pub(crate) const EVALUATION: &[(&str, &str, &str)] = &[
    ("double($) < 2.5", "1_000", UNDERSCORES),
    ("int(double($)) == 5", "1_000", UNDERSCORES),
    ("string(double($))", "1_000", UNDERSCORES),
    (
        "string(timestamp($))",
        "2021-01-01T00:00:00+01:00",
        "a time is a point in time here, and no offset is kept with it",
    ),
    (
        "timestamp($) < timestamp('2021-01-01T00:00:00Z')",
        "0000-01-01T00:00:00Z",
        "an error on both sides, in other words",
    ),
    ("string(timestamp($))", "9999-12-31T23:59:59Z", END_OF_TIME),
    ("string(timestamp($).getDayOfWeek())", "9999-12-31T23:59:59Z", END_OF_TIME),
    ("$.matches($)", "(?P<n>a)(?P<n>b)", SAME_NAME),
    ("'ab ab'.find($)", "(?P<n>a)(?P<n>b)", SAME_NAME),
    ("'ab ab'.findAll($).join('|')", "(?P<n>a)(?P<n>b)", SAME_NAME),
];

const UNDERSCORES: &str = "only Go reads numbers with underscores";
const END_OF_TIME: &str = "the last day of the year 9999 is one moment here";
const SAME_NAME: &str = "two groups with one name, which no function here can ask for";
