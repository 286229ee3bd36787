//! Owns strict JSON: bytes in, one unambiguous value out, and the canonical bytes of RFC 8785 that digests are made of.
//!
//! Never lets two different texts that another program would read differently share one canonical form: duplicate
//! members and numbers beyond 2^53 − 1 are refused here, once, for every endpoint.

use crate::domain::field_error::{FieldError, push_pointer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// The largest integer that every double-based reader keeps apart from its neighbours (2^53 − 1).
pub const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;
const MAX_SAFE: u64 = MAX_SAFE_INTEGER.unsigned_abs();
const MAX_SAFE_FLOAT: f64 = 9_007_199_254_740_991.0;
/// More complaints than this about one document help nobody.
const MAX_ERRORS: usize = 20;
/// Longest pointer that an error repeats, in characters.
const MAX_POINTER: usize = 300;
/// Member names that `serde_json` gives a meaning of its own when it reads a stored value back: with one of them
/// inside, what was approved and what is read later would differ.
const RESERVED_PREFIX: &str = "$serde_json::private::";

/// Why bytes are not a JSON document that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all, bad UTF-8, a lone surrogate, a number that no double can hold, text after the document,
    /// or nesting beyond 128 levels. HTTP 400.
    #[error("malformed JSON at line {line}, column {column}: {detail}")]
    Malformed {
        /// Line, counted from 1; 0 when unknown.
        line: usize,
        /// Column, counted from 1; 0 when unknown.
        column: usize,
        /// What the parser expected; never part of the input.
        detail: String,
    },
    /// JSON, but ambiguous: a duplicate member or an unsafe number. HTTP 422.
    #[error("ambiguous JSON: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<FieldError>),
}

/// Reads one JSON document.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let state = State::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value =
        Strict(&state).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)).map_err(|e| malformed(&e))?;
    let State { mut errors, borderline, .. } = state;
    if !borderline.borrow().is_empty() {
        refuse_rounded_numbers(bytes, &borderline.borrow(), errors.get_mut());
    }
    let errors = errors.into_inner();
    if errors.is_empty() { Ok(value) } else { Err(JsonError::Refused(errors)) }
}

/// The RFC 8785 bytes of a value: members sorted by UTF-16 code units, numbers as ECMAScript writes them.
#[must_use]
pub fn canonical(value: &Value) -> Vec<u8> {
    canonical_of(value)
}

/// The RFC 8785 bytes of anything made of JSON values; for compositions that should not be cloned together first.
#[expect(clippy::expect_used, reason = "writing to a Vec cannot fail, and a JSON value has string keys and finite numbers only")]
pub(super) fn canonical_of<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("a JSON value has a canonical form")
}

/// How many objects and arrays stand inside each other: 0 for a scalar, 1 for `{}`, 2 for `{"a":[]}`.
#[must_use]
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Whether two values are the same under RFC 8785: `1` equals `1.0`, `-0` equals `0`.
#[must_use]
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        #[expect(clippy::float_cmp, reason = "equality of the doubles is what the canonical form compares")]
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a == b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b))),
        _ => left == right,
    }
}

fn malformed(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    let detail = text.rfind(" at line ").map_or(text.as_str(), |end| &text[..end]).to_owned();
    JsonError::Malformed { line: error.line(), column: error.column(), detail }
}

/// What the walk knows: where it is, and what it found.
#[derive(Default)]
struct State {
    path: RefCell<Vec<Step>>,
    errors: RefCell<Vec<FieldError>>,
    numbers: RefCell<usize>,
    /// Ordinal and pointer of numbers spelt as a float that read exactly as ±(2^53 − 1): their text decides.
    borderline: RefCell<Vec<(usize, String)>>,
}

enum Step {
    Member(String),
    Item(usize),
}

