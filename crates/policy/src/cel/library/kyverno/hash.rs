//! Digests of strings, in hexadecimal.

use std::fmt::Write;

use md5::Md5;
use sha1::Sha1;
use sha2::Sha256;
use sha2::digest::Digest;

use super::super::arguments::text;
use super::super::{Call, Library};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let functions: [([&str; 2], Call); 3] = [
        (["md5", "hash.md5"], digest::<Md5>),
        (["sha1", "hash.sha1"], digest::<Sha1>),
        (["sha256", "hash.sha256"], digest::<Sha256>),
    ];
    for (names, call) in functions {
        for name in names {
            library.global(name, [Type::String], Type::String, call);
        }
    }
}

fn digest<'a, D: Digest>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let text = text(arguments, 0)?;
    // A digest takes longer than a look.
    host.meter.scan(8 * text.len())?;
    let digest = D::digest(text.as_bytes());
    let mut hexadecimal = String::with_capacity(2 * digest.len());
    for byte in digest {
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    host.meter.allocate(hexadecimal.len())?;
    Ok(Value::string(hexadecimal))
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::text_of;
    use crate::cel::value::Value;

    #[test]
    fn digests_are_those_of_their_standards() {
        for (name, digest) in [
            ("md5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(text_of(name, &[Value::string("abc")]), digest);
            assert_eq!(text_of(&format!("hash.{name}"), &[Value::string("abc")]), digest);
        }
    }
}
