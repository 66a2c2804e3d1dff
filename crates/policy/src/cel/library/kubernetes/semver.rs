//! `kubernetes.Semver`: semantic versions, compared by precedence.

use std::any::Any;
use std::cmp::Ordering;

use semver::Version;

use super::super::Library;
use super::super::arguments::{boolean, error, opaque, text};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Opaque, Value};

const TYPE: Type = Type::Opaque("kubernetes.Semver");

/// A version as a value. Build metadata says nothing about which is greater, nor whether two are equal.
#[derive(Debug)]
struct Semver(Version);

/// How a version may be written.
#[derive(Clone, Copy)]
enum Notation {
    /// As the specification says.
    Strict,
    /// Also with a `v`, with leading zeros, or without the minor and patch numbers.
    Normalized,
}

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let normalized = || [Type::String, Type::Bool];
    library.global("semver", [Type::String], TYPE, |host, arguments| {
        Ok(Value::opaque(parse(host, arguments, Notation::Strict)?))
    });
    library.global("semver", normalized(), TYPE, |host, arguments| {
        Ok(Value::opaque(parse(host, arguments, notation(arguments)?)?))
    });
    library.global("isSemver", [Type::String], Type::Bool, |host, arguments| {
        is_version(parse(host, arguments, Notation::Strict))
    });
    library.global("isSemver", normalized(), Type::Bool, |host, arguments| {
        is_version(parse(host, arguments, notation(arguments)?))
    });
    let pair = || [TYPE, TYPE];
    library.member("isGreaterThan", pair(), Type::Bool, |host, arguments| {
        Ok(Value::Bool(compare(host, arguments)?.is_gt()))
    });
    library.member("isLessThan", pair(), Type::Bool, |host, arguments| {
        Ok(Value::Bool(compare(host, arguments)?.is_lt()))
    });
    library.member("compareTo", pair(), Type::Int, |host, arguments| {
        Ok(Value::Int(compare(host, arguments)? as i64))
    });
    // A number above the greatest `int` is a negative one there, and so here.
    library.member("major", [TYPE], Type::Int, |_, arguments| {
        Ok(Value::Int(opaque::<Semver>(arguments, 0)?.0.major.cast_signed()))
    });
    library.member("minor", [TYPE], Type::Int, |_, arguments| {
        Ok(Value::Int(opaque::<Semver>(arguments, 0)?.0.minor.cast_signed()))
    });
    library.member("patch", [TYPE], Type::Int, |_, arguments| {
        Ok(Value::Int(opaque::<Semver>(arguments, 0)?.0.patch.cast_signed()))
    });
}

fn notation(arguments: &[Value<'_>]) -> Result<Notation, Fault> {
    Ok(if boolean(arguments, 1)? { Notation::Normalized } else { Notation::Strict })
}

fn is_version(parsed: Result<Semver, Fault>) -> Result<Value<'static>, Fault> {
    match parsed {
        Ok(_) => Ok(Value::Bool(true)),
        Err(Fault::Error(_)) => Ok(Value::Bool(false)),
        Err(exhausted) => Err(exhausted),
    }
}

fn parse(host: &Host<'_>, arguments: &[Value<'_>], notation: Notation) -> Result<Semver, Fault> {
    let written = text(arguments, 0)?;
    host.meter.scan(written.len())?;
    host.meter.allocate(written.len())?;
    let parsed = match notation {
        Notation::Strict => Version::parse(written),
        Notation::Normalized => Version::parse(&normalize(written)),
    };
    let version = parsed.map_err(|reason| error(format!("not a semantic version: {reason}")))?;
    // There, numeric identifiers are numbers of 64 bits.
    let fits = |identifier: &str| {
        !identifier.bytes().all(|byte| byte.is_ascii_digit()) || identifier.parse::<u64>().is_ok()
    };
    if !version.pre.is_empty() && !version.pre.split('.').all(fits) {
        return Err(error("not a semantic version: a number of the pre-release is too large"));
    }
    Ok(Semver(version))
}

