//! The proxy before a small server that knows one object and one endless watch.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(20);
/// Long enough for what would come to come.
const QUIET: Duration = Duration::from_millis(200);
const LIST: &str = "/api/v1/namespaces/n/secrets";
const WATCH: &str = "/api/v1/namespaces/n/secrets?watch=true";

/// Answers a watch with an event every few milliseconds, and everything else with its own method.
async fn upstream() -> String {
    let listener = TcpListener::bind(loopback(0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |request: Request<_>| {
                let body = if request.uri().query() == Some("watch=true") {
                    let events = stream::unfold(0, async |n| {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        let event = Bytes::from(format!("event {n}\n"));
                        Some((Ok::<_, Infallible>(Frame::data(event)), n + 1))
                    });
                    StreamBody::new(events.boxed()).boxed_unsync()
                } else {
                    Full::from(request.method().to_string()).boxed_unsync()
                };
                let _: &Request<hyper::body::Incoming> = &request;
                Ok::<_, Infallible>(Response::new(body))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    format!("http://{address}")
}

struct Setup {
    proxy: FaultProxy,
    client: Client,
    url: String,
}

async fn setup() -> Setup {
    let client = Client::builder().no_proxy().build().unwrap();
    let (address, shared, task) = listen(upstream().await, client.clone()).await.unwrap();
    let kubectl = Kubectl::new("kubectl".into(), "kubeconfig".into());
    Setup { proxy: FaultProxy { kubectl, shared, task }, client, url: format!("http://{address}") }
}

impl Setup {
    async fn ask(&self, method: Method, path: &str) -> reqwest::Result<reqwest::Response> {
        self.client.request(method, format!("{}{path}", self.url)).send().await
    }

    async fn text(&self, method: Method, path: &str) -> reqwest::Result<String> {
        self.ask(method, path).await?.text().await
    }
}

#[tokio::test]
async fn what_befalls_nothing_passes_and_is_noted() {
    let setup = setup().await;
    assert_eq!(setup.text(Method::PATCH, LIST).await.unwrap(), "PATCH");
    let mut watch = setup.ask(Method::GET, WATCH).await.unwrap();
    assert!(watch.chunk().await.unwrap().unwrap().starts_with(b"event 0"));
    let requests = setup.proxy.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(
        (requests[0].resource.as_str(), requests[0].status),
        ("secrets", Some(StatusCode::OK))
    );
    assert!(requests[0].is_write() && requests[1].is_watch());
    assert_eq!(setup.proxy.count(&Matching::path("secrets").method(Method::PATCH)), 1);
}

#[tokio::test]
async fn a_refusal_befalls_what_it_is_meant_for_while_it_lasts() {
    let setup = setup().await;
    let second_patch = Matching::path("secrets").method(Method::PATCH).no_watches().nth(2);
    let injection = setup.proxy.inject(second_patch, Fault::Answer(StatusCode::CONFLICT));
    let mut statuses = Vec::new();
    for method in [Method::GET, Method::PATCH, Method::PATCH, Method::PATCH] {
        statuses.push(setup.ask(method, LIST).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 409, 200]);
    assert_eq!(injection.hits(), 1);
    let all = setup.proxy.inject(Matching::any(), Fault::Answer(StatusCode::GATEWAY_TIMEOUT));
    let refused = setup.text(Method::GET, LIST).await.unwrap();
    assert!(
        refused.contains(r#""code":504"#) && refused.contains(r#""reason":"Timeout""#),
        "{refused}"
    );
    all.end();
    assert_eq!(setup.text(Method::GET, LIST).await.unwrap(), "GET");
}

#[tokio::test]
async fn a_held_request_goes_on_when_it_is_released_and_not_when_its_client_has_gone() {
    let setup = setup().await;
    let hold = setup.proxy.inject(Matching::any(), Fault::Hold);
    assert!(timeout(QUIET, setup.ask(Method::PUT, LIST)).await.is_err());
    eventually("the proxy to notice that the client has gone", SOON, async || {
        let waiting = setup.proxy.shared.redirect(&Matching::any(), Flow::Open);
        if waiting == 0 { Ok(()) } else { Err(format!("{waiting} wait")) }
    })
    .await
    .unwrap();
    let (held, ()) = tokio::join!(setup.text(Method::POST, LIST), async {
        hold.befell(2, SOON).await.unwrap();
        drop(hold);
    });
    assert_eq!(held.unwrap(), "POST");
    let statuses: Vec<_> = setup.proxy.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [None, Some(StatusCode::OK)]);
}

#[tokio::test]
async fn a_swallowed_answer_never_comes_though_the_server_gave_it() {
    let setup = setup().await;
    let swallow = setup.proxy.inject(Matching::any(), Fault::Swallow);
    let (answer, ()) = tokio::join!(setup.text(Method::POST, LIST), async {
        eventually("the server's answer", SOON, async || {
            let answered = setup.proxy.requests().iter().any(|request| request.status.is_some());
            answered.then_some(()).ok_or_else(|| "none".to_owned())
        })
        .await
        .unwrap();
        drop(swallow);
    });
    assert!(answer.is_err());
}

#[tokio::test]
async fn an_answer_can_be_cut_in_its_middle_and_a_connection_closed() {
    let setup = setup().await;
    let cut = setup.proxy.inject(Matching::any(), Fault::Cut);
    let mut answer = setup.ask(Method::DELETE, LIST).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "DEL");
    assert!(answer.chunk().await.is_err());
    cut.end();
    let _close = setup.proxy.inject(Matching::path("secrets"), Fault::Close);
    assert!(setup.ask(Method::GET, LIST).await.is_err());
    assert_eq!(setup.text(Method::GET, "/readyz").await.unwrap(), "GET");
}

#[tokio::test]
async fn a_watch_falls_silent_without_an_end() {
    let setup = setup().await;
    let mut watch = setup.ask(Method::GET, WATCH).await.unwrap();
    let mut other = setup.ask(Method::GET, "/api/v1/configmaps?watch=true").await.unwrap();
    watch.chunk().await.unwrap().unwrap();
    assert_eq!(setup.proxy.silence(&Matching::path("secrets").watches()), 1);
    // What was on its way arrives.
    let rest = async { while let Ok(Some(_)) = watch.chunk().await {} };
    assert!(timeout(QUIET, rest).await.is_err(), "the watch ended");
    assert!(timeout(QUIET, watch.chunk()).await.is_err(), "the watch said something");
    other.chunk().await.unwrap().unwrap();
    assert_eq!(setup.proxy.cut(&Matching::any()), 2);
    assert!(watch.chunk().await.is_err());

    let silence = setup.proxy.inject(Matching::any().watches(), Fault::Silence);
    let mut new = setup.ask(Method::GET, WATCH).await.unwrap();
    assert!(timeout(QUIET, new.chunk()).await.is_err());
    silence.end();
    assert!(new.chunk().await.is_err());
}

#[tokio::test]
async fn a_watch_expires_as_the_api_server_says_it() {
    let setup = setup().await;
    let _expire = setup.proxy.inject(Matching::any().watches(), Fault::Expire);
    let event = setup.text(Method::GET, WATCH).await.unwrap();
    assert!(event.starts_with(r#"{"#) && event.ends_with("\n"), "{event}");
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn an_older_view_is_listed_and_watched() {
    let setup = setup().await;
    let item = |name: &str| json!({"metadata": {"name": name, "resourceVersion": "7"}});
    let list = json!({
        "kind": "SecretList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"},
        "items": [item("a"), item("b")],
    });
    let replay = setup.proxy.inject(Matching::path("/secrets"), Fault::Replay(list));
    assert_eq!(setup.text(Method::GET, &format!("{LIST}/a")).await.unwrap(), "GET");
    let listed = setup.text(Method::GET, &format!("{LIST}?fieldSelector=metadata.name%3Db")).await;
    let listed: Value = serde_json::from_str(&listed.unwrap()).unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["metadata"]["name"], "b");
    let mut watch = setup.ask(Method::GET, WATCH).await.unwrap();
    let events = String::from_utf8(watch.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (&events[0]["type"], &events[0]["object"]["kind"]),
        (&json!("MODIFIED"), &json!("Secret"))
    );
    assert!(timeout(QUIET, watch.chunk()).await.is_err());
    drop(replay);
    assert!(watch.chunk().await.is_err());
}
