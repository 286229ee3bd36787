//! Owns CEL conditions: compiling, checking and evaluating them. With `condition/check`, the only file that knows the `cel` crate.
//!
//! Never lets an expression decide by failing: whatever cannot be evaluated is an error for the caller to read as "no".
//! The crate bounds neither its stack nor its time, so both are bounded here:
//! - Compiling runs on a thread with a large stack, after a cap on length and operators that its parser needs to stay within it.
//! - An expression of more than `INLINE_DEPTH` levels is evaluated there too; the tree may have at most [`MAX_DEPTH`].
//! - A comprehension must not stand in another, and iterates over at most [`MAX_ELEMENTS`].
//! - A bound of the steps is known before evaluation; above [`MAX_STEPS`] it is refused.

mod check;
mod cost;

use super::facts::{Facts, integral};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use cel::common::types::{CelString, DYN_TYPE};
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Value};
use check::Walk;
use cost::Cost;
pub(super) use cost::Weight;
use serde_json::Value as Json;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

/// Longest expression, in bytes.
pub const MAX_LENGTH: usize = 4_096;
/// Longest list or map that a comprehension iterates over.
pub const MAX_ELEMENTS: u64 = 1_000;
/// Most steps (of about half a microsecond) an evaluation may take.
pub const MAX_STEPS: u64 = 2_000_000;
/// Most levels of the expression's tree.
pub const MAX_DEPTH: u32 = 64;
/// Levels that are evaluated on the caller's stack: an unoptimised build takes about 40 KiB for each.
const INLINE_DEPTH: u32 = 12;
/// Most operator characters: the parser recurses once for each in a chain.
const MAX_OPERATORS: usize = 512;
const BIG_STACK: usize = 64 * 1024 * 1024;
const BOUNDED: &str = "@bounded";
const ITERATES_TOO_MUCH: &str = "iterates over more than 1,000 elements";

/// The variables of `when`; `reviewer_when` has `reviewer` too. Lint and evaluation share this list.
const ROOTS: [&str; 8] = ["action", "parameters", "resource", "context", "client", "on_behalf_of", "history", "now"];
const REVIEWER: &str = "reviewer";

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    // Were this refused, every comprehension would fail with an undeclared function, which reads as "no".
    let _ = env.add_overload(BOUNDED, "bounded", vec![DYN_TYPE], bounded);
    Arc::new(env)
});

/// Hands its argument through unless it is too long to iterate over.
fn bounded<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let range = arguments.pop().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let size = range.as_sizer().map_or(0, |sizer| *sizer.size().inner());
    if u64::try_from(size).unwrap_or(u64::MAX) > MAX_ELEMENTS {
        return Err(ExecutionError::function_error(BOUNDED, ITERATES_TOO_MUCH));
    }
    Ok(range)
}

/// Which variables an expression may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    When,
    ReviewerWhen,
}

impl Scope {
    fn roots(self) -> Vec<&'static str> {
        let mut roots = ROOTS.to_vec();
        if self == Self::ReviewerWhen {
            roots.push(REVIEWER);
        }
        roots
    }
}

/// Something wrong with an expression, at a byte offset in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) offset: usize,
    pub(super) message: String,
    /// A mistake that only fails at evaluation, where it reads as "no".
    pub(super) warning: bool,
}

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Condition {
    expression: IdedExpr,
    roots: BTreeSet<&'static str>,
    /// Names written in the expression: only these may be repeated in an error, which others get to read.
    names: BTreeSet<String>,
    cost: Cost,
    depth: u32,
}

/// Runs `work` on a thread whose stack holds the crate's recursion. `None` when it panicked or no thread could be had.
pub(super) fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new().name("policy".to_owned()).stack_size(BIG_STACK).spawn_scoped(scope, work).ok()?.join().ok()
    })
}

impl Condition {
    /// Whether the expression reads this variable.
    pub(super) fn reads(&self, root: &str) -> bool {
        self.roots.contains(root)
    }

    /// Compiles and checks. Call it [on a big stack](on_big_stack). Warnings come with the condition, errors instead of it.
    pub(super) fn compile(source: &str, scope: Scope) -> (Option<Self>, Vec<Mistake>) {
        let fail = |offset, message: String| (None, vec![Mistake { offset, message, warning: false }]);
        if source.len() > MAX_LENGTH {
            return fail(0, format!("longer than {MAX_LENGTH} bytes"));
        }
        if source.matches(['+', '-', '*', '/', '%', '<', '>', '=', '[', '(', '{']).count() + source.matches("in").count() > MAX_OPERATORS {
            return fail(0, format!("more than {MAX_OPERATORS} operators and brackets"));
        }
        let program = match ENV.compile(source) {
            Ok(program) => program,
            Err(errors) => {
                let first = errors.errors.first();
                let offset = first.map_or(0, |error| offset_of(source, error.pos));
                let what = first.map_or("", |error| error.msg.as_str());
                let what = what.split_once(" expecting ").map_or(what, |(start, _)| start);
                let what = if what.contains("Recursion limit") { "nested too deeply" } else { what.trim_start_matches("Syntax error: ") };
                return fail(offset, format!("does not compile: {what}"));
            }
        };
        let mut walk = Walk::new(&program, scope);
        let mut expression = program.expression().clone();
        walk.visit(&mut expression, 1, false);
        let Walk { used, names, mut mistakes, cost, depth, .. } = walk;
        if depth > MAX_DEPTH {
            mistakes.push(Mistake { offset: 0, message: format!("nested deeper than {MAX_DEPTH} levels"), warning: false });
        }
        mistakes.sort_by_key(|mistake| mistake.offset);
        let sound = mistakes.iter().all(|mistake| mistake.warning);
        (sound.then_some(Self { expression, roots: used, names, cost, depth }), mistakes)
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = &'static str> {
        self.roots.iter().copied()
    }

