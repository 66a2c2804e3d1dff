use std::time::Duration;

use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

use super::*;
use crate::certificate::Material;
use crate::testing::{Connection, client, material, serving, stream};

const SHORT: Duration = Duration::from_millis(50);

fn start(router: Router, patience: Patience) -> (Server, SocketAddr, Arc<Material>) {
    start_with(router, patience, Connections::any())
}

fn start_with(
    router: Router,
    patience: Patience,
    connections: Connections,
) -> (Server, SocketAddr, Arc<Material>) {
    let material = material();
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::start(
        listener,
        serving(&material),
        router,
        Instruments::default(),
        patience,
        connections,
    )
    .unwrap();
    (server, address, material)
}

fn quick() -> Router {
    Router::new().route("/quick", get(async || "done"))
}

#[tokio::test]
async fn what_is_in_flight_finishes_and_the_delay_still_accepts() {
    let (entered, mut entries) = mpsc::channel(1);
    let (release, released) = watch::channel(false);
    let slow = async move || {
        entered.send(()).await.unwrap();
        released.clone().wait_for(|released| *released).await.unwrap();
        "done"
    };
    let (server, address, material) = start(quick().route("/slow", get(slow)), Patience::DEFAULT);
    let bundle = material.bundle().clone();

    let mut in_flight = Connection::open(address, &bundle).await.unwrap();
    in_flight.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    entries.recv().await.unwrap();

    let (begun, beginning) = oneshot::channel();
    let (delay_over, delay) = oneshot::channel::<()>();
    let ended = tokio::spawn(server.end(async move {
        begun.send(()).unwrap();
        delay.await.unwrap();
    }));
    beginning.await.unwrap();
    let mut during_delay = Connection::open(address, &bundle).await.unwrap();
    assert_eq!(during_delay.get("/quick").await.unwrap(), (200, "done".to_owned()));

    delay_over.send(()).unwrap();
    // Idle connections are closed, and the address is free once nothing is accepted any more.
    during_delay.response().await.unwrap_err();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    release.send(true).unwrap();
    assert_eq!(in_flight.response().await.unwrap(), (200, "done".to_owned()));
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn while_we_leave_clients_are_asked_to_go_elsewhere() {
    let leaving = CancellationToken::new();
    let router = parting(quick(), leaving.clone());
    let (server, address, material) = start(router, Patience::DEFAULT);
    let mut client = Connection::open(address, material.bundle()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(client.get("/quick").await.unwrap().0, 200);
    }
    leaving.cancel();
    assert_eq!(client.get("/quick").await.unwrap().0, 200, "the answer still comes");
    client.response().await.unwrap_err();
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn a_client_that_never_speaks_is_cut_off() {
    let (server, address, _) = start(quick(), Patience { handshake: SHORT, ..Patience::DEFAULT });
    let mut silent = TcpStream::connect(address).await.unwrap();
    // An alert may come before the end; what matters is that there is an end.
    let _ = silent.read_to_end(&mut Vec::new()).await;
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn a_client_that_never_ends_its_header_is_cut_off() {
    let (server, address, material) =
        start(quick(), Patience { first_request: SHORT, ..Patience::DEFAULT });
    let mut slow = Connection::open(address, material.bundle()).await.unwrap();
    // Fails if the end has come already.
    let _ = slow.send("GET /quick HTTP/1.1\r\nhost:").await;
    slow.response().await.unwrap_err();
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn a_connection_kept_alive_in_silence_is_cut_off() {
    let (server, address, material) = start(quick(), Patience { idle: SHORT, ..Patience::DEFAULT });
    // On a slow machine silence may begin before the first request.
    let mut idle = loop {
        let mut connection = Connection::open(address, material.bundle()).await.unwrap();
        if connection.get("/quick").await.is_ok() {
            break connection;
        }
    };
    idle.response().await.unwrap_err();
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn either_version_of_http_is_answered_over_either_version_of_tls() {
    let (server, address, material) = start(quick(), Patience::DEFAULT);
    for version in [&TLS12, &TLS13] {
        let mut config = client(material.bundle(), &[version]);
        let one = stream(address, config.clone()).await.unwrap();
        assert_eq!(one.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(Connection::over(one).get("/quick").await.unwrap().0, 200);

        config.alpn_protocols = vec![b"h2".to_vec()];
        let two = stream(address, config).await.unwrap();
        assert_eq!(two.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut requests, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(two))
                .await
                .unwrap();
        let connection = tokio::spawn(connection);
        let uri = format!("https://{address}/quick");
        let asked = || http::Request::get(&uri).body(String::new()).unwrap();
        let answers = [requests.send_request(asked()), requests.send_request(asked())];
        for answer in futures::future::join_all(answers).await {
            assert_eq!(answer.unwrap().status(), 200, "two at once");
        }
        drop(requests);
        connection.await.unwrap().unwrap();
    }
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn a_client_that_knows_no_version_of_tls_but_older_ones_is_told_so() {
    let (server, address, _) = start(quick(), Patience::DEFAULT);
    // A ClientHello of TLS 1.1, with one cipher suite and one algorithm for signatures.
    let mut hello = vec![1, 0, 0, 51, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let mut record = vec![22, 3, 1, 0, 55];
    record.append(&mut hello);
    let mut old = TcpStream::connect(address).await.unwrap();
    old.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    old.read_to_end(&mut answer).await.unwrap();
    let [21, 3, _, 0, 2, 2, alert] = answer[..] else { panic!("no fatal alert: {answer:?}") };
    assert_eq!(alert, 70, "protocol_version");
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn a_client_that_trusts_another_ca_gets_no_connection_and_others_do() {
    let (server, address, served) = start(quick(), Patience::DEFAULT);
    assert!(Connection::open(address, material().bundle()).await.is_err());
    let mut trusting = Connection::open(address, served.bundle()).await.unwrap();
    assert_eq!(trusting.get("/quick").await.unwrap().0, 200);
    drop(trusting);
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn a_replaced_certificate_is_presented_without_a_restart() {
    let (first, second) = (material(), material());
    let (choice, served) = watch::channel(Some(first.clone()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = crate::tls::server_config(served, provider).unwrap();
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::start(
        listener,
        tls,
        quick(),
        Instruments::default(),
        Patience::DEFAULT,
        Connections::any(),
    )
    .unwrap();

    let mut before = Connection::open(address, first.bundle()).await.unwrap();
    choice.send_replace(Some(second.clone()));
    assert!(Connection::open(address, first.bundle()).await.is_err());
    Connection::open(address, second.bundle()).await.unwrap();
    assert_eq!(before.get("/quick").await.unwrap().0, 200, "open connections go on");
    drop(before);
    server.end(async {}).await.unwrap();
}

#[tokio::test]
async fn a_connection_over_the_limit_is_closed_at_once_and_has_room_when_another_goes() {
    let (told, mut turned_away) = mpsc::channel(8);
    let connections = Connections::new(2, move || told.try_send(()).unwrap());
    let (server, address, material) = start_with(quick(), Patience::DEFAULT, connections);
    let mut first = Connection::open(address, material.bundle()).await.unwrap();
    let silent = TcpStream::connect(address).await.unwrap();
    // The silent one has a place too, once it was accepted.
    assert_eq!(first.get("/quick").await.unwrap().0, 200);
    assert!(Connection::open(address, material.bundle()).await.is_err());
    turned_away.recv().await.unwrap();
    assert_eq!(first.get("/quick").await.unwrap().0, 200, "those that are there go on");
    drop(silent);
    while Connection::open(address, material.bundle()).await.is_err() {
        tokio::task::yield_now().await;
    }
    drop(first);
    server.end(async {}).await.unwrap();
}

#[test]
fn a_port_in_use_is_one_error_that_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(address).unwrap_err();
    assert_eq!(error.reason(), "Listen");
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("--webhook-listen"), "{text}");
}
