//! Owns what a reviewer's edit may change: the caller's `edit_schema` (a small subset of JSON Schema), the policy's
//! bounds, the difference between two sets of parameters, and the return of masked values to their originals.
//!
//! Never widens anything: what neither the schema names nor the policy admits stays as the caller sent it.

use crate::domain::field_error::{FieldError, push_pointer};
use crate::domain::json::{self, same};
use crate::domain::mask::{Masked, stands_for_another};
use crate::domain::reader::{Errors, Reader, Text, integer, kind, nearest};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

pub mod form;

/// Largest schema, in canonical bytes (api.md §1).
pub const MAX_SCHEMA_BYTES: usize = 16 * 1024;
const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "object", "array", "null"];

/// A caller's statement of what a reviewer may change. Keeps the text it was read from, and is stored as that.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct EditSchema {
    source: Value,
    root: Node,
}

/// One place of the schema. The subset has no `additionalProperties`: what `properties` does not name may not differ.
#[derive(Debug, Clone, PartialEq, Default)]
struct Node {
    title: Option<String>,
    description: Option<String>,
    types: Vec<String>,
    properties: Option<BTreeMap<String, Node>>,
    required: Vec<String>,
    choices: Option<Vec<Value>>,
    constant: Option<Value>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    max_items: Option<usize>,
    items: Option<Box<Node>>,
}

/// One difference between the parameters before and after an edit.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Change {
    /// JSON pointer into the parameters.
    pub pointer: String,
    /// The value before; `None` when it was added.
    pub before: Option<Value>,
    /// The value after; `None` when it was removed.
    pub after: Option<Value>,
}

impl TryFrom<Value> for EditSchema {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        Self::parse(&value).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl From<EditSchema> for Value {
    fn from(schema: EditSchema) -> Self {
        schema.source
    }
}

impl EditSchema {
    /// Reads a schema; pointers of the errors are relative to it. Its root must be an object with `properties`,
    /// otherwise an edit could change nothing.
    pub fn parse(value: &Value) -> Result<Self, Vec<FieldError>> {
        let errors = Errors::default();
        if json::depth(value) > crate::domain::reader::MAX_DEPTH {
            errors.push("", "is nested too deeply");
            return errors.finish(None);
        }
        let bytes = json::canonical(value).len();
        if bytes > MAX_SCHEMA_BYTES {
            errors.push("", format!("is {bytes} bytes long; at most {MAX_SCHEMA_BYTES} are allowed"));
            return errors.finish(None);
        }
        let root = Node::read(value, "", &errors);
        if let Some(root) = &root {
            if root.properties.as_ref().is_none_or(BTreeMap::is_empty) {
                errors.push("/properties", "must name at least one parameter that may be changed");
            }
            if !root.types.is_empty() && root.types != ["object"] {
                errors.push("/type", "must be \"object\": parameters are an object");
            }
        }
        errors.finish(root.map(|root| Self { source: value.clone(), root }))
    }

    /// The schema as the caller wrote it.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.source
    }

    /// Whether `edited` may replace `original`: every difference lies inside the schema's `properties` and, when the
    /// policy states bounds, at or below one of those pointers (an empty list admits nothing); and the result
    /// satisfies the schema. Errors point into the parameters.
    pub fn check(
        &self,
        original: &Map<String, Value>,
        edited: &Map<String, Value>,
        policy_bounds: Option<&[String]>,
    ) -> Result<(), Vec<FieldError>> {
        let errors = Errors::default();
        self.root.cover_members(Some(original), Some(edited), "", &errors);
        for change in policy_bounds.map(|_| diff(original, edited)).unwrap_or_default() {
            let within =
                |bound: &String| change.pointer.strip_prefix(bound.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            if !policy_bounds.unwrap_or_default().iter().any(within) {
                errors.push(change.pointer, "may not be changed: the policy does not admit it");
            }
        }
        self.root.validate_members(edited, "", &errors);
        errors.finish(Some(()))
    }
}

impl Node {
    fn read(value: &Value, at: &str, errors: &Errors) -> Option<Self> {
        let reader = Reader::open(value, at, errors)?;
        let node = Self {
            title: reader.text("title", Text::prose(300)),
            description: reader.text("description", Text::prose(4000)),
            types: read_types(&reader),
            properties: reader.optional("properties").and_then(|properties| read_properties(properties, &reader.at("properties"), errors)),
            required: read_names(&reader, "required"),
            choices: reader.list("enum", 1000).map(|items| items.into_iter().map(|(_, item)| item.clone()).collect()),
            // `null` is a possible constant, so absence and null differ here.
            constant: reader.raw("const").cloned(),
            minimum: read_number(&reader, "minimum"),
            maximum: read_number(&reader, "maximum"),
            min_length: read_count(&reader, "minLength"),
            max_length: read_count(&reader, "maxLength"),
            max_items: read_count(&reader, "maxItems"),
            items: reader.optional("items").and_then(|items| Self::read(items, &reader.at("items"), errors)).map(Box::new),
        };
        reader.close();
        if node.choices.as_ref().is_some_and(Vec::is_empty) {
            reader.wrong("enum", "must name at least one value");
        }
        Some(node)
    }

