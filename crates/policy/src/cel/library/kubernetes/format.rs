//! `kubernetes.NamedFormat`: the formats that the fields of Kubernetes objects have.
//!
//! What is wrong with a string is said in the words of the API server, since policies put it into
//! their messages.

use std::any::Any;

use super::super::Library;
use super::super::arguments::{opaque, text};
use crate::cel::meter::Host;
use crate::cel::types::Type;
use crate::cel::value::{Opaque, Value};

use rules::*;

mod rules;

const TYPE: Type = Type::Opaque("kubernetes.NamedFormat");

/// A format and what it says of a string: nothing, if it is of that format.
#[derive(Debug)]
struct Format {
    name: &'static str,
    faults: fn(&str) -> Vec<String>,
}

/// A format as a value.
#[derive(Debug)]
struct NamedFormat(&'static Format);

static FORMATS: [Format; 13] = [
    Format { name: "dns1123Label", faults: dns_label },
    Format { name: "dns1123Subdomain", faults: dns_subdomain },
    Format { name: "dns1035Label", faults: dns1035_label },
    Format { name: "qualifiedName", faults: qualified_name },
    Format { name: "dns1123LabelPrefix", faults: |text| dns_label(&as_prefix(text)) },
    Format { name: "dns1123SubdomainPrefix", faults: |text| dns_subdomain(&as_prefix(text)) },
    Format { name: "dns1035LabelPrefix", faults: |text| dns1035_label(&as_prefix(text)) },
    Format { name: "labelValue", faults: label_value },
    Format { name: "uri", faults: uri },
    Format { name: "uuid", faults: |text| unless(is_uuid(text), "does not match the UUID format") },
    Format { name: "byte", faults: |text| unless(is_base64(text), "invalid base64") },
    Format { name: "date", faults: |text| unless(is_date(text), "invalid date") },
    Format { name: "datetime", faults: |text| unless(is_datetime(text), "invalid datetime") },
];

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let constants: [(_, crate::cel::library::Call); 13] = [
        ("format.dns1123Label", constant::<0>),
        ("format.dns1123Subdomain", constant::<1>),
        ("format.dns1035Label", constant::<2>),
        ("format.qualifiedName", constant::<3>),
        ("format.dns1123LabelPrefix", constant::<4>),
        ("format.dns1123SubdomainPrefix", constant::<5>),
        ("format.dns1035LabelPrefix", constant::<6>),
        ("format.labelValue", constant::<7>),
        ("format.uri", constant::<8>),
        ("format.uuid", constant::<9>),
        ("format.byte", constant::<10>),
        ("format.date", constant::<11>),
        ("format.datetime", constant::<12>),
    ];
    for (name, call) in constants {
        library.global(name, [], TYPE, call);
    }
    library.global("format.named", [Type::String], Type::optional(TYPE), |_, arguments| {
        let name = text(arguments, 0)?;
        let format = FORMATS.iter().find(|format| format.name == name);
        Ok(format
            .map_or_else(Value::none, |format| Value::some(Value::opaque(NamedFormat(format)))))
    });
    let faults = Type::optional(Type::list(Type::String));
    library.member("validate", [TYPE, Type::String], faults, |host, arguments| {
        let NamedFormat(format) = opaque(arguments, 0)?;
        let text = text(arguments, 1)?;
        host.meter.scan(text.len())?;
        let faults = (format.faults)(text);
        if faults.is_empty() {
            return Ok(Value::none());
        }
        host.meter.allocate(faults.iter().map(String::len).sum())?;
        Ok(Value::some(Value::list(faults.into_iter().map(Value::string).collect())))
    });
}

fn constant<'a, const INDEX: usize>(
    _: &Host<'_>,
    _: &[Value<'a>],
) -> Result<Value<'a>, crate::cel::meter::Fault> {
    Ok(Value::opaque(NamedFormat(&FORMATS[INDEX])))
}

fn unless(valid: bool, fault: &str) -> Vec<String> {
    if valid { Vec::new() } else { vec![fault.to_owned()] }
}

// === impl NamedFormat ===

impl Opaque for NamedFormat {
    fn type_of(&self) -> Type {
        TYPE
    }

