//! Every trap of the CEL crate, and that no expression can take the process down.

use super::super::facts::{ClientFacts, History, PersonFacts};
use super::*;
use crate::domain::time::Timestamp;
use serde_json::{Map, json};

fn map(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => panic!("not an object"),
    }
}

fn compile(source: &str, scope: Scope) -> (Option<Condition>, Vec<Mistake>) {
    on_big_stack(|| Condition::compile(source, scope)).unwrap()
}

fn mistakes(source: &str) -> Vec<(usize, String)> {
    let (condition, mistakes) = compile(source, Scope::When);
    assert_eq!(condition.is_none(), mistakes.iter().any(|mistake| !mistake.warning));
    mistakes.into_iter().map(|mistake| (mistake.offset, mistake.message)).collect()
}

/// Evaluates over fixed facts, on a stack as large as the condition wants.
fn holds_over(source: &str, parameters: Json) -> Result<bool, String> {
    let (condition, found) = compile(source, Scope::When);
    let condition = condition.unwrap_or_else(|| panic!("{source}: {found:?}"));
    let (parameters, resource) = (map(parameters), map(json!({"type": "table", "tags": ["pii", "eu"]})));
    let record = json!({"email": "alice@example.com", "department": "Finance", "groups": ["sec"]});
    let facts = Facts {
        action: "db.export",
        resource: Some(&resource),
        parameters: &parameters,
        context: None,
        client: ClientFacts { id: "cli_1", name: "exporter-bot", owner: Some("bob@example.com") },
        on_behalf_of: Some(PersonFacts { email: "alice@example.com", record: &record }),
        history: History { approved_24h: 3, denied_24h: 1, expired_24h: 0 },
        now: Timestamp::parse("2026-11-20T11:00:00.120Z").unwrap(),
    };
    let judge = || condition.holds(&Scene::new(&facts, &condition.roots().collect(), None));
    if condition.is_deep() { on_big_stack(judge).unwrap() } else { judge() }
}

fn holds(source: &str) -> Result<bool, String> {
    holds_over(
        source,
        json!({"rows": 1500, "half": 0.5, "whole": 2.0, "name": "db-admin", "list": [1, 2, 3], "empty": null, "deep": {"a": {"b": 1}}}),
    )
}

