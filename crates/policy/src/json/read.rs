//! From what a JSON reader finds to a document, each part of which is paid for before it is made.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read as Source;

use super::{Fields, Json, NotJson, Read, Unread};

/// How much memory is asked for at a time: more than most documents take.
const STEP: usize = 32 << 10;
const ELEMENT: usize = size_of::<Json<'_>>();
const FIELD: usize = size_of::<(Cow<'_, str>, Json<'_>)>();
/// What an allocation takes beside its bytes, at most.
const BLOCK: usize = 32;
/// What something takes while it is read, of what it takes in the end: the piles that it is read to
/// have twice the room when they have grown, and three times while they are copied to that; fields are
/// sorted, and copied once more if a name is there twice.
const ON_A_PILE: usize = 3;
/// A text with escapes is put together in a buffer that grows so, too, before anybody is asked.
const IN_A_BUFFER: usize = 3;

/// What was read of the lists and objects that have not ended yet. One pile for all of them, so that
/// each takes its share at once when it ends and none grows by itself.
struct Unfinished<'a, 't> {
    elements: Vec<Json<'a>>,
    fields: Vec<(Cow<'a, str>, Json<'a>)>,
    memory: Memory<'t>,
}

/// What may be used, and what stays in use.
struct Memory<'t> {
    take: &'t mut dyn FnMut(usize) -> bool,
    left: usize,
    kept: usize,
    /// Errors of reading cannot say so.
    is_short: bool,
}

/// Reads the name of a field.
struct Name<'m, 't>(&'m mut Memory<'t>);

/// Reads a document to its end. No text with escapes is longer than `longest_text`.
pub(super) fn document<'a>(
    mut reader: serde_json::Deserializer<impl Source<'a>>,
    longest_text: usize,
    take: &mut dyn FnMut(usize) -> bool,
) -> Result<Read<'a>, Unread> {
    let memory = Memory { take, left: 0, kept: 0, is_short: false };
    let mut unfinished = Unfinished { elements: Vec::new(), fields: Vec::new(), memory };
    let buffer = unfinished.memory.hold(0, IN_A_BUFFER * longest_text);
    let document = buffer.and_then(|()| unfinished.deserialize(&mut reader));
    let document = document.and_then(|document| reader.end().map(|()| document));
    let Memory { kept: bytes, is_short, .. } = unfinished.memory;
    match document {
        Ok(document) => Ok(Read { document, bytes }),
        Err(_) if is_short => Err(Unread::NoMemory),
        Err(error) => Err(Unread::NotJson(NotJson(error))),
    }
}

// === impl Memory ===

impl Memory<'_> {
    /// For what stays, and for what is given up again while reading goes on.
    fn hold<E: Error>(&mut self, staying: usize, passing: usize) -> Result<(), E> {
        let bytes = staying + passing;
        if bytes > self.left {
            let step = (bytes - self.left).next_multiple_of(STEP);
            if !(self.take)(step) {
                self.is_short = true;
                return Err(E::custom("there is not enough memory for it"));
            }
            self.left += step;
        }
        self.left -= bytes;
        self.kept += staying;
        Ok(())
    }

    fn part<E: Error>(&mut self, size: usize) -> Result<(), E> {
        self.hold(size, ON_A_PILE * size)
    }

    fn text<E: Error>(&mut self, text: &str) -> Result<String, E> {
        self.hold(text.len() + BLOCK, 0)?;
        Ok(text.to_owned())
    }
}

// === impl Unfinished ===

impl<'a> DeserializeSeed<'a> for &mut Unfinished<'a, '_> {
    type Value = Json<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Json<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for &mut Unfinished<'a, '_> {
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
        self.memory.text(text).map(|text| Json::String(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<Json<'a>, A::Error> {
        self.memory.hold(BLOCK, 0)?;
        let start = self.elements.len();
        while let Some(element) = list.next_element_seed(&mut *self)? {
            self.memory.part(ELEMENT)?;
            self.elements.push(element);
        }
        Ok(Json::Array(self.elements.drain(start..).collect()))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<Json<'a>, A::Error> {
        self.memory.hold(BLOCK, 0)?;
        let start = self.fields.len();
        while let Some(name) = object.next_key_seed(Name(&mut self.memory))? {
            let value = object.next_value_seed(&mut *self)?;
            self.memory.part(FIELD)?;
            self.fields.push((name, value));
        }
        Ok(Json::Object(Fields::drained(&mut self.fields, start)))
    }
}

// === impl Name ===

impl<'a> DeserializeSeed<'a> for Name<'_, '_> {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Cow<'a, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name<'_, '_> {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Cow<'a, str>, E> {
        self.0.text(name).map(Cow::Owned)
    }
}