    /// Notes every difference between `before` and `after` that this node does not name.
    fn cover(&self, before: Option<&Value>, after: Option<&Value>, at: &str, errors: &Errors) {
        if before.zip(after).is_some_and(|(before, after)| same(before, after)) {
            return;
        }
        if self.properties.is_some() {
            match (before.map(Value::as_object), after.map(Value::as_object)) {
                (Some(None), _) | (_, Some(None)) => errors.push(at, "may only change inside; it must stay an object"),
                (before, after) => self.cover_members(before.flatten(), after.flatten(), at, errors),
            }
        } else if let Some(items) = &self.items {
            match (before.map(Value::as_array), after.map(Value::as_array)) {
                (Some(None), _) | (_, Some(None)) => errors.push(at, "may only change inside; it must stay a list"),
                (before, after) => {
                    let (before, after) = (before.flatten().map_or(&[][..], Vec::as_slice), after.flatten().map_or(&[][..], Vec::as_slice));
                    for index in 0..before.len().max(after.len()) {
                        items.cover(before.get(index), after.get(index), &format!("{at}/{index}"), errors);
                    }
                }
            }
        }
    }

    fn cover_members(&self, before: Option<&Map<String, Value>>, after: Option<&Map<String, Value>>, at: &str, errors: &Errors) {
        let names: BTreeSet<&String> = before.into_iter().chain(after).flat_map(Map::keys).collect();
        for name in names {
            let (before, after) = (before.and_then(|map| map.get(name)), after.and_then(|map| map.get(name)));
            if before.zip(after).is_some_and(|(before, after)| same(before, after)) {
                continue;
            }
            let pointer = push_pointer(at, name);
            match self.properties.as_ref().and_then(|properties| properties.get(name)) {
                Some(node) => node.cover(before, after, &pointer, errors),
                None => errors.push(pointer, "may not be changed: edit_schema does not name it"),
            }
        }
    }