#[test]
fn every_variable_is_there_with_its_type() {
    for source in [
        r#"action == "db.export""#,
        r#"client.id == "cli_1" && client.name == "exporter-bot" && client.owner == "bob@example.com""#,
        r#"on_behalf_of.department == "Finance" && "sec" in on_behalf_of.groups"#,
        "history.approved_24h == 3 && history.denied_24h == 1 && history.expired_24h == 0",
        r#""pii" in resource.tags"#,
        "context == null",
        "parameters.deep.a.b == 1",
        r#"now > timestamp("2026-11-20T10:59:59Z") && now - duration("1h") < timestamp("2026-11-20T10:30:00Z")"#,
        r#"now.getHours() == 11 && now.getHours("Europe/Berlin") == 12 && now.getMilliseconds() == 120"#,
        "now.getDayOfWeek() == 5",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn every_integer_is_an_int_however_it_is_spelled() {
    for source in [
        "parameters.rows + 1 > 1500",
        "parameters.rows - 2000 < 0",
        "parameters.rows * 2 == 3000",
        "parameters.whole + 1 == 3",
        "history.approved_24h + 1 == 4",
        "parameters.list[0] + 1 == 2",
        "parameters.half * 2.0 == 1.0",
        "double(parameters.rows) / 2.0 == 750.0",
        "type(parameters.rows) == int",
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn absent_members_are_errors_that_can_be_asked_about() {
    assert_eq!(holds("parameters.missing > 1"), Err("there is no \"missing\"".to_owned()));
    assert_eq!(holds("parameters.missing > 1 || true"), Ok(true));
    assert_eq!(holds("true || parameters.missing > 1"), Ok(true));
    assert_eq!(holds("has(parameters.missing) && parameters.missing > 1"), Ok(false));
    assert_eq!(holds("parameters.?missing.orValue(0) > 1"), Ok(false));
    assert_eq!(holds("parameters.?rows.orValue(0) > 1"), Ok(true));
    assert_eq!(holds("optional.of(1).hasValue()"), Ok(true));
    assert!(holds("has(context.source)").is_err());
}

#[test]
fn errors_name_no_value_of_the_request() {
    let secret = json!({"key": "hunter2", "rows": 1, "list": [1], "zero": 0});
    for (source, expected) in [
        ("parameters.deep.er == 1", "there is no \"deep\""),
        ("resource[parameters.key] == 1", "there is no such key or element"),
        ("parameters.list[5] == 1", "there is no such key or element"),
        ("parameters.key + 1 == 2", "an operator or function does not take values of these types"),
        ("parameters.key > 1", "an operator or function does not take values of these types"),
        ("parameters.key.missing", "an operator or function does not take values of these types"),
        ("1 / parameters.zero == 1", "division by zero"),
        ("1 % parameters.zero == 1", "division by zero"),
        ("9223372036854775807 + parameters.rows > 0", "a number became too large"),
        ("int(parameters.key) == 1", "int() failed"),
        ("timestamp(parameters.key) < now", "timestamp() failed"),
        ("\"a\".matches(\"(\" + parameters.key)", "matches() failed"),
        ("parameters.key", "the result is not true or false"),
        ("parameters.rows", "the result is not true or false"),
        ("null", "the result is not true or false"),
        ("parameters.key.all(c, true)", "an operator or function does not take values of these types"),
        ("[1].contains(1)", "an operator or function does not take values of these types"),
    ] {
        assert_eq!(holds_over(source, secret.clone()), Err(expected.to_owned()), "{source}");
    }
}

#[test]
fn a_misspelt_root_or_function_does_not_load() {
    let known = "known: action, parameters, resource, context, client, on_behalf_of, history, now";
    assert_eq!(
        mistakes("paramters.rows > 1 && foo(action)"),
        [(0, format!("unknown variable \"paramters\"; {known}")), (25, "unknown function \"foo\"".to_owned()),]
    );
    assert_eq!(mistakes("parameters.list.all(x, x > y)"), [(27, format!("unknown variable \"y\"; {known}"))]);
    assert_eq!(mistakes("action.frobnicate()").len(), 1);
    assert_eq!(mistakes("optional.frob(1)"), [(13, "unknown function \"optional.frob\"".to_owned())]);
    assert_eq!(mistakes("has(parameters.a, parameters.b)")[0].1, "unknown function \"has\"");
    assert_eq!(mistakes("Thing{a: 1}.a == 1")[0].1, "unknown type \"Thing\"");
    assert_eq!(mistakes("_foo_(1) == 1")[0].1, "unknown function \"_foo_\"");
    assert!(mistakes("reviewer.department == \"a\"")[0].1.starts_with("unknown variable \"reviewer\""));
    assert!(compile("reviewer.department == \"a\"", Scope::ReviewerWhen).0.is_some());
}

#[test]
fn every_function_that_may_be_named_exists() {
    let exists = "an operator or function does not take values of these types";
    for function in check::FUNCTIONS.split(' ') {
        let calls = [format!("{function}(1, 1, 1, 1) == 1"), format!("action.{function}(1, 1, 1, 1) == 1")];
        assert!(calls.iter().any(|source| holds(source) == Err(exists.to_owned())), "{function}");
    }
    for function in check::OPTIONAL.split(' ') {
        let error = holds(&format!("optional.{function}(1, 1, 1) == 1")).unwrap_err();
        assert_eq!(error, exists, "{function}");
    }
}

#[test]
fn variables_of_comprehensions_are_no_roots_even_where_they_hide_one() {
    assert_eq!(holds("parameters.list.exists(item, item == 2)"), Ok(true));
    assert_eq!(holds("parameters.list.all(action, action < 4) && action == \"db.export\""), Ok(true));
    assert_eq!(holds("parameters.list.filter(x, x > 1).map(x, x * 2).size() == 2"), Ok(true));
    assert_eq!(holds("parameters.list.exists_one(x, x == 3)"), Ok(true));
    assert_eq!(mistakes("parameters.list.all(x, true) && x").len(), 1);
}

#[test]
fn nested_comprehensions_and_long_or_broken_expressions_do_not_load() {
    let nested = "a comprehension inside another (all, exists, map, filter) is not supported";
    assert_eq!(mistakes("parameters.a.all(x, parameters.b.all(y, x == y))"), [(36, nested.to_owned())]);
    assert_eq!(mistakes("[[1]].map(x, x.map(y, y))").len(), 1);
    assert_eq!(mistakes("true /* no */"), [(6, "does not compile: extraneous input '*'".to_owned())]);
    assert_eq!(mistakes("true // yes"), []);
    assert_eq!(mistakes("1 +"), [(3, "does not compile: mismatched input '<EOF>'".to_owned())]);
    assert_eq!(mistakes(""), [(0, "does not compile: mismatched input '<EOF>'".to_owned())]);
    assert_eq!(mistakes("action == \"a\" &&\n  action b"), [(26, "does not compile: extraneous input 'b'".to_owned())]);
    assert_eq!(mistakes("has(action)")[0].1, "does not compile: invalid argument to has() macro");
    assert_eq!(mistakes(&format!("action == \"{}\"", "a".repeat(4_096))), [(0, "longer than 4096 bytes".to_owned())]);
    assert_eq!(mistakes(&format!("{}true", " ".repeat(4_092))), []);
}

#[test]
fn a_pattern_that_is_none_is_warned_of_and_fails_when_evaluated() {
    assert_eq!(mistakes("action.matches(\"(\")"), [(14, "matches() has a pattern that is not a regular expression".to_owned())]);
    assert_eq!(holds("action.matches(\"(\")"), Err("matches() failed".to_owned()));
    assert_eq!(holds("action.matches(\"^db[.]\")"), Ok(true));
}

#[test]
fn a_list_longer_than_a_thousand_is_not_iterated_over() {
    let of =
        |length: usize| json!({"list": vec![1; length], "map": (0..length).map(|key| (key.to_string(), json!(1))).collect::<Map<_, _>>()});
    for source in ["parameters.list.all(x, x == 1)", "parameters.map.all(key, key != \"\")", "parameters.list.filter(x, x == 1).size() > 0"]
    {
        assert_eq!(holds_over(source, of(1_000)), Ok(true), "{source}");
        assert_eq!(holds_over(source, of(1_001)), Err(ITERATES_TOO_MUCH.to_owned()), "{source}");
    }
    assert_eq!(holds_over("(parameters.list + parameters.list).exists(x, x == 1)", of(501)), Err(ITERATES_TOO_MUCH.to_owned()));
    assert_eq!(holds_over("size(parameters.list) == 5000 && 1 in parameters.list", of(5_000)), Ok(true));
    assert_eq!(holds_over("parameters.list.exists(x, x == 2) || true", of(1_001)), Ok(true));
}

#[test]
fn what_could_take_seconds_is_refused_before_it_starts() {
    let long = json!({"some": vec!["a"; 1_000], "many": vec!["b"; 20_000]});
    let refused = Err("would take too many steps over a request of this size".to_owned());
    assert_eq!(holds_over("parameters.some.all(x, !(x in parameters.many))", long.clone()), refused);
    assert_eq!(holds_over("parameters.some.map(x, parameters).size() > 0", long.clone()), refused);
    assert_eq!(holds_over("parameters.some.all(x, x.matches(parameters.some[0]))", long.clone()), refused);
    assert_eq!(holds_over("parameters.some.all(x, x in [\"a\", \"b\"])", long.clone()), Ok(true));
    assert_eq!(holds_over("parameters.some.filter(x, x == resource.type).map(x, {\"name\": x}).size() == 0", long.clone()), Ok(true));
    assert_eq!(holds_over("parameters.some.map(x, true ? parameters : 1).size() > 0", long.clone()), refused);
    assert_eq!(holds_over("parameters.some.all(x, x in parameters.many)", json!({"some": vec!["b"; 40], "many": vec!["b"; 40]})), Ok(true));
}

#[test]
fn no_expression_overflows_the_stack() {
    let fill = |head: &str, unit: &str, middle: &str, tail: &str, times: usize| {
        format!("{head}{}{middle}{}", unit.repeat(times), tail.repeat(times))
    };
    for (head, unit, middle, tail) in [
        ("", "(", "true", ")"),
        ("", "!", "true", ""),
        ("", "!(true && ", "true", ")"),
        ("", "-", "1", ""),
        ("", "- ", "1", ""),
        ("", "[", "", "]"),
        ("", "{1:", "1", "}"),
        ("", "size(", "action", ")"),
        ("", "action.contains(", "action", ")"),
        ("1", "+1", "", ""),
        ("1", "<1", "", ""),
        ("1", " in 1", "", ""),
        ("action", ".a", "", ""),
        ("action", ".?a", "", ""),
        ("action", "[0]", "", ""),
        ("action", ".size()", "", ""),
        ("true", "||true", "", ""),
        ("true", "&&true||false", "", ""),
        ("true", " ? true : true", "", ""),
        ("", "true ? (", "true", ") : true"),
        ("[1", ",1", "]", ""),
        ("", "[1].all(x, ", "true", ")"),
        ("", "[1]", ".all(x, true)", ""),
        ("[1]", ".filter(x, true)", "", ""),
        ("'", "(", "' == action", ""),
        ("", "\u{0}", "", ""),
        ("", "\"", "", ""),
        ("", "&", "", ""),
        ("a", "{", "", ""),
    ] {
        for times in [4_usize, 11, 24, 60, 95, 120, 500, 2_000, 4_000] {
            let source = fill(head, unit, middle, tail, times);
            let (condition, mistakes) = compile(&source, Scope::When);
            assert_eq!(condition.is_none(), mistakes.iter().any(|mistake| !mistake.warning), "{source:.60}");
            if condition.is_some() {
                // Fails or holds; what counts is that it comes back.
                let _ = holds(&source);
            }
        }
    }
    assert_eq!(mistakes(&format!("{}true{}", "(".repeat(90), ")".repeat(90))), []);
    assert_eq!(mistakes(&format!("{}true{}", "(".repeat(200), ")".repeat(200)))[0].1, "does not compile: nested too deeply");
    assert_eq!(mistakes(&format!("{}true", "!(".repeat(70) + &")".repeat(0))).len(), 1);
    assert_eq!(mistakes(&format!("1{} == 1", "+1".repeat(100))), [(0, "nested deeper than 64 levels".to_owned())]);
    assert_eq!(mistakes(&format!("1{} == 1", "+1".repeat(600))), [(0, "more than 512 operators and brackets".to_owned())]);
}

#[test]
fn the_bound_of_steps_grows_with_what_is_looked_at() {
    let steps = |source: &str, weight: Weight| compile(source, Scope::When).0.unwrap().steps(weight);
    let small = Weight { nodes: 5, text: 1, longest: 5 };
    let large = Weight { nodes: 5_000, text: 250, longest: 1_000 };
    assert!(steps("parameters.rows > 1000 && action == \"x\"", small) < 15);
    assert!(steps("parameters.rows > 1000", large) < 300);
    assert!(steps("parameters.list.all(x, x > 1)", small) < 60);
    assert!(steps("parameters.list.all(x, x > 1)", large) > 5_000);
    assert!(steps("parameters == resource", large) > 5_000);
    assert!(steps("[1].all(x, x > 1)", small) >= 1_000);
}
