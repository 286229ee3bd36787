//! Owns the choice of Slack's inputs for the form of an edit, and the way from a mistake to the input that it stands at.
//!
//! Never judges what was filled in: bounds are told in the hint and checked by the domain at the submit, so that there is one
//! check with one wording. What Slack cannot hold is left out, visibly, and stays as it is.

use crate::chat::WORDS;
use crate::chat::slack::face::{exact, named};
use crate::chat::slack::payload::FIELD_INPUT;
use crate::domain::digest::Digest;
use crate::domain::edit::form::{Field, Form, Input};
use crate::domain::field_error::FieldError;
use crate::domain::text::{clean, cut, one_line};
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest text of an input, in characters.
const LONGEST: usize = 3_000;
/// Longest text and value of an option, in characters.
const OPTION: usize = 75;
/// Up to so many options all stand in sight.
const IN_SIGHT: usize = 5;
/// A value that is longer, or has a line break, gets several lines.
const ONE_LINE: usize = 60;

/// The inputs, as the template draws them.
#[derive(Debug, Serialize)]
pub(super) struct Inputs {
    fields: Vec<Drawn>,
    /// Labels of fields whose values are too long for Slack.
    left_out: Vec<String>,
    /// Ends of the block ids: new whenever the dialog is drawn anew, because Slack keeps what stands in a block that keeps its id.
    mark: String,
}

#[derive(Debug, Serialize)]
struct Drawn {
    block_id: String,
    action_id: String,
    label: String,
    hint: Option<String>,
    optional: bool,
    kind: Kind,
    /// What stands in it.
    initial: Option<String>,
    decimal: bool,
    options: Vec<Choice>,
    chosen: Option<Choice>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Number,
    Line,
    Lines,
    Radio,
    Select,
}

#[derive(Debug, Clone, Serialize)]
struct Choice {
    text: String,
    value: String,
}

impl Inputs {
    /// For a form about the parameters of `digest`; `edited` when the dialog shows what it changes.
    pub(super) fn of(form: &Form, digest: &Digest, edited: Option<&Digest>) -> Self {
        let mark = mark(digest, edited);
        let label = |field: &Field| named(cut(&one_line(&field.label), 150));
        Self {
            fields: form
                .fields
                .iter()
                .enumerate()
                .filter(|(_, field)| fits(field))
                .map(|(index, field)| drawn(field, label(field), block(index, &mark)))
                .collect(),
            left_out: form.fields.iter().filter(|field| !fits(field)).map(label).collect(),
            mark,
        }
    }
}

/// What stands at which block of the dialog, in Slack's `errors`.
pub(super) fn errors(form: Option<&Form>, mistakes: &[FieldError], digest: &Digest, edited: Option<&Digest>) -> BTreeMap<String, String> {
    let mark = mark(digest, edited);
    let fields = form.map(|form| form.fields.as_slice()).unwrap_or_default();
    let mut errors = BTreeMap::<String, String>::new();
    for mistake in mistakes {
        let at = form.filter(|_| mistake.pointer != WORDS).and_then(|form| form.field_at(&mistake.pointer));
        let index = at.and_then(|field| fields.iter().position(|known| known == field && fits(known)));
        // What belongs to no input in sight is said at the first one.
        let index = index.or_else(|| fields.iter().position(fits).filter(|_| mistake.pointer != WORDS));
        let block = index.map_or_else(|| format!("cs:words:{mark}"), |index| block(index, &mark));
        let inside = at.and_then(|field| mistake.pointer.strip_prefix(&field.pointer)).unwrap_or(&mistake.pointer);
        let text =
            if inside.is_empty() || mistake.pointer == WORDS { mistake.detail.clone() } else { format!("{inside}: {}", mistake.detail) };
        let text = cut(&one_line(&text), 300);
        errors.entry(block).and_modify(|known| *known = format!("{known}; {text}")).or_insert(text);
    }
    errors
}

fn mark(digest: &Digest, edited: Option<&Digest>) -> String {
    edited.unwrap_or(digest).short()
}

fn block(index: usize, mark: &str) -> String {
    format!("cs:field:{index}:{mark}")
}

fn fits(field: &Field) -> bool {
    field.value.as_ref().is_none_or(|value| value.chars().count() <= LONGEST)
}

