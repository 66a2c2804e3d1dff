//! Certificates.

use serde_json::{Value as Json, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::time::ASN1Time;
use x509_parser::x509::X509Version;

use super::extensions::{self, Extensions, base64};
use super::name::list;
use super::{Invalid, der, key, name};

/// What is told of a certificate.
pub(super) fn decode(der: &[u8]) -> Result<Json, Invalid> {
    let (rest, certificate) = X509Certificate::from_der(der)?;
    if !rest.is_empty() {
        return Err(Invalid::Malformed("something follows the certificate"));
    }
    check(der, &certificate)?;
    let extensions = match certificate.version {
        X509Version::V3 => certificate.extensions(),
        X509Version::V1 | X509Version::V2 => &[],
        _ => return Err(Invalid::Malformed("it is of an unknown version")),
    };
    let mut told = json!({
        "Raw": base64(certificate.as_raw()),
        "RawTBSCertificate": base64(certificate.tbs_certificate.as_ref()),
        "RawSubjectPublicKeyInfo": base64(certificate.subject_pki.raw),
        "RawSubject": base64(certificate.subject.as_raw()),
        "RawIssuer": base64(certificate.issuer.as_raw()),
        "Signature": base64(&certificate.signature_value.data),
        "PublicKeyAlgorithm": key::RSA,
        "PublicKey": key::told(&certificate.subject_pki)?,
        "SerialNumber": serial_number(certificate.raw_serial())?,
        "Issuer": name::told(&certificate.issuer)?,
        "NotBefore": time(certificate.validity.not_before),
        "NotAfter": time(certificate.validity.not_after),
        "Extensions": extensions::told(extensions)?,
        "ExtraExtensions": null,
    });
    // The subject is not told, but it must be readable.
    name::told(&certificate.subject)?;
    tell(Extensions::read(extensions)?, &mut told);
    Ok(told)
}

/// What the parser does not look at: whether it has read every extension, and whether both places that
/// name the algorithm of the signature name the same one.
fn check(der: &[u8], certificate: &X509Certificate<'_>) -> Result<(), Invalid> {
    let parts = der::elements(der, Tag::Sequence)?;
    let signed = der::elements(certificate.tbs_certificate.as_ref(), Tag::Sequence)?;
    let is_tagged = |any: &&Any<'_>| any.class() == Class::ContextSpecific;
    let algorithm = signed.iter().filter(|any| !is_tagged(any)).nth(1);
    if algorithm.map(|any| any.data) != parts.get(1).map(|any| any.data) {
        return Err(Invalid::Malformed("it names two algorithms for its signature"));
    }
    let extensions = signed.last().filter(|any| is_tagged(any) && any.tag() == Tag(3));
    let extensions = extensions.map(|any| der::elements(any.data, Tag::Sequence)).transpose()?;
    der::complete(certificate.extensions().len(), &extensions.unwrap_or_default())
}

/// Adds what the extensions say.
fn tell(extensions: Extensions, told: &mut Json) {
    let path_length = extensions.basic_constraints.as_ref().map(|basic| basic.path_length);
    // It is -1 where a certificate may say it and does not, and 0 where it cannot.
    told["MaxPathLen"] = match path_length {
        Some(Some(length)) => length.into(),
        Some(None) => (-1).into(),
        None => 0.into(),
    };
    told["MaxPathLenZero"] = (path_length == Some(Some(0))).into();
    told["BasicConstraintsValid"] = path_length.is_some().into();
    told["IsCA"] = extensions.basic_constraints.is_some_and(|basic| basic.is_ca).into();
    told["KeyUsage"] = extensions.key_usage.into();
    told["ExtKeyUsage"] = list(extensions.extended_key_usage);
    told["AuthorityKeyId"] = extensions.authority_key_id;
    told["OCSPServer"] = list(extensions.ocsp_servers);
    told["IssuingCertificateURL"] = list(extensions.issuers);
    told["CRLDistributionPoints"] = list(extensions.crl_distribution_points);
    told["PolicyIdentifiers"] = extensions.policies;
    let [dns, email, addresses, _] = extensions.alternative_names.told();
    told["DNSNames"] = dns;
    told["EmailAddresses"] = email;
    told["IPAddresses"] = addresses;
    told["PermittedDNSDomainsCritical"] = extensions.constraints_are_critical.into();
    for (what, names) in [("Permitted", extensions.permitted), ("Excluded", extensions.excluded)] {
        let [dns, email, networks, uris] = names.told();
        told[format!("{what}DNSDomains")] = dns;
        told[format!("{what}EmailAddresses")] = email;
        told[format!("{what}IPRanges")] = networks;
        told[format!("{what}URIDomains")] = uris;
    }
}

/// The lowest 64 bits, as Kyverno cuts it.
fn serial_number(bytes: &[u8]) -> Result<i64, Invalid> {
    if bytes.first().is_none_or(|first| first & 0x80 != 0) {
        return Err(Invalid::Malformed("its serial number is negative"));
    }
    Ok(bytes.iter().fold(0, |number: i64, byte| number << 8 | i64::from(*byte)))
}

/// A time as RFC 3339 has it. Years go to 9999, which is beyond what other types of time can hold.
fn time(time: ASN1Time) -> String {
    let time = time.to_datetime();
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
