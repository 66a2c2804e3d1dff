use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;

fn entry(target: &'static str, text: &str) -> Arc<LogEntry> {
    let value = Some(Value::StringValue(text.to_owned()));
    Arc::new(LogEntry {
        scope: InstrumentationScope::builder("bridge").with_version("1").build(),
        target: Some(Cow::Borrowed(target)),
        record: LogRecord { body: Some(AnyValue { value }), ..LogRecord::default() },
    })
}

fn decoded(request: &Request) -> Vec<(String, Vec<String>)> {
    let request = ExportLogsServiceRequest::decode(request.body.clone()).unwrap();
    let [logs] = &request.resource_logs[..] else { panic!("one resource") };
    let text = |record: &LogRecord| match record.body.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        other => panic!("{other:?}"),
    };
    logs.scope_logs
        .iter()
        .map(|it| (it.scope.clone().unwrap().name, it.log_records.iter().map(text).collect()))
        .collect()
}

#[test]
fn records_are_grouped_by_what_made_them() {
    let records = vec![entry("a", "1"), entry("b", "2"), entry("a", "3")];
    let requests = requests(&Resource::default(), records);
    let [request] = &requests[..] else { panic!("they fit into one request") };
    assert_eq!(request.items, 3);
    let (a, b) =
        (("a".to_owned(), vec!["1".into(), "3".into()]), ("b".to_owned(), vec!["2".into()]));
    assert_eq!(decoded(request), [a, b]);
}

#[test]
fn no_request_is_larger_than_the_limit_but_one_of_a_single_record() {
    let limit = 1024;
    let (text, long) = ("x".repeat(100), "y".repeat(2 * limit));
    let mut records: Vec<_> = (0..40).map(|_| entry("a", &text)).collect();
    records.insert(20, entry("b", &long));
    let requests = split(&Resource::default(), records, limit);
    assert_eq!(requests.iter().map(|request| request.items).sum::<u64>(), 41);
    for request in &requests {
        assert!(request.body.len() <= limit || request.items == 1, "{}", request.body.len());
        for (_, records) in decoded(request) {
            assert!(!records.is_empty());
        }
    }
    let in_order: Vec<_> = requests.iter().flat_map(decoded).flat_map(|(_, it)| it).collect();
    assert_eq!(in_order.iter().position(|it| *it == long), Some(20));
}

#[test]
fn a_record_that_others_have_too_is_copied_for_each() {
    let record = entry("a", "1");
    let first = requests(&Resource::default(), vec![Arc::clone(&record)]);
    let second = requests(&Resource::default(), vec![record]);
    assert_eq!(first, second);
    assert_eq!(first[0].items, 1);
}

#[test]
fn nothing_makes_no_request() {
    assert!(requests::<LogEntry>(&Resource::default(), Vec::new()).is_empty());
}
