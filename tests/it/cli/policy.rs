//! `countersign policy check|test|explain`.

use super::{countersign, folder, run};
use serde_json::Value;
use std::io::Write as _;
use std::process::Stdio;

const POLICY: &str = r#"
default_route = "security"

[routes.security]
seats = [{ group = "security", count = 1 }]

[[rule]]
id = "exports"
effect = "review"
match = { action = "db.export", client = "exporter-*" }
when = "parameters.rows > 1000"

[[rule]]
id = "no-drops"
effect = "deny"
match = { action = "db.drop" }

[[rule]]
id = "read-only"
effect = "allow"
match = { action = "*.read" }
"#;

const CASES: &str = r#"
[[case]]
name = "reading passes"
request = { action = "db.read" }
expect = { effect = "allow", rules = ["read-only"] }

[[case]]
name = "large exports are asked about"
request = { action = "db.export", parameters = { rows = 5000 } }
client = { name = "exporter-bot" }
expect = { effect = "review", rules = ["exports"], seats = [{ group = "security", count = 1 }] }
"#;

#[test]
fn a_sound_policy_is_told_with_its_version() {
    let folder = folder(&[("policy.toml", POLICY)]);
    let result = run(folder.path(), &["policy", "check", "policy.toml"]);
    assert_eq!(result.code, Some(0));
    assert!(result.out.starts_with("ok: policy.toml, 3 rules, else review  sha256:"), "{}", result.out);
}

#[test]
fn warnings_fail_the_check_of_a_policy_too() {
    let folder = folder(&[("policy.toml", &POLICY.replace("\"db.drop\"", "[\"db.drop\", \"DB.drop\"]"))]);
    let result = run(folder.path(), &["policy", "check", "policy.toml"]);
    assert_eq!(result.code, Some(1));
    assert!(
        result.out.starts_with("policy.toml:16:") && result.out.contains("warning: rule no-drops: \"DB.drop\" can never match"),
        "{}",
        result.out
    );
    assert!(result.out.ends_with("failed: 1 warning\n"), "{}", result.out);
}

#[test]
fn cases_that_hold_are_listed() {
    let folder = folder(&[("policy.toml", POLICY), ("policy.tests.toml", CASES)]);
    let result = run(folder.path(), &["policy", "test", "policy.toml"]);
    assert_eq!(result.code, Some(0));
    assert_eq!(result.out, "ok    reading passes\nok    large exports are asked about\n2 cases: 2 passed, 0 failed\n");
}

#[test]
fn a_case_that_does_not_hold_shows_the_difference() {
    let folder =
        folder(&[("policy.toml", &POLICY.replace("> 1000", "> 9000")), ("cases.toml", &CASES.replace("[\"exports\"]", "[\"imports\"]"))]);
    let result = run(folder.path(), &["policy", "test", "policy.toml", "cases.toml"]);
    assert_eq!(result.code, Some(1));
    for part in [
        "FAIL  large exports are asked about  cases.toml:7",
        "rules",
        "expected  [\"imports\"]",
        "is        []",
        "2 cases: 1 passed, 1 failed",
    ] {
        assert!(result.out.contains(part), "{part} is missing in:\n{}", result.out);
    }
    let result = run(folder.path(), &["policy", "test", "policy.toml", "cases.toml", "--json"]);
    let document: Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!((&document["ok"], &document["failed"]), (&false.into(), &1.into()));
    assert_eq!(document["cases"][1]["differences"][0]["key"], "rules");
}

#[test]
fn mistakes_in_cases_have_their_place() {
    let folder = folder(&[
        ("policy.toml", POLICY),
        ("policy.tests.toml", &CASES.replace("expect = { effect = \"allow\"", "expect = { efect = \"allow\"")),
    ]);
    let result = run(folder.path(), &["policy", "test", "policy.toml"]);
    assert_eq!(result.code, Some(1));
    assert!(result.out.starts_with("policy.tests.toml:5:"), "{}", result.out);
    let result = run(folder.path(), &["policy", "test", "policy.toml", "nowhere.toml"]);
    assert_eq!(result.code, Some(1));
    assert!(result.err.starts_with("error: cannot read the test cases nowhere.toml\n  because: "), "{}", result.err);
}

#[test]
fn an_explanation_goes_rule_by_rule() {
    let request = r#"{"action": "db.export", "client": {"name": "exporter-bot"}, "parameters": {"rows": 5000}}"#;
    let folder = folder(&[("policy.toml", POLICY), ("request.json", request)]);
    let result = run(folder.path(), &["policy", "explain", "policy.toml", "--request", "request.json"]);
    assert_eq!(result.code, Some(0), "{}", result.err);
    assert!(result.out.starts_with("review: "), "{}", result.out);
    for part in ["exports (review): matches", "seats: 1 of security", "no-drops (deny): no match", "read-only (allow): no match"] {
        assert!(result.out.contains(part), "{part} is missing in:\n{}", result.out);
    }
    let result = run(folder.path(), &["--json", "policy", "explain", "policy.toml", "--request", "request.json"]);
    let document: Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!((&document["effect"], &document["rules"][0]), (&"review".into(), &"exports".into()));
    assert_eq!(document["trace"].as_array().unwrap().len(), 3);
}

#[test]
fn a_request_can_come_through_a_pipe_and_is_read_strictly() {
    let folder = folder(&[("policy.toml", POLICY)]);
    let explain = |request: &str| {
        let mut command = countersign(folder.path(), &["policy", "explain", "policy.toml", "--request", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        super::Result::from(child.wait_with_output().unwrap())
    };
    assert!(explain(r#"{"action": "db.drop"}"#).out.starts_with("deny: "));
    for (request, said) in [
        (r#"{"action": "db.drop", "paramters": {}}"#, "/paramters: is not a member of a request"),
        (r#"{"action": "a", "action": "b"}"#, "/action"),
        ("{", "malformed JSON at line 1"),
    ] {
        let result = explain(request);
        assert_eq!(result.code, Some(1));
        assert!(result.err.starts_with("error: standard input") && result.err.contains(said), "{request}: {}", result.err);
    }
}
