use super::*;

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    let variable = |name: &str| {
        variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
    };
    Proxies::from_environment(&variable)
}

/// `direct`, the proxy, or the variable that names none.
fn route(proxies: &Proxies, url: &str) -> String {
    let grpc = proxies.route(&Endpoint::grpc(url).unwrap());
    let http = proxies.route(&Endpoint::http_protobuf(url).unwrap());
    assert_eq!(format!("{grpc:?}"), format!("{http:?}"), "one decision for both protocols");
    match grpc {
        Route::Direct => "direct".to_owned(),
        Route::Through(proxy) => proxy.uri.to_string(),
        Route::Unusable { variable } => format!("not by {variable}"),
    }
}

#[test]
fn the_scheme_of_the_endpoint_chooses_the_proxy() {
    let of = |variables: &[_], url| route(&proxies(variables), url);
    let both = [("HTTP_PROXY", "http://plain:1"), ("HTTPS_PROXY", "http://secure:2")];
    for (variables, url, expected) in [
        (&[][..], "http://c:4317", "direct"),
        (&[("HTTP_PROXY", "")][..], "http://c:4317", "direct"),
        (&both[..], "http://c:4317", "http://plain:1/"),
        (&both[..], "https://c:4317", "http://secure:2/"),
        (&both[..1], "https://c:4317", "direct"),
        (&[("https_proxy", "secure:2")][..], "https://c:4317", "http://secure:2/"),
        (&[("ALL_PROXY", "http://all:3"), both[0]][..], "http://c:4317", "http://plain:1/"),
        (&[("all_proxy", "http://all:3"), both[0]][..], "https://c:4317", "http://all:3/"),
        (&[("HTTP_PROXY", ""), ("http_proxy", "p:1")][..], "http://c:4317", "http://p:1/"),
    ] {
        assert_eq!(of(variables, url), expected, "{variables:?} {url}");
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_not_gone_round() {
    for value in ["https://proxy:1", "socks5://proxy:1", "://", "ftp://proxy"] {
        let proxies = proxies(&[("ALL_PROXY", value)]);
        assert_eq!(route(&proxies, "https://c:4317"), "not by ALL_PROXY", "{value}");
        assert_eq!(route(&proxies, "https://127.0.0.1:4317"), "direct", "{value}");
    }
}

#[test]
fn this_host_and_what_is_exempt_are_reached_directly() {
    let no = "example.com, 10.0.0.0/8,.svc,192.168.7.7,[fd00::]/8,fd00::/8";
    let proxies = proxies(&[("ALL_PROXY", "http://proxy:1"), ("no_proxy", no)]);
    for direct in [
        "http://localhost:1",
        "http://a.localhost:1",
        "http://127.8.9.10:1",
        "http://[::1]:1",
        "http://[::ffff:127.0.0.1]:1",
        "https://example.com:1",
        "https://a.example.com:1",
        "https://collector.observability.svc:1",
        "https://10.1.2.3:1",
        "https://192.168.7.7:1",
        "https://[fd00::17]:1",
    ] {
        assert_eq!(route(&proxies, direct), "direct", "{direct}");
    }
    for through in ["https://notexample.com:1", "http://11.0.0.1:1", "http://collector:1"] {
        assert_eq!(route(&proxies, through), "http://proxy:1/", "{through}");
    }
    let everything = [("ALL_PROXY", "http://proxy:1"), ("NO_PROXY", "*")];
    assert_eq!(route(&super::tests::proxies(&everything), "https://c:1"), "direct");
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let proxies = proxies(&[("HTTPS_PROXY", "http://aladdin:open%20sesame@proxy:1")]);
    let shown = format!("{proxies:?}");
    assert!(shown.contains("proxy:1"), "{shown}");
    assert!(!shown.contains("aladdin") && !shown.contains("sesame"), "{shown}");
    let Route::Through(proxy) = proxies.route(&Endpoint::grpc("https://c:1").unwrap()) else {
        panic!("{shown}")
    };
    // aladdin:open sesame
    assert_eq!(proxy.authorization.unwrap(), "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[test]
fn only_an_answer_in_http_is_one() {
    for (answer, expected) in [
        (&b"HTTP/1.1 200 Connection established\r\n\r\n"[..], Some(200)),
        (b"HTTP/1.0 407\r\n\r\n", Some(407)),
        (b"HTTP/2 200 OK\r\n\r\n", None),
        (b"SSH-2.0-x\r\n\r\n", None),
        (b"\xff\xfe\r\n\r\n", None),
        (b"HTTP/1.1 2000000 no\r\n\r\n", None),
        (b"", None),
    ] {
        assert_eq!(status(answer), expected, "{answer:?}");
    }
}
