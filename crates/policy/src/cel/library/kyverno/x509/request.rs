//! Requests for certificates.

use serde_json::{Value as Json, json};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::der_parser::asn1_rs::{FromDer, Tag};
use x509_parser::extensions::X509Extension;

use super::super::super::kubernetes::url_parts;
use super::extensions::{self, base64};
use super::name::list;
use super::{Invalid, der, key, name, oid};

/// What is told of a request. It is not what is told of a certificate: a subject is, for one.
pub(super) fn decode(der: &[u8]) -> Result<Json, Invalid> {
    let (rest, request) = X509CertificationRequest::from_der(der)?;
    if !rest.is_empty() {
        return Err(Invalid::Malformed("something follows the request"));
    }
    let info = &request.certification_request_info;
    let signed = der::elements(info.raw, Tag::Sequence)?;
    let written = signed.get(3).map(|any| der::split(any.data)).transpose()?;
    der::complete(info.attributes().len(), &written.unwrap_or_default())?;
    let mut attributes = Vec::new();
    let mut requested = Vec::new();
    for attribute in info.iter_attributes() {
        // Others are not of the form that Go can tell.
        if let ParsedCriAttribute::ExtensionRequest(request) = attribute.parsed_attribute() {
            let lists = der::elements(attribute.value, Tag::Set)?;
            let list = lists.first().ok_or(Invalid::Malformed("an attribute without a value"))?;
            der::complete(request.extensions.len(), &der::inside(list, Tag::Sequence)?)?;
            let values = request.extensions.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            attributes.push(json!({ "Type": oid::told(&attribute.oid)?, "Value": [values] }));
            requested.extend_from_slice(&request.extensions);
        }
    }
    let names = extensions::alternative_names(&requested)?;
    let uris: Option<Vec<_>> = names.uris.iter().map(|uri| url_parts(uri)).collect();
    let uris = uris.ok_or(Invalid::Malformed("a URI that is none"))?;
    let [dns, email, addresses, _] = names.told();
    Ok(json!({
        "Raw": base64(request.as_raw()),
        "RawTBSCertificateRequest": base64(info.raw),
        "RawSubjectPublicKeyInfo": base64(info.subject_pki.raw),
        "RawSubject": base64(info.subject.as_raw()),
        "Version": info.version.0,
        "Signature": base64(&request.signature_value.data),
        "SignatureAlgorithm": key::signature_algorithm(&request.signature_algorithm)?,
        "PublicKeyAlgorithm": key::RSA,
        "PublicKey": key::told(&info.subject_pki)?,
        "Subject": name::told(&info.subject)?,
        "Attributes": list(attributes),
        "Extensions": extensions::told(&requested)?,
        "ExtraExtensions": null,
        "DNSNames": dns,
        "EmailAddresses": email,
        "IPAddresses": addresses,
        "URIs": list(uris),
    }))
}

/// An extension as Go reads it where it expects an attribute: what follows the identifier is the
/// value, and that is whether it is critical, if it says so.
fn value(extension: &X509Extension<'_>) -> Result<Json, Invalid> {
    let X509Extension { oid, critical, value, .. } = extension;
    let value = if *critical { Json::Bool(true) } else { base64(value) };
    Ok(json!({ "Type": oid::told(oid)?, "Value": value }))
}