    fn equals(&self, other: &dyn Opaque) -> bool {
        let other = other.as_any().downcast_ref::<Self>();
        other.is_some_and(|other| self.0.name == other.0.name)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::FORMATS;
    use crate::cel::library::tests::{texts, value};
    use crate::cel::value::Value;

    fn faults(format: &str, text: &str) -> Vec<String> {
        let format = value(&format!("format.{format}"), &[]);
        match value("validate", &[format, Value::string(text)]) {
            Value::Optional(None) => Vec::new(),
            Value::Optional(Some(list)) => texts(&list),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_format_knows_its_own() {
        let long = "a".repeat(64);
        let cases: [(&str, &[&str], &[&str]); 13] = [
            ("dns1123Label", &["a", "1-a", "my-name"], &["", "A", "-a", "a-", "a.b", &long, "a\n"]),
            ("dns1123Subdomain", &["a.b-c.1", &long], &["a..b", ".a", "a.", "a_b", "A.b"]),
            ("dns1035Label", &["abc-1"], &["1a", "a-", "", "a.b", &long]),
            (
                "qualifiedName",
                &["a", "A_b.c", "a.b/C-d"],
                &["a/b/c", "/a", "a/", "A/b", "a b", &long],
            ),
            ("dns1123LabelPrefix", &["my-", "a"], &["-", "-a-", "a.b-", "\u{e9}-"]),
            ("dns1123SubdomainPrefix", &["my.sub-", "a.-"], &[".", "-"]),
            ("dns1035LabelPrefix", &["my-"], &["1-a-", "-"]),
            ("labelValue", &["", "A_b.c-1"], &["-a", "a-", "a b", &long]),
            (
                "uri",
                &["https://example.com/a?b", "/a", "a:b"],
                &["", "../a", "a", "https://a:b:c/"],
            ),
            (
                "uuid",
                &["123e4567-e89b-12d3-A456-426614174000", "123e4567e89b12d3a456426614174000"],
                &[
                    "",
                    "123e4567-e89b-12d3-a456-42661417400",
                    "g23e4567-e89b-12d3-a456-426614174000",
                ],
            ),
            ("byte", &["aGVsbG8=", "YWI=", "YQ==", "YWJj"], &["", "aGVsbG8", "a", "====", "YW-j"]),
            (
                "date",
                &["2021-01-01", "2024-02-29", "0000-01-01"],
                &["2021-1-1", "2023-02-29", "20210101", "+2021-01-01"],
            ),
            (
                "datetime",
                &["2021-01-01T00:00:00Z", "2021-01-01t23:59:59.123+01:00"],
                &[
                    "2021-01-01",
                    "2021-01-01T24:00:00Z",
                    "2021-01-01T00:00:60Z",
                    "2021-01-01 00:00:00Z",
                ],
            ),
        ];
        for (format, valid, invalid) in cases {
            for text in valid {
                assert_eq!(faults(format, text), Vec::<String>::new(), "{format} {text:?}");
            }
            for text in invalid {
                assert_ne!(faults(format, text), Vec::<String>::new(), "{format} {text:?}");
            }
        }
    }

    #[test]
    fn a_format_is_found_by_its_name_alone() {
        for format in &FORMATS {
            let Value::Optional(Some(named)) = value("format.named", &[Value::string(format.name)])
            else {
                panic!("no format {}", format.name);
            };
            let Value::Opaque(named) = &*named else { panic!("{named:?}") };
            let Value::Opaque(constant) = value(&format!("format.{}", format.name), &[]) else {
                panic!("{}", format.name);
            };
            assert!(named.equals(&*constant), "{}", format.name);
        }
        let unknown = value("format.named", &[Value::string("DNS1123Label")]);
        assert!(matches!(unknown, Value::Optional(None)));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_api_server() {
        assert_eq!(faults("dns1123Label", "a.b"), ["must not contain dots"]);
        assert_eq!(
            faults("labelValue", "a b"),
            [
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' \
              or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
              'my_value',  or '12345', regex used for validation is \
              '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
        let long = "-".repeat(64);
        assert_eq!(faults("dns1035Label", &long).len(), 2);
        assert_eq!(faults("uuid", "x"), ["does not match the UUID format"]);
    }
}
