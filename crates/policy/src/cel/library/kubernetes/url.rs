//! `kubernetes.URL`: absolute URIs and absolute paths, read as Go reads them. That is not how
//! browsers read them, so no crate for those answers the same.

use std::any::Any;
use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::super::Library;
use super::super::arguments::{error, opaque, text};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Key, Opaque, Text, Value};

pub(super) use parse::Url;

mod escape;
mod parse;

const TYPE: Type = Type::Opaque("kubernetes.URL");

/// More parameters than this are none.
const MAX_PARAMETERS: usize = 10_000;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("url", [Type::String], TYPE, |host, arguments| {
        let written = text(arguments, 0)?;
        host.meter.scan(written.len())?;
        host.meter.allocate(2 * written.len())?;
        Ok(Value::opaque(
            Url::parse(written).map_err(|reason| error(format!("not a URL: {reason}")))?,
        ))
    });
    library.global("isURL", [Type::String], Type::Bool, |host, arguments| {
        let written = text(arguments, 0)?;
        host.meter.scan(written.len())?;
        host.meter.allocate(written.len())?;
        Ok(Value::Bool(Url::check(written).is_ok()))
    });
    library.member("getScheme", [TYPE], Type::String, |host, arguments| {
        string(host, opaque::<Url>(arguments, 0)?.scheme.clone())
    });
    library.member("getHost", [TYPE], Type::String, |host, arguments| {
        string(host, lossy(&opaque::<Url>(arguments, 0)?.host))
    });
    library.member("getHostname", [TYPE], Type::String, |host, arguments| {
        string(host, lossy(opaque::<Url>(arguments, 0)?.host_and_port().0))
    });
    library.member("getPort", [TYPE], Type::String, |host, arguments| {
        string(host, lossy(opaque::<Url>(arguments, 0)?.host_and_port().1))
    });
    library.member("getEscapedPath", [TYPE], Type::String, |host, arguments| {
        string(host, opaque::<Url>(arguments, 0)?.path.clone())
    });
    let parameters = Type::map(Type::String, Type::list(Type::String));
    library.member("getQuery", [TYPE], parameters, |host, arguments| {
        query(host, &opaque::<Url>(arguments, 0)?.query)
    });
}

/// Whether a string is a host, with or without a port, as it stands in a URL.
pub(in crate::cel::library) fn is_authority(text: &str) -> bool {
    Url::is_authority(text)
}

/// The parts of a URL, which may be relative, as Go writes them as JSON; none if it is no URL.
pub(in crate::cel::library) fn url_parts(written: &str) -> Option<Json> {
    let url = Url::reference(written).ok()?;
    let (path, raw_path) = unescaped(&url.path, escape::Part::Path)?;
    let (fragment, raw_fragment) = unescaped(&url.fragment, escape::Part::Fragment)?;
    Some(json!({
        "Scheme": url.scheme,
        "Opaque": url.opaque,
        // What a user is, Go does not write.
        "User": url.user.map(|_| json!({})),
        "Host": lossy(&url.host),
        "Path": path,
        "RawPath": raw_path,
        "OmitHost": url.without_authority,
        "ForceQuery": url.empty_query,
        "RawQuery": url.query,
        "Fragment": fragment,
        "RawFragment": raw_fragment,
    }))
}

/// A part, and how it is written if that is not how it would be escaped.
fn unescaped(written: &str, part: escape::Part) -> Option<(String, &str)> {
    let bytes = escape::unescape(written, part).ok()?;
    let raw = if escape::escape(&bytes, part) == written { "" } else { written };
    Some((lossy(&bytes), raw))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn string<'a>(host: &Host<'_>, text: String) -> Result<Value<'a>, Fault> {
    host.meter.allocate(text.len())?;
    Ok(Value::string(text))
}

/// The values of each parameter. What is malformed is left out.
fn query<'a>(host: &Host<'_>, query: &str) -> Result<Value<'a>, Fault> {
    host.meter.scan(query.len())?;
    let mut parameters: BTreeMap<Key<'a>, Vec<Value<'a>>> = BTreeMap::new();
    if query.split('&').count() > MAX_PARAMETERS {
        return Ok(Value::map(BTreeMap::new()));
    }
    for parameter in query.split('&').filter(|part| !part.is_empty() && !part.contains(';')) {
        host.meter.step(1)?;
        host.meter.allocate(parameter.len() + 2 * size_of::<Value<'_>>())?;
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let unescape = |text| escape::unescape(text, escape::Part::Query);
        let (Ok(name), Ok(value)) = (unescape(name), unescape(value)) else { continue };
        let name = Key::String(Text::Shared(lossy(&name).into()));
        parameters.entry(name).or_default().push(Value::string(lossy(&value)));
    }
    Ok(Value::map(parameters.into_iter().map(|(name, of)| (name, Value::list(of))).collect()))
}

// === impl Url ===

impl Opaque for Url {
    fn type_of(&self) -> Type {
        TYPE
    }