    /// Whether the caller's stack may not hold the evaluation.
    pub(super) fn is_deep(&self) -> bool {
        self.depth > INLINE_DEPTH
    }

    /// An upper bound of the steps over these facts.
    pub(super) fn steps(&self, weight: Weight) -> u64 {
        self.cost.steps(weight)
    }

    /// Evaluates. The error names no value of the request.
    pub(super) fn holds(&self, scene: &Scene) -> Result<bool, String> {
        if self.steps(scene.weight) > MAX_STEPS {
            return Err("would take too many steps over a request of this size".to_owned());
        }
        match Value::resolve(&self.expression, &scene.context) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(_) => Err("the result is not true or false".to_owned()),
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn explain(&self, error: &ExecutionError) -> String {
        match error {
            ExecutionError::NoSuchKey(name) if self.names.contains(name.as_str()) => format!("there is no \"{name}\""),
            ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => "there is no such key or element".to_owned(),
            ExecutionError::FunctionError { message, .. } if message == ITERATES_TOO_MUCH => ITERATES_TOO_MUCH.to_owned(),
            ExecutionError::FunctionError { function, .. } if self.names.contains(function) => format!("{function}() failed"),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
            ExecutionError::Overflow(..) => "a number became too large".to_owned(),
            ExecutionError::UndeclaredReference(_) => "a name is not declared".to_owned(),
            ExecutionError::NoSuchOverload(_)
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::UnexpectedType { .. }
            | ExecutionError::ValuesNotComparable(..)
            | ExecutionError::UnsupportedIndex(..)
            | ExecutionError::UnsupportedTargetType { .. }
            | ExecutionError::NotSupportedAsMethod { .. }
            | ExecutionError::InvalidArgumentCount { .. } => "an operator or function does not take values of these types".to_owned(),
            _ => "it could not be evaluated".to_owned(),
        }
    }
}

/// The byte offset of a line and column, both from 1, as the parser reports them.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = &source[start.min(source.len())..];
    start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(offset, _)| offset)
}

/// What is needed to evaluate conditions about one request: the variables as CEL values, and how heavy they are.
pub(super) struct Scene {
    context: Context<'static, 'static>,
    weight: Weight,
}

impl Scene {
    /// Makes the named variables; others stay undeclared.
    pub(super) fn new(facts: &Facts<'_>, roots: &BTreeSet<&'static str>, reviewer: Option<&Json>) -> Self {
        let mut context = Context::with_env(ENV.clone());
        for root in roots.iter().copied() {
            let value = match root {
                "action" => Value::from(facts.action),
                "parameters" => object(facts.parameters),
                "resource" => facts.resource.map_or(Value::Null, object),
                "context" => facts.context.map_or(Value::Null, object),
                "client" => Value::from(HashMap::from([
                    ("id", Value::from(facts.client.id)),
                    ("name", Value::from(facts.client.name)),
                    ("owner", facts.client.owner.map_or(Value::Null, Value::from)),
                ])),
                "on_behalf_of" => facts.on_behalf_of.map_or(Value::Null, |person| convert(person.record)),
                "history" => Value::from(HashMap::from([
                    ("approved_24h", Value::Int(facts.history.approved_24h.into())),
                    ("denied_24h", Value::Int(facts.history.denied_24h.into())),
                    ("expired_24h", Value::Int(facts.history.expired_24h.into())),
                ])),
                "now" => match timestamp(&facts.now.to_string()) {
                    Some(now) => now,
                    None => continue,
                },
                REVIEWER => reviewer.map_or(Value::Null, convert),
                _ => continue,
            };
            context.add_variable_from_value(root, value);
        }
        Self { context, weight: Weight::of(facts, roots, reviewer) }
    }
}

/// A CEL timestamp, through the function of that name so that no crate for dates is needed here.
fn timestamp(text: &str) -> Option<Value> {
    let literal = IdedExpr { id: 1, expr: Expr::Literal(LiteralValue::String(CelString::from(text.to_owned()))) };
    let call = CallExpr { func_name: "timestamp".to_owned(), target: None, args: vec![literal] };
    Value::resolve(&IdedExpr { id: 2, expr: Expr::Call(call) }, &Context::with_env(ENV.clone())).ok()
}

fn object(map: &serde_json::Map<String, Json>) -> Value {
    Value::from(map.iter().map(|(key, value)| (key.as_str(), convert(value))).collect::<HashMap<_, _>>())
}

/// JSON to CEL. Every integer becomes `int`: the crate's own conversion makes `uint` of some, and `uint + 1` fails.
fn convert(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match (integral(number), number.as_f64()) {
            (Some(integer), _) => Value::Int(integer),
            (None, Some(float)) => Value::Float(float),
            (None, None) => Value::Null,
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(convert).collect())),
        Json::Object(map) => object(map),
    }
}

#[cfg(test)]
mod tests;
