use super::*;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm, date_time_ymd,
};

/// A certificate and its key in PEM.
struct Pair {
    certificate: String,
    key: KeyPair,
}

fn params(from: i32, to: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["collector.test".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    params
}

fn pair_of(algorithm: &'static SignatureAlgorithm, from: i32, to: i32) -> Pair {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let certificate = params(from, to).self_signed(&key).unwrap().pem();
    Pair { certificate, key }
}

/// From the first day of a year to that of another one.
fn valid(from: i32, to: i32) -> Pair {
    pair_of(&PKCS_ECDSA_P256_SHA256, from, to)
}

fn year(year: i64) -> SystemTime {
    // On average, which is near enough to the middle of the year.
    UNIX_EPOCH + Duration::from_secs_f64((year as f64 - 1969.5) * 365.2425 * 86_400.0)
}

fn timestamp(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn key(pair: &Pair) -> String {
    pair.key.serialize_pem()
}

fn certified(certificate: &str, key: &str) -> Result<CertifiedKey, MaterialError> {
    CertifiedKey::parse(certificate.as_bytes(), key.as_bytes(), year(2026))
}

fn bundle(pem: &str) -> Result<CaBundle, MaterialError> {
    CaBundle::parse(pem.as_bytes(), year(2026))
}

/// A key in the encoding that its kind had before PKCS#8, which holds that one inside.
fn traditional(key: &KeyPair, label: &str) -> String {
    let (_, pkcs8) = x509_parser::der_parser::parse_der(key.serialized_der()).unwrap();
    let inner = pkcs8.as_sequence().unwrap()[2].as_slice().unwrap().to_vec();
    ::pem::encode(&::pem::Pem::new(label, inner))
}

#[test]
fn keys_of_every_kind_are_read_in_every_encoding() {
    let kinds = [
        (&PKCS_RSA_SHA256, KeyKind::Rsa, Some("RSA PRIVATE KEY")),
        (&PKCS_ECDSA_P256_SHA256, KeyKind::Ecdsa, Some("EC PRIVATE KEY")),
        (&PKCS_ECDSA_P384_SHA384, KeyKind::Ecdsa, Some("EC PRIVATE KEY")),
        (&PKCS_ED25519, KeyKind::Ed25519, None),
    ];
    for (algorithm, kind, label) in kinds {
        let pair = pair_of(algorithm, 2020, 2030);
        let modern = certified(&pair.certificate, &key(&pair)).unwrap();
        assert_eq!(modern.kind(), kind);
        if let Some(label) = label {
            let traditional = traditional(&pair.key, label);
            assert_eq!(certified(&pair.certificate, &traditional).unwrap(), modern, "{label}");
        }
    }
}

#[test]
fn a_chain_follows_its_leaf_and_the_first_to_expire_counts() {
    let (root, intermediate, leaf) = (valid(2020, 2040), valid(2020, 2028), valid(2020, 2030));
    let authority = |from, to| {
        let mut params = params(from, to);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let root_issuer = Issuer::new(authority(2020, 2040), root.key);
    let middle = authority(2020, 2028).signed_by(&intermediate.key, &root_issuer).unwrap().pem();
    let issuer = Issuer::new(authority(2020, 2028), intermediate.key);
    let end = params(2020, 2030).signed_by(&leaf.key, &issuer).unwrap().pem();
    let key = leaf.key.serialize_pem();

    let chained = certified(&format!("{end}{middle}"), &key).unwrap();
    assert_eq!(chained.not_after(), timestamp("2028-01-01T00:00:00Z"));
    assert_eq!(certified(&end, &key).unwrap().not_after(), timestamp("2030-01-01T00:00:00Z"));
    assert_ne!(certified(&end, &key).unwrap(), chained);
    // What expired of a chain is over: the leaf is what is to be renewed next.
    let all = format!("{end}{middle}");
    let later = CertifiedKey::parse(all.as_bytes(), key.as_bytes(), year(2029)).unwrap();
    assert_eq!(later.not_after(), timestamp("2030-01-01T00:00:00Z"));
    assert_eq!(certified(&format!("{middle}{end}"), &key), Err(MaterialError::KeyMismatch));
}

#[test]
fn a_certificate_out_of_its_time_is_refused_with_the_time() {
    let old = valid(2010, 2020);
    let error = certified(&old.certificate, &key(&old)).unwrap_err();
    let not_after = timestamp("2020-01-01T00:00:00Z");
    assert_eq!(error, MaterialError::Expired { material: Material::Certificate, not_after });
    assert_eq!(error.to_string(), "the certificate expired at 2020-01-01T00:00:00Z; renew it");

    let new = valid(2030, 2040);
    let error = certified(&new.certificate, &key(&new)).unwrap_err();
    let not_before = timestamp("2030-01-01T00:00:00Z");
    assert_eq!(error, MaterialError::NotYetValid { material: Material::Certificate, not_before });
    assert_eq!(error.to_string(), "the certificate is not valid before 2030-01-01T00:00:00Z");
}

#[test]
fn an_expired_authority_beside_a_valid_one_is_an_overlap() {
    let (old, current, next) = (valid(2010, 2020), valid(2020, 2030), valid(2028, 2040));
    let all = format!("{}{}{}", old.certificate, current.certificate, next.certificate);
    let overlap = bundle(&all).unwrap();
    assert_eq!(overlap.not_after(), timestamp("2030-01-01T00:00:00Z"));
    assert_eq!(overlap.trusted_until(), timestamp("2040-01-01T00:00:00Z"));
    assert_eq!(overlap.store().len(), 2, "nobody trusts what expired");
    let cleaned = bundle(&format!("{}{}", current.certificate, next.certificate)).unwrap();
    assert_eq!(cleaned, overlap, "what nobody trusts may go");

    let later = CaBundle::parse(all.as_bytes(), year(2035)).unwrap();
    assert_ne!(later, overlap, "one is trusted no longer");
    assert_eq!((later.store().len(), later.not_after()), (1, later.trusted_until()));

    let material = Material::Authorities;
    let not_after = timestamp("2020-01-01T00:00:00Z");
    let older = valid(2000, 2015).certificate;
    let expired = bundle(&format!("{}{older}", old.certificate));
    assert_eq!(expired, Err(MaterialError::Expired { material, not_after }));
    let not_before = timestamp("2028-01-01T00:00:00Z");
    let early = bundle(&format!("{}{}", old.certificate, next.certificate));
    assert_eq!(early, Err(MaterialError::NotYetValid { material, not_before }));
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (one, other) = (valid(2020, 2030), valid(2020, 2030));
    assert_eq!(certified(&one.certificate, &key(&other)), Err(MaterialError::KeyMismatch));
    let rsa = pair_of(&PKCS_RSA_SHA256, 2020, 2030);
    assert_eq!(certified(&one.certificate, &key(&rsa)), Err(MaterialError::KeyMismatch));
    let both = format!("{}{}", key(&one), key(&other));
    assert_eq!(certified(&one.certificate, &both), Err(MaterialError::SeveralKeys));
}

#[test]
fn what_lies_in_the_wrong_place_is_named() {
    let pair = valid(2020, 2030);
    let (certificate, key) = (&pair.certificate, &key(&pair));
    let other = MaterialError::OtherBlocks;
    assert_eq!(certified(key, certificate), Err(other(Material::Certificate)));
    assert_eq!(certified(certificate, certificate), Err(other(Material::PrivateKey)));
    assert_eq!(bundle(key), Err(other(Material::Authorities)));
    assert_eq!(
        certified(certificate, certificate).unwrap_err().to_string(),
        "the private key has PEM blocks, but none that is a private key"
    );
    let foreign = "-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n";
    assert_eq!(bundle(foreign), Err(other(Material::Authorities)));
    // As HAProxy and others keep them: both in one file.
    let both = format!("{certificate}{key}");
    certified(&both, &both).unwrap();
}

#[test]
fn garbage_and_nothing_are_told_apart() {
    let pair = valid(2020, 2030);
    let (certificate, key) = (&pair.certificate, &key(&pair));
    let half = |pem: &str| pem[..pem.len() / 2].to_owned();
    use MaterialError::{Empty, NotPem};
    for (pem, error) in [
        (String::new(), Empty as fn(Material) -> MaterialError),
        (" \r\n".to_owned(), Empty),
        ("no certificate".to_owned(), NotPem),
        ("\0\u{fffd}".to_owned(), NotPem),
        (half(certificate), NotPem),
        (certificate.replace("-----END", "-----ENT"), NotPem),
        (certificate.replace("M", "*"), NotPem),
    ] {
        assert_eq!(bundle(&pem), Err(error(Material::Authorities)), "{pem}");
        assert_eq!(certified(&pem, key), Err(error(Material::Certificate)), "{pem}");
    }
    for (pem, error) in
        [(String::new(), Empty as fn(Material) -> MaterialError), (half(key), NotPem)]
    {
        assert_eq!(certified(certificate, &pem), Err(error(Material::PrivateKey)), "{pem}");
    }
}

#[test]
fn a_block_that_only_says_it_is_a_certificate_is_numbered() {
    let pair = valid(2020, 2030);
    let fake = ::pem::encode(&::pem::Pem::new("CERTIFICATE", *b"a certificate, honestly"));
    let error = bundle(&format!("{}{fake}", pair.certificate)).unwrap_err();
    let material = Material::Authorities;
    assert_eq!(error, MaterialError::NotACertificate { material, index: 1 });
    assert_eq!(
        error.to_string(),
        "the CA bundle has a block that is not an X.509 certificate: number 2"
    );
    let error = certified(&fake, &key(&pair)).unwrap_err();
    let material = Material::Certificate;
    assert_eq!(error, MaterialError::NotACertificate { material, index: 0 });

    let fake = ::pem::encode(&::pem::Pem::new("PRIVATE KEY", *b"a key, honestly"));
    assert_eq!(certified(&pair.certificate, &fake), Err(MaterialError::UnsupportedKey));
}

#[test]
fn a_key_that_needs_a_passphrase_is_refused_as_such() {
    let pair = valid(2020, 2030);
    let modern = ::pem::encode(&::pem::Pem::new("ENCRYPTED PRIVATE KEY", *b"sealed"));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
        DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for key in [modern.as_str(), old] {
        assert_eq!(certified(&pair.certificate, key), Err(MaterialError::EncryptedKey), "{key}");
    }
}

#[test]
fn line_ends_and_text_around_blocks_do_not_matter() {
    let pair = valid(2020, 2030);
    let (certificate, key) = (&pair.certificate, &key(&pair));
    let plain = certified(certificate, key).unwrap();
    let dressed = |pem: &str| format!("Subject: CN=x\nBag Attributes\n\n{pem}\n# the end");
    let curve = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    for (certificate, key) in [
        (certificate.replace('\n', "\r\n"), key.replace('\n', "\r\n")),
        (dressed(certificate), dressed(key)),
        (certificate.trim_end().to_owned(), key.trim_end().to_owned()),
        (certificate.clone(), format!("{curve}{key}")),
    ] {
        assert_eq!(certified(&certificate, &key).unwrap(), plain);
        assert_eq!(bundle(&certificate).unwrap(), bundle(&pair.certificate).unwrap());
    }
}

#[test]
fn there_are_limits_to_what_is_read() {
    let pair = valid(2020, 2030);
    let (certificate, key) = (&pair.certificate, &key(&pair));
    let huge = format!("{certificate}{}", " ".repeat(pem::SIZE_LIMIT));
    assert_eq!(bundle(&huge), Err(MaterialError::TooLarge(Material::Authorities)));
    assert_eq!(certified(&huge, key), Err(MaterialError::TooLarge(Material::Certificate)));
    assert_eq!(certified(certificate, &huge), Err(MaterialError::TooLarge(Material::PrivateKey)));
    let error = bundle(&huge).unwrap_err();
    assert_eq!(error.to_string(), "the CA bundle is larger than 1024 KiB");

    let (material, limit) = (Material::Authorities, pem::BUNDLE_LIMIT);
    let many = certificate.repeat(limit + 1);
    assert_eq!(bundle(&many), Err(MaterialError::TooMany { material, limit }));
    let (material, limit) = (Material::Certificate, pem::CHAIN_LIMIT);
    let many = certificate.repeat(limit + 1);
    assert_eq!(certified(&many, key), Err(MaterialError::TooMany { material, limit }));
}

#[test]
fn a_certificate_for_ever_expires_when_the_calendar_ends() {
    let key = KeyPair::generate().unwrap();
    let mut params = params(2020, 2030);
    params.not_after = date_time_ymd(9999, 12, 31) + Duration::from_secs(86_399);
    let pem = params.self_signed(&key).unwrap().pem();
    assert_eq!(bundle(&pem).unwrap().not_after(), Timestamp::MAX);
}

#[test]
fn a_server_name_is_one_that_a_certificate_can_have() {
    for name in ["collector", "collector.ns.svc", "10.0.0.1", "::1"] {
        assert_eq!(ServerName::parse(name).unwrap().to_string(), name);
    }
    for name in ["", "a b", "https://collector", "collector:4317", "-", "größe"] {
        assert_eq!(ServerName::parse(name), Err(ServerNameError::Invalid), "{name}");
    }
}

#[test]
fn both_sides_can_be_built_with_and_without_each_part() {
    let pair = valid(2020, 2030);
    let certificate = certified(&pair.certificate, &key(&pair)).unwrap();
    let authorities = bundle(&pair.certificate).unwrap();
    for client_certificate in [None, Some(certificate.clone())] {
        let roots = Roots::Bundle(authorities.clone());
        let shown = client_certificate.is_some();
        let tls = ClientTls { roots, client_certificate, server_name: None };
        let client = tls.client_config().unwrap();
        assert_eq!(client.client_auth_cert_resolver.has_certs(), shown);
        assert!(client.alpn_protocols.is_empty());
        assert_eq!(tls.not_after(), Some(timestamp("2030-01-01T00:00:00Z")));
    }
    for client_ca in [None, Some(authorities)] {
        let tls = ServerTls { certificate: certificate.clone(), client_ca };
        tls.server_config().unwrap();
        assert_eq!(tls.not_after(), timestamp("2030-01-01T00:00:00Z"));
    }
    assert_eq!(ClientTls::default().not_after(), None);
}

#[test]
fn no_error_shows_what_it_was_found_in() {
    let pair = valid(2020, 2030);
    let secret = key(&pair);
    let body = secret.lines().nth(1).unwrap();
    let broken = secret.replace("-----END PRIVATE KEY-----", "");
    let renamed = secret.replace(" PRIVATE KEY", " CERTIFICATE");
    for error in [
        certified(&pair.certificate, &broken).unwrap_err(),
        certified(&renamed, &secret).unwrap_err(),
        bundle(&renamed).unwrap_err(),
        bundle(body).unwrap_err(),
    ] {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&body[..8]), "{shown}");
    }
}
