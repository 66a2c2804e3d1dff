//! What is told is what Kyverno 1.19.1 told of the same files: `certificate.json` and `request.json`
//! are the answers of its library.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::Value as Json;
use x509_parser::pem::Pem;

use crate::cel::library::tests::{call, call_within, error_of, text_of, value};
use crate::cel::meter::{Budget, Fault};
use crate::cel::value::Value;

const CERTIFICATE: &str = include_str!("tests/certificate.pem");
const REQUEST: &str = include_str!("tests/request.pem");
const OF_AN_ELLIPTIC_CURVE: &str = include_str!("tests/ecdsa.pem");

const PLENTY: Budget = Budget { steps: 1 << 40, bytes: 1 << 40 };

fn decoded(written: &str) -> Json {
    let decoded = value("x509.decode", &[Value::string(written)]);
    serde_json::from_str(&text_of("json.marshal", &[decoded])).expect("it is JSON")
}

fn refused(written: &str) -> String {
    error_of("x509.decode", &[Value::string(written)])
}

fn der(written: &str) -> Vec<u8> {
    let block = Pem::iter_from_buffer(written.as_bytes()).next();
    block.expect("there is a block").expect("it is PEM").contents
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// An element of DER.
fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let content = contents.concat();
    let length = (content.len() as u32).to_be_bytes();
    [&[tag, 0x84], &length[..], &content].concat()
}

/// A certificate with these octets as the modulus of its key, and these as its other names.
fn certificate(modulus: &[u8], names: &[u8]) -> String {
    const SEQUENCE: u8 = 0x30;
    const ALGORITHM: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let key = element(SEQUENCE, &[&element(2, &[modulus]), b"\x02\x01\x03"]);
    let key = element(SEQUENCE, &[ALGORITHM, &element(3, &[&[0], &key])]);
    let time: &[u8] = b"\x17\x0d200101000000Z";
    let names = element(4, &[&element(SEQUENCE, &[names])]);
    let extension = element(SEQUENCE, &[b"\x06\x03\x55\x1d\x11", &names]);
    let signed = element(
        SEQUENCE,
        &[
            b"\xa0\x03\x02\x01\x02\x02\x01\x01",
            ALGORITHM,
            b"\x30\x00",
            &element(SEQUENCE, &[time, time]),
            b"\x30\x00",
            &key,
            &element(0xa3, &[&element(SEQUENCE, &[&extension])]),
        ],
    );
    pem("CERTIFICATE", &element(SEQUENCE, &[&signed, ALGORITHM, b"\x03\x02\x00\x00"]))
}

#[test]
fn a_certificate_is_told_as_kyverno_tells_it() {
    let expected = include_str!("tests/certificate.json");
    assert_eq!(decoded(CERTIFICATE), serde_json::from_str::<Json>(expected).expect("it is JSON"));
}

#[test]
fn a_request_is_told_as_kyverno_tells_it() {
    let expected = include_str!("tests/request.json");
    assert_eq!(decoded(REQUEST), serde_json::from_str::<Json>(expected).expect("it is JSON"));
}

#[test]
fn the_first_block_that_can_be_read_counts() {
    let expected = decoded(CERTIFICATE);
    let broken = CERTIFICATE.replace("MII", "!!!");
    for text in [
        format!("a comment\n{CERTIFICATE}{REQUEST}"),
        format!("{broken}{CERTIFICATE}"),
        CERTIFICATE.replace('\n', "\r\n"),
        CERTIFICATE.trim_end().to_owned(),
    ] {
        assert_eq!(decoded(&text), expected);
    }
}

