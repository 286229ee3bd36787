//! Owns the one pass over a compiled expression: unknown names, nested comprehensions, what evaluating costs.
//!
//! Never evaluates. It changes the tree in one way only: what a comprehension iterates over is bounded.

use super::cost::{Cost, Level};
use super::{BOUNDED, Mistake, Scope};
use cel::Program;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use std::collections::BTreeSet;

/// The functions and methods that may be called; operators and macros aside.
pub(super) const FUNCTIONS: &str = "bool bytes contains double duration dyn endsWith getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours \
    getMilliseconds getMinutes getMonth getSeconds hasValue int matches or orValue size startsWith string timestamp type uint value";
/// The functions of `optional`.
pub(super) const OPTIONAL: &str = "none of ofNonZeroValue";
/// Names of types, which are values too.
const TYPES: &str = "bool bytes double int list map null_type string type uint";

fn lists(words: &str, name: &str) -> bool {
    words.split(' ').any(|word| word == name)
}

/// One pass over the tree: finds mistakes and costs, and wraps what comprehensions iterate over in `bounded`.
pub(super) struct Walk<'p> {
    program: &'p Program,
    roots: Vec<&'static str>,
    /// The variables that are used.
    pub(super) used: BTreeSet<&'static str>,
    /// Every name and text that is written.
    pub(super) names: BTreeSet<String>,
    bound: Vec<String>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) cost: Cost,
    /// Levels of the tree.
    pub(super) depth: u32,
}

impl<'p> Walk<'p> {
    pub(super) fn new(program: &'p Program, scope: Scope) -> Self {
        Self {
            program,
            roots: scope.roots(),
            used: BTreeSet::new(),
            names: BTreeSet::new(),
            bound: Vec::new(),
            mistakes: Vec::new(),
            cost: Cost::default(),
            depth: 0,
        }
    }

    fn mistake(&mut self, id: u64, message: String, warning: bool) {
        let offset = self.program.source_info().offset_for(id).map_or(0, |(start, _)| usize::try_from(start).unwrap_or(0));
        self.mistakes.push(Mistake { offset, message, warning });
    }

    fn level(&mut self, looped: bool) -> &mut Level {
        if looped { &mut self.cost.looped } else { &mut self.cost.outer }
    }