    fn validate(&self, value: &Value, at: &str, errors: &Errors) {
        if !self.types.is_empty() && !self.types.iter().any(|name| is_type(value, name)) {
            errors.push(at, format!("must be of type {}, not {}", self.types.join(" or "), kind(value)));
            return;
        }
        if self.choices.as_ref().is_some_and(|choices| !choices.iter().any(|choice| same(choice, value))) {
            errors.push(at, "must be one of the values that edit_schema lists");
        }
        if self.constant.as_ref().is_some_and(|constant| !same(constant, value)) {
            errors.push(at, "must be the one value that edit_schema names");
        }
        match value {
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                // Written so that a number that cannot be compared fails.
                if let Some(minimum) = self.minimum.filter(|minimum| !matches!(number.partial_cmp(minimum), Some(o) if o.is_ge())) {
                    errors.push(at, format!("must be at least {minimum}"));
                }
                if let Some(maximum) = self.maximum.filter(|maximum| !matches!(number.partial_cmp(maximum), Some(o) if o.is_le())) {
                    errors.push(at, format!("must be at most {maximum}"));
                }
            }
            Value::String(text) => {
                let length = text.chars().count();
                if let Some(min) = self.min_length.filter(|min| length < *min) {
                    errors.push(at, format!("must have at least {min} characters"));
                }
                if let Some(max) = self.max_length.filter(|max| length > *max) {
                    errors.push(at, format!("must have at most {max} characters"));
                }
            }
            Value::Array(items) => {
                if let Some(max) = self.max_items.filter(|max| items.len() > *max) {
                    errors.push(at, format!("must have at most {max} items"));
                }
                for (index, item) in items.iter().enumerate() {
                    if let Some(node) = &self.items {
                        node.validate(item, &format!("{at}/{index}"), errors);
                    }
                }
            }
            Value::Object(members) => self.validate_members(members, at, errors),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn validate_members(&self, members: &Map<String, Value>, at: &str, errors: &Errors) {
        for name in self.required.iter().filter(|name| !members.contains_key(*name)) {
            errors.push(push_pointer(at, name), "is required by edit_schema");
        }
        for (name, node) in self.properties.iter().flatten() {
            if let Some(value) = members.get(name) {
                node.validate(value, &push_pointer(at, name), errors);
            }
        }
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => integer(value).is_some(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn read_types(reader: &Reader<'_>) -> Vec<String> {
    let names: Vec<&Value> = match reader.optional("type") {
        None => return Vec::new(),
        Some(Value::Array(names)) if !names.is_empty() => names.iter().collect(),
        Some(name) => vec![name],
    };
    let mut types = Vec::new();
    for name in names {
        match name.as_str() {
            Some(known) if TYPES.contains(&known) => types.push(known.to_owned()),
            Some(unknown) => {
                let hint = nearest(unknown, &TYPES).map_or_else(|| TYPES.join(", "), |guess| format!("did you mean \"{guess}\"?"));
                reader.wrong("type", format!("is not a type of JSON Schema; {hint}"));
            }
            None => reader.wrong("type", "must be the name of a type, or a list of such names"),
        }
    }
    types
}

fn read_properties(value: &Value, at: &str, errors: &Errors) -> Option<BTreeMap<String, Node>> {
    let Some(members) = value.as_object() else {
        errors.push(at, format!("must be an object, not {}", kind(value)));
        return None;
    };
    Some(members.iter().filter_map(|(name, node)| Some((name.clone(), Node::read(node, &push_pointer(at, name), errors)?))).collect())
}

fn read_names(reader: &Reader<'_>, name: &'static str) -> Vec<String> {
    let mut names = Vec::new();
    for (_, item) in reader.list(name, 1000).unwrap_or_default() {
        match item.as_str() {
            Some(text) => names.push(text.to_owned()),
            None => reader.wrong(name, "must be a list of member names"),
        }
    }
    names
}

fn read_number(reader: &Reader<'_>, name: &'static str) -> Option<f64> {
    let value = reader.optional(name)?;
    if !value.is_number() {
        reader.wrong(name, format!("must be a number, not {}", kind(value)));
    }
    value.as_f64()
}

fn read_count(reader: &Reader<'_>, name: &'static str) -> Option<usize> {
    let count = reader.integer(name)?;
    let count = usize::try_from(count).ok();
    if count.is_none() {
        reader.wrong(name, "must not be negative");
    }
    count
}

/// What differs, at the deepest places that still tell the whole story: a value that was added or removed as a whole
/// is one change. `1` and `1.0` do not differ.
#[must_use]
pub fn diff(original: &Map<String, Value>, edited: &Map<String, Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    diff_members(original, edited, "", &mut changes);
    changes
}

fn diff_members(before: &Map<String, Value>, after: &Map<String, Value>, at: &str, changes: &mut Vec<Change>) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        diff_values(before.get(name), after.get(name), push_pointer(at, name), changes);
    }
}

fn diff_values(before: Option<&Value>, after: Option<&Value>, at: String, changes: &mut Vec<Change>) {
    match (before, after) {
        (Some(before), Some(after)) if same(before, after) => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => diff_members(before, after, &at, changes),
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                diff_values(before.get(index), after.get(index), format!("{at}/{index}"), changes);
            }
        }
        (before, after) => changes.push(Change { pointer: at, before: before.cloned(), after: after.cloned() }),
    }
}

/// Puts the originals back into what a reviewer returned. A reviewer sees masked values only: one that comes back
/// exactly as shown stands for its original, and so does the absence of a hidden one; any other value in its place, its
/// removal, and a mask written where none was shown are refused.
pub fn unmask(original: &Map<String, Value>, shown: &Masked, edited: &Map<String, Value>) -> Result<Map<String, Value>, Vec<FieldError>> {
    let errors = Errors::default();
    let original = Value::Object(original.clone());
    let shown_value = Value::Object(shown.value.clone());
    let mut result = Value::Object(edited.clone());
    for pointer in &shown.pointers {
        match (original.pointer(pointer), shown_value.pointer(pointer), result.pointer_mut(pointer)) {
            (Some(secret), Some(mask), Some(place)) if place == mask => *place = secret.clone(),
            _ => errors.push(pointer.clone(), "is masked: return it exactly as shown; it cannot be changed or removed"),
        }
    }
    for pointer in &shown.hidden {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        let name = name.replace("~1", "/").replace("~0", "~");
        match (original.pointer(pointer), result.pointer_mut(parent).and_then(Value::as_object_mut)) {
            (Some(_), Some(members)) if members.contains_key(&name) => {
                errors.push(pointer.clone(), "is hidden: leave it out; it cannot be changed");
            }
            (Some(secret), Some(members)) => {
                members.insert(name, secret.clone());
            }
            _ => errors.push(parent, "holds a hidden value: it cannot be removed or replaced"),
        }
    }
    let mut written = Vec::new();
    find_masks(&result, &original, String::new(), &mut written);
    for pointer in written.into_iter().filter(|pointer| !shown.pointers.contains(pointer) && !shown.hidden.contains(pointer)) {
        errors.push(pointer, "holds the text that stands for a masked value; write the value that is meant");
    }
    match result {
        Value::Object(map) => errors.finish(Some(map)),
        _ => errors.finish(None),
    }
}

/// Pointers of values that carry the mask's text although the original at that place does not.
fn find_masks(value: &Value, original: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::String(text) if stands_for_another(text) && original.pointer(&at).is_none_or(|before| before != value) => found.push(at),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_masks(item, original, format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let pointer = push_pointer(&at, name);
                if stands_for_another(name) {
                    found.push(pointer.clone());
                }
                find_masks(member, original, pointer, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
