//! Object identifiers as lists of numbers.

use serde_json::Value as Json;
use x509_parser::der_parser::oid::Oid;

use super::Invalid;

/// The numbers of an object identifier: each below 2³¹, as Go has them.
pub(super) fn arcs(oid: &Oid<'_>) -> Result<Vec<u32>, Invalid> {
    let mut arcs = Vec::new();
    let mut arc = None;
    for &byte in oid.as_bytes() {
        let (before, digits) = (arc.unwrap_or(0), u32::from(byte & 0x7f));
        if before > u32::MAX >> 8 || arc.is_none() && byte == 0x80 {
            return Err(MALFORMED);
        }
        let value = before << 7 | digits;
        if byte & 0x80 != 0 {
            arc = Some(value);
            continue;
        }
        arc = None;
        // The first two numbers are written as one.
        if arcs.is_empty() {
            let first = (value / 40).min(2);
            arcs.extend([first, value - 40 * first]);
        } else {
            arcs.push(value);
        }
    }
    if arc.is_some() || arcs.is_empty() { Err(MALFORMED) } else { Ok(arcs) }
}

/// An object identifier as it is told.
pub(super) fn told(oid: &Oid<'_>) -> Result<Json, Invalid> {
    Ok(arcs(oid)?.into())
}

const MALFORMED: Invalid = Invalid::Malformed("an object identifier that is none");
