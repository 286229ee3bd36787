//! Owns the examples and the traps of the parent module; never needs more than its public face.

use super::*;
use crate::domain::digest::Nonce;
use crate::domain::mask::{MASK, Mask, MaskMode, mask_parameters};
use serde_json::json;

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn schema(value: impl std::borrow::Borrow<Value>) -> EditSchema {
    EditSchema::parse(value.borrow()).unwrap()
}

fn pointers<T: std::fmt::Debug>(result: Result<T, Vec<FieldError>>) -> Vec<String> {
    result.unwrap_err().into_iter().map(|error| error.pointer).collect()
}

#[test]
fn the_subset_is_closed() {
    let refused = EditSchema::parse(&json!({
        "type": "object",
        "additionalProperties": true,
        "properties": {"a": {"pattern": "x"}, "b": {"type": "int"}, "c": {"maximum": "9"}, "d": {"$ref": "#"}, "e": {"minLength": -1}, "f": []}
    }));
    assert_eq!(
        pointers(refused),
        [
            "/properties/a/pattern",
            "/properties/b/type",
            "/properties/c/maximum",
            "/properties/d/$ref",
            "/properties/e/minLength",
            "/properties/f",
            "/additionalProperties"
        ]
    );
    assert_eq!(pointers(EditSchema::parse(&json!({"type": "object"}))), ["/properties"]);
    assert_eq!(pointers(EditSchema::parse(&json!({"type": "string", "properties": {"a": {}}}))), ["/type"]);
    assert_eq!(pointers(EditSchema::parse(&json!([]))), [""]);
    assert_eq!(pointers(EditSchema::parse(&json!({"properties": {"a": {"description": "x".repeat(17_000)}}}))), [""]);
}

#[test]
fn only_named_properties_may_differ() {
    let schema = schema(
        json!({"type": "object", "properties": {"rows": {"type": "integer", "maximum": 100}, "opts": {"properties": {"gzip": {"type": "boolean"}}}}}),
    );
    let original = map(json!({"rows": 50, "destination": "s3://a", "opts": {"gzip": true, "acl": "private"}}));
    let try_edit = |edited: Value| schema.check(&original, &map(edited), None);

    assert!(try_edit(json!({"rows": 10, "destination": "s3://a", "opts": {"gzip": false, "acl": "private"}})).is_ok());
    assert!(try_edit(json!({"rows": 50.0, "destination": "s3://a", "opts": {"gzip": true, "acl": "private"}})).is_ok());
    assert_eq!(
        pointers(try_edit(json!({"rows": 50, "destination": "s3://b", "opts": {"gzip": true, "acl": "private"}}))),
        ["/destination"]
    );
    assert_eq!(pointers(try_edit(json!({"rows": 50, "opts": {"gzip": true, "acl": "private"}}))), ["/destination"]);
    assert_eq!(
        pointers(try_edit(json!({"rows": 101, "destination": "s3://a", "opts": {"gzip": true, "acl": "public", "x": 1}}))),
        ["/opts/acl", "/opts/x", "/rows"]
    );
    // Dropping or replacing a partly editable object would drop what is not editable.
    assert_eq!(pointers(try_edit(json!({"rows": 50, "destination": "s3://a"}))), ["/opts/acl"]);
    assert_eq!(pointers(try_edit(json!({"rows": 50, "destination": "s3://a", "opts": 1}))), ["/opts"]);
}

