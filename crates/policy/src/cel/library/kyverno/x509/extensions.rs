//! The extensions of a certificate, or those that a request asks for.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::der_parser::oid::Oid;
use x509_parser::extensions::{
    AuthorityInfoAccess, CRLDistributionPoints, DistributionPointName, GeneralName, GeneralSubtree,
    NameConstraints, ParsedExtension, X509Extension,
};

use super::name::list;
use super::{Invalid, der, oid};

const UNREADABLE: Invalid = Invalid::Malformed("an extension that cannot be read");

/// What extensions say, each in the form in which it is told.
pub(super) struct Extensions {
    pub(super) key_usage: u16,
    pub(super) extended_key_usage: Vec<u8>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) authority_key_id: Json,
    pub(super) alternative_names: Names,
    pub(super) ocsp_servers: Vec<String>,
    pub(super) issuers: Vec<String>,
    pub(super) crl_distribution_points: Vec<String>,
    pub(super) policies: Json,
    pub(super) constraints_are_critical: bool,
    pub(super) permitted: Names,
    pub(super) excluded: Names,
}

pub(super) struct BasicConstraints {
    pub(super) is_ca: bool,
    pub(super) path_length: Option<u32>,
}

/// Names by their kinds; as constraints, `addresses` are networks.
#[derive(Default)]
pub(super) struct Names {
    pub(super) dns: Vec<String>,
    pub(super) email: Vec<String>,
    pub(super) addresses: Vec<Json>,
    pub(super) uris: Vec<String>,
}

/// Extensions as they are written, each of them once.
pub(super) fn told(extensions: &[X509Extension<'_>]) -> Result<Json, Invalid> {
    let mut seen = BTreeSet::new();
    let mut told = Vec::with_capacity(extensions.len());
    for X509Extension { oid, critical, value, .. } in extensions {
        if !seen.insert(oid.as_bytes()) {
            return Err(Invalid::Malformed("an extension that is there twice"));
        }
        let id = oid::told(oid)?;
        told.push(json!({ "Id": id, "Critical": critical, "Value": base64(value) }));
    }
    Ok(list(told))
}

/// The subject's other names, which is all that is read of the extensions of a request.
pub(super) fn alternative_names(extensions: &[X509Extension<'_>]) -> Result<Names, Invalid> {
    for extension in extensions {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                return Names::read(&names.general_names, address);
            }
            ParsedExtension::ParseError { .. } if is_alternative_names(&extension.oid) => {
                return Err(UNREADABLE);
            }
            _ => {}
        }
    }
    Ok(Names::default())
}

/// Bytes as they are told.
pub(super) fn base64(bytes: &[u8]) -> Json {
    STANDARD.encode(bytes).into()
}

// === impl Extensions ===

