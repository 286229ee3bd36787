//! Owns the examples and the traps of forms; never needs more than the public face of the parent module.

use super::*;
use crate::domain::digest::Nonce;
use crate::domain::mask::{MASK, Mask, MaskMode, mask_parameters};
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn form(schema: Value, parameters: Value) -> (Form, Map<String, Value>) {
    bounded(schema, parameters, None).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better without a reference")]
fn bounded(properties: Value, parameters: Value, bounds: Option<&[&str]>) -> Option<(Form, Map<String, Value>)> {
    let schema = EditSchema::parse(&json!({"type": "object", "required": ["needed"], "properties": properties})).unwrap();
    let masks = [Mask { path: "/hidden".to_owned(), mode: MaskMode::Hide }];
    let shown = mask_parameters(&object(parameters), &["/secret".to_owned()], &masks, Nonce::new([7; 16]));
    let bounds = bounds.map(|bounds| bounds.iter().map(|&bound| bound.to_owned()).collect::<Vec<_>>());
    Form::of(&schema, &shown, bounds.as_deref()).map(|form| (form, shown.value))
}

fn answers(filled: &[(&str, Option<&str>)]) -> Answers {
    filled.iter().map(|(pointer, text)| ((*pointer).to_owned(), text.map(str::to_owned))).collect()
}

fn everything() -> (Form, Map<String, Value>) {
    form(
        json!({
            "flag": {"type": "boolean"}, "fixed": {"const": "eu"}, "mode": {"enum": ["fast", "safe", 3]},
            "name": {"type": "string", "title": "File name", "description": "In the bucket", "minLength": 2, "maxLength": 40},
            "needed": {"type": "string"}, "rate": {"type": "number", "maximum": 1.5}, "rows": {"type": "integer", "minimum": 1, "maximum": 500},
            "secret": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}},
        }),
        json!({"flag": true, "mode": "fast", "name": "a.csv", "needed": "x", "rows": 120, "secret": "hunter2", "tags": ["a"], "other": 1}),
    )
}