#[test]
fn lists_are_covered_item_by_item() {
    let schema = schema(
        json!({"properties": {"tables": {"type": "array", "maxItems": 2, "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}}}),
    );
    let original = map(json!({"tables": [{"id": "x", "n": 1}], "tags": ["a"]}));
    assert!(schema.check(&original, &map(json!({"tables": [{"id": "x", "n": 2}], "tags": ["b", "a"]})), None).is_ok());
    assert_eq!(
        pointers(schema.check(&original, &map(json!({"tables": [{"id": "y", "n": 2}], "tags": ["c"]})), None)),
        ["/tables/0/id", "/tags/0"]
    );
    assert_eq!(
        pointers(schema.check(&original, &map(json!({"tables": [{"id": "x", "n": 1}, {"n": 1}, {"n": 2}], "tags": []})), None)),
        ["/tables"]
    );
}

#[test]
fn every_keyword_is_enforced() {
    let schema = schema(json!({"required": ["s"], "properties": {
        "s": {"type": ["string", "null"], "minLength": 2, "maxLength": 3}, "n": {"type": "number", "minimum": -1.5, "maximum": 2}, "c": {"const": null}, "e": {"enum": [1, "x"]}
    }}));
    let original = map(json!({}));
    for good in [json!({"s": "äö"}), json!({"s": null, "n": -1.5, "c": null, "e": 1.0}), json!({"s": "abc", "n": 2, "e": "x"})] {
        assert_eq!(schema.check(&original, &map(good.clone()), None), Ok(()), "{good}");
    }
    for (bad, pointer) in [
        (json!({}), "/s"),
        (json!({"s": "a"}), "/s"),
        (json!({"s": "abcd"}), "/s"),
        (json!({"s": 1}), "/s"),
        (json!({"s": "ab", "n": 2.5}), "/n"),
        (json!({"s": "ab", "n": -2}), "/n"),
        (json!({"s": "ab", "c": 0}), "/c"),
        (json!({"s": "ab", "e": 2}), "/e"),
    ] {
        assert_eq!(pointers(schema.check(&original, &map(bad.clone()), None)), [pointer], "{bad}");
    }
}

#[test]
fn the_policy_bounds_narrow_the_schema() {
    let schema = schema(json!({"properties": {"rows": {}, "row": {}, "opts": {}}}));
    let original = map(json!({"rows": 1, "row": 1, "opts": {"a": 1, "b": 1}}));
    let edited = |value: Value| map(value);
    let rows = ["/rows".to_owned(), "/opts/a".to_owned()];
    assert!(schema.check(&original, &edited(json!({"rows": 2, "row": 1, "opts": {"a": 2, "b": 1}})), Some(&rows)).is_ok());
    assert_eq!(
        pointers(schema.check(&original, &edited(json!({"rows": 1, "row": 2, "opts": {"a": 1, "b": 2}})), Some(&rows))),
        ["/opts/b", "/row"]
    );
    assert_eq!(pointers(schema.check(&original, &edited(json!({"rows": 2, "row": 1, "opts": {"a": 1, "b": 1}})), Some(&[]))), ["/rows"]);
    assert!(schema.check(&original, &original, Some(&[])).is_ok());
    // A bound on "/row" says nothing about "/rows".
    assert_eq!(
        pointers(schema.check(&original, &edited(json!({"rows": 2, "row": 1, "opts": {"a": 1, "b": 1}})), Some(&["/row".to_owned()]))),
        ["/rows"]
    );
}

#[test]
fn differences_are_told_at_their_place() {
    let before = map(json!({"a": 1, "b": {"x/y": [1, 2], "k": 1}, "gone": true}));
    let after = map(json!({"a": 1.0, "b": {"x/y": [1, 3, 4], "k": 1}, "new": {"z": 1}}));
    let change = |pointer: &str, before: Option<Value>, after: Option<Value>| Change { pointer: pointer.to_owned(), before, after };
    assert_eq!(
        diff(&before, &after),
        [
            change("/b/x~1y/1", Some(json!(2)), Some(json!(3))),
            change("/b/x~1y/2", None, Some(json!(4))),
            change("/gone", Some(json!(true)), None),
            change("/new", None, Some(json!({"z": 1}))),
        ]
    );
}

#[test]
fn a_masked_value_returned_as_shown_stands_for_its_original() {
    let original = map(json!({"password": "hunter2", "url": "postgres://app:s3cret@db/x", "rows": 1, "list": [{"token": "t-1"}]}));
    let shown = mask_parameters(&original, &[], &[], Nonce::new([7; 16]));
    assert_eq!(shown.count, 3);

    let mut edited = shown.value.clone();
    edited.insert("rows".to_owned(), json!(2));
    let real = unmask(&original, &shown, &edited).unwrap();
    assert_eq!(
        Value::Object(real),
        json!({"password": "hunter2", "url": "postgres://app:s3cret@db/x", "rows": 2, "list": [{"token": "t-1"}]})
    );

    for (name, value, pointer) in [
        ("password", json!("guess"), "/password"),
        // Even the right guess: the answer would confirm it.
        ("password", json!("hunter2"), "/password"),
        ("url", json!(MASK), "/url"),
        ("list", json!([]), "/list/0/token"),
        ("rows", json!(MASK), "/rows"),
        ("rows", json!({"x": [format!("a {MASK}")]}), "/rows/x/0"),
    ] {
        let mut edited = shown.value.clone();
        edited.insert(name.to_owned(), value);
        assert!(pointers(unmask(&original, &shown, &edited)).contains(&pointer.to_owned()), "{name}");
    }
    let mut edited = shown.value.clone();
    edited.remove("password");
    assert_eq!(pointers(unmask(&original, &shown, &edited)), ["/password"]);
}

#[test]
fn what_the_policy_hides_or_hashes_comes_back_as_its_original() {
    let original = map(json!({"a/b": "secret", "in": {"iban": "x", "n": 1}, "list": [{"iban": "y"}, {"iban": "z"}], "to": "s3://x"}));
    let mask = |path: &str, mode| Mask { path: path.to_owned(), mode };
    let masks =
        [mask("/a~1b", MaskMode::Hide), mask("/*/iban", MaskMode::Hide), mask("/list/*/iban", MaskMode::Hide), mask("/to", MaskMode::Hash)];
    let shown = mask_parameters(&original, &[], &masks, Nonce::new([7; 16]));
    assert_eq!(shown.count, 5);
    let hash = shown.value["to"].clone();
    assert_eq!(Value::Object(shown.value.clone()), json!({"in": {"n": 1}, "list": [{}, {}], "to": hash}));

    let edited = json!({"in": {"n": 2}, "list": [{}, {}, {"new": 1}], "to": hash});
    assert_eq!(
        Value::Object(unmask(&original, &shown, &map(edited)).unwrap()),
        json!({"a/b": "secret", "in": {"iban": "x", "n": 2}, "list": [{"iban": "y"}, {"iban": "z"}, {"new": 1}], "to": "s3://x"})
    );

    for (edited, pointer) in [
        (json!({"a/b": "guess", "in": {"n": 1}, "list": [{}, {}], "to": hash}), "/a~1b"),
        (json!({"a/b": "secret", "in": {"n": 1}, "list": [{}, {}], "to": hash}), "/a~1b"),
        (json!({"a/b": MASK, "in": {"n": 1}, "list": [{}, {}], "to": hash}), "/a~1b"),
        (json!({"in": {"iban": null, "n": 1}, "list": [{}, {}], "to": hash}), "/in/iban"),
        (json!({"list": [{}, {}], "to": hash}), "/in"),
        (json!({"in": 1, "list": [{}, {}], "to": hash}), "/in"),
        (json!({"in": {"n": 1}, "list": [{}], "to": hash}), "/list/1"),
        (json!({"in": {"n": 1}, "list": [{}, {}], "to": MASK}), "/to"),
        (json!({"in": {"n": 1}, "list": [{}, {}], "to": "s3://x"}), "/to"),
        (json!({"in": {"n": hash}, "list": [{}, {}], "to": hash}), "/in/n"),
        (json!({"in": {"n": "•••• hash 000000000000"}, "list": [{}, {}], "to": hash}), "/in/n"),
    ] {
        assert_eq!(pointers(unmask(&original, &shown, &map(edited.clone()))), [pointer], "{edited}");
    }
}

#[test]
fn a_schema_is_stored_as_it_was_written() {
    let text = json!({"type": "object", "title": "x", "properties": {"rows": {"type": "integer"}}});
    let stored = serde_json::to_value(schema(text.clone())).unwrap();
    assert_eq!(stored, text);
    assert_eq!(serde_json::from_value::<EditSchema>(stored).unwrap(), schema(text));
    assert!(serde_json::from_value::<EditSchema>(json!({"properties": {"a": {"format": "x"}}})).is_err());
}
