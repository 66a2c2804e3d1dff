//! Distinguished names.

use serde_json::{Value as Json, json};
use x509_parser::der_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::x509::X509Name;

use super::{Invalid, der, oid};

const UNREADABLE: Invalid = Invalid::Malformed("an attribute of a name that is not a string");

/// The attributes that are told by their names. What a name has once is the last one of it.
#[derive(Default)]
struct Known {
    country: Vec<String>,
    organization: Vec<String>,
    organizational_unit: Vec<String>,
    locality: Vec<String>,
    province: Vec<String>,
    street_address: Vec<String>,
    postal_code: Vec<String>,
    serial_number: String,
    common_name: String,
}

/// A name: its well-known attributes, and all of them in their order.
pub(super) fn told(name: &X509Name<'_>) -> Result<Json, Invalid> {
    let mut known = Known::default();
    let mut names = Vec::new();
    for set in der::elements(name.as_raw(), Tag::Sequence)? {
        for attribute in der::inside(&set, Tag::Set)? {
            let parts = der::inside(&attribute, Tag::Sequence)?;
            let [id, value, ..] = &*parts else { return Err(UNREADABLE) };
            let arcs = oid::arcs(&der::oid(id)?)?;
            let value = string(value)?;
            known.add(&arcs, &value);
            names.push(json!({ "Type": arcs, "Value": value }));
        }
    }
    Ok(json!({
        "Country": list(known.country),
        "Organization": list(known.organization),
        "OrganizationalUnit": list(known.organizational_unit),
        "Locality": list(known.locality),
        "Province": list(known.province),
        "StreetAddress": list(known.street_address),
        "PostalCode": list(known.postal_code),
        "SerialNumber": known.serial_number,
        "CommonName": known.common_name,
        "Names": list(names),
        "ExtraNames": null,
    }))
}

/// A list. Go has no empty ones here, but none.
pub(super) fn list<T: Into<Json>>(elements: Vec<T>) -> Json {
    if elements.is_empty() { Json::Null } else { elements.into() }
}

/// A string of any of the types that names are made of.
fn string(any: &Any<'_>) -> Result<String, Invalid> {
    let bytes = any.data;
    let utf8 = || str::from_utf8(bytes).ok().map(str::to_owned);
    let string = match any.tag() {
        Tag::PrintableString => utf8().filter(|text| text.bytes().all(is_printable)),
        Tag::Utf8String => utf8(),
        Tag::Ia5String => utf8().filter(|text| text.is_ascii()),
        Tag::NumericString => {
            utf8().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b' '))
        }
        // It is read as Latin-1 by everyone.
        Tag::T61String => Some(bytes.iter().copied().map(char::from).collect()),
        Tag::BmpString => basic_multilingual_plane(bytes),
        _ => None,
    };
    string.filter(|_| any.class() == Class::Universal).ok_or(UNREADABLE)
}

/// With two characters that certificates have although they should not.
fn is_printable(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"'()+,-./ :=?*&".contains(&byte)
}

fn basic_multilingual_plane(bytes: &[u8]) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    let pairs = pairs.strip_suffix(&[[0, 0]]).unwrap_or(pairs);
    let character = |pair: &[u8; 2]| {
        let point = u16::from_be_bytes(*pair);
        let is_character = !matches!(point, 0xfdd0..=0xfdef | 0xfffe | 0xffff);
        char::from_u32(point.into()).filter(|_| is_character)
    };
    pairs.iter().map(character).collect()
}

// === impl Known ===

impl Known {
    fn add(&mut self, arcs: &[u32], value: &str) {
        let value = value.to_owned();
        match arcs {
            [2, 5, 4, 3] => self.common_name = value,
            [2, 5, 4, 5] => self.serial_number = value,
            [2, 5, 4, 6] => self.country.push(value),
            [2, 5, 4, 7] => self.locality.push(value),
            [2, 5, 4, 8] => self.province.push(value),
            [2, 5, 4, 9] => self.street_address.push(value),
            [2, 5, 4, 10] => self.organization.push(value),
            [2, 5, 4, 11] => self.organizational_unit.push(value),
            [2, 5, 4, 17] => self.postal_code.push(value),
            _ => {}
        }
    }
}
