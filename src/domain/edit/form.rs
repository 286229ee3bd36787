//! Owns the form of an edit: which inputs a reviewer gets for a caller's `edit_schema`, what stands in them, and what the
//! filled form means as parameters.
//!
//! Never judges an edit (`EditSchema::check` does) and never knows a platform's inputs: a form is the same on every surface.
//! It holds masked values only; a masked one that comes back as it was shown stays what it is.

use super::{EditSchema, Node};
use crate::domain::field_error::{FieldError, push_pointer};
use crate::domain::json::{self, JsonError};
use crate::domain::mask::{Masked, mask_text};
use crate::domain::reader::Errors;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// With more inputs than these, one input takes everything as JSON.
const MAX_FIELDS: usize = 30;
/// Values that can be offered for choice.
const MAX_CHOICES: usize = 100;
/// Pointers that are longer, in bytes, cannot name an input on every platform.
const MAX_POINTER: usize = 200;

/// What was filled in, by the pointer of the field. `None`: left empty. A field that is absent was not touched.
pub type Answers = BTreeMap<String, Option<String>>;

/// The inputs of an edit; at least one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form {
    /// In the order of the names.
    pub fields: Vec<Field>,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// JSON pointer into the parameters; empty: one JSON object of every member that may be changed.
    pub pointer: String,
    /// Whose it is, in the caller's words.
    pub label: String,
    /// What may be filled in.
    pub hint: Option<String>,
    /// How it is filled in.
    pub input: Input,
    /// What stands in it, masked; `None` when the member is absent.
    pub value: Option<String>,
    /// The schema wants the member to be there.
    pub required: bool,
}

/// How an input is filled in.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Input {
    /// Words.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// One of these.
    Choice {
        /// As they are shown, with what each stands for.
        options: Vec<(String, Value)>,
    },
    /// JSON text.
    Json,
}

impl Form {
    /// The form for parameters as they are shown; `None` when nothing may be changed. `bounds` are the policy's, as in
    /// [`EditSchema::check`]; what the policy hides has no input.
    #[must_use]
    pub fn of(schema: &EditSchema, shown: &Masked, bounds: Option<&[String]>) -> Option<Self> {
        let admitted = |pointer: &str| {
            let touches = |bound: &String| below(bound, pointer) || below(pointer, bound);
            bounds.is_none_or(|bounds| bounds.iter().any(touches)) && !shown.hidden.iter().any(|hidden| hidden == pointer)
        };
        let named: Vec<(&String, &Node)> =
            schema.root.properties.iter().flatten().filter(|(name, _)| admitted(&push_pointer("", name))).collect();
        if named.is_empty() {
            return None;
        }
        let unfit = |name: &str| push_pointer("", name).len() > MAX_POINTER || name.chars().any(char::is_control);
        if named.len() > MAX_FIELDS || named.iter().any(|(name, _)| unfit(name)) {
            let mut present = shown.value.clone();
            present.retain(|name, _| named.iter().any(|(known, _)| *known == name));
            let field = Field {
                pointer: String::new(),
                label: "Parameters that may be changed".to_owned(),
                hint: Some("JSON. Members that you leave out are removed; masked ones stay exactly as shown.".to_owned()),
                input: Input::Json,
                value: Some(pretty(&Value::Object(present))),
                required: true,
            };
            return Some(Self { fields: vec![field] });
        }
        Some(Self { fields: named.into_iter().map(|(name, node)| field(name, node, &schema.root, shown)).collect() })
    }

    /// The parameters that a filled form means, masked members as they were shown: `shown` with the answers in place.
    ///
    /// # Errors
    /// What cannot be read, by the pointer of its field.
    pub fn read(&self, shown: &Map<String, Value>, answers: &Answers) -> Result<Map<String, Value>, Vec<FieldError>> {
        let errors = Errors::default();
        let mut edited = shown.clone();
        for (pointer, answer) in answers {
            match self.fields.iter().find(|field| field.pointer == *pointer) {
                Some(field) => field.put(answer.as_deref(), &mut edited, &errors),
                None => errors.push("", "this form is not the present one; open it again"),
            }
        }
        errors.finish(Some(edited))
    }

    /// The field that a pointer into the parameters belongs to.
    #[must_use]
    pub fn field_at(&self, pointer: &str) -> Option<&Field> {
        self.fields.iter().find(|field| below(pointer, &field.pointer))
    }

    /// The same form with what was filled in.
    #[must_use]
    pub fn filled(mut self, answers: &Answers) -> Self {
        for field in &mut self.fields {
            if let Some(answer) = answers.get(&field.pointer) {
                field.value.clone_from(answer);
            }
        }
        self
    }
}

impl Field {
    fn put(&self, answer: Option<&str>, edited: &mut Map<String, Value>, errors: &Errors) {
        let before = self.value.as_deref().filter(|text| !text.is_empty());
        let answer = answer.filter(|text| !text.is_empty());
        if answer == before {
            return;
        }
        if self.pointer.is_empty() {
            return self.put_all(answer.unwrap_or_default(), edited, errors);
        }
        let name = self.pointer[1..].replace("~1", "/").replace("~0", "~");
        match (answer, &self.input) {
            (None, Input::Text) if self.required => {
                edited.insert(name, Value::from(""));
            }
            (None, _) if self.required => errors.push(self.pointer.clone(), "is required by edit_schema"),
            (None, _) => {
                edited.remove(&name);
            }
            (Some(text), _) => {
                if let Some(value) = self.parse(text, errors) {
                    edited.insert(name, value);
                }
            }
        }
    }

