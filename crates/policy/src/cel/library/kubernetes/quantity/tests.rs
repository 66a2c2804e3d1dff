use crate::cel::library::tests::{bool_of, call, error_of, int_of, value};
use crate::cel::meter::Fault;
use crate::cel::value::Value;

fn quantity(written: &str) -> Value<'static> {
    value("quantity", &[Value::string(written)])
}

fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    let (Value::Opaque(left), Value::Opaque(right)) = (left, right) else { panic!() };
    left.equals(&**right)
}

fn float(written: &str) -> f64 {
    match value("asApproximateFloat", &[quantity(written)]) {
        Value::Double(double) => double,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quantity_is_read_as_the_api_server_reads_it() {
    let plain =
        ["0", "1.5G", "200k", "10000k", "1.3Gi", "-1", "+1", "1e3", "1E3", "1e-3", "1E", ".5"];
    // Strange, but so it is there.
    let strange = [".", "-", "+", "1.", "1.G", "00", "0.", "-.0", "Mi", "k", "+Ki"];
    let long = ["9999999999999999999999999999999999999G", "0.0000000000000000000000001", "1.5Ei"];
    for written in plain.into_iter().chain(strange).chain(long) {
        assert!(bool_of("isQuantity", &[Value::string(written)]), "{written}");
    }
    let refused =
        ["", "200K", "Three", "1,3G", " 1", "1 ", "1.2.3", "1ki", "1Kii", "1e", "1e1.5", "--1"];
    for written in refused.into_iter().chain([
        "1e99999999999999999999",
        ".Ei",
        "Ei",
        ".e-20",
        "0x1",
        "\u{661}",
    ]) {
        assert!(!bool_of("isQuantity", &[Value::string(written)]), "{written}");
        error_of("quantity", &[Value::string(written)]);
    }
}

#[test]
fn quantities_compare_by_what_they_stand_for() {
    let ascending = [
        "-9999999999999999999999G",
        "-1Gi",
        "-1",
        "-1n",
        "0",
        "1n",
        "1m",
        "1",
        "1.5",
        "50M",
        "50Mi",
        "0.2G",
        "1Ti",
        "9223372036854775807",
        "1e300",
        "1e2000000000",
    ];
    for (index, lower) in ascending.into_iter().enumerate() {
        for greater in &ascending[index + 1..] {
            let pair = [quantity(greater), quantity(lower)];
            assert_eq!(int_of("compareTo", &pair), 1, "{greater} {lower}");
            assert!(bool_of("isGreaterThan", &pair) && !bool_of("isLessThan", &pair));
            let [greater, lower] = pair;
            assert_eq!(int_of("compareTo", &[lower, greater]), -1);
        }
    }
    for (left, right) in [
        ("200M", "0.2G"),
        ("1Ki", "1024"),
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("0", "-0"),
        ("9Ei", "9223372036854775807"),
        ("1000000000000000000000", "1e21"),
        ("0e2000000000", "0"),
    ] {
        assert!(equal(&quantity(left), &quantity(right)), "{left} {right}");
    }
}

#[test]
fn only_what_has_no_decimal_places_and_fits_is_an_integer() {
    for (written, integer) in [
        ("50k", 50_000),
        ("-3", -3),
        ("1Mi", 1 << 20),
        ("0e2000000000", 0),
        ("9e18", 9_000_000_000_000_000_000),
    ] {
        assert!(bool_of("isInteger", &[quantity(written)]), "{written}");
        assert_eq!(int_of("asInteger", &[quantity(written)]), integer, "{written}");
    }
    for written in [
        "1.5",
        "1.0",
        "1m",
        "1e19",
        "9999999999999999999999999999999999999G",
        "9223372036854775807",
    ] {
        assert!(!bool_of("isInteger", &[quantity(written)]), "{written}");
        error_of("asInteger", &[quantity(written)]);
    }
}

#[test]
fn sums_are_exact() {
    let plus = |left, right: Value<'static>| value("add", &[quantity(left), right]);
    assert!(equal(&plus("50k", quantity("20k")), &quantity("70k")));
    assert!(equal(&plus("50k", Value::Int(20)), &quantity("50020")));
    assert!(equal(&plus("0.1", quantity("0.2")), &quantity("0.3")));
    assert!(equal(
        &plus("1n", quantity("9999999999999999999999")),
        &quantity("9999999999999999999999.000000001")
    ));
    let minus = |left, right: Value<'static>| value("sub", &[quantity(left), right]);
    assert!(equal(&minus("50k", Value::Int(20_000)), &quantity("30k")));
    assert!(equal(&minus("1", quantity("1Gi")), &quantity("-1073741823")));
    let zero = minus("9999999999999999999999", quantity("9999999999999999999999"));
    assert_eq!(int_of("sign", std::slice::from_ref(&zero)), 0);
    assert!(!bool_of("isInteger", &[zero]));
    assert_eq!(["-1m", "0", "1m"].map(|of| int_of("sign", &[quantity(of)])), [-1, 0, 1]);
}

#[test]
fn a_float_is_near_what_the_quantity_is() {
    assert_eq!(float("50k"), 50_000.0);
    assert_eq!(float("1.5"), 1.5);
    assert_eq!(float("1e400"), f64::INFINITY);
    assert_eq!(float("-1e400"), f64::NEG_INFINITY);
    assert_eq!(float("1500m"), 1.5);
    assert_eq!(float("9Ei"), 9_223_372_036_854_775_807.0);
}

#[test]
fn an_exponent_costs_nothing() {
    let (huge, one) = (quantity("9999999999999999999999e2000000000"), quantity("1"));
    assert_eq!(int_of("compareTo", &[huge.clone(), one.clone()]), 1);
    error_of("add", &[huge.clone(), one.clone()]);
    error_of("add", &[quantity("1e2000000000"), one]);
    assert_eq!(int_of("compareTo", &[quantity("1e-2000000000"), quantity("1n")]), 0);
    let digits = "9".repeat(100_000);
    let exhausted = call("quantity", &[Value::string(digits)]);
    assert!(matches!(exhausted, Err(Fault::Exhausted(_))), "{exhausted:?}");
}
