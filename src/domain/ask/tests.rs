//! Owns the examples and the traps of the parent module; never needs more than its public face.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn whole() -> Value {
    json!({
        "action": "db.export",
        "resource": {"type": "table", "id": "prod/customers", "environment": "prod", "rows": 3},
        "parameters": {"rows": 120_000, "destination": "s3://partner-drop/customers.csv", "a/b": [{"~": 1}]},
        "summary": "Export customers to the partner bucket",
        "justification": "Quarterly reconciliation,\nFIN-482",
        "context": {"source": "airflow", "data_scope": {"tables": ["customers"]}},
        "links": [{"title": "Run", "url": "https://airflow.example.com/r/1"}],
        "agent": {"session_id": "s1", "call_id": "toolu_01"},
        "on_behalf_of": "alice@example.com",
        "allowed_decisions": ["approve", "deny", "edit"],
        "edit_schema": {"type": "object", "properties": {"rows": {"type": "integer", "maximum": 120_000}}},
        "deny_options": [{"name": "use_staging", "title": "Use staging instead"}],
        "sensitive": ["/destination", "/a~1b/0/~0"],
        "expires_in": 3600,
        "grant": {"audience": "exporter", "ttl": 120},
        "state": "opaque\u{0}text"
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut body = whole();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.insert(name.to_owned(), value)),
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        other => panic!("{other}"),
    }
    body
}

fn pointers(body: &Value) -> Vec<String> {
    Ask::from_value(body).unwrap_err().into_iter().map(|error| error.pointer).collect()
}

#[test]
fn the_whole_body_is_kept() {
    let ask = Ask::from_value(&whole()).unwrap();
    assert_eq!((ask.resource_type(), ask.resource_id(), ask.environment()), (Some("table"), Some("prod/customers"), Some("prod")));
    assert_eq!(ask.allowed_decisions, [Allowed::Approve, Allowed::Deny, Allowed::Edit]);
    assert_eq!((ask.expires_in, ask.grant.as_ref().unwrap().ttl), (Some(3600), Some(120)));
    assert!(ask.has_justification());
    let stored = serde_json::to_value(&ask).unwrap();
    assert_eq!(stored, whole());
    assert_eq!(serde_json::from_value::<Ask>(stored).unwrap(), ask);
}

#[test]
fn an_action_is_enough() {
    let ask = Ask::from_value(&json!({"action": "cache.flush"})).unwrap();
    assert!(ask.parameters.is_empty() && ask.resource.is_none() && ask.resource_id().is_none() && !ask.has_justification());
    assert_eq!(ask.allowed_decisions, [Allowed::Approve, Allowed::Deny]);
    let nulls = json!({"action": "cache.flush", "resource": null, "parameters": null, "summary": null, "links": null, "grant": null, "callback": null});
    assert_eq!(Ask::from_value(&nulls).unwrap(), ask);
    let stored = serde_json::to_string(&ask).unwrap();
    assert_eq!(serde_json::from_str::<Ask>(&stored).unwrap(), ask);
}

