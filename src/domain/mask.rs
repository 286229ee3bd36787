//! Owns what is hidden before anything leaves for chat, logs and lists: values under secret-looking names, values
//! that the caller called sensitive, and well-known token shapes wherever they stand.
//!
//! Never hides commands, paths or destinations as a whole: in a longer text only the secret itself is replaced, and
//! the reader always sees that something was. Never alters what the digest covers: it works on a copy.

mod names;
mod shapes;

use crate::domain::field_error::push_pointer;
use crate::domain::text;
use names::{is_secret_argument, is_secret_name, is_suspicious_name};
use serde_json::{Map, Value};
use shapes::{is_card_number, looks_random, mask_shapes};

/// What stands where a value was masked: as the whole value, or in place of the secret within a longer text.
pub const MASK: &str = "•••• masked";

/// A copy that may be shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Masked {
    /// The object with `MASK` in place of what is hidden.
    pub value: Map<String, Value>,
    /// How many values are hidden, wholly or in part.
    pub count: usize,
    /// JSON pointers of the values that are hidden, wholly or in part, in the order of the object.
    pub pointers: Vec<String>,
}

/// Masks an object: every value at a `sensitive` pointer, under a secret-looking name, or with the shape of a token.
/// Booleans, nulls and empty values are shown: they hold no secret and are often what decides.
#[must_use]
pub fn mask_parameters(parameters: &Map<String, Value>, sensitive: &[String]) -> Masked {
    let mut walk = Walk { sensitive: sensitive.iter().map(|pointer| one_spelling(pointer)).collect(), pointers: Vec::new() };
    let value = walk.object(parameters, "", "");
    Masked { value, count: walk.pointers.len(), pointers: walk.pointers }
}

/// Masks token shapes in free text: summary, justification, comments, log lines. The number counts the secrets.
#[must_use]
pub fn mask_text(text: &str) -> (String, usize) {
    let (masked, count) = mask_shapes(text);
    // Characters that are not seen would break a token for us and be removed for the reader.
    let cleaned = text::clean(text);
    if cleaned != text {
        let (masked_clean, count_clean) = mask_shapes(&cleaned);
        if count_clean > count {
            return (masked_clean, count_clean);
        }
    }
    (masked, count)
}

struct Walk {
    sensitive: Vec<String>,
    pointers: Vec<String>,
}

/// A bare `~` is no escape of RFC 6901, yet readers take it for itself: one spelling, so that no value slips through.
fn one_spelling(pointer: &str) -> String {
    let mut tokens = pointer.split('/').map(|token| token.replace("~1", "/").replace("~0", "~"));
    let root = tokens.next().unwrap_or_default();
    tokens.fold(root, |pointer, token| push_pointer(&pointer, &token))
}

impl Walk {
    /// `at` is the pointer in the original, `shown_at` in the copy; they differ below a name that had to be masked.
    fn object(&mut self, members: &Map<String, Value>, at: &str, shown_at: &str) -> Map<String, Value> {
        let mut shown = Map::new();
        let pair = names_a_secret(members);
        for (name, value) in members {
            let (mut shown_name, hits) = mask_text(name);
            while hits > 0 && (shown.contains_key(&shown_name) || members.contains_key(&shown_name)) {
                shown_name.push('•');
            }
            let (at, shown_at) = (push_pointer(at, name), push_pointer(shown_at, &shown_name));
            let secret = is_secret_name(name, value) || pair == Some(name.as_str());
            let value = self.value(value, name, secret, &at, &shown_at);
            shown.insert(shown_name, value);
        }
        shown
    }

    fn value(&mut self, value: &Value, name: &str, secret: bool, at: &str, shown_at: &str) -> Value {
        let sensitive = self.sensitive.iter().any(|pointer| pointer == at || pointer.is_empty());
        if sensitive || (secret && may_hold_a_secret(value)) {
            return self.hide(shown_at, Value::from(MASK));
        }
        match value {
            Value::Object(members) => Value::Object(self.object(members, at, shown_at)),
            Value::Array(items) => Value::Array(self.array(items, name, at, shown_at)),
            Value::String(text) if is_suspicious_name(name) && looks_random(text) => self.hide(shown_at, Value::from(MASK)),
            Value::String(text) => match mask_text(text) {
                (masked, count) if count > 0 => self.hide(shown_at, Value::from(masked)),
                _ => value.clone(),
            },
            Value::Number(number) if is_card_number(&number.to_string()) => self.hide(shown_at, Value::from(MASK)),
            Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
        }
    }

    /// In a list of arguments, what follows a flag such as `--password` is the secret.
    fn array(&mut self, items: &[Value], name: &str, at: &str, shown_at: &str) -> Vec<Value> {
        let mut shown = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let secret = is_secret_argument(items, index);
            shown.push(self.value(item, name, secret, &format!("{at}/{index}"), &format!("{shown_at}/{index}")));
        }
        shown
    }

    fn hide(&mut self, shown_at: &str, value: Value) -> Value {
        self.pointers.push(shown_at.to_owned());
        value
    }
}

fn may_hold_a_secret(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(may_hold_a_secret),
        Value::Object(members) => members.values().any(may_hold_a_secret),
    }
}

/// `{"name": "DB_PASSWORD", "value": "…"}`, as environments are often written: the member that holds the secret.
fn names_a_secret(members: &Map<String, Value>) -> Option<&'static str> {
    let label = ["name", "key", "Name", "Key"].into_iter().find_map(|name| members.get(name)?.as_str())?;
    let member = ["value", "Value"].into_iter().find(|name| members.contains_key(*name))?;
    is_secret_name(label, members.get(member)?).then_some(member)
}

#[cfg(test)]
mod tests;