fn normalize(written: &str) -> String {
    let written = written.strip_prefix('v').unwrap_or(written);
    let mut parts: Vec<String> = written.splitn(3, '.').map(without_leading_zeros).collect();
    // A short version with a pre-release stays short, and is refused for that.
    if parts.len() < 3 && !written.contains(['+', '-']) {
        parts.resize(3, "0".to_owned());
    }
    parts.join(".")
}

fn without_leading_zeros(part: &str) -> String {
    let trimmed = part.trim_start_matches('0');
    if part.len() > 1 && !trimmed.starts_with(|first: char| first.is_ascii_digit()) {
        return format!("0{trimmed}");
    }
    if part.len() > 1 { trimmed.to_owned() } else { part.to_owned() }
}

fn compare(host: &Host<'_>, arguments: &[Value<'_>]) -> Result<Ordering, Fault> {
    let Semver(left) = opaque(arguments, 0)?;
    let Semver(right) = opaque(arguments, 1)?;
    host.meter.scan(left.pre.len())?;
    Ok(left.cmp_precedence(right))
}

// === impl Semver ===

impl Opaque for Semver {
    fn type_of(&self) -> Type {
        TYPE
    }

    fn equals(&self, other: &dyn Opaque) -> bool {
        let other = other.as_any().downcast_ref::<Self>();
        other.is_some_and(|Self(other)| self.0.cmp_precedence(other).is_eq())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{bool_of, error_of, int_of, value};
    use crate::cel::value::Value;

    fn semver(written: &str) -> Value<'static> {
        value("semver", &[Value::string(written)])
    }

    #[test]
    fn a_version_is_read_as_the_api_server_reads_it() {
        let normalized = |written| [Value::string(written), Value::Bool(true)];
        for written in ["1.0.0", "0.1.0-alpha.1", "1.2.3-0.a+001.b-c", "18446744073709551615.0.0"] {
            assert!(bool_of("isSemver", &[Value::string(written)]), "{written}");
            assert!(bool_of("isSemver", &normalized(written)), "{written}");
        }
        for written in ["v1.0.0", "1.0", "v1", "01.01.01", "1.00.0", "1.2.03-rc.1", "1.2.000"] {
            assert!(!bool_of("isSemver", &[Value::string(written)]), "{written}");
            assert!(bool_of("isSemver", &normalized(written)), "{written}");
            error_of("semver", &[Value::string(written)]);
        }
        let refused =
            ["", "v", "Three", "1.0-rc", "1.0+b", "1.2.3-01", "1.2.3-", "1.2.3+", " 1.2.3"];
        for written in
            refused.into_iter().chain(["18446744073709551616.0.0", "1.0.0-99999999999999999999"])
        {
            assert!(!bool_of("isSemver", &[Value::string(written)]), "{written}");
            assert!(!bool_of("isSemver", &normalized(written)), "{written}");
        }
    }

    #[test]
    fn versions_compare_by_precedence() {
        let ascending =
            ["0.9.9", "1.0.0-1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0", "1.0.1", "1.10.0"];
        for (index, lower) in ascending.into_iter().enumerate() {
            for greater in &ascending[index + 1..] {
                let pair = [semver(greater), semver(lower)];
                assert_eq!(int_of("compareTo", &pair), 1, "{greater} {lower}");
                assert!(bool_of("isGreaterThan", &pair) && !bool_of("isLessThan", &pair));
                let [greater, lower] = pair;
                assert_eq!(int_of("compareTo", &[lower, greater]), -1);
            }
        }
        assert_eq!(int_of("compareTo", &[semver("1.2.3+a"), semver("1.2.3+b")]), 0);
        let Value::Opaque(version) = semver("1.2.3+a") else { panic!() };
        let Value::Opaque(other) = semver("1.2.3+b") else { panic!() };
        assert!(version.equals(&*other));
        let parts = ["major", "minor", "patch"].map(|name| int_of(name, &[semver("1.2.3-x")]));
        assert_eq!(parts, [1, 2, 3]);
    }
}
