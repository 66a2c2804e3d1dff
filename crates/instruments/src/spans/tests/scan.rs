use super::*;

const PODS: ObjectsFacts<'static> = ObjectsFacts {
    group: "",
    version: "v1",
    kind: "Pod",
    resource: "pods",
    namespace: Some("shop"),
};

#[tokio::test]
async fn a_scan_is_told_by_what_it_reads_and_what_it_writes() {
    let (instruments, kept) = scene();
    instruments.begin_objects(None, &PODS).judged(200);
    instruments.begin_objects(None, &ObjectsFacts { namespace: None, ..PODS }).failed();
    for outcome in [
        ReportOutcome::Written,
        ReportOutcome::Unchanged,
        ReportOutcome::Deleted,
        ReportOutcome::Failed,
    ] {
        instruments.begin_report("PolicyReport", Some("shop")).end(outcome);
    }
    drop(instruments.begin_report("ClusterPolicyReport", None));
    let spans = kept.take();
    for span in &spans[..2] {
        assert_eq!(span.name, "SCAN /v1, Kind=Pod");
        assert_as_declared(span, &declared::SCAN);
    }
    for span in &spans[2..6] {
        assert_eq!(span.name, "REPORT PolicyReport");
        assert_as_declared(span, &declared::REPORT);
        assert_eq!(span.parent_span_id, SpanId::INVALID);
    }
    assert_eq!(value(&spans[0], "pharos.scan.objects"), Some(&Value::I64(200)));
    assert_eq!([&spans[0].status, &spans[2].status], [&Status::Unset; 2]);
    for (span, error) in [(&spans[1], "Unread"), (&spans[5], "Unwritten"), (&spans[6], "Cancelled")]
    {
        assert_eq!((&*text(span, "error.type"), &span.status), (error, &Status::error("")));
    }
}

#[tokio::test]
async fn calls_that_a_scan_makes_are_parts_of_its_trace() {
    let (instruments, kept) = scene();
    let client = service_fn(async |_: Request<()>| Ok::<_, std::io::Error>(Response::new(())));
    let client = instruments.kube_layer().layer(client);
    let span = instruments.begin_objects(None, &PODS);
    let call = async {
        let mut request = Request::get("https://10.0.0.1/api/v1/pods").body(()).unwrap();
        carry_trace(&mut request);
        client.oneshot(request).await.unwrap();
    };
    span.within(call).await;
    span.judged(1);
    let spans = kept.take();
    let [call, scan] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(call.parent_span_id, scan.span_context.span_id());
}

#[tokio::test]
async fn pages_are_parts_of_the_sweep_of_their_kind() {
    let (instruments, kept) = scene();
    let facts = ObjectsFacts { namespace: None, ..PODS };
    let sweep = instruments.begin_sweep(&facts);
    instruments.begin_objects(Some(&sweep.parent()), &facts).judged(200);
    sweep.end(SweepOutcome::Complete, 200);
    instruments.begin_sweep(&facts).end(SweepOutcome::Superseded, 0);
    let spans = kept.take();
    let [page, sweep, other] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(page.parent_span_id, sweep.span_context.span_id());
    assert_eq!((&*sweep.name, sweep.parent_span_id), ("SWEEP /v1, Kind=Pod", SpanId::INVALID));
    for (span, outcome) in [(sweep, "complete"), (other, "superseded")] {
        assert_as_declared(span, &declared::SWEEP);
        assert_eq!(text(span, "pharos.sweep.outcome"), outcome);
    }
}

#[tokio::test]
async fn where_nobody_records_spans_there_are_none_and_the_work_is_done() {
    let instruments = Instruments::default();
    let span = instruments.begin_objects(None, &PODS);
    assert_eq!(span.within(async { 7 }).await, 7);
    span.judged(1);
    let sweep = instruments.begin_sweep(&PODS);
    instruments.begin_objects(Some(&sweep.parent()), &PODS).judged(1);
    sweep.end(SweepOutcome::Complete, 1);
}
