//! Owns what is hidden before anything leaves for chat, logs and lists: values at places that the policy or the caller
//! named, values under secret-looking names, and well-known token shapes wherever they stand.
//!
//! Never hides commands, paths or destinations as a whole: in a longer text only the secret itself is replaced, and
//! the reader always sees that something was. Never alters what the digest covers: it works on a copy.

mod names;
mod places;
mod shapes;

use crate::domain::digest::{self, Nonce};
use crate::domain::field_error::push_pointer;
use crate::domain::text;
use names::{is_secret_argument, is_secret_name, is_suspicious_name};
use places::{Place, enter};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shapes::{is_card_number, looks_random, mask_shapes};

/// What stands where a value was masked: as the whole value, or in place of the secret within a longer text.
pub const MASK: &str = "•••• masked";
/// What stands before the hash of a value; the whole is `•••• hash 3f9a1c2b7d40`.
const HASH: &str = "•••• hash ";

/// How a value is shown to everybody but its caller. Ordered by strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskMode {
    /// As it is, also under a secret-looking name and with the shape of a token.
    Show,
    /// [`MASK`] in its place.
    Mask,
    /// A short hash in its place: within one request equal values have equal hashes, and nobody can guess it, because it is
    /// keyed by the request's nonce.
    Hash,
    /// Left out. An item of a list is masked instead: without it the others would stand at wrong places.
    Hide,
}

impl MaskMode {
    /// Every mode with its word in the policy file.
    pub const WORDS: [(&'static str, Self); 4] = [("show", Self::Show), ("mask", Self::Mask), ("hash", Self::Hash), ("hide", Self::Hide)];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Show => "show",
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Hide => "hide",
        }
    }
}

/// What policy says about one place of the parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// JSON pointer into `parameters`; a segment `*` stands for every member or item. It covers the value there and all
    /// below; the empty pointer covers every parameter.
    pub path: String,
    /// How the value is shown.
    pub mode: MaskMode,
}

/// A copy that may be shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Masked {
    /// The object without what is hidden, and with something in place of what is masked.
    pub value: Map<String, Value>,
    /// How many values do not stand there as they are, wholly or in part.
    pub count: usize,
    /// JSON pointers of the values that something else stands for, wholly or in part, in the order of the object.
    pub pointers: Vec<String>,
    /// JSON pointers of the members that are left out.
    pub hidden: Vec<String>,
}

/// Masks parameters: every value at a `sensitive` pointer or at a place of `masks`, under a secret-looking name, or with the
/// shape of a token. The strictest wins; `MaskMode::Show` lifts names and shapes, never `sensitive`.
/// Under names, booleans, nulls and empty values are shown: they hold no secret and are often what decides.
#[must_use]
pub fn mask_parameters(parameters: &Map<String, Value>, sensitive: &[String], masks: &[Mask], nonce: Nonce) -> Masked {
    let named = places::of(sensitive, masks);
    let places: Vec<Place<'_>> = named.iter().map(|(steps, mode)| Place { rest: steps, mode: *mode }).collect();
    let walk = Walk { nonce: Some(nonce), pointers: Vec::new(), hidden: Vec::new() };
    walk.run(parameters, &places)
}

/// Masks a free object other than parameters, by names and shapes alone.
#[must_use]
pub fn mask_object(object: &Map<String, Value>) -> Masked {
    Walk { nonce: None, pointers: Vec::new(), hidden: Vec::new() }.run(object, &[])
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

/// Whether a text holds what only masking writes.
#[must_use]
pub fn stands_for_another(text: &str) -> bool {
    text.contains(MASK) || text.contains(HASH)
}

/// Where the walk is.
struct Here<'w> {
    /// Places that lie below.
    places: &'w [Place<'w>],
    /// The policy shows everything from here on that nothing stricter names.
    lifted: bool,
    /// The pointer in the copy; it differs from that in the original below a name that had to be masked.
    shown_at: &'w str,
}

struct Walk {
    nonce: Option<Nonce>,
    pointers: Vec<String>,
    hidden: Vec<String>,
}

impl Walk {
    fn run(mut self, members: &Map<String, Value>, places: &[Place<'_>]) -> Masked {
        let value = self.object(members, &Here { places, lifted: false, shown_at: "" });
        Masked { value, count: self.pointers.len() + self.hidden.len(), pointers: self.pointers, hidden: self.hidden }
    }

    fn object(&mut self, members: &Map<String, Value>, here: &Here<'_>) -> Map<String, Value> {
        let mut shown = Map::new();
        let pair = names_a_secret(members);
        for (name, value) in members {
            let (places, mode) = enter(here.places, name);
            if mode == Some(MaskMode::Hide) {
                self.hidden.push(push_pointer(here.shown_at, name));
                continue;
            }
            let (mut shown_name, hits) = if here.lifted { (name.clone(), 0) } else { mask_text(name) };
            while hits > 0 && (shown.contains_key(&shown_name) || members.contains_key(&shown_name)) {
                shown_name.push('•');
            }
            let shown_at = push_pointer(here.shown_at, &shown_name);
            let secret = is_secret_name(name, value) || pair == Some(name.as_str());
            let below = Here { places: &places, lifted: here.lifted, shown_at: &shown_at };
            let value = self.value(value, name, secret, mode, &below);
            shown.insert(shown_name, value);
        }
        shown
    }

    fn value(&mut self, value: &Value, name: &str, secret: bool, mode: Option<MaskMode>, here: &Here<'_>) -> Value {
        let instead = match mode {
            Some(MaskMode::Mask | MaskMode::Hide) => Some(Value::from(MASK)),
            Some(MaskMode::Hash) => Some(self.hash(value)),
            Some(MaskMode::Show) | None => None,
        };
        if let Some(instead) = instead {
            return self.replace(here, instead);
        }
        let lifted = here.lifted || mode == Some(MaskMode::Show);
        if !lifted && secret && may_hold_a_secret(value) {
            return self.replace(here, Value::from(MASK));
        }
        let here = &Here { lifted, ..*here };
        match value {
            Value::Object(members) => Value::Object(self.object(members, here)),
            Value::Array(items) => Value::Array(self.array(items, name, here)),
            _ if lifted => value.clone(),
            Value::String(text) if is_suspicious_name(name) && looks_random(text) => self.replace(here, Value::from(MASK)),
            Value::String(text) => match mask_text(text) {
                (masked, count) if count > 0 => self.replace(here, Value::from(masked)),
                _ => value.clone(),
            },
            Value::Number(number) if is_card_number(&number.to_string()) => self.replace(here, Value::from(MASK)),
            Value::Number(_) | Value::Bool(_) | Value::Null => value.clone(),
        }
    }

    /// In a list of arguments, what follows a flag such as `--password` is the secret.
    fn array(&mut self, items: &[Value], name: &str, here: &Here<'_>) -> Vec<Value> {
        let mut shown = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let (places, mode) = enter(here.places, &index.to_string());
            let shown_at = format!("{}/{index}", here.shown_at);
            let below = Here { places: &places, lifted: here.lifted, shown_at: &shown_at };
            shown.push(self.value(item, name, is_secret_argument(items, index), mode, &below));
        }
        shown
    }

    fn hash(&self, value: &Value) -> Value {
        Value::from(self.nonce.map_or_else(|| MASK.to_owned(), |nonce| format!("{HASH}{}", digest::fingerprint(nonce, value))))
    }

    fn replace(&mut self, here: &Here<'_>, value: Value) -> Value {
        self.pointers.push(here.shown_at.to_owned());
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
