//! Owns the reading of closed objects: every mistake of a body is collected with its JSON pointer, and a member that
//! nobody asked for is an error that guesses what was meant.
//!
//! Never repeats a value in an error: only names, which are cut when long.

use crate::domain::field_error::{FieldError, push_pointer};
use crate::domain::json;
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};

/// More complaints than this about one body help nobody.
const MAX_ERRORS: usize = 50;
/// Longest member name that an error repeats, in characters.
const MAX_NAME: usize = 64;
/// Levels of nesting that a free object may have; the object itself is the first.
pub const MAX_DEPTH: usize = 32;

/// The mistakes found so far in one body.
#[derive(Debug, Default)]
pub struct Errors(RefCell<Vec<FieldError>>);

impl Errors {
    /// Notes a mistake.
    pub fn push(&self, pointer: impl Into<String>, detail: impl Into<String>) {
        let mut errors = self.0.borrow_mut();
        if errors.len() < MAX_ERRORS {
            errors.push(FieldError::new(pointer, detail));
        }
    }

    /// Notes several mistakes.
    pub fn extend(&self, errors: impl IntoIterator<Item = FieldError>) {
        for error in errors {
            self.push(error.pointer, error.detail);
        }
    }

    /// The value, if nothing was wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<FieldError>> {
        let errors = self.0.into_inner();
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            // A value is only withheld after an error was noted; should a reader ever forget, refuse all the same.
            _ if errors.is_empty() => Err(vec![FieldError::new("", "is not acceptable")]),
            _ => Err(errors),
        }
    }
}

/// What a text member may look like. Lengths count Unicode scalar values.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Whether line breaks may stand in it.
    pub lines: bool,
}

impl Text {
    /// One line of 1 to `max` characters.
    #[must_use]
    pub const fn name(max: usize) -> Self {
        Self { min: 1, max, lines: false }
    }

    /// One line of at most `max` characters.
    #[must_use]
    pub const fn line(max: usize) -> Self {
        Self { min: 0, max, lines: false }
    }

    /// Prose of at most `max` characters.
    #[must_use]
    pub const fn prose(max: usize) -> Self {
        Self { min: 0, max, lines: true }
    }

    /// What is wrong with `text`, if anything.
    #[must_use]
    pub fn complaint(self, text: &str) -> Option<String> {
        let length = text.chars().count();
        if length < self.min {
            Some("must not be empty".to_owned())
        } else if length > self.max {
            Some(format!("has {length} characters; at most {} are allowed", self.max))
        } else if text.contains('\0') {
            // PostgreSQL keeps no NUL in text, and no person reads one.
            Some("must not contain the NUL character".to_owned())
        } else if !self.lines && text.contains(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
            Some("must be a single line".to_owned())
        } else {
            None
        }
    }
}

/// Reads the members of one closed object. `null` stands for "absent" in every optional member.
pub struct Reader<'a> {
    members: &'a Map<String, Value>,
    pointer: String,
    errors: &'a Errors,
    known: RefCell<Vec<&'static str>>,
    closed: Cell<bool>,
}

impl<'a> Reader<'a> {
    /// Begins to read `value`, which stands at `pointer`; anything but an object is noted as a mistake.
    pub fn open(value: &'a Value, pointer: impl Into<String>, errors: &'a Errors) -> Option<Self> {
        let pointer = pointer.into();
        let Some(members) = value.as_object() else {
            errors.push(pointer, format!("must be an object, not {}", kind(value)));
            return None;
        };
        Some(Self { members, pointer, errors, known: RefCell::default(), closed: Cell::new(false) })
    }

    /// The pointer of a member.
    #[must_use]
    pub fn at(&self, name: &str) -> String {
        push_pointer(&self.pointer, name)
    }

    /// Notes a mistake in a member.
    pub fn wrong(&self, name: &str, detail: impl Into<String>) {
        self.errors.push(self.at(name), detail);
    }

    /// Notes a mistake at a full pointer, of an item or a deeper member.
    pub fn wrong_at(&self, pointer: &str, detail: impl Into<String>) {
        self.errors.push(pointer, detail);
    }

