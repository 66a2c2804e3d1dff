//! `net.IP`: addresses without zones, and not IPv4 written as IPv6.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr};

use super::super::Library;
use super::super::arguments::{error, opaque, text};
use crate::cel::meter::Fault;
use crate::cel::types::Type;
use crate::cel::value::{Opaque, Value};

pub(super) const TYPE: Type = Type::Opaque("net.IP");
/// No address is longer: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
pub(super) const MAX_LENGTH: usize = 45;

/// An address as a value.
#[derive(Debug)]
pub(super) struct Address(pub(super) IpAddr);

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let string = || [Type::String];
    library.type_name("net.IP", TYPE);
    library.global("ip", string(), TYPE, |_, arguments| {
        Ok(Value::opaque(Address(parse(text(arguments, 0)?)?)))
    });
    library.global("isIP", string(), Type::Bool, |_, arguments| {
        Ok(Value::Bool(parse(text(arguments, 0)?).is_ok()))
    });
    library.global("ip.isCanonical", string(), Type::Bool, |_, arguments| {
        let written = text(arguments, 0)?;
        Ok(Value::Bool(parse(written)?.to_string() == written))
    });
    library.global("string", [TYPE], Type::String, |host, arguments| {
        host.meter.allocate(MAX_LENGTH)?;
        Ok(Value::string(address(arguments)?.to_string()))
    });
    library.member("family", [TYPE], Type::Int, |_, arguments| {
        Ok(Value::Int(if address(arguments)?.is_ipv4() { 4 } else { 6 }))
    });
    predicates(library);
}

fn predicates(library: &mut Library) {
    library.member("isUnspecified", [TYPE], Type::Bool, |_, arguments| {
        Ok(Value::Bool(address(arguments)?.is_unspecified()))
    });
    library.member("isLoopback", [TYPE], Type::Bool, |_, arguments| {
        Ok(Value::Bool(address(arguments)?.is_loopback()))
    });
    library.member("isLinkLocalMulticast", [TYPE], Type::Bool, |_, arguments| {
        Ok(Value::Bool(match address(arguments)? {
            IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
            // Flags may be any; the scope is link-local.
            IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
        }))
    });
    library.member("isLinkLocalUnicast", [TYPE], Type::Bool, |_, arguments| {
        Ok(Value::Bool(is_link_local_unicast(address(arguments)?)))
    });
    library.member("isGlobalUnicast", [TYPE], Type::Bool, |_, arguments| {
        let address = address(arguments)?;
        Ok(Value::Bool(
            address != IpAddr::V4(Ipv4Addr::BROADCAST)
                && !address.is_unspecified()
                && !address.is_loopback()
                && !address.is_multicast()
                && !is_link_local_unicast(address),
        ))
    });
}

/// An address as the API server reads one.
pub(super) fn parse(written: &str) -> Result<IpAddr, Fault> {
    if written.len() > MAX_LENGTH {
        return Err(error("an IP address is shorter"));
    }
    let address: IpAddr =
        written.parse().map_err(|_| error(format!("{written:?} is not an IP address")))?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(error(format!("{written:?} is an IPv4 address written as IPv6")))
        }
        address => Ok(address),
    }
}

fn address(arguments: &[Value<'_>]) -> Result<IpAddr, Fault> {
    opaque::<Address>(arguments, 0).map(|Address(address)| *address)
}

fn is_link_local_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

// === impl Address ===

impl Opaque for Address {
    fn type_of(&self) -> Type {
        TYPE
    }

    fn equals(&self, other: &dyn Opaque) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self.0 == other.0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{bool_of, call, error_of, int_of, value};
    use crate::cel::value::Value;

    fn ip(written: &str) -> Value<'static> {
        value("ip", &[Value::string(written)])
    }

    #[test]
    fn an_address_is_read_as_the_api_server_reads_it() {
        let accepted = ["127.0.0.1", "0.0.0.0", "::", "::1", "2001:DB8::abcd", "1:2:3:4:5:6:7::"];
        for written in accepted.into_iter().chain(["::1.2.3.4", "64:ff9b::1.2.3.4"]) {
            assert!(bool_of("isIP", &[Value::string(written)]), "{written}");
            assert!(call("ip", &[Value::string(written)]).is_ok(), "{written}");
        }
        let refused =
            ["", "127.0.0.256", "127.0.0.01", "1.2.3", "1.2.3.4 ", ":::1", "fe80::1%eth0"];
        let mapped = ["::ffff:1.2.3.4", "::ffff:102:304", "1:2:3:4:5:6:7:8:9", "12345::"];
        for written in refused.into_iter().chain(mapped) {
            assert!(!bool_of("isIP", &[Value::string(written)]), "{written}");
            error_of("ip", &[Value::string(written)]);
        }
    }

    #[test]
    fn only_one_way_to_write_an_address_is_canonical() {
        for written in ["127.0.0.1", "2001:db8::abcd", "::", "1::2:0:0:3"] {
            assert!(bool_of("ip.isCanonical", &[Value::string(written)]), "{written}");
        }
        for written in ["2001:DB8::ABCD", "2001:db8::0:0:0:abcd", "1:2:3:4:5:6:7::", "1::2:0:0:0:3"]
        {
            assert!(!bool_of("ip.isCanonical", &[Value::string(written)]), "{written}");
        }
        error_of("ip.isCanonical", &[Value::string("no address")]);
    }

    #[test]
    fn the_kind_of_an_address_is_told() {
        let kinds = |written: &str| {
            [
                "isUnspecified",
                "isLoopback",
                "isLinkLocalMulticast",
                "isLinkLocalUnicast",
                "isGlobalUnicast",
            ]
            .into_iter()
            .filter(|name| bool_of(name, &[ip(written)]))
            .collect::<Vec<_>>()
        };
        assert_eq!(kinds("0.0.0.0"), ["isUnspecified"]);
        assert_eq!(kinds("::"), ["isUnspecified"]);
        assert_eq!(kinds("127.9.9.9"), ["isLoopback"]);
        assert_eq!(kinds("::1"), ["isLoopback"]);
        assert_eq!(kinds("224.0.0.9"), ["isLinkLocalMulticast"]);
        assert_eq!(kinds("ff12::1"), ["isLinkLocalMulticast"]);
        assert_eq!(kinds("169.254.169.254"), ["isLinkLocalUnicast"]);
        assert_eq!(kinds("fe80::1"), ["isLinkLocalUnicast"]);
        assert_eq!(kinds("192.168.0.1"), ["isGlobalUnicast"]);
        assert_eq!(kinds("fd00::1"), ["isGlobalUnicast"]);
        assert!(kinds("224.0.1.1").is_empty());
        assert!(kinds("255.255.255.255").is_empty());
        assert_eq!(int_of("family", &[ip("127.0.0.1")]), 4);
        assert_eq!(int_of("family", &[ip("::1")]), 6);
    }
}