    /// One JSON object takes the place of every member that may be changed.
    fn put_all(&self, text: &str, edited: &mut Map<String, Value>, errors: &Errors) {
        let before = self.value.as_deref().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok()).unwrap_or_default();
        match self.parse(text, errors) {
            Some(Value::Object(members)) => {
                edited.retain(|name, _| !before.contains_key(name));
                edited.extend(members);
            }
            Some(_) => errors.push("", "must be a JSON object"),
            None => {}
        }
    }

    fn parse(&self, text: &str, errors: &Errors) -> Option<Value> {
        let number = |wanted: &str| {
            let value = json::parse(text.trim().as_bytes()).ok().filter(Value::is_number);
            if value.is_none() {
                errors.push(self.pointer.clone(), format!("must be {wanted}"));
            }
            value
        };
        match &self.input {
            Input::Text => Some(Value::from(text)),
            Input::Integer => number("a whole number"),
            Input::Number => number("a number"),
            Input::Choice { options } => {
                let chosen = options.iter().find(|(shown, _)| shown == text).map(|(_, value)| value.clone());
                if chosen.is_none() {
                    errors.push(self.pointer.clone(), "must be one of the values that edit_schema lists");
                }
                chosen
            }
            Input::Json => match json::parse(text.as_bytes()) {
                Ok(value) => Some(value),
                Err(JsonError::Malformed { line, column, detail }) => {
                    errors.push(self.pointer.clone(), format!("is not JSON: {detail} (line {line}, column {column})"));
                    None
                }
                Err(JsonError::Refused(found)) => {
                    errors
                        .extend(found.into_iter().map(|error| FieldError::new(format!("{}{}", self.pointer, error.pointer), error.detail)));
                    None
                }
            },
        }
    }
}

fn field(name: &str, node: &Node, root: &Node, shown: &Masked) -> Field {
    let pointer = push_pointer("", name);
    let present = shown.value.get(name);
    let masked = shown.pointers.iter().any(|hidden| below(hidden, &pointer));
    let input = input(node, present, masked);
    let value = present.map(|value| match (&input, value) {
        (Input::Text | Input::Choice { .. }, Value::String(text)) => text.clone(),
        (Input::Json, value) => pretty(value),
        (_, value) => value.to_string(),
    });
    Field {
        label: mask_text(node.title.as_deref().unwrap_or(name)).0,
        hint: hint(node, &input, masked),
        required: root.required.iter().any(|required| required == name),
        pointer,
        input,
        value,
    }
}

fn input(node: &Node, present: Option<&Value>, masked: bool) -> Input {
    if masked {
        // Nothing but what is shown comes through, so nothing is offered besides it.
        return if present.is_some_and(Value::is_string) { Input::Text } else { Input::Json };
    }
    if let Some(options) = choices(node) {
        return Input::Choice { options };
    }
    let types: Vec<&str> = node.types.iter().map(String::as_str).collect();
    match types[..] {
        ["string"] => Input::Text,
        ["integer"] => Input::Integer,
        ["number"] | ["integer", "number"] | ["number", "integer"] => Input::Number,
        _ => Input::Json,
    }
}

/// The values of `const`, `enum` or a boolean, when each can be told from the others by its text.
fn choices(node: &Node) -> Option<Vec<(String, Value)>> {
    let values = match (&node.constant, &node.choices) {
        (Some(constant), _) => vec![constant.clone()],
        (None, Some(choices)) => choices.clone(),
        (None, None) if node.types == ["boolean"] => vec![Value::from(true), Value::from(false)],
        (None, None) => return None,
    };
    let mut options: Vec<(String, Value)> = Vec::with_capacity(values.len());
    for value in values {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) | Value::Null => value.to_string(),
            Value::Array(_) | Value::Object(_) => return None,
        };
        if text.is_empty() || mask_text(&text).1 > 0 || options.iter().any(|(known, _)| *known == text) {
            return None;
        }
        options.push((text, value));
    }
    (options.len() <= MAX_CHOICES).then_some(options)
}

fn hint(node: &Node, input: &Input, masked: bool) -> Option<String> {
    if masked {
        return Some("Masked: leave it exactly as it is shown.".to_owned());
    }
    let mut parts: Vec<String> = node.description.iter().map(|text| mask_text(text).0).collect();
    let bounds = |least: Option<String>, most: Option<String>, unit: &str| match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}{unit}")),
        (Some(least), None) => Some(format!("At least {least}{unit}")),
        (None, Some(most)) => Some(format!("At most {most}{unit}")),
        (None, None) => None,
    };
    match input {
        Input::Integer | Input::Number => {
            parts.extend(bounds(node.minimum.map(|least| least.to_string()), node.maximum.map(|most| most.to_string()), ""));
        }
        Input::Text => {
            parts.extend(bounds(
                node.min_length.map(|least| least.to_string()),
                node.max_length.map(|most| most.to_string()),
                " characters",
            ));
        }
        Input::Json => parts.push("JSON".to_owned()),
        Input::Choice { .. } => {}
    }
    (!parts.is_empty()).then(|| parts.join(" · "))
}

/// Whether a pointer is `place` or stands below it.
fn below(pointer: &str, place: &str) -> bool {
    pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests;
