//! `net.CIDR`: an address and the length of its prefix.

use std::any::Any;
use std::net::IpAddr;

use super::super::Library;
use super::super::arguments::{error, no_such_overload, opaque, text};
use super::ip::{self, Address};
use crate::cel::meter::Fault;
use crate::cel::types::Type;
use crate::cel::value::{Opaque, Value};

const TYPE: Type = Type::Opaque("net.CIDR");

/// A network, or an address in it: bits after the prefix may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.type_name("net.CIDR", TYPE);
    library.global("cidr", [Type::String], TYPE, |_, arguments| {
        Ok(Value::opaque(Cidr::parse(text(arguments, 0)?)?))
    });
    library.global("isCIDR", [Type::String], Type::Bool, |_, arguments| {
        Ok(Value::Bool(Cidr::parse(text(arguments, 0)?).is_ok()))
    });
    library.global("string", [TYPE], Type::String, |host, arguments| {
        host.meter.allocate(ip::MAX_LENGTH + "/128".len())?;
        let Cidr { address, prefix } = receiver(arguments)?;
        Ok(Value::string(format!("{address}/{prefix}")))
    });
    library.member("ip", [TYPE], ip::TYPE, |_, arguments| {
        Ok(Value::opaque(Address(receiver(arguments)?.address)))
    });
    library.member("prefixLength", [TYPE], Type::Int, |_, arguments| {
        Ok(Value::Int(receiver(arguments)?.prefix.into()))
    });
    library.member("masked", [TYPE], TYPE, |_, arguments| {
        Ok(Value::opaque(receiver(arguments)?.masked()))
    });
    library.member("containsIP", [TYPE, Type::String], Type::Bool, |_, arguments| {
        // That is the API server's error for a string that is no address.
        let address = ip::parse(text(arguments, 1)?).map_err(|_| no_such_overload())?;
        Ok(Value::Bool(receiver(arguments)?.contains(address)))
    });
    library.member("containsIP", [TYPE, ip::TYPE], Type::Bool, |_, arguments| {
        let Address(address) = opaque(arguments, 1)?;
        Ok(Value::Bool(receiver(arguments)?.contains(*address)))
    });
    library.member("containsCIDR", [TYPE, Type::String], Type::Bool, |_, arguments| {
        let other = Cidr::parse(text(arguments, 1)?)?;
        Ok(Value::Bool(receiver(arguments)?.contains_network(other)))
    });
    library.member("containsCIDR", [TYPE, TYPE], Type::Bool, |_, arguments| {
        let other = opaque(arguments, 1)?;
        Ok(Value::Bool(receiver(arguments)?.contains_network(*other)))
    });
}

fn receiver(arguments: &[Value<'_>]) -> Result<Cidr, Fault> {
    opaque(arguments, 0).copied()
}

// === impl Cidr ===

impl Cidr {
    fn parse(written: &str) -> Result<Self, Fault> {
        let malformed = || error(format!("{written:?} is not in CIDR notation"));
        if written.len() > ip::MAX_LENGTH + "/128".len() {
            return Err(error("a network in CIDR notation is shorter"));
        }
        let (address, length) = written.rsplit_once('/').ok_or_else(malformed)?;
        let address = ip::parse(address)?;
        let canonical = length == "0" || !length.starts_with(['0', '+']);
        if !canonical || length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let max = if address.is_ipv4() { 32 } else { 128 };
        let prefix = length.parse().ok().filter(|prefix| *prefix <= max);
        let too_long = || error(format!("{written:?}: prefix length out of range"));
        Ok(Self { address, prefix: prefix.ok_or_else(too_long)? })
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        };
        Self { address, prefix: self.prefix }
    }

    fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self { address, prefix: self.prefix }.masked() == self.masked()
    }

    fn contains_network(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

impl Opaque for Cidr {
    fn type_of(&self) -> Type {
        TYPE
    }

    fn equals(&self, other: &dyn Opaque) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{bool_of, error_of, int_of, text_of, value};
    use crate::cel::value::Value;

    fn cidr(written: &str) -> Value<'static> {
        value("cidr", &[Value::string(written)])
    }

    #[test]
    fn a_network_is_read_as_the_api_server_reads_it() {
        for written in ["192.168.0.0/16", "192.168.0.1/16", "0.0.0.0/0", "::1/128", "::/0"] {
            assert!(bool_of("isCIDR", &[Value::string(written)]), "{written}");
        }
        let refused =
            ["192.168.0.0/33", "::1/129", "1.2.3.4", "1.2.3.4/", "1.2.3.4/08", "1.2.3.4/+8"];
        for written in
            refused.into_iter().chain(["1.2.3.4/-1", "::ffff:1.2.3.4/100", "/8", "1.2.3.4/00"])
        {
            assert!(!bool_of("isCIDR", &[Value::string(written)]), "{written}");
            error_of("cidr", &[Value::string(written)]);
        }
    }

    #[test]
    fn what_a_network_contains_is_decided_by_its_prefix() {
        let contains = |network: &str, address: &str| {
            let as_string = bool_of("containsIP", &[cidr(network), Value::string(address)]);
            let parsed = value("ip", &[Value::string(address)]);
            assert_eq!(bool_of("containsIP", &[cidr(network), parsed]), as_string);
            as_string
        };
        assert!(contains("192.168.0.0/24", "192.168.0.1"));
        assert!(contains("192.168.0.77/24", "192.168.0.1"));
        assert!(!contains("192.168.0.0/24", "192.168.1.1"));
        assert!(contains("::/0", "fe80::1"));
        assert!(!contains("0.0.0.0/0", "::1"));
        error_of("containsIP", &[cidr("::/0"), Value::string("x")]);

        let contains = |outer: &str, inner: &str| {
            let as_string = bool_of("containsCIDR", &[cidr(outer), Value::string(inner)]);
            assert_eq!(bool_of("containsCIDR", &[cidr(outer), cidr(inner)]), as_string);
            as_string
        };
        assert!(contains("192.168.0.0/16", "192.168.10.0/24"));
        assert!(contains("192.168.0.0/16", "192.168.0.0/16"));
        assert!(!contains("192.168.10.0/24", "192.168.0.0/16"));
        assert!(!contains("192.168.1.0/24", "192.168.2.0/24"));
        assert!(!contains("::/0", "10.0.0.0/8"));
    }

    #[test]
    fn the_parts_of_a_network_are_told() {
        assert_eq!(text_of("string", &[value("ip", &[cidr("192.168.0.1/24")])]), "192.168.0.1");
        assert_eq!(
            text_of("string", &[value("masked", &[cidr("192.168.0.1/24")])]),
            "192.168.0.0/24"
        );
        assert_eq!(text_of("string", &[value("masked", &[cidr("10.1.2.3/0")])]), "0.0.0.0/0");
        assert_eq!(
            text_of("string", &[value("masked", &[cidr("2001:DB8::1/32")])]),
            "2001:db8::/32"
        );
        assert_eq!(int_of("prefixLength", &[cidr("::1/128")]), 128);
    }
}
