//! What is too long, too slow or too much, by itself or together with others.

use axum::body::{Body, Bytes};

use super::*;

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_announced_or_not() {
    let mut announced = Scene::with(Some(vec![])).await;
    let head = "POST /validate/ignore HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let length = BODY_LIMIT + 1;
    let request = format!("{head}content-length: {length}\r\n\r\n{}", " ".repeat(length));
    announced.refused(&request, 413, "RequestEntityTooLarge", "longer than").await;

    let endless =
        futures::stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from_static(&[b' '; 1024])));
    let refusal = body(streamed(Body::from_stream(endless))).await.unwrap_err();
    assert!(matches!(refusal, Refusal::TooLong), "{refusal}");
    announced.server.end(async {}).await.unwrap();
}

/// A review that takes thirty times its length while it is parsed.
fn of_many_parts(length: usize) -> String {
    review(json!({"app": vec![0; length / 2]}))
}

#[tokio::test]
async fn a_body_that_would_take_too_much_memory_is_refused_before_it_does() {
    let mut scene = Scene::with(Some(vec![])).await;
    let review = of_many_parts(6 << 20);
    let (status, body) = scene.client.post("/validate/ignore", &review).await.unwrap();
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("so many parts"), "{body}");
    assert_eq!(*scene.noted.refusals.lock().unwrap(), ["RequestEntityTooLarge"]);
    let (status, _) = scene.client.post("/validate/ignore", &of_many_parts(3 << 10)).await.unwrap();
    assert_eq!(status, 200);
    scene.server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn what_would_take_too_much_memory_beside_others_is_refused_while_they_are_there() {
    let limits = Limits { parsed_bytes: 0, ..Limits::default() };
    let mut scene = Scene::within(Some(vec![]), limits).await;
    let mut other = scene.webhook.share();
    while other.take(1 << 20).is_ok() {}
    let review = of_many_parts(1 << 20);
    let (status, body) = scene.client.post("/validate/ignore", &review).await.unwrap();
    assert_eq!(status, 429, "{body}");
    assert!(body.contains("too much is being answered"), "{body}");
    assert_eq!(*scene.noted.refusals.lock().unwrap(), ["TooManyRequests"]);
    drop(other);
    for _ in 0..10 {
        let (status, _) = scene.client.post("/validate/ignore", &review).await.unwrap();
        assert_eq!(status, 200, "what one has taken is given back");
    }
    scene.server.end(async {}).await.unwrap();
}

fn streamed(body: Body) -> HttpRequest {
    let request = HttpRequest::post("/validate/ignore").header(CONTENT_TYPE, "application/json");
    request.body(body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_refused() {
    let never = futures::stream::pending::<Result<Bytes, axum::Error>>();
    let refusal = body(streamed(Body::from_stream(never))).await.unwrap_err();
    assert!(matches!(refusal, Refusal::TooSlow), "{refusal}");
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_at_once_and_counted() {
    let head = "POST /validate/fail HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    let megabyte = 1 << 20;
    for (what, limits, length) in [
        ("requests", Limits { requests: 1, ..Limits::default() }, 10),
        ("bytes", Limits { body_bytes: 8 * megabyte, ..Limits::default() }, 8 * megabyte),
    ] {
        let mut scene = Scene::within(Some(vec![json!({})]), limits).await;
        let (address, bundle) = &scene.another;
        // Their bodies never come; that one has its room is seen by others being refused. One that
        // comes while another thread still answers is refused itself.
        let mut slow = Vec::new();
        let (mut status, mut body) = (200, String::new());
        while status == 200 {
            let mut one = Connection::open(*address, bundle).await.unwrap();
            one.send(format!("{head}content-length: {length}\r\n\r\n")).await.unwrap();
            slow.push(one);
            let review = review(json!({"app": "web"}));
            (status, body) = scene.client.post("/validate/ignore", &review).await.unwrap();
        }
        assert_eq!(status, 429, "{what}: {body}");
        assert!(body.contains("too much is being answered"), "{what}: {body}");
        let refusals = scene.noted.refusals.lock().unwrap().clone();
        assert!(!refusals.is_empty(), "{what}");
        assert!(refusals.iter().all(|reason| *reason == "TooManyRequests"), "{refusals:?}");
        drop(slow);
        while status != 200 {
            let mut client = Connection::open(*address, bundle).await.unwrap();
            (status, _) = client.post("/validate/ignore", &review(json!({}))).await.unwrap();
        }
    }
}