impl State {
    fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.path.borrow().iter() {
            pointer = match step {
                Step::Member(name) => push_pointer(&pointer, name),
                Step::Item(index) => format!("{pointer}/{index}"),
            };
        }
        match pointer.char_indices().nth(MAX_POINTER) {
            Some((end, _)) => format!("{}…", &pointer[..end]),
            None => pointer,
        }
    }

    fn refuse(&self, detail: &str) {
        if self.errors.borrow().len() < MAX_ERRORS {
            let error = FieldError::new(self.pointer(), detail);
            self.errors.borrow_mut().push(error);
        }
    }

    fn count_number(&self) -> usize {
        let mut numbers = self.numbers.borrow_mut();
        *numbers += 1;
        *numbers - 1
    }
}

const UNSAFE_NUMBER: &str = "is beyond ±(2^53 − 1), where different numbers read alike; send it as a string";

#[derive(Clone, Copy)]
struct Strict<'a>(&'a State);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.0.count_number();
        if value > MAX_SAFE {
            self.0.refuse(UNSAFE_NUMBER);
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        self.0.count_number();
        if value.unsigned_abs() > MAX_SAFE {
            self.0.refuse(UNSAFE_NUMBER);
        }
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let ordinal = self.0.count_number();
        if value.abs() > MAX_SAFE_FLOAT {
            self.0.refuse(UNSAFE_NUMBER);
        } else if value.abs() == MAX_SAFE_FLOAT {
            self.0.borderline.borrow_mut().push((ordinal, self.0.pointer()));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            self.0.path.borrow_mut().push(Step::Item(items.len()));
            let item = access.next_element_seed(self)?;
            self.0.path.borrow_mut().pop();
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            self.0.path.borrow_mut().push(Step::Member(name.clone()));
            if members.contains_key(&name) {
                self.0.refuse("is given twice; give it once");
            }
            if name.starts_with(RESERVED_PREFIX) {
                self.0.refuse("is a reserved member name; choose another");
            }
            let value = access.next_value_seed(self)?;
            self.0.path.borrow_mut().pop();
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

/// `9007199254740991.4` reads as 2^53 − 1 although it is beyond: looks at the text of each borderline number.
fn refuse_rounded_numbers(bytes: &[u8], borderline: &[(usize, String)], errors: &mut Vec<FieldError>) {
    for (ordinal, literal) in number_literals(bytes).enumerate() {
        let found = borderline.iter().find(|(number, _)| *number == ordinal);
        if let Some((_, pointer)) = found
            && !spells_max_safe(literal)
            && errors.len() < MAX_ERRORS
        {
            errors.push(FieldError::new(pointer.clone(), UNSAFE_NUMBER));
        }
    }
}

/// The number literals of a document that is known to be valid JSON, in order.
fn number_literals(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut position = 0;
    std::iter::from_fn(move || {
        while position < bytes.len() {
            let start = position;
            match bytes[position] {
                b'"' => {
                    position += 1;
                    while position < bytes.len() && bytes[position] != b'"' {
                        position += if bytes[position] == b'\\' { 2 } else { 1 };
                    }
                    position += 1;
                }
                b'-' | b'0'..=b'9' => {
                    while position < bytes.len() && matches!(bytes[position], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                        position += 1;
                    }
                    return Some(&bytes[start..position]);
                }
                _ => position += 1,
            }
        }
        None
    })
}

/// Whether a literal that rounds to ±(2^53 − 1) is not beyond it. Everything from 9007199254740990.5 up to the
/// limit itself rounds there too, and is within the limit.
fn spells_max_safe(literal: &[u8]) -> bool {
    const LIMIT: &[u8] = b"9007199254740991";
    let text = literal.strip_prefix(b"-").unwrap_or(literal);
    let (mantissa, _exponent) = text.split_at(text.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(text.len()));
    // The value is known to lie within half a unit of the limit, so the exponent only says where the point is:
    // comparing significant digits compares the numbers.
    let digits: Vec<u8> = mantissa.iter().copied().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').collect();
    let (whole, fraction) = digits.split_at(LIMIT.len().min(digits.len()));
    whole < LIMIT || (whole == LIMIT && fraction.iter().all(|digit| *digit == b'0'))
}

#[cfg(test)]
mod tests;
