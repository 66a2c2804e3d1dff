//! YAML, read.

use serde_json::Value as Json;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::super::Library;
use super::super::arguments::{error, text};
use super::json::{charge, value_of};
use crate::cel::types::Type;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("yaml.parse", [Type::String], Type::Dyn, |host, arguments| {
        let written = text(arguments, 0)?;
        charge(host, written, ':')?;
        // It takes several times as long as JSON.
        host.meter.step(written.len() as u64)?;
        // Aliases are what makes much of little.
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_aliases: 64, max_nodes: 100_000 },
            duplicate_keys: DuplicateKeyPolicy::LastWins,
        };
        let json = serde_saphyr::from_str_with_options::<Json>(written, options);
        let json = json.map_err(|reason| {
            let words = reason.without_snippet().to_string();
            error(format!("not YAML: {}", words.lines().next().unwrap_or_default()))
        });
        value_of(host, json?)
    });
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::{call, error_of, text_of, value};
    use crate::cel::value::Value;

    fn parsed(text: &str) -> String {
        text_of("json.marshal", &[value("yaml.parse", &[Value::string(text)])])
    }

    #[test]
    fn yaml_is_what_its_json_is() {
        assert_eq!(parsed("a: 1\nb: [x, true, null, 1.5]\n"), r#"{"a":1,"b":["x",true,null,1.5]}"#);
        assert_eq!(parsed("a: &x {b: c}\nd: *x\n"), r#"{"a":{"b":"c"},"d":{"b":"c"}}"#);
        assert_eq!(parsed("a: 1\na: 2\n"), r#"{"a":2}"#);
        assert_eq!(parsed("{\"a\": \"b\"}"), r#"{"a":"b"}"#);
        assert_eq!(parsed(""), "null");
        for text in ["a: [", "a: b: c", "a: *x"] {
            error_of("yaml.parse", &[Value::string(text)]);
        }
    }

    #[test]
    fn aliases_cannot_make_much_of_little() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        assert!(call("yaml.parse", &[Value::string(text)]).is_err());
        assert!(call("yaml.parse", &[Value::string("[".repeat(10_000))]).is_err());
    }
}