impl Extensions {
    pub(super) fn read(extensions: &[X509Extension<'_>]) -> Result<Self, Invalid> {
        let mut read = Self {
            key_usage: 0,
            extended_key_usage: Vec::new(),
            basic_constraints: None,
            authority_key_id: Json::Null,
            alternative_names: Names::default(),
            ocsp_servers: Vec::new(),
            issuers: Vec::new(),
            crl_distribution_points: Vec::new(),
            policies: Json::Null,
            constraints_are_critical: false,
            permitted: Names::default(),
            excluded: Names::default(),
        };
        for extension in extensions {
            read.add(extension)?;
        }
        Ok(read)
    }

    fn add(&mut self, extension: &X509Extension<'_>) -> Result<(), Invalid> {
        use ParsedExtension as Parsed;
        let parsed = extension.parsed_extension();
        let may_be_critical = !matches!(
            parsed,
            Parsed::AuthorityKeyIdentifier(_)
                | Parsed::SubjectKeyIdentifier(_)
                | Parsed::AuthorityInfoAccess(_)
        );
        if extension.critical && !may_be_critical {
            return Err(Invalid::Malformed("an extension that must not be critical"));
        }
        match parsed {
            Parsed::ParseError { .. } if is_read(&extension.oid) => {
                return Err(UNREADABLE);
            }
            Parsed::KeyUsage(usage) => self.key_usage = usage.flags & 0x1ff,
            // The parsed one has lost the order.
            Parsed::ExtendedKeyUsage(_) => {
                self.extended_key_usage = extended_key_usage(extension.value)?;
            }
            Parsed::BasicConstraints(constraints) => {
                self.basic_constraints = Some(BasicConstraints {
                    is_ca: constraints.ca,
                    path_length: constraints.path_len_constraint,
                });
            }
            Parsed::AuthorityKeyIdentifier(key) => {
                let key = key.key_identifier.as_ref();
                self.authority_key_id = key.map_or(Json::Null, |key| base64(key.0));
            }
            Parsed::SubjectAlternativeName(names) => {
                self.alternative_names = Names::read(&names.general_names, address)?;
            }
            Parsed::AuthorityInfoAccess(access) => self.add_access(access)?,
            Parsed::CRLDistributionPoints(points) => self.add_points(points)?,
            Parsed::CertificatePolicies(policies) => {
                let ids = policies.iter().filter_map(|policy| oid::told(&policy.policy_id).ok());
                self.policies = ids.collect::<Vec<_>>().into();
            }
            Parsed::NameConstraints(constraints) => {
                let [permitted, excluded] =
                    [&constraints.permitted_subtrees, &constraints.excluded_subtrees]
                        .map(|subtrees| usize::from(subtrees.is_some()));
                let lists = der::elements(extension.value, Tag::Sequence)?;
                der::complete(permitted + excluded, &lists)?;
                self.constraints_are_critical = extension.critical;
                self.constrain(constraints)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn add_access(&mut self, access: &AuthorityInfoAccess<'_>) -> Result<(), Invalid> {
        for description in access.iter() {
            let uri = match &description.access_location {
                GeneralName::URI(uri) => (*uri).to_owned(),
                GeneralName::Invalid(..) => return Err(UNREADABLE),
                _ => continue,
            };
            match &*oid::arcs(&description.access_method)? {
                [1, 3, 6, 1, 5, 5, 7, 48, 1] => self.ocsp_servers.push(uri),
                [1, 3, 6, 1, 5, 5, 7, 48, 2] => self.issuers.push(uri),
                _ => {}
            }
        }
        Ok(())
    }

    /// Of the names of a point, only the URIs that come first are told.
    fn add_points(&mut self, points: &CRLDistributionPoints<'_>) -> Result<(), Invalid> {
        for point in points.iter() {
            let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
                continue;
            };
            for name in names {
                match name {
                    GeneralName::URI(uri) => self.crl_distribution_points.push((*uri).to_owned()),
                    GeneralName::Invalid(..) => return Err(UNREADABLE),
                    _ => break,
                }
            }
        }
        Ok(())
    }

    fn constrain(&mut self, constraints: &NameConstraints<'_>) -> Result<(), Invalid> {
        let read = |subtrees: &Option<Vec<GeneralSubtree<'_>>>| {
            let bases = subtrees.iter().flatten().map(|subtree| &subtree.base);
            Names::read(bases, network)
        };
        self.permitted = read(&constraints.permitted_subtrees)?;
        self.excluded = read(&constraints.excluded_subtrees)?;
        Ok(())
    }
}

/// Whether Go reads what such an extension says, so that one that it cannot read is an error.
fn is_read(oid: &Oid<'_>) -> bool {
    matches!(
        oid::arcs(oid).as_deref(),
        Ok([2, 5, 29, 14 | 15 | 17 | 19 | 30 | 31 | 32 | 33 | 35 | 36 | 37 | 54]
            | [1, 3, 6, 1, 5, 5, 7, 1, 1])
    )
}

fn is_alternative_names(oid: &Oid<'_>) -> bool {
    matches!(oid::arcs(oid).as_deref(), Ok([2, 5, 29, 17]))
}

/// How Go numbers them. Those that it does not know are not told.
fn extended_key_usage(value: &[u8]) -> Result<Vec<u8>, Invalid> {
    let mut known = Vec::new();
    for usage in der::elements(value, Tag::Sequence)? {
        match &*oid::arcs(&der::oid(&usage)?)? {
            [2, 5, 29, 37, 0] => known.push(0),
            [1, 3, 6, 1, 5, 5, 7, 3, number @ 1..=9] => known.push(*number as u8),
            [1, 3, 6, 1, 4, 1, 311, 10, 3, 3] => known.push(10),
            [2, 16, 840, 1, 113730, 4, 1] => known.push(11),
            [1, 3, 6, 1, 4, 1, 311, 2, 1, 22] => known.push(12),
            [1, 3, 6, 1, 4, 1, 311, 61, 1, 1] => known.push(13),
            _ => {}
        }
    }
    Ok(known)
}

// === impl Names ===

impl Names {
    fn read<'n, 'a: 'n>(
        names: impl IntoIterator<Item = &'n GeneralName<'a>>,
        address: fn(&[u8]) -> Result<Json, Invalid>,
    ) -> Result<Self, Invalid> {
        let mut read = Self::default();
        for name in names {
            match name {
                GeneralName::DNSName(name) => read.dns.push(ascii(name)?),
                GeneralName::RFC822Name(name) => read.email.push(ascii(name)?),
                GeneralName::URI(name) => read.uris.push(ascii(name)?),
                GeneralName::IPAddress(bytes) => read.addresses.push(address(bytes)?),
                GeneralName::Invalid(..) => {
                    return Err(UNREADABLE);
                }
                _ => {}
            }
        }
        Ok(read)
    }

    pub(super) fn told(self) -> [Json; 4] {
        [list(self.dns), list(self.email), list(self.addresses), list(self.uris)]
    }
}

fn ascii(name: &str) -> Result<String, Invalid> {
    if name.is_ascii() {
        Ok(name.to_owned())
    } else {
        Err(Invalid::Malformed("a name that is not ASCII"))
    }
}

fn address(bytes: &[u8]) -> Result<Json, Invalid> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(octets).to_string().into());
    }
    let octets = <[u8; 16]>::try_from(bytes)
        .map_err(|_| Invalid::Malformed("an IP address of another length than 4 or 16"))?;
    let address = Ipv6Addr::from(octets);
    // An IPv4 address in IPv6 is told as what it is.
    let told = address.to_ipv4_mapped().map(|address| address.to_string());
    Ok(told.unwrap_or_else(|| address.to_string()).into())
}

/// An address and a mask of the same length.
fn network(bytes: &[u8]) -> Result<Json, Invalid> {
    let (ip, mask) = bytes.split_at(bytes.len() / 2);
    let bits = mask.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    if !bits.is_sorted_by(|one, next| one >= next) {
        return Err(Invalid::Malformed("a network whose mask has holes"));
    }
    Ok(json!({ "IP": address(ip)?, "Mask": base64(mask) }))
}
