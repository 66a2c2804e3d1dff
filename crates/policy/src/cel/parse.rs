//! From text to a tree that is small enough to be walked, evaluated and dropped by recursion.

use std::sync::LazyLock;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};
use cel::{Env, ParseError, ParseErrors};

use super::{MAX_DEPTH, MAX_LENGTH, Position, Problem, Reason};

/// An environment without macros: they stay calls, and the checker knows what they mean.
static ENV: LazyLock<Env> = LazyLock::new(Env::default);

/// Enough for the deepest tree that [`MAX_LENGTH`] bytes can spell. Only what is used becomes real.
const STACK: usize = 128 << 20;

/// Enough to check the deepest tree that is let through.
const WALK: usize = if cfg!(debug_assertions) { 8 << 20 } else { 1 << 20 };

/// A parsed expression, with where each part of it was written.
pub(super) struct Parsed {
    root: IdedExpr,
    info: SourceInfo,
}

/// Parses an expression whose author is not trusted.
///
/// The parser recurses with its input, and some forms that nest do not count against its own limit.
/// A stack overflow cannot be caught, so parsing gets a stack that it cannot overflow, and a tree
/// that is too deep is dropped on it.
pub(super) fn parse(source: &str) -> Result<Parsed, Vec<Problem>> {
    if source.len() > MAX_LENGTH {
        let message = format!("longer than {MAX_LENGTH} bytes");
        return Err(vec![Problem::new(Reason::TooComplex, message)]);
    }
    stacker::grow(STACK, || parse_within(source))
}

fn parse_within(source: &str) -> Result<Parsed, Vec<Problem>> {
    let (root, info) = ENV.parser().parse_with_source_info(source).map_err(problems)?;
    if depth(&root) > MAX_DEPTH {
        let message = format!("nested more than {MAX_DEPTH} deep");
        return Err(vec![Problem::new(Reason::TooComplex, message)]);
    }
    Ok(Parsed { root, info })
}

fn problems(errors: ParseErrors) -> Vec<Problem> {
    errors.errors.into_iter().map(Problem::from).collect()
}

fn depth(root: &IdedExpr) -> usize {
    let mut deepest = 0;
    let mut pending = vec![(root, 1)];
    while let Some((node, depth)) = pending.pop() {
        deepest = deepest.max(depth);
        each_child(&node.expr, &mut |child| pending.push((child, depth + 1)));
    }
    deepest
}

fn each_child<'e>(expr: &'e Expr, visit: &mut dyn FnMut(&'e IdedExpr)) {
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Select(select) => visit(&select.operand),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).for_each(visit),
        Expr::List(list) => list.elements.iter().for_each(visit),
        Expr::Map(map) => map.entries.iter().for_each(|entry| each_value(&entry.expr, visit)),
        Expr::Struct(literal) => {
            literal.entries.iter().for_each(|entry| each_value(&entry.expr, visit));
        }
        Expr::Comprehension(comprehension) => {
            let parts = [
                &comprehension.iter_range,
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ];
            parts.into_iter().for_each(visit);
        }
    }
}

fn each_value<'e>(entry: &'e EntryExpr, visit: &mut dyn FnMut(&'e IdedExpr)) {
    match entry {
        EntryExpr::StructField(field) => visit(&field.value),
        EntryExpr::MapEntry(entry) => {
            visit(&entry.key);
            visit(&entry.value);
        }
    }
}

// === impl Parsed ===

impl Parsed {
    /// Walks the tree, with enough stack to recurse with it.
    pub(super) fn walk<T>(&self, walk: impl FnOnce(&IdedExpr) -> T) -> T {
        stacker::maybe_grow(WALK, WALK, || walk(&self.root))
    }

    /// Where a node was written.
    pub(super) fn position(&self, node: u64) -> Option<Position> {
        let offset = usize::try_from(self.info.offset_for(node)?.0).ok()?;
        let before = self.info.source.get(..offset)?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        Some(Position { line: 1 + before.matches('\n').count(), column: 1 + line.chars().count() })
    }
}

// === impl Problem ===

impl From<ParseError> for Problem {
    fn from(error: ParseError) -> Self {
        let position = match (usize::try_from(error.pos.0), usize::try_from(error.pos.1)) {
            (Ok(line @ 1..), Ok(column)) => Some(Position { line, column }),
            _ => None,
        };
        // The parser's cause is its own internals, spelt out.
        Self { position, reason: Reason::CompileError, message: first_line(&error.msg).to_owned() }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