    fn equals(&self, other: &dyn Opaque) -> bool {
        let other = other.as_any().downcast_ref::<Self>();
        other.is_some_and(|other| self.to_string() == other.to_string())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::{bool_of, error_of, text_of, texts, value};
    use crate::cel::value::{Key, Text, Value};

    fn url(written: &str) -> Value<'static> {
        value("url", &[Value::string(written)])
    }

    fn parts(written: &str) -> [String; 5] {
        ["getScheme", "getHost", "getHostname", "getPort", "getEscapedPath"]
            .map(|name| text_of(name, &[url(written)]))
    }

    #[test]
    fn a_url_is_read_as_the_api_server_reads_it() {
        let absolute =
            ["https://user:pass@example.com:80/path?query=val#fragment", "mailto:a", "a:"];
        let paths = [
            "/absolute-path",
            "/",
            "*",
            "//a/b",
            "/a b",
            "http://[::1]:80/",
            "http://[fe80::1%25en0]/",
        ];
        for written in absolute.into_iter().chain(paths).chain([
            "postgres://a:1,b:2/x",
            "x://h:/",
            "http:///a",
        ]) {
            assert!(bool_of("isURL", &[Value::string(written)]), "{written}");
            url(written);
        }
        let relative = ["", "../relative", "a/b", ":a", "1:a/b", "?a", "#a", "a b://c"];
        let hosts = [
            "https://a:b:c/",
            "https://a:1:2/",
            "http://[::1/",
            "http://[1.2.3.4]/",
            "http://a[::1]/",
            "http://[::g]/",
        ];
        let escapes = [
            "/%zz",
            "/%a",
            "http://a%41/",
            "http://a b/",
            "http://us er@h/",
            "/\u{7f}",
            "/\n",
            "http://a/%",
        ];
        for written in relative.into_iter().chain(hosts).chain(escapes) {
            assert!(!bool_of("isURL", &[Value::string(written)]), "{written}");
            error_of("url", &[Value::string(written)]);
        }
        // Only the second reading knows fragments.
        assert!(bool_of("isURL", &[Value::string("/a?b#%zz")]));
        error_of("url", &[Value::string("/a?b#%zz")]);
    }

    #[test]
    fn the_parts_of_a_url_are_told() {
        assert_eq!(
            parts("HTTPS://u:p@Example.com:80/a/b?c#d"),
            ["https", "Example.com:80", "Example.com", "80", "/a/b"]
        );
        assert_eq!(parts("https://[::1]:80/"), ["https", "[::1]:80", "::1", "80", "/"]);
        assert_eq!(
            parts("https://[fe80::1%25en0]"),
            ["https", "[fe80::1%en0]", "fe80::1%en0", "", ""]
        );
        assert_eq!(parts("/path with spaces/"), ["", "", "", "", "/path%20with%20spaces/"]);
        assert_eq!(parts("/a%2fb[c]"), ["", "", "", "", "/a%2fb[c]"]);
        assert_eq!(parts("/a%2fb\u{e9}"), ["", "", "", "", "/a/b%C3%A9"]);
        assert_eq!(parts("mailto:a@b"), ["mailto", "", "", "", ""]);
        assert_eq!(parts("//host/path"), ["", "host", "host", "", "/path"]);
    }

    #[test]
    fn a_query_gives_every_value_of_a_name() {
        let query = |written: &str| {
            let Value::Map(map) = value("getQuery", &[url(written)]) else { panic!() };
            let name = |key| match key {
                Key::String(Text::Shared(name)) => name.to_string(),
                other => panic!("{other:?}"),
            };
            map.entries().map(|(key, of)| (name(key), texts(&of))).collect::<Vec<_>>()
        };
        let expected = |name: &str, values: &[&str]| {
            (name.to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            query("/?k1=a&k2=b&k2=c"),
            [expected("k1", &["a"]), expected("k2", &["b", "c"])]
        );
        assert_eq!(query("/?a b=c+d%20e&f"), [expected("a b", &["c d e"]), expected("f", &[""])]);
        assert_eq!(query("/?a;b&%zz=1&c=%zz&&=d"), [expected("", &["d"])]);
        assert!(query("/?").is_empty() && query("/").is_empty());
        assert!(query(&format!("/?{}", "a&".repeat(10_001))).is_empty());
    }

    #[test]
    fn urls_are_equal_as_they_are_written_out() {
        let equal = |left: &str, right: &str| {
            let [Value::Opaque(left), Value::Opaque(right)] = [url(left), url(right)] else {
                panic!()
            };
            left.equals(&*right)
        };
        assert!(equal("HTTP://a/b", "http://a/b"));
        assert!(equal("/a b", "/a%20b"));
        assert!(equal("http://u:p%40@h/?#f%41", "http://u:p%40@h/?#f%41"));
        assert!(!equal("/a%2fb", "/a/b"));
        assert!(!equal("/a?", "/a"));
        assert!(!equal("http://A/", "http://a/"));
        assert!(!equal("x:a", "x:/a"));
    }
}
