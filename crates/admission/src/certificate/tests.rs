use super::*;
use crate::testing::encoded;
use rustls::crypto::aws_lc_rs::default_provider;

fn at(days: u64) -> UnixTime {
    UnixTime::since_unix_epoch(DAY * 20_000 + DAY * u32::try_from(days).unwrap())
}

fn names(names: &[&'static str]) -> Vec<ServerName<'static>> {
    names.iter().map(|name| ServerName::try_from(*name).unwrap()).collect()
}

fn parse(issued: &Issued, now: UnixTime) -> Result<Material, Flaw> {
    Material::parse(encoded(issued), now, &default_provider())
}

#[test]
fn what_is_issued_is_what_a_client_accepts() {
    let names = names(&["webhook.pharos.svc", "webhook.pharos", "127.0.0.1", "::1"]);
    let issued = issue(&names, None, at(0)).unwrap();
    let material = parse(&issued, at(0)).unwrap();
    assert!(material.covers(&names));
    assert!(material.bundle().trusts(&material, at(0)));
    assert!(!material.expires_soon(at(0)));
    assert_eq!(material.server_names(), names);
    assert_eq!(material.bundle().pem(), issued.ca.as_bytes());
}

#[test]
fn a_certificate_is_renewed_before_it_ends() {
    let issued = issue(&names(&["a.b.svc"]), None, at(0)).unwrap();
    for (day, expires_soon) in [(0, false), (304, false), (306, true), (364, true)] {
        let material = parse(&issued, at(day)).unwrap();
        assert_eq!(material.expires_soon(at(day)), expires_soon, "day {day}");
    }
    assert_eq!(parse(&issued, at(366)).unwrap_err(), Flaw::Unverified);
    assert_eq!(parse(&issued, at(3651)).unwrap_err(), Flaw::NoCa);
}

#[test]
fn a_clock_that_lags_an_hour_accepts_it() {
    let issued = issue(&names(&["a.b.svc"]), None, at(1)).unwrap();
    let minutes =
        |minutes: u64| UnixTime::since_unix_epoch(DAY * 20_001 - Duration::from_secs(minutes * 60));
    assert!(parse(&issued, minutes(59)).is_ok());
    assert_eq!(parse(&issued, minutes(61)).unwrap_err(), Flaw::NoCa);
}

#[test]
fn a_certificate_does_not_cover_other_names() {
    let issued = issue(&names(&["a.b.svc", "127.0.0.1"]), None, at(0)).unwrap();
    let material = parse(&issued, at(0)).unwrap();
    for (asked, covered) in [
        (&["a.b.svc"][..], true),
        (&["127.0.0.1", "a.b.svc"], true),
        (&["b.b.svc"], false),
        (&["a.b.svc", "127.0.0.2"], false),
    ] {
        assert_eq!(material.covers(&names(asked)), covered, "{asked:?}");
    }
}

#[test]
fn what_is_flawed_is_refused_with_its_flaw() {
    let one = issue(&names(&["a.b.svc"]), None, at(0)).unwrap();
    let other = issue(&names(&["a.b.svc"]), None, at(0)).unwrap();
    let (ca, certificate, key) = (&*one.ca, &*one.certificate, &*one.key);
    let cases = [
        ("", "", "", Flaw::NoCa),
        ("garbage", certificate, key, Flaw::NoCa),
        (certificate, certificate, key, Flaw::NoCa),
        (ca, "", key, Flaw::NoCertificate),
        (ca, "garbage", key, Flaw::NoCertificate),
        (ca, certificate, "", Flaw::NoKey),
        (ca, certificate, certificate, Flaw::NoKey),
        (ca, certificate, &other.key, Flaw::KeyMismatch),
        (&other.ca, certificate, key, Flaw::Unverified),
    ];
    for (row, (ca, certificate, key, flaw)) in cases.into_iter().enumerate() {
        let encoded =
            Encoded { ca: ca.as_bytes(), certificate: certificate.as_bytes(), key: key.as_bytes() };
        let found = Material::parse(encoded, at(0), &default_provider()).unwrap_err();
        assert_eq!(found, flaw, "row {row}");
    }
}

#[test]
fn a_successor_is_published_with_the_ca_of_its_predecessor() {
    let first = parse(&issue(&names(&["a.b.svc"]), None, at(0)).unwrap(), at(0)).unwrap();
    let second = issue(&names(&["a.b.svc"]), Some(&first), at(310)).unwrap();
    let second = parse(&second, at(310)).unwrap();
    assert!(second.bundle().trusts(&first, at(310)));
    assert!(second.bundle().trusts(&second, at(310)));
    assert!(!first.bundle().trusts(&second, at(310)));

    let third =
        parse(&issue(&names(&["a.b.svc"]), Some(&second), at(620)).unwrap(), at(620)).unwrap();
    assert!(third.bundle().trusts(&second, at(620)));
    assert_eq!(third.bundle().certificates.len(), 2, "bundles do not grow for ever");
}

#[test]
fn only_cas_in_their_time_are_published() {
    let expired = issue(&names(&["a.b.svc"]), None, at(0)).unwrap();
    let issued = issue(&names(&["a.b.svc"]), None, at(3660)).unwrap();
    let found =
        format!("# ours\r\n{}\n{}{}{}", expired.ca, issued.ca, issued.certificate, issued.key);
    let bundle = CaBundle::parse(found.as_bytes(), at(3660)).unwrap();
    assert_eq!(str::from_utf8(bundle.pem()), Ok(&*issued.ca), "no key, no leaf, no comment");
}

#[test]
fn a_successor_for_other_names_keeps_the_names_of_its_predecessor() {
    let first =
        parse(&issue(&names(&["a.b.svc", "10.0.0.1"]), None, at(0)).unwrap(), at(0)).unwrap();
    let second = issue(&names(&["c.d.svc", "a.b.svc"]), Some(&first), at(0)).unwrap();
    let second = parse(&second, at(0)).unwrap();
    assert_eq!(second.server_names(), names(&["c.d.svc", "a.b.svc", "10.0.0.1"]));
}

#[test]
fn no_debug_output_shows_a_key() {
    let issued = issue(&names(&["a.b.svc"]), None, at(0)).unwrap();
    let material = parse(&issued, at(0)).unwrap();
    let shown = format!("{material:?}");
    assert!(shown.contains("a.b.svc") && shown.contains("[redacted]"), "{shown}");
    let secret = issued.key.lines().nth(1).unwrap();
    assert!(!shown.contains(secret));
}