#[test]
fn each_mistake_is_told_at_its_pointer() {
    let deep = (0..32).fold(json!(1), |inner, _| json!({"a": inner}));
    for (pointer, value, expected) in [
        ("/action", json!(null), "/action"),
        ("/action", json!("Db.Export"), "/action"),
        ("/action", json!("db..export"), "/action"),
        ("/action", json!("db.export\n"), "/action"),
        ("/action", json!("a".repeat(129)), "/action"),
        ("/action", json!(["db.export"]), "/action"),
        ("/paramters", json!({}), "/paramters"),
        ("/resource", json!("prod"), "/resource"),
        ("/resource/type", json!("Table"), "/resource/type"),
        ("/resource/type", json!(null), "/resource/type"),
        ("/resource/id", json!(7), "/resource/id"),
        ("/resource/id", json!(""), "/resource/id"),
        ("/resource/environment", json!("-prod"), "/resource/environment"),
        ("/resource/environment", json!("p".repeat(65)), "/resource/environment"),
        ("/parameters", json!([]), "/parameters"),
        ("/parameters/x", json!("x".repeat(65_536)), "/parameters"),
        ("/parameters/x", deep, "/parameters"),
        ("/summary", json!("two\nlines"), "/summary"),
        ("/summary", json!("é".repeat(301)), "/summary"),
        ("/justification", json!("x".repeat(4001)), "/justification"),
        ("/justification", json!(1), "/justification"),
        ("/context/x", json!("x".repeat(16_384)), "/context"),
        ("/agent/x", json!("x".repeat(4_096)), "/agent"),
        ("/links/0/url", json!("http://airflow.example.com"), "/links/0/url"),
        ("/links/0/url", json!("javascript:alert(1)"), "/links/0/url"),
        ("/links/0/url", json!("https://user:pw@example.com"), "/links/0/url"),
        ("/links/0/url", json!("/relative"), "/links/0/url"),
        ("/links/0/title", json!(""), "/links/0/title"),
        ("/links/0/x", json!(1), "/links/0/x"),
        ("/links/0", json!("https://example.com"), "/links/0"),
        ("/links", json!(vec![json!({"title": "a", "url": "https://example.com"}); 11]), "/links"),
        ("/on_behalf_of", json!(""), "/on_behalf_of"),
        ("/on_behalf_of", json!({"email": "alice@example.com"}), "/on_behalf_of"),
        ("/allowed_decisions", json!(["approve", "edit"]), "/allowed_decisions"),
        ("/allowed_decisions", json!([]), "/allowed_decisions"),
        ("/allowed_decisions", json!(["deny", "deny"]), "/allowed_decisions/1"),
        ("/allowed_decisions", json!(["deny", "ask"]), "/allowed_decisions/1"),
        ("/allowed_decisions", json!(["deny", 1]), "/allowed_decisions/1"),
        ("/edit_schema", json!(null), "/edit_schema"),
        ("/edit_schema/properties/rows/pattern", json!("x"), "/edit_schema/properties/rows/pattern"),
        ("/deny_options/0/name", json!("no spaces"), "/deny_options/0/name"),
        ("/deny_options/0/titel", json!("x"), "/deny_options/0/titel"),
        ("/deny_options", json!([{"name": "a", "title": "x"}, {"name": "a", "title": "y"}]), "/deny_options/1/name"),
        ("/sensitive", json!(["/destination", "/nope"]), "/sensitive/1"),
        ("/sensitive", json!(["destination"]), "/sensitive/0"),
        ("/sensitive", json!(["/a~1b/01"]), "/sensitive/0"),
        ("/sensitive", json!(["/a~1b/0/~"]), "/sensitive/0"),
        ("/sensitive", json!("/destination"), "/sensitive"),
        ("/expires_in", json!(9), "/expires_in"),
        ("/expires_in", json!(2_592_001), "/expires_in"),
        ("/expires_in", json!(60.5), "/expires_in"),
        ("/expires_in", json!("1h"), "/expires_in"),
        ("/grant/ttl", json!(0), "/grant/ttl"),
        ("/grant/ttl", json!(-5), "/grant/ttl"),
        ("/grant/audience", json!(""), "/grant/audience"),
        ("/grant/aud", json!("x"), "/grant/aud"),
        ("/callback", json!("https://example.com"), "/callback"),
        ("/callback", json!({}), "/callback/url"),
        ("/callback", json!({"url": 1}), "/callback/url"),
        ("/callback", json!({"url": "https://example.com", "events": []}), "/callback/events"),
        ("/callback", json!({"url": "https://example.com", "events": ["decided"]}), "/callback/events/0"),
        ("/callback", json!({"url": "https://example.com", "events": ["updated", "updated"]}), "/callback/events/1"),
        ("/callback", json!({"url": "https://example.com", "secret": "x"}), "/callback/secret"),
        ("/state", json!({"a": 1}), "/state"),
        ("/state", json!("x".repeat(65_537)), "/state"),
    ] {
        let body = with(pointer, value);
        let expected = if expected == "/parameters" {
            vec!["/parameters".to_owned(), "/sensitive/0".into(), "/sensitive/1".into()]
        } else {
            vec![expected.to_owned()]
        };
        assert_eq!(pointers(&body), expected, "{pointer}");
    }
}

