//! From what a JSON reader finds to a document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;

use super::{Fields, Json};

/// What was read of the lists and objects that have not ended yet. One pile for all of them, so that
/// each takes its share at once when it ends and none grows by itself.
#[derive(Default)]
struct Unfinished<'a> {
    elements: Vec<Json<'a>>,
    fields: Vec<(Cow<'a, str>, Json<'a>)>,
}

/// Reads the name of a field.
struct Name;

/// Reads a document to its end.
pub(super) fn document<'a>(
    mut reader: serde_json::Deserializer<impl Read<'a>>,
) -> serde_json::Result<Json<'a>> {
    let document = Unfinished::default().deserialize(&mut reader)?;
    reader.end()?;
    Ok(document)
}

// === impl Unfinished ===

impl<'a> DeserializeSeed<'a> for &mut Unfinished<'a> {
    type Value = Json<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Json<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for &mut Unfinished<'a> {
    type Value = Json<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'a>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Json<'a>, E> {
        Ok(Json::Bool(bool))
    }

    fn visit_i64<E: Error>(self, int: i64) -> Result<Json<'a>, E> {
        Ok(Json::Int(int))
    }

    fn visit_u64<E: Error>(self, int: u64) -> Result<Json<'a>, E> {
        Ok(i64::try_from(int).map_or(Json::Double(int as f64), Json::Int))
    }

    fn visit_f64<E: Error>(self, double: f64) -> Result<Json<'a>, E> {
        Ok(Json::Double(double))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Json<'a>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'a>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Json<'a>, A::Error> {
        let start = self.elements.len();
        while let Some(element) = list.next_element_seed(&mut *self)? {
            self.elements.push(element);
        }
        Ok(Json::Array(self.elements.drain(start..).collect()))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<Json<'a>, A::Error> {
        let start = self.fields.len();
        while let Some(name) = object.next_key_seed(Name)? {
            let value = object.next_value_seed(&mut *self)?;
            self.fields.push((name, value));
        }
        Ok(Json::Object(Fields::drained(&mut self.fields, start)))
    }
}

// === impl Name ===

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Cow<'a, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}