fn drawn(field: &Field, label: String, block_id: String) -> Drawn {
    let value = field.value.as_deref().filter(|value| !value.is_empty());
    let options = options(&field.input);
    let plain = |decimal: bool| value.is_none_or(|value| is_plain_number(value, decimal));
    let kind = match &field.input {
        Input::Integer if plain(false) => Kind::Number,
        Input::Number if plain(true) => Kind::Number,
        Input::Choice { .. } if !options.is_empty() => {
            if options.len() <= IN_SIGHT {
                Kind::Radio
            } else {
                Kind::Select
            }
        }
        Input::Json => Kind::Lines,
        Input::Text | Input::Integer | Input::Number | Input::Choice { .. } => {
            let long = value.is_some_and(|value| value.contains('\n') || value.chars().count() > ONE_LINE);
            if long { Kind::Lines } else { Kind::Line }
        }
    };
    Drawn {
        block_id,
        action_id: format!("{FIELD_INPUT}{}", field.pointer),
        label,
        hint: field.hint.as_deref().map(|hint| cut(&clean(hint), 500)).filter(|hint| !hint.is_empty()),
        // A text that must be there may be empty, when it is empty now.
        optional: !field.required || field.value.as_deref() == Some(""),
        kind,
        initial: value.map(str::to_owned),
        decimal: matches!(field.input, Input::Number),
        chosen: options.iter().find(|option| Some(option.value.as_str()) == value).cloned(),
        options,
    }
}

/// The options, when Slack can hold every one of them whole.
fn options(input: &Input) -> Vec<Choice> {
    let Input::Choice { options } = input else { return Vec::new() };
    let whole = |text: &str| text.chars().count() <= OPTION && exact(text) == text;
    if !options.iter().all(|(text, _)| whole(text)) {
        return Vec::new();
    }
    options.iter().map(|(text, _)| Choice { text: text.clone(), value: text.clone() }).collect()
}

/// A number as Slack's input writes it: digits, a sign, a point; no exponent.
fn is_plain_number(text: &str, decimal: bool) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => decimal && digits(whole) && digits(fraction),
        None => digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn form() -> Form {
        let field = |pointer: &str, input: Input, value: Option<&str>| Field {
            pointer: pointer.to_owned(),
            label: pointer.trim_start_matches('/').to_owned(),
            hint: None,
            input,
            value: value.map(str::to_owned),
            required: false,
        };
        let long = "x".repeat(3_001);
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f"].iter().map(|text| ((*text).to_owned(), json!(text))).collect();
        Form {
            fields: vec![
                field("/blob", Input::Text, Some(&long)),
                field("/mode", Input::Choice { options: many }, Some("b")),
                field("/odd", Input::Choice { options: vec![("o".repeat(76), json!(1))] }, None),
                field("/rate", Input::Number, Some("-1.5")),
                field("/rows", Input::Integer, Some("1e21")),
                field("/tags", Input::Json, Some("[]")),
            ],
        }
    }

    fn digest(digit: &str) -> Digest {
        format!("sha256:{}", digit.repeat(64)).parse().unwrap()
    }

    #[test]
    fn every_field_gets_the_input_that_can_hold_it_and_the_rest_is_named() {
        let inputs = Inputs::of(&form(), &digest("a"), None);
        let told: Vec<_> = inputs.fields.iter().map(|field| (field.action_id.as_str(), field.kind)).collect();
        assert_eq!(
            told,
            [
                ("cs.field./mode", Kind::Select),
                ("cs.field./odd", Kind::Line),
                ("cs.field./rate", Kind::Number),
                ("cs.field./rows", Kind::Line),
                ("cs.field./tags", Kind::Lines),
            ]
        );
        assert_eq!(inputs.left_out, ["blob"]);
        assert_eq!(inputs.fields[0].chosen.as_ref().unwrap().text, "b");
    }

    #[test]
    fn a_mistake_stands_at_its_input_and_others_at_the_first_one() {
        let mistakes = [
            FieldError::new("/rows", "must be at most 5"),
            FieldError::new("/tags/0/a", "must be a string"),
            FieldError::new("/tags", "is too long"),
            FieldError::new("/blob", "must be shorter"),
            FieldError::new("", "nothing changed"),
            FieldError::new(WORDS, "is required"),
        ];
        let told = errors(Some(&form()), &mistakes, &digest("a"), Some(&digest("b")));
        let told: Vec<(&str, &str)> = told.iter().map(|(block, text)| (block.as_str(), text.as_str())).collect();
        assert_eq!(
            told,
            [
                ("cs:field:1:bbbbbbbbbbbb", "must be shorter; nothing changed"),
                ("cs:field:4:bbbbbbbbbbbb", "must be at most 5"),
                ("cs:field:5:bbbbbbbbbbbb", "/0/a: must be a string; is too long"),
                ("cs:words:bbbbbbbbbbbb", "is required"),
            ]
        );
        assert_eq!(errors(None, &mistakes[5..], &digest("a"), None).into_keys().collect::<Vec<_>>(), ["cs:words:aaaaaaaaaaaa"]);
    }
}
