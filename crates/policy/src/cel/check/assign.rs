//! What may stand for what.

use crate::cel::types::Type;

/// What the parameters of one signature stand for.
#[derive(Default)]
pub(super) struct Bindings(Vec<(&'static str, Type)>);

// === impl Bindings ===

impl Bindings {
    /// Whether a value of that type may be passed for that parameter. Parameters that are met for
    /// the first time are bound, others grow more general where they must.
    pub(super) fn accept(&mut self, given: &Type, parameter: &Type) -> bool {
        match (given, parameter) {
            (given, Type::Parameter(name)) => {
                match self.0.iter_mut().find(|(bound, _)| bound == name) {
                    None => self.0.push((name, given.clone())),
                    Some((_, bound)) => match join(bound, given) {
                        Some(joined) => *bound = joined,
                        None => return false,
                    },
                }
                true
            }
            (Type::Dyn, parameter) => {
                self.bind_to_dyn(parameter);
                true
            }
            (Type::List(given), Type::List(parameter))
            | (Type::Optional(given), Type::Optional(parameter)) => self.accept(given, parameter),
            (Type::Map(key, value), Type::Map(key_parameter, value_parameter)) => {
                self.accept(key, key_parameter) && self.accept(value, value_parameter)
            }
            (given, parameter) => join(given, parameter).is_some(),
        }
    }

    fn bind_to_dyn(&mut self, parameter: &Type) {
        match parameter {
            Type::Parameter(_) => {
                self.accept(&Type::Dyn, parameter);
            }
            Type::List(element) | Type::Optional(element) => self.bind_to_dyn(element),
            Type::Map(key, value) => {
                self.bind_to_dyn(key);
                self.bind_to_dyn(value);
            }
            _ => {}
        }
    }

    /// The type with what its parameters stand for; dyn for those that stand for nothing.
    pub(super) fn apply(&self, type_: &Type) -> Type {
        match type_ {
            Type::Parameter(name) => self
                .0
                .iter()
                .find(|(bound, _)| bound == name)
                .map_or(Type::Dyn, |(_, bound)| bound.clone()),
            Type::List(element) => Type::list(self.apply(element)),
            Type::Optional(value) => Type::optional(self.apply(value)),
            Type::Map(key, value) => Type::map(self.apply(key), self.apply(value)),
            Type::Type(of) => Type::Type(self.apply(of).into()),
            other => other.clone(),
        }
    }
}

/// The type that two types are both of, if they may be taken for each other.
pub(super) fn join(left: &Type, right: &Type) -> Option<Type> {
    Some(match (left, right) {
        (Type::Dyn, _) | (_, Type::Dyn) => Type::Dyn,
        (Type::Null, nullable) | (nullable, Type::Null) if is_nullable(nullable) => {
            nullable.clone()
        }
        (Type::List(left), Type::List(right)) => Type::list(join(left, right)?),
        (Type::Optional(left), Type::Optional(right)) => Type::optional(join(left, right)?),
        (Type::Map(left_key, left), Type::Map(right_key, right)) => {
            Type::map(join(left_key, right_key)?, join(left, right)?)
        }
        (Type::Type(_), Type::Type(_)) => left.clone(),
        (left, right) if left == right => left.clone(),
        _ => return None,
    })
}

/// Whether null may stand for a value of that type.
fn is_nullable(type_: &Type) -> bool {
    matches!(
        type_,
        Type::Null
            | Type::Duration
            | Type::Timestamp
            | Type::Optional(_)
            | Type::Opaque(_)
            | Type::Object(_)
    )
}