#[test]
fn what_kyverno_refuses_is_refused_and_says_why() {
    let other = REQUEST.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    let (_, without_begin) = CERTIFICATE.split_once('\n').expect("it has lines");
    let trailing = [&*der(CERTIFICATE), b"\0"].concat();
    let of_rsa = "the key is not one of RSA, which is the only kind that is decoded";
    for (written, why) in [
        ("", "not PEM"),
        ("not PEM", "not PEM"),
        (without_begin, "not PEM"),
        (&CERTIFICATE.replace('\n', ""), "not PEM"),
        (
            &other,
            "a PEM block of a NEW CERTIFICATE REQUEST, which is neither a CERTIFICATE nor a CERTIFICATE \
             REQUEST",
        ),
        (OF_AN_ELLIPTIC_CURVE, of_rsa),
        (&pem("CERTIFICATE", &trailing), "not X.509: something follows the certificate"),
        (&certificate(&[0], &[]), "not X.509: the modulus is not positive"),
        (
            &certificate(&[1], b"\x87\x01\x00"),
            "not X.509: an IP address of another length than 4 or 16",
        ),
        (&certificate(&[1], b"\x82\x02\xc3\xa9"), "not X.509: a name that is not ASCII"),
    ] {
        assert_eq!(refused(written), why, "{written}");
    }
    assert!(refused(&pem("CERTIFICATE", b"\x30\x00")).starts_with("not X.509: "));
}

#[test]
fn nothing_is_told_of_a_part() {
    for (label, written) in [("CERTIFICATE", CERTIFICATE), ("CERTIFICATE REQUEST", REQUEST)] {
        let der = der(written);
        for end in 0..der.len() {
            let part = pem(label, &der[..end]);
            let decoded = call_within(PLENTY, "x509.decode", &[Value::string(part)]);
            assert!(matches!(decoded, Err(Fault::Error(_))), "{label} {end}: {decoded:?}");
        }
    }
}

#[test]
fn a_huge_one_ends_in_the_budget() {
    for written in [
        certificate(&vec![0x7f; 256 << 10], &[]),
        certificate(&[1], &b"\x82\x00".repeat(64 << 10)),
        pem("CERTIFICATE", &vec![0; 3 << 20]),
    ] {
        let decoded = call("x509.decode", &[Value::string(written)]);
        assert!(matches!(decoded, Err(Fault::Exhausted(_))), "{decoded:?}");
    }
}

#[test]
fn what_is_held_is_what_is_paid_for() {
    for written in
        [certificate(&[1], &b"\x82\x00".repeat(16 << 10)), certificate(&[0x7f; 16 << 10], &[])]
    {
        let written = Value::string(written);
        let decode = |budget| call_within(budget, "x509.decode", std::slice::from_ref(&written));
        let held =
            allocation_counter::measure(|| drop(decode(PLENTY).expect("it is one"))).bytes_max;
        let half = decode(Budget { bytes: held / 2, ..PLENTY });
        assert!(matches!(half, Err(Fault::Exhausted(_))), "{held} bytes are held: {half:?}");
    }
}

proptest! {
    #[test]
    fn a_changed_certificate_is_told_or_refused(
        at in any::<prop::sample::Index>(),
        octets in prop::collection::vec(any::<u8>(), 1..4),
        is_request in any::<bool>(),
    ) {
        let (label, written) = if is_request {
            ("CERTIFICATE REQUEST", REQUEST)
        } else {
            ("CERTIFICATE", CERTIFICATE)
        };
        let mut der = der(written);
        let at = at.index(der.len() - octets.len());
        der[at..at + octets.len()].copy_from_slice(&octets);
        let decoded = call_within(PLENTY, "x509.decode", &[Value::string(pem(label, &der))]);
        let told = matches!(&decoded, Ok(Value::Map(map)) if map.len() > 10);
        prop_assert!(told || matches!(decoded, Err(Fault::Error(_))), "{decoded:?}");
    }

    #[test]
    fn random_bytes_are_refused(der in prop::collection::vec(any::<u8>(), 0..256)) {
        for label in ["CERTIFICATE", "CERTIFICATE REQUEST"] {
            let decoded = call_within(PLENTY, "x509.decode", &[Value::string(pem(label, &der))]);
            prop_assert!(matches!(decoded, Err(Fault::Error(_))), "{decoded:?}");
        }
    }
}
