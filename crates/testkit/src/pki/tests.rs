//! What was made must satisfy a TLS peer.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig,
    ServerConnection,
};

use super::*;

fn roots(pem: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    Arc::new(roots)
}

fn load(pair: &Pair) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(pair.certificate_pem.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).unwrap();
    (chain.collect::<Result<_, _>>().unwrap(), key)
}

/// A handshake in which both show a certificate; the error of whoever found one.
fn handshake(root: &Authority, server: &Pair, client: &Pair, name: &str) -> Result<(), Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let trusted = roots(&root.pem());
    let verifier = WebPkiClientVerifier::builder_with_provider(trusted.clone(), provider.clone());
    let (chain, key) = load(server);
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)?;
    let (chain, key) = load(client);
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted)
        .with_client_auth_cert(chain, key)?;
    let name = name.to_owned().try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        let mut wire = &wire[..];
        while !wire.is_empty() {
            server.read_tls(&mut wire).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        let mut wire = &wire[..];
        while !wire.is_empty() {
            client.read_tls(&mut wire).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(())
}

#[test]
fn every_kind_and_encoding_of_key_is_accepted() {
    let root = Authority::new("root").unwrap();
    for (algorithm, encoding, tag) in [
        (Algorithm::EcdsaP256, Encoding::Pkcs8, "PRIVATE KEY"),
        (Algorithm::EcdsaP256, Encoding::Traditional, "EC PRIVATE KEY"),
        (Algorithm::Rsa2048, Encoding::Pkcs8, "PRIVATE KEY"),
        (Algorithm::Rsa2048, Encoding::Traditional, "RSA PRIVATE KEY"),
        (Algorithm::Ed25519, Encoding::Pkcs8, "PRIVATE KEY"),
    ] {
        let with_key = |leaf: Leaf| root.issue(&leaf.algorithm(algorithm).encoding(encoding));
        let server = with_key(Leaf::server(&LOOPBACK)).unwrap();
        let client = with_key(Leaf::client("pharos")).unwrap();
        let header = format!("-----BEGIN {tag}-----\n");
        assert!(server.key_pem.starts_with(&header), "{algorithm:?} {encoding:?}");
        for name in LOOPBACK {
            handshake(&root, &server, &client, name).unwrap();
        }
    }
    let none = root
        .issue(&Leaf::client("x").algorithm(Algorithm::Ed25519).encoding(Encoding::Traditional));
    assert_eq!(none.unwrap_err().to_string(), "Ed25519 has no encoding but PKCS#8");
}

#[test]
fn an_authority_may_have_any_key() {
    for algorithm in [Algorithm::Rsa2048, Algorithm::Ed25519] {
        let root = Authority::with("root", algorithm).unwrap();
        let (server, client) = (root.server(&LOOPBACK).unwrap(), root.client("pharos").unwrap());
        handshake(&root, &server, &client, "localhost").unwrap();
    }
}

#[test]
fn the_intermediate_comes_with_the_certificate() {
    let root = Authority::new("root").unwrap();
    let intermediate = root.intermediate("intermediate").unwrap();
    let server = intermediate.server(&["collector.shop.svc"]).unwrap();
    assert_eq!(server.certificate_pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert!(!server.certificate_pem.contains(&root.pem()));
    let client = root.client("pharos").unwrap();
    handshake(&root, &server, &client, "collector.shop.svc").unwrap();
}

#[test]
fn what_should_be_refused_is_refused() {
    let (root, other) = (Authority::new("root").unwrap(), Authority::new("other").unwrap());
    let (server, client) = (root.server(&LOOPBACK).unwrap(), root.client("pharos").unwrap());
    let refused = |server: &Pair, client: &Pair, name| match handshake(&root, server, client, name)
        .unwrap_err()
    {
        Error::InvalidCertificate(error) => error,
        error => panic!("{error}"),
    };
    let expired = root.issue(&Leaf::server(&LOOPBACK).expired()).unwrap();
    let error = refused(&expired, &client, "localhost");
    assert!(matches!(error, CertificateError::ExpiredContext { .. }), "{error:?}");
    let early = root.issue(&Leaf::client("pharos").not_yet_valid()).unwrap();
    let error = refused(&server, &early, "localhost");
    assert!(matches!(error, CertificateError::NotValidYetContext { .. }), "{error:?}");
    let error = refused(&server, &client, "elsewhere");
    assert!(matches!(error, CertificateError::NotValidForNameContext { .. }), "{error:?}");
    let foreign = other.server(&LOOPBACK).unwrap();
    assert_eq!(refused(&foreign, &client, "localhost"), CertificateError::UnknownIssuer);
    let error = refused(&client, &client, "localhost");
    assert!(matches!(error, CertificateError::InvalidPurposeContext { .. }), "{error:?}");
}

#[test]
fn files_are_for_their_owner_only_and_may_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let root = Authority::new("root").unwrap();
    let ca = root.write(dir.path(), "ca").unwrap();
    assert_eq!(fs::read_to_string(ca).unwrap(), root.pem());
    for name in ["first", "second"] {
        let pair = root.client(name).unwrap();
        let files = pair.write(dir.path(), "client.example").unwrap();
        assert_eq!(files.key, dir.path().join("client.example.key"));
        assert_eq!(fs::read_to_string(&files.certificate).unwrap(), pair.certificate_pem);
        assert_eq!(fs::read_to_string(&files.key).unwrap(), pair.key_pem);
        let mode = fs::metadata(files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
