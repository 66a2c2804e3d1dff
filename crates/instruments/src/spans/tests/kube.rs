//! Calls to the API server.

use super::*;

async fn ask(instruments: &Instruments, status: Result<u16, &'static str>) -> Option<String> {
    let (seen, mut traceparent) = tokio::sync::mpsc::channel(1);
    let client = instruments.kube_layer().layer(service_fn(move |request: Request<()>| {
        let seen = seen.clone();
        async move {
            let header = request.headers().get("traceparent").cloned();
            seen.send(header.map(|it| it.to_str().unwrap().to_owned())).await.unwrap();
            status.map(|status| Response::builder().status(status).body(()).unwrap())
        }
    }));
    let mut request = Request::get("https://api:6443/api/v1/namespaces/shop").body(()).unwrap();
    carry_trace(&mut request);
    // On the other side of the client's queue, nothing is current.
    let _ = client.oneshot(request).with_context(Context::new()).await;
    traceparent.recv().await.unwrap()
}

#[tokio::test]
async fn a_call_within_a_trace_has_a_span_and_carries_it_on() {
    let (instruments, kept) = scene();
    let parent = start(instruments.spans(), HEADERS, CALLED).unwrap();
    let carried = within(&parent, ask(&instruments, Ok(200))).await.unwrap();
    within(&parent, ask(&instruments, Ok(404))).await;
    within(&parent, ask(&instruments, Err("refused"))).await;
    parent.end(StatusCode::OK, None);

    let spans = kept.take();
    let [ok, missing, refused, parent] = &spans[..] else { panic!("there are four spans") };
    let context = &ok.span_context;
    assert_eq!(carried, format!("00-{}-{}-01", context.trace_id(), context.span_id()));
    for span in [ok, missing, refused] {
        assert_eq!(span.name, "KUBE namespaces/get");
        assert_eq!(span.parent_span_id, parent.span_context.span_id());
        assert_as_declared(span, &declared::KUBE);
        assert!(!format!("{span:?}").contains("shop"), "no name of an object");
    }
    assert_eq!(ok.status, Status::Unset);
    assert_eq!((&missing.status, &*text(missing, "error.type")), (&Status::error(""), "404"));
    assert_eq!((&refused.status, &*text(refused, "error.type")), (&Status::error(""), "NoAnswer"));
}

#[tokio::test]
async fn a_call_outside_of_any_trace_is_left_alone() {
    let (instruments, kept) = scene();
    assert_eq!(ask(&instruments, Ok(200)).await, None);
    assert!(kept.take().is_empty());
}
