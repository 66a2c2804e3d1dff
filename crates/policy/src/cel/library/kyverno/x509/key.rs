//! Keys of RSA, and what signs.

use num_bigint::BigUint;
use serde_json::{Value as Json, json};
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::{Invalid, oid};

/// How Go numbers the algorithm of such keys.
pub(super) const RSA: u8 = 1;

/// The modulus, in decimal digits, and the exponent.
pub(super) fn told(info: &SubjectPublicKeyInfo<'_>) -> Result<Json, Invalid> {
    let PublicKey::RSA(key) = info.parsed()? else { return Err(Invalid::NotRsa) };
    let parameters = info.algorithm.parameters.as_ref();
    if !parameters.is_some_and(|any| any.tag() == Tag::Null && any.data.is_empty()) {
        return Err(Invalid::Malformed("a key of RSA has no parameters but null"));
    }
    let exponent = key.try_exponent()?;
    let is_negative = key.modulus.first().is_none_or(|first| first & 0x80 != 0);
    let modulus = BigUint::from_bytes_be(key.modulus);
    if is_negative || modulus == BigUint::ZERO {
        return Err(Invalid::Malformed("the modulus is not positive"));
    }
    if !(1..1 << 31).contains(&exponent) {
        return Err(Invalid::Malformed("the exponent is not between 0 and 2³¹"));
    }
    Ok(json!({ "N": modulus.to_string(), "E": exponent }))
}

/// How Go numbers the algorithm of a signature: 0 is one that it does not know.
pub(super) fn signature_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Result<u8, Invalid> {
    Ok(match &*oid::arcs(&algorithm.algorithm)? {
        [1, 2, 840, 113549, 1, 1, 4] => 2,
        [1, 2, 840, 113549, 1, 1, 5] | [1, 3, 14, 3, 2, 29] => 3,
        [1, 2, 840, 113549, 1, 1, 11] => 4,
        [1, 2, 840, 113549, 1, 1, 12] => 5,
        [1, 2, 840, 113549, 1, 1, 13] => 6,
        [1, 2, 840, 10040, 4, 3] => 7,
        [2, 16, 840, 1, 101, 3, 4, 3, 2] => 8,
        [1, 2, 840, 10045, 4, 1] => 9,
        [1, 2, 840, 10045, 4, 3, 2] => 10,
        [1, 2, 840, 10045, 4, 3, 3] => 11,
        [1, 2, 840, 10045, 4, 3, 4] => 12,
        [1, 2, 840, 113549, 1, 1, 10] => pss(algorithm),
        [1, 3, 101, 112] if algorithm.parameters.is_none() => 16,
        _ => 0,
    })
}

/// One of three, each with a salt of the length of its digest.
fn pss(algorithm: &AlgorithmIdentifier<'_>) -> u8 {
    let parameters = algorithm.parameters.as_ref().map(RsaSsaPssParams::try_from);
    let Some(Ok(parameters)) = parameters else { return 0 };
    let digest = parameters.hash_algorithm_oid();
    let mask = parameters.mask_gen_algorithm();
    if parameters.trailer_field() != 1 || !mask.is_ok_and(|mask| mask.hash == *digest) {
        return 0;
    }
    match (oid::arcs(digest).as_deref(), parameters.salt_length()) {
        (Ok([2, 16, 840, 1, 101, 3, 4, 2, 1]), 32) => 13,
        (Ok([2, 16, 840, 1, 101, 3, 4, 2, 2]), 48) => 14,
        (Ok([2, 16, 840, 1, 101, 3, 4, 2, 3]), 64) => 15,
        _ => 0,
    }
}