    pub(super) fn visit(&mut self, node: &mut IdedExpr, depth: u32, looped: bool) {
        self.depth = self.depth.max(depth);
        self.level(looped).plain += 1;
        if matches!(node.expr, Expr::List(_) | Expr::Map(_)) && !self.is_small(node) {
            self.level(looped).structural += 1;
        }
        let id = node.id;
        let below = depth + 1;
        match &mut node.expr {
            Expr::Unspecified => self.mistake(id, "does not compile".to_owned(), false),
            Expr::Literal(LiteralValue::String(text)) => {
                self.names.insert(text.inner().to_owned());
            }
            Expr::Literal(_) => {}
            Expr::Ident(name) => self.variable(id, name),
            Expr::Select(select) => {
                self.names.insert(select.field.clone());
                self.visit(&mut select.operand, below, looped);
            }
            Expr::Call(call) => self.call(id, call, below, looped),
            Expr::List(list) => {
                list.elements.iter_mut().for_each(|element| self.visit(element, below, looped));
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.visit(&mut entry.key, below, looped);
                        self.visit(&mut entry.value, below, looped);
                    }
                }
            }
            Expr::Struct(structure) => {
                let message = format!("unknown type \"{}\"", structure.type_name);
                self.mistake(id, message, false);
            }
            Expr::Comprehension(comprehension) => {
                if looped {
                    self.mistake(id, "a comprehension inside another (all, exists, map, filter) is not supported".to_owned(), false);
                }
                self.visit(&mut comprehension.iter_range, below + 1, looped);
                self.cost.computed_range |= !is_path(&comprehension.iter_range);
                let range = std::mem::take(&mut comprehension.iter_range);
                let call = CallExpr { func_name: BOUNDED.to_owned(), target: None, args: vec![range] };
                comprehension.iter_range = IdedExpr { id, expr: Expr::Call(call) };
                self.visit(&mut comprehension.accu_init, below, looped);
                // Each element is copied into its variable once.
                self.level(looped).structural += 1;
                let outside = self.bound.len();
                self.bound.push(comprehension.iter_var.clone());
                self.bound.extend(comprehension.iter_var2.clone());
                self.visit(&mut comprehension.loop_cond, below, true);
                self.visit(&mut comprehension.loop_step, below, true);
                self.visit(&mut comprehension.result, below, looped);
                self.bound.truncate(outside);
            }
        }
    }

    /// Whether comparing or copying this costs little in all rounds of a loop together: a literal, the loop's element or a part of it,
    /// or a number or truth value that was just computed.
    fn is_small(&self, node: &IdedExpr) -> bool {
        match &node.expr {
            Expr::Literal(_) => true,
            Expr::Ident(name) => self.bound.contains(name),
            Expr::List(list) => list.elements.iter().all(|element| self.is_small(element)),
            Expr::Map(map) => map.entries.iter().all(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => self.is_small(&entry.value),
                EntryExpr::StructField(_) => false,
            }),
            Expr::Select(select) => select.test || self.is_small(&select.operand),
            Expr::Call(call) => matches!(
                call.func_name.as_str(),
                operators::SUBSTRACT
                    | operators::MULTIPLY
                    | operators::DIVIDE
                    | operators::MODULO
                    | operators::NEGATE
                    | operators::LESS
                    | operators::LESS_EQUALS
                    | operators::GREATER
                    | operators::GREATER_EQUALS
                    | operators::EQUALS
                    | operators::NOT_EQUALS
                    | operators::LOGICAL_AND
                    | operators::LOGICAL_OR
                    | operators::LOGICAL_NOT
                    | "size"
            ),
            _ => false,
        }
    }

    fn variable(&mut self, id: u64, name: &str) {
        let name = name.trim_start_matches('.');
        if name.starts_with('@') || self.bound.iter().any(|bound| bound == name) || lists(TYPES, name) {
            return;
        }
        match self.roots.iter().find(|root| **root == name) {
            Some(root) => {
                self.used.insert(root);
            }
            None => self.mistake(id, format!("unknown variable \"{name}\"; known: {}", self.roots.join(", ")), false),
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr, below: u32, looped: bool) {
        let name = call.func_name.as_str();
        let small_argument = call.args.iter().any(|argument| self.is_small(argument));
        let optional = matches!(call.target.as_deref(), Some(IdedExpr { expr: Expr::Ident(root), .. }) if root == "optional");
        let level = self.level(looped);
        match name {
            operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::CONDITIONAL
            | operators::NEGATE
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NOT_STRICTLY_FALSE => {}
            operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | "contains"
            | "startsWith"
            | "endsWith"
            | "size" => level.textual += 1,
            operators::EQUALS | operators::NOT_EQUALS if small_argument => level.textual += 1,
            // The step of map and filter, which the crate appends in place.
            operators::ADD if matches!(call.args.first(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name.starts_with('@')) => {}
            operators::IN if matches!(call.args.last(), Some(IdedExpr { expr: Expr::List(list), .. }) if list.elements.iter().all(is_scalar)) =>
            {
                level.textual += 1;
            }
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT if call.args.first().is_some_and(is_path) => {}
            "matches" => {
                // A pattern is compiled at every evaluation; one that comes with the request may be large.
                level.plain += if call.args.last().is_some_and(is_scalar) { 200 } else { 20_000 };
                level.textual += 4;
            }
            _ => level.structural += 1,
        }
        let known = if optional { lists(OPTIONAL, name) } else { lists(FUNCTIONS, name) || is_operator(name) };
        if known {
            self.names.insert(name.to_owned());
        } else {
            let shown = if optional { format!("optional.{name}") } else { name.to_owned() };
            self.mistake(id, format!("unknown function \"{shown}\""), false);
        }
        if call.func_name == "matches"
            && let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }) = call.args.last()
            && regex::Regex::new(pattern.inner()).is_err()
        {
            self.mistake(id, "matches() has a pattern that is not a regular expression".to_owned(), true);
        }
        if let Some(target) = call.target.as_deref_mut().filter(|_| !optional) {
            self.visit(target, below, looped);
        }
        call.args.iter_mut().for_each(|argument| self.visit(argument, below, looped));
    }
}

/// `_+_`, `!_`, `@in` and the like, which no source text can spell as a name.
fn is_operator(name: &str) -> bool {
    name.starts_with(['_', '!', '-', '@']) && !name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
}

fn is_scalar(node: &IdedExpr) -> bool {
    matches!(node.expr, Expr::Literal(_))
}

/// A variable or a member of one: its length is that of something in the request.
fn is_path(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => is_path(&select.operand),
        Expr::Call(call) => {
            matches!(call.func_name.as_str(), operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT)
                && call.args.first().is_some_and(is_path)
        }
        _ => false,
    }
}
