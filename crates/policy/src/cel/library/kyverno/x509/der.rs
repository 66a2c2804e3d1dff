//! Elements of DER, all of them.
//!
//! The parser is lenient: it leaves out what follows the first element of a list that it cannot read.
//! What is told of a certificate must be all of it, so lists are counted, or read, here.

use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::der_parser::oid::Oid;

use super::Invalid;

const MALFORMED: Invalid = Invalid::Malformed("a list with an element that cannot be read");

/// What a sequence or a set holds, which is all of `der`.
pub(super) fn elements(der: &[u8], tag: Tag) -> Result<Vec<Any<'_>>, Invalid> {
    match &*split(der)? {
        [any] if is(any, tag) => split(any.data),
        _ => Err(MALFORMED),
    }
}

/// The elements one after another.
pub(super) fn split(mut content: &[u8]) -> Result<Vec<Any<'_>>, Invalid> {
    let mut elements = Vec::new();
    while !content.is_empty() {
        let (rest, any) = Any::from_der(content).map_err(|_| MALFORMED)?;
        elements.push(any);
        content = rest;
    }
    Ok(elements)
}

/// What an element holds, if it is a sequence or a set.
pub(super) fn inside<'a>(any: &Any<'a>, tag: Tag) -> Result<Vec<Any<'a>>, Invalid> {
    if is(any, tag) { split(any.data) } else { Err(MALFORMED) }
}

/// An element that is an object identifier.
pub(super) fn oid<'a>(any: &Any<'a>) -> Result<Oid<'a>, Invalid> {
    if is(any, Tag::Oid) { Ok(Oid::new(any.data.into())) } else { Err(MALFORMED) }
}

/// Whether as many elements were read as there are.
pub(super) fn complete(read: usize, of: &[Any<'_>]) -> Result<(), Invalid> {
    if read == of.len() { Ok(()) } else { Err(MALFORMED) }
}

fn is(any: &Any<'_>, tag: Tag) -> bool {
    any.class() == Class::Universal && any.tag() == tag
}