#[test]
fn each_kind_of_member_has_its_input_and_what_stands_in_it() {
    let (form, _) = everything();
    let told: Vec<(&str, &str, Option<&str>, Option<&str>)> = form
        .fields
        .iter()
        .map(|field| {
            let kind = match &field.input {
                Input::Text => "text",
                Input::Integer => "integer",
                Input::Number => "number",
                Input::Choice { .. } => "choice",
                Input::Json => "json",
            };
            (field.label.as_str(), kind, field.value.as_deref(), field.hint.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("fixed", "choice", None, None),
            ("flag", "choice", Some("true"), None),
            ("mode", "choice", Some("fast"), None),
            ("File name", "text", Some("a.csv"), Some("In the bucket · 2 to 40 characters")),
            ("needed", "text", Some("x"), None),
            ("rate", "number", None, Some("At most 1.5")),
            ("rows", "integer", Some("120"), Some("1 to 500")),
            ("secret", "text", Some(MASK), Some("Masked: leave it exactly as it is shown.")),
            ("tags", "json", Some("[\n  \"a\"\n]"), Some("JSON")),
        ]
    );
}

#[test]
fn what_was_not_touched_stays_and_what_was_filled_in_takes_its_place() {
    let (form, shown) = everything();
    let untouched: Answers = form.fields.iter().map(|field| (field.pointer.clone(), field.value.clone())).collect();
    assert_eq!(form.read(&shown, &untouched).unwrap(), shown);
    assert_eq!(form.read(&shown, &Answers::new()).unwrap(), shown);
    let edited = form
        .read(
            &shown,
            &answers(&[
                ("/rows", Some(" 80 ")),
                ("/flag", Some("false")),
                ("/mode", Some("3")),
                ("/tags", Some("[1.50]")),
                ("/name", None),
                ("/needed", None),
                ("/fixed", Some("eu")),
            ]),
        )
        .unwrap();
    assert_eq!(
        Value::Object(edited),
        json!({"fixed": "eu", "flag": false, "mode": 3, "needed": "", "rows": 80, "secret": MASK, "tags": [1.5], "other": 1})
    );
}

#[test]
fn what_cannot_be_read_is_said_at_its_field() {
    let (form, shown) = everything();
    let filled = answers(&[
        ("/rows", Some("5,000")),
        ("/rate", Some("NaN")),
        ("/mode", Some("slow")),
        ("/tags", Some("[1,")),
        ("/flag", Some("perhaps")),
        ("/never", Some("x")),
    ]);
    let told: Vec<(String, String)> =
        form.read(&shown, &filled).unwrap_err().into_iter().map(|error| (error.pointer, error.detail)).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(pointer, detail)| (pointer.as_str(), detail.as_str())).collect();
    assert_eq!(
        told,
        [
            ("/flag", "must be one of the values that edit_schema lists"),
            ("/mode", "must be one of the values that edit_schema lists"),
            ("", "this form is not the present one; open it again"),
            ("/rate", "must be a number"),
            ("/rows", "must be a whole number"),
            ("/tags", "is not JSON: EOF while parsing a value (line 1, column 3)"),
        ]
    );
    let ambiguous = form.read(&shown, &answers(&[("/tags", Some(r#"[{"a":1,"a":2}]"#))])).unwrap_err();
    assert_eq!(ambiguous[0].pointer, "/tags/0/a");
    assert_eq!(form.field_at("/tags/0/a").unwrap().pointer, "/tags");
    assert!(form.field_at("/tag").is_none());
}

#[test]
fn what_no_single_input_can_hold_is_one_json_object() {
    let properties: Map<String, Value> = (0..31).map(|number| (format!("p{number}"), json!({"type": "integer"}))).collect();
    for properties in [Value::Object(properties), json!({"p0": {}, "a\nb": {}}), json!({"p0": {}, "n".repeat(201): {}})] {
        let (form, shown) = form(properties, json!({"p0": 1, "other": 2}));
        assert_eq!(form.fields.len(), 1);
        assert_eq!((form.fields[0].pointer.as_str(), form.fields[0].value.as_deref()), ("", Some("{\n  \"p0\": 1\n}")));
        assert_eq!(Value::Object(form.read(&shown, &answers(&[("", Some(r#"{"p1": 5}"#))])).unwrap()), json!({"other": 2, "p1": 5}));
        assert_eq!(form.read(&shown, &answers(&[("", Some("[1]"))])).unwrap_err()[0].detail, "must be a JSON object");
        assert!(form.read(&shown, &answers(&[("", None)])).is_err());
    }
}

#[test]
fn only_what_the_policy_admits_is_offered() {
    let offered = |bounds: &[&str]| {
        let both = bounded(json!({"rows": {"type": "integer"}, "where": {"properties": {"path": {}}}}), json!({"rows": 1}), Some(bounds));
        both.map(|(form, _)| form.fields.into_iter().map(|field| field.pointer).collect::<Vec<_>>())
    };
    assert_eq!(offered(&["/rows"]).unwrap(), ["/rows"]);
    assert_eq!(offered(&["/where/path"]).unwrap(), ["/where"]);
    assert_eq!(offered(&["/row"]), None);
    // What the policy hides has no input either.
    let (form, shown) = form(json!({"hidden": {"type": "string"}, "rows": {"type": "integer"}}), json!({"hidden": "x", "rows": 1}));
    assert_eq!(form.fields.iter().map(|field| field.pointer.as_str()).collect::<Vec<_>>(), ["/rows"]);
    assert!(!shown.contains_key("hidden"));
    assert_eq!(offered(&[]), None);
}

#[test]
fn values_that_look_alike_or_hold_a_secret_are_not_offered_for_choice() {
    for choices in [json!(["1", 1]), json!([[1]]), json!(["", "a"]), json!(["xoxb-1234567890123-abcdefghijklmnopqrstuvwx"])] {
        let (form, _) = form(json!({"mode": {"enum": choices}}), json!({}));
        assert_eq!(form.fields[0].input, Input::Json, "{choices}");
    }
}
