//! Lists and maps as they are written: what they hold is of one type.

use std::collections::BTreeMap;

use cel::common::ast::{EntryExpr, IdedExpr, ListExpr, MapExpr};

use super::assign::join;
use super::{Checker, Typed};
use crate::cel::Reason;
use crate::cel::tree::{Element, Entry, Literal, Node, Presence};
use crate::cel::types::Type;
use crate::json::Json;

// === impl Checker ===

impl Checker<'_> {
    pub(super) fn list(&mut self, list: &ListExpr) -> Typed {
        let mut element_type = None;
        let mut nesting = 0;
        let mut elements = Vec::with_capacity(list.elements.len());
        for (index, element) in list.elements.iter().enumerate() {
            let presence = match list.optional_indices.contains(&index) {
                true => Presence::Optional,
                false => Presence::Always,
            };
            let typed = self.present(element, presence);
            nesting = nesting.max(typed.nesting);
            self.join_into(element.id, &mut element_type, &typed.type_);
            elements.push(Element { value: typed.node, presence });
        }
        let node = match list_of_literals(&elements) {
            Some(json) => Node::Literal(Literal::Json(json)),
            None => Node::List(elements.into()),
        };
        Typed::new(node, Type::list(element_type.unwrap_or(Type::Dyn))).nested(1 + nesting)
    }

    pub(super) fn map(&mut self, id: u64, map: &MapExpr) -> Typed {
        let (mut key_type, mut value_type) = (None, None);
        let mut nesting = 0;
        let mut entries = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return self.flaw(id, Reason::CompileError, "the parser left a gap".to_owned());
            };
            let presence = if entry.optional { Presence::Optional } else { Presence::Always };
            let key = self.check(&entry.key);
            let value = self.present(&entry.value, presence);
            nesting = nesting.max(value.nesting);
            if !may_be_key(&key.type_) {
                let message = format!("a value of type '{}' cannot be a key", key.type_);
                self.flaw(entry.key.id, Reason::CompileError, message);
            }
            self.join_into(entry.key.id, &mut key_type, &key.type_);
            self.join_into(entry.value.id, &mut value_type, &value.type_);
            entries.push(Entry { key: key.node, value: value.node, presence });
        }
        let node = match map_of_literals(&entries) {
            Some(json) => Node::Literal(Literal::Json(json)),
            None => Node::Map(entries.into()),
        };
        let of = |type_: Option<Type>| type_.unwrap_or(Type::Dyn);
        Typed::new(node, Type::map(of(key_type), of(value_type))).nested(1 + nesting)
    }

    /// An element, of the type that it has if it is there.
    fn present(&mut self, element: &IdedExpr, presence: Presence) -> Typed {
        let mut typed = self.check(element);
        if presence == Presence::Always {
            return typed;
        }
        typed.type_ = match typed.type_ {
            Type::Optional(value) => (*value).clone(),
            Type::Dyn => Type::Dyn,
            other => {
                let message = format!("expected an optional but found '{other}'");
                self.flaw(element.id, Reason::CompileError, message);
                Type::Dyn
            }
        };
        typed
    }

    fn join_into(&mut self, id: u64, all: &mut Option<Type>, one: &Type) {
        *all = Some(match all.take() {
            None => one.clone(),
            Some(type_) => match join(&type_, one) {
                Some(joined) => joined,
                None => {
                    let message = format!("expected type '{type_}' but found '{one}'");
                    self.flaw(id, Reason::CompileError, message);
                    Type::Dyn
                }
            },
        });
    }
}

fn may_be_key(type_: &Type) -> bool {
    matches!(type_, Type::Dyn | Type::Bool | Type::Int | Type::Uint | Type::String)
}

fn list_of_literals(elements: &[Element]) -> Option<Json<'static>> {
    elements
        .iter()
        .map(|element| element.value.as_json().filter(|_| element.presence == Presence::Always))
        .collect::<Option<_>>()
        .map(Json::Array)
}

/// The map as JSON, if every key is a string and stands there once.
fn map_of_literals(entries: &[Entry]) -> Option<Json<'static>> {
    let mut fields = BTreeMap::new();
    for entry in entries {
        let Node::Literal(Literal::String(key)) = &entry.key else {
            return None;
        };
        let value = entry.value.as_json().filter(|_| entry.presence == Presence::Always)?;
        if fields.insert(key.to_string().into(), value).is_some() {
            return None;
        }
    }
    Some(fields.into_iter().collect())
}