    /// The raw member, if it is there and not `null`.
    pub fn optional(&self, name: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(name);
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// The raw member, `null` included: for the rare place where null is a value of its own.
    pub fn raw(&self, name: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(name);
        self.members.get(name)
    }

    /// The raw member; its absence is a mistake.
    pub fn required(&self, name: &'static str) -> Option<&'a Value> {
        let value = self.optional(name);
        if value.is_none() {
            self.wrong(name, "is required");
        }
        value
    }

    /// An optional text.
    pub fn text(&self, name: &'static str, rule: Text) -> Option<String> {
        self.optional(name).and_then(|value| self.as_text(name, value, rule))
    }

    /// A text that must be there.
    pub fn required_text(&self, name: &'static str, rule: Text) -> Option<String> {
        self.required(name).and_then(|value| self.as_text(name, value, rule))
    }

    fn as_text(&self, name: &str, value: &Value, rule: Text) -> Option<String> {
        let Some(text) = value.as_str() else {
            self.wrong(name, format!("must be a string, not {}", kind(value)));
            return None;
        };
        if let Some(complaint) = rule.complaint(text) {
            self.wrong(name, complaint);
            return None;
        }
        Some(text.to_owned())
    }

    /// An optional whole number; `60` and `60.0` are the same number.
    pub fn integer(&self, name: &'static str) -> Option<i64> {
        let value = self.optional(name)?;
        let number = integer(value);
        if number.is_none() {
            self.wrong(name, format!("must be a whole number, not {}", kind(value)));
        }
        number
    }

    /// An optional list of at most `max` items, with the pointer of each.
    pub fn list(&self, name: &'static str, max: usize) -> Option<Vec<(String, &'a Value)>> {
        let value = self.optional(name)?;
        let Some(items) = value.as_array() else {
            self.wrong(name, format!("must be a list, not {}", kind(value)));
            return None;
        };
        if items.len() > max {
            self.wrong(name, format!("has {} items; at most {max} are allowed", items.len()));
            return None;
        }
        let at = self.at(name);
        Some(items.iter().enumerate().map(|(index, item)| (format!("{at}/{index}"), item)).collect())
    }

    /// An optional free object: any members, at most `max_bytes` in canonical form and `MAX_DEPTH` levels.
    pub fn free_object(&self, name: &'static str, max_bytes: usize) -> Option<Map<String, Value>> {
        let value = self.optional(name)?;
        let Some(members) = value.as_object() else {
            self.wrong(name, format!("must be an object, not {}", kind(value)));
            return None;
        };
        let depth = json::depth(value);
        if depth > MAX_DEPTH {
            self.wrong(name, format!("is nested {depth} levels deep; at most {MAX_DEPTH} are allowed"));
            return None;
        }
        let bytes = json::canonical(value).len();
        if bytes > max_bytes {
            self.wrong(name, format!("is {bytes} bytes long; at most {max_bytes} are allowed"));
            return None;
        }
        Some(members.clone())
    }

    /// Ends the reading: every member that was never asked for is a mistake.
    pub fn close(&self) {
        self.closed.set(true);
        let known = self.known.borrow();
        for name in self.members.keys().filter(|name| !known.contains(&name.as_str())) {
            let shown: String = name.chars().take(MAX_NAME).collect();
            let hint = match nearest(name, &known) {
                Some(guess) => format!("did you mean \"{guess}\"?"),
                None => format!("known members: {}", known.join(", ")),
            };
            self.wrong(&shown, format!("unknown member \"{}\"; {hint}", shown.escape_debug()));
        }
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        debug_assert!(self.closed.get(), "a closed object was read without close(): unknown members would pass");
    }
}

/// A whole number in any JSON spelling.
#[must_use]
pub fn integer(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "guarded: whole and within ±(2^53 − 1)")]
    let whole = |float: f64| (float.fract() == 0.0 && float.abs() <= json::MAX_SAFE_INTEGER as f64).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(whole))
}

/// What a value is, for a sentence.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The candidate that a misspelt word most likely meant: at most two slips (one in short words), or only case
/// and separators differ.
#[must_use]
pub fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    if word.len() > MAX_NAME {
        return None;
    }
    let folded = fold(word);
    let allowed = if folded.chars().count() <= 4 { 1 } else { 2 };
    candidates
        .iter()
        .map(|candidate| (slips(&folded, &fold(candidate)), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

fn fold(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
fn slips(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut cost = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_misspelt_member_is_named_with_a_guess() {
        let (value, errors) = (json!({"paramters": {}, "zzz": 1}), Errors::default());
        let reader = Reader::open(&value, "", &errors).unwrap();
        assert!(reader.optional("parameters").is_none());
        reader.close();
        drop(reader);
        let errors = errors.finish(Some(())).unwrap_err();
        assert_eq!(errors[0], FieldError::new("/paramters", "unknown member \"paramters\"; did you mean \"parameters\"?"));
        assert_eq!(errors[1], FieldError::new("/zzz", "unknown member \"zzz\"; known members: parameters"));
    }

    #[test]
    fn guesses_allow_small_slips_only() {
        let known = ["expires_in", "comment", "url", "on_behalf_of"];
        for (word, guess) in
            [("expiresIn", Some("expires_in")), ("commnet", Some("comment")), ("ur", Some("url")), ("on-behalf-off", Some("on_behalf_of"))]
        {
            assert_eq!(nearest(word, &known), guess, "{word}");
        }
        assert_eq!(nearest("id", &known), None);
        assert_eq!(nearest(&"x".repeat(1000), &known), None);
    }

    #[test]
    fn lengths_count_characters_not_bytes() {
        assert!(Text::line(3).complaint("äöü").is_none());
        assert_eq!(Text::line(3).complaint("äöüx").unwrap(), "has 4 characters; at most 3 are allowed");
        assert_eq!(Text::line(9).complaint("a\nb").unwrap(), "must be a single line");
        assert!(Text::prose(9).complaint("a\nb").is_none());
        assert!(Text::prose(9).complaint("a\0b").is_some());
        assert!(Text::name(9).complaint("").is_some());
    }

    #[test]
    fn whole_numbers_have_many_spellings() {
        assert_eq!(integer(&json!(60)), Some(60));
        assert_eq!(integer(&json!(60.0)), Some(60));
        assert_eq!(integer(&json!(60.5)), None);
        assert_eq!(integer(&json!("60")), None);
        assert_eq!(integer(&json!(1e300)), None);
    }

    #[test]
    fn nothing_noted_and_nothing_read_is_still_no() {
        assert!(Errors::default().finish::<()>(None).is_err());
    }
}