#[test]
fn limits_are_inclusive() {
    let deep = (0..31).fold(json!(1), |inner, _| json!({"a": inner}));
    for (pointer, value) in [
        ("/action", json!("a".repeat(128))),
        ("/summary", json!("é".repeat(300))),
        ("/justification", json!("😀".repeat(4000))),
        ("/parameters/x", deep),
        ("/parameters/x", json!("x".repeat(65_000))),
        ("/links", json!(vec![json!({"title": "a", "url": "https://example.com"}); 10])),
        ("/resource/environment", json!("p".repeat(64))),
        ("/resource/id", json!("ключ с пробелом")),
        ("/expires_in", json!(10)),
        ("/expires_in", json!(2_592_000.0)),
        ("/sensitive", json!([""])),
        ("/grant/ttl", json!(86_400)),
        ("/state", json!("x".repeat(65_536))),
        ("/allowed_decisions", json!(["deny"])),
    ] {
        assert_eq!(Ask::from_value(&with(pointer, value)).err(), None, "{pointer}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let body = json!({"action": "X", "sumary": "x", "expires_in": 1, "links": [{"url": "ftp://x"}], "resource": {"id": 1}, "callback": {"uri": "x"}});
    assert_eq!(
        pointers(&body),
        ["/action", "/resource/id", "/links/0/title", "/links/0/url", "/expires_in", "/callback/url", "/callback/uri", "/sumary"]
    );
    assert!(Ask::from_value(&body).unwrap_err()[7].detail.contains("did you mean \"summary\"?"));
    assert_eq!(pointers(&json!([])), [""]);
}

#[test]
fn idempotency_keys_are_printable_ascii() {
    assert!(is_idempotency_key("a") && is_idempotency_key(&"~ ".repeat(127)));
    for wrong in ["", "é", "a\tb", "a\n", &"x".repeat(256)] {
        assert!(!is_idempotency_key(wrong), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn actions_are_those_of_the_pattern(text in "[a-cA-C0-9._ -]{0,8}") {
        let pattern = regex::Regex::new(r"\A[a-z0-9_-]+(\.[a-z0-9_-]+)*\z").unwrap();
        prop_assert_eq!(is_action(&text), pattern.is_match(&text));
    }

    #[test]
    fn labels_are_those_of_the_pattern(text in "[a-c0-9._A -]{0,5}|[a-z0-9._-]{60,70}") {
        let pattern = regex::Regex::new(r"\A[a-z0-9][a-z0-9._-]{0,63}\z").unwrap();
        prop_assert_eq!(is_label(&text), pattern.is_match(&text));
    }
}

#[test]
fn a_callback_tells_each_change_once() {
    let callback = |events: Value| {
        let ask = Ask::from_value(&json!({"action": "a.b", "callback": {"url": "https://example.com/cs", "events": events}})).unwrap();
        let callback = ask.callback.unwrap();
        (callback.notice(false), callback.notice(true))
    };
    assert_eq!(callback(Value::Null), (None, Some(Notice::Terminal)));
    assert_eq!(callback(json!(["terminal"])), (None, Some(Notice::Terminal)));
    assert_eq!(callback(json!(["updated"])), (Some(Notice::Updated), Some(Notice::Updated)));
    assert_eq!(callback(json!(["updated", "terminal"])), (Some(Notice::Updated), Some(Notice::Terminal)));
}
