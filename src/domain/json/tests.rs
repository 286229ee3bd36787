//! Owns the examples and the traps of the parent module; never needs more than its public face.

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
    for number in ["9007199254740991", "-9007199254740991", "9007199254740991.0", "9.007199254740991e15", "9007199254740990.6", "1e15"] {
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
        text.extend(["\"", &"k".repeat(2000), "\":1,"]);
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
    assert_eq!(String::from_utf8(canonical(&sorted)).unwrap(), "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}");
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
