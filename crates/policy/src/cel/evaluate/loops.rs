//! Loops over lists and maps, and what they gather.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::{Evaluated, Locals, Scope, access, dispatch};
use crate::cel::EvaluationError;
use crate::cel::library;
use crate::cel::meter::{Fault, Meter};
use crate::cel::tree::{Gather, Loop, Names};
use crate::cel::value::{Key, MAP_BYTES, Map, Text, Value};

/// How many elements a list that is being made has room for at first.
const ROOM: usize = 8;

/// A map that is being made.
pub(super) struct Entries<'m, 'e> {
    meter: &'m Meter,
    map: BTreeMap<Key<'e>, Value<'e>>,
}

/// What `all` and `exists` know so far.
struct Decision {
    decisive: bool,
    error: Option<Fault>,
}

/// One round of a loop: the element, and the names around it.
type Visit<'l, 'e> = dyn FnMut(&Value<'e>, &Locals<'_, 'e>) -> Result<ControlFlow<()>, Fault> + 'l;

// === impl Scope ===

impl<'q> Scope<'q, '_> {
    pub(super) fn run<'e>(&self, a_loop: &'e Loop, locals: Option<&Locals<'_, 'e>>) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let range = self.evaluate(&a_loop.range, locals)?;
        match a_loop.gather {
            Gather::All => self.quantify(a_loop, &range, false, locals),
            Gather::Exists => self.quantify(a_loop, &range, true, locals),
            Gather::ExistsOne => self.count(a_loop, &range, locals),
            Gather::List => self.gather_list(a_loop, &range, locals),
            Gather::Map => self.gather_map(a_loop, &range, locals),
            Gather::Entries => self.gather_entries(a_loop, &range, locals),
            Gather::Sorted => {
                let keys = self.gather_list(a_loop, &range, locals)?;
                library::sort_by_keys(self.meter(), &range, &keys)
            }
        }
    }

    /// Goes through the range, and hands on its first value (element or key) with each.
    fn each<'e>(
        &self,
        a_loop: &'e Loop,
        range: &Value<'e>,
        locals: Option<&Locals<'_, 'e>>,
        visit: &mut Visit<'_, 'e>,
    ) -> Result<(), Fault>
    where
        'q: 'e,
    {
        let mut round = |first: Value<'e>, second: &dyn Fn() -> Value<'e>| {
            self.meter().step(1)?;
            let outer = Locals::new(first.clone(), locals);
            match a_loop.names {
                Names::One => self.filtered(a_loop, &first, &outer, visit),
                Names::Two => {
                    let inner = Locals::new(second(), Some(&outer));
                    self.filtered(a_loop, &first, &inner, visit)
                }
            }
        };
        match range {
            Value::List(list) => {
                for (index, element) in list.iter().enumerate() {
                    let (first, second) = match a_loop.names {
                        Names::One => (element, Value::Null),
                        Names::Two => (Value::Int(index as i64), element),
                    };
                    if round(first, &|| second.clone())?.is_break() {
                        break;
                    }
                }
            }
            Value::Map(Map::Json(fields)) => {
                for (name, json) in *fields {
                    if round(Value::borrowed(name), &|| Value::of_json(json))?.is_break() {
                        break;
                    }
                }
            }
            Value::Map(Map::Shared(entries)) => {
                for (key, value) in &**entries {
                    if round(key.clone().into_value(), &|| value.clone())?.is_break() {
                        break;
                    }
                }
            }
            other => {
                let message =
                    format!("a {} is not a list or a map to loop over", other.type_name());
                return Err(EvaluationError::new(message).into());
            }
        }
        Ok(())
    }

    fn filtered<'e>(
        &self,
        a_loop: &'e Loop,
        first: &Value<'e>,
        locals: &Locals<'_, 'e>,
        visit: &mut Visit<'_, 'e>,
    ) -> Result<ControlFlow<()>, Fault>
    where
        'q: 'e,
    {
        if let Some(filter) = &a_loop.filter {
            match self.evaluate(filter, Some(locals))? {
                Value::Bool(true) => {}
                Value::Bool(false) => return Ok(ControlFlow::Continue(())),
                other => return Err(dispatch::no_overload("filter", &[other])),
            }
        }
        visit(first, locals)
    }

    /// `all` and `exists`: an element that decides does so whatever the others are.
    fn quantify<'e>(
        &self,
        a_loop: &'e Loop,
        range: &Value<'e>,
        decisive: bool,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut decision = Decision { decisive, error: None };
        let mut decided = false;
        self.each(a_loop, range, locals, &mut |_, locals| {
            let flow = decision.hear(self.evaluate(&a_loop.body, Some(locals)))?;
            decided = flow.is_break();
            Ok(flow)
        })?;
        match decision.error {
            _ if decided => Ok(Value::Bool(decisive)),
            Some(error) => Err(error),
            None => Ok(Value::Bool(!decisive)),
        }
    }

    fn count<'e>(
        &self,
        a_loop: &'e Loop,
        range: &Value<'e>,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut count = 0;
        self.each(a_loop, range, locals, &mut |_, locals| {
            match self.evaluate(&a_loop.body, Some(locals))? {
                Value::Bool(bool) => count += usize::from(bool),
                other => return Err(dispatch::no_overload("exists_one", &[other])),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Value::Bool(count == 1))
    }

    fn gather_list<'e>(
        &self,
        a_loop: &'e Loop,
        range: &Value<'e>,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut list = Vec::new();
        self.each(a_loop, range, locals, &mut |_, locals| {
            let value = self.evaluate(&a_loop.body, Some(locals))?;
            if list.len() == list.capacity() {
                let more = list.len().max(ROOM);
                self.meter().allocate(more * size_of::<Value<'_>>())?;
                list.reserve_exact(more);
            }
            list.push(value);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Value::list(list))
    }

    fn gather_map<'e>(
        &self,
        a_loop: &'e Loop,
        range: &Value<'e>,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut map = Entries::new(self.meter());
        self.each(a_loop, range, locals, &mut |first, locals| {
            let value = self.evaluate(&a_loop.body, Some(locals))?;
            map.insert(access::key(first)?, value)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(map.finish())
    }

    fn gather_entries<'e>(
        &self,
        a_loop: &'e Loop,
        range: &Value<'e>,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut map = Entries::new(self.meter());
        self.each(a_loop, range, locals, &mut |_, locals| {
            match self.evaluate(&a_loop.body, Some(locals))? {
                Value::Map(entries) => {
                    for (key, value) in entries.entries() {
                        map.insert(key, value)?;
                    }
                }
                other => return Err(dispatch::no_overload("transformMapEntry", &[other])),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(map.finish())
    }
}

// === impl Decision ===

impl Decision {
    /// Breaks if the value decides.
    fn hear(&mut self, value: Evaluated<'_>) -> Result<ControlFlow<()>, Fault> {
        match value {
            Ok(Value::Bool(bool)) if bool == self.decisive => return Ok(ControlFlow::Break(())),
            Ok(Value::Bool(_)) => {}
            Ok(other) => {
                let name = if self.decisive { "exists" } else { "all" };
                self.error.get_or_insert_with(|| dispatch::no_overload(name, &[other]));
            }
            Err(exhausted @ Fault::Exhausted(_)) => return Err(exhausted),
            Err(fault) => {
                self.error.get_or_insert(fault);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

// === impl Entries ===

impl<'m, 'e> Entries<'m, 'e> {
    pub(super) fn new(meter: &'m Meter) -> Self {
        Self { meter, map: BTreeMap::new() }
    }

    /// Adds an entry; there may be only one for a key.
    pub(super) fn insert(&mut self, key: Key<'e>, value: Value<'e>) -> Result<(), Fault> {
        let first = if self.map.is_empty() { MAP_BYTES } else { 0 };
        self.meter.allocate(first + 2 * size_of::<(Key<'_>, Value<'_>)>())?;
        if self.map.contains_key(&key) {
            let key = match &key {
                Key::String(Text::Borrowed(text)) => (*text).to_owned(),
                key => format!("{key:?}"),
            };
            return Err(EvaluationError::new(format!("repeated key: {key}")).into());
        }
        self.map.insert(key, value);
        Ok(())
    }

    pub(super) fn finish(self) -> Value<'e> {
        Value::map(self.map)
    }
}
