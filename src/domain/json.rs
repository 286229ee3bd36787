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

    #[expect(clippy::float_cmp, reason = "exactly the one double that several spellings round to")]
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(text: &str) -> Vec<String> {
        match parse(text.as_bytes()) {
            Err(JsonError::Refused(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn ordinary_documents_pass_unchanged() {
        let text = r#" {"a":[1,-2,0.5,1e3,"x\u00e9\ud83d\ude00",null,true],"b":{"":{}}} "#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn malformed_documents_are_told_with_their_place() {
        let cases: [&[u8]; 14] = [
            b"",
            b"{",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"{\"a\":1} x",
            b"{}{}",
            b"NaN",
            b"{\"a\":1e400}",
            b"{\"a\":01}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            br#"{"a":"\ud800"}"#,
            br#"{"\udc00":1}"#,
            b"{\"a\":\"\x01\"}",
        ];
        for case in cases {
            assert!(matches!(parse(case), Err(JsonError::Malformed { .. })), "{:?}", String::from_utf8_lossy(case));
        }
        let Err(JsonError::Malformed { line, column, detail }) = parse(b"{\n \"a\": x}") else { panic!("accepted") };
        assert_eq!((line, column, detail.as_str()), (2, 7, "expected value"));
    }

    #[test]
    fn nesting_that_would_exhaust_the_stack_is_malformed() {
        assert!(matches!(parse("[".repeat(100_000).as_bytes()), Err(JsonError::Malformed { .. })));
    }

    #[test]
    fn every_duplicate_member_is_named() {
        assert_eq!(refused(r#"{"a":1,"a":2,"b":{"c/d":[{"x":1,"x":1}]},"b":0}"#), ["/a", "/b/c~1d/0/x", "/b"]);
        // An escape is another spelling of the same name.
        assert_eq!(refused(r#"{"a":1,"\u0061":2}"#), ["/a"]);
    }

    #[test]
    fn numbers_beyond_the_safe_range_are_refused_in_any_spelling() {
        for number in [
            "9007199254740992",
            "-9007199254740992",
            "9007199254740993.0",
            "1e17",
            "-1E+17",
            "18446744073709551615",
            "18446744073709551616",
            "123456789012345678901234567890",
            "9007199254740991.4",
            "90071992547409914e-1",
            "-0.90071992547409911e16",
            "1e308",
        ] {
            assert_eq!(refused(&format!(r#"{{"s":"1","p":[0,{number}]}}"#)), ["/p/1"], "{number}");
        }
        for number in ["9007199254740991", "-9007199254740991", "9007199254740991.0", "9.007199254740991e15", "9007199254740990.6", "1e15"]
        {
            assert!(parse(number.as_bytes()).is_ok(), "{number}");
        }
    }

    #[test]
    fn names_that_the_json_library_would_read_differently_are_refused() {
        assert_eq!(refused(r#"{"p":{"$serde_json::private::RawValue":"{}"}}"#), ["/p/$serde_json::private::RawValue"]);
    }

    #[test]
    fn complaints_are_bounded() {
        let mut text = String::from("{");
        for _ in 0..1000 {
            text.push_str(&format!("\"{}\":1,", "k".repeat(2000)));
        }
        text.push_str("\"z\":1}");
        let errors = refused(&text);
        assert_eq!(errors.len(), MAX_ERRORS);
        assert!(errors.iter().all(|pointer| pointer.chars().count() <= MAX_POINTER + 1));
    }

    #[test]
    fn depth_counts_containers() {
        for (value, expected) in [(json!(1), 0), (json!({}), 1), (json!({"a": [1]}), 2), (json!([[], [[1]]]), 3)] {
            assert_eq!(depth(&value), expected);
        }
    }

    #[test]
    fn canonical_form_is_that_of_rfc_8785() {
        // The example of RFC 8785 §3.2.2 and §3.2.3.
        let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            String::from_utf8(canonical(&value)).unwrap(),
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        let sorted = parse(r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(canonical(&sorted)).unwrap(),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn equality_is_that_of_the_canonical_form() {
        let a = parse(br#"{"n":[1,0,1e2]}"#).unwrap();
        let b = parse(br#"{"n":[1.0,-0,100]}"#).unwrap();
        assert_ne!(a, b);
        assert!(same(&a, &b));
        assert_eq!(canonical(&a), canonical(&b));
        assert!(!same(&json!({"a": 1}), &json!({"b": 1})));
    }

    pub(crate) fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).prop_map(Value::from),
            (-1e15..1e15f64).prop_map(Value::from),
            (-1.0..1.0f64).prop_map(|f| Value::from(f * 1e-20)),
            any::<String>().prop_map(Value::String),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                proptest::collection::btree_map(any::<String>(), inner, 0..8).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_bytes_read_back_as_the_same_value(value in any_json()) {
            let bytes = canonical(&value);
            let again = parse(&bytes).unwrap();
            prop_assert!(same(&again, &value));
            prop_assert_eq!(canonical(&again), bytes);
        }

        #[test]
        fn any_bytes_are_answered_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _answer = parse(&bytes);
        }

        #[test]
        fn near_json_is_answered_without_panic(text in r#"[\[\]{}",:0-9eE.+\-a\\u d8]{0,60}"#) {
            let _answer = parse(text.as_bytes());
        }
    }
}
