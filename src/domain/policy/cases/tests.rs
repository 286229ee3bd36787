//! Cases read, run, and told what differs; the request of `policy explain`.

use super::*;
use crate::domain::policy::{RuleTrace, Severity};

const POLICY: &str = r#"
default_route = "main"
[routes.main]
slack = ["C1"]
seats = [{ group = "sec-leads", count = 2 }]
[[rule]]
id = "iam-prod"
effect = "review"
match = { action = "iam.*", environment = "prod" }
grant.ttl = "90s"
[[rule]]
id = "unsure"
effect = "allow"
match = { parameters.absent = "x" }
[[mask]]
action = ["iam.*", "db.*"]
path = "/role"
mode = "hide"
[[mask]]
action = "*"
path = "/role"
mode = "hash"
"#;

fn results(cases: &str) -> Vec<CaseResult> {
    let policy = Policy::parse(POLICY).unwrap();
    let cases = parse_cases(cases).unwrap_or_else(|findings| panic!("{findings:?}"));
    cases.iter().map(|case| run_case(&policy, case, Timestamp::from_millis(0))).collect()
}

#[test]
fn a_case_passes_when_all_it_expects_is_so() {
    let results = results(
        r#"
[[case]]
name = "admin role in prod needs two security leads"
request = { action = "iam.attach", resource = { type = "aws_role", id = "db", environment = "prod" }, parameters = { role = "db-admin", rows = 5 } }
client = { name = "infra-ci" }
expect = { effect = "review", rules = ["iam-prod"], seats = [{ group = "sec-leads", count = 2 }] }

[[case]]
name = "everything that can be expected"
request.action = "iam.attach"
request.resource = { environment = "prod" }
on_behalf_of = { email = "alice@example.com", department = "Finance" }
history = { denied_24h = 2 }
now = 2026-11-20T12:00:00Z
[case.expect]
effect = "review"
rules = ["iam-prod"]
shadow = []
errors = ["unsure"]
seats = [{ group = "sec-leads", count = 2 }]
require = []
reviewer_when = []
slack = ["C1"]
expires_in = "60m"
approval_valid = "15m"
grant_ttl = "90s"
masks = { "/role" = "hide" }
"#,
    );
    for result in &results {
        assert!(result.passed(), "{:?}", result.differences);
    }
    assert_eq!(results.iter().map(|result| result.line).collect::<Vec<_>>(), [2, 8]);
    assert_eq!(results[0].evaluation.trace.iter().map(|RuleTrace { matched, .. }| *matched).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_case_that_fails_says_what_differs() {
    let results = results(
        r#"
[[case]]
name = "wrong"
request = { action = "iam.attach" }
expect = { effect = "deny", rules = ["other"], seats = [{ group = "sec-leads" }], grant_ttl = "1m", edit = ["/a"], slack = ["C1"] }
"#,
    );
    let differences: Vec<_> = results[0].differences.iter().map(|one| format!("{}: {} is {}", one.key, one.expected, one.actual)).collect();
    assert!(!results[0].passed());
    assert_eq!(
        differences,
        [
            r#"edit: ["/a"] is null"#,
            r#"effect: "deny" is "review""#,
            r#"grant_ttl: "1m" is "90s""#,
            r#"rules: ["other"] is ["iam-prod"]"#,
            r#"seats: [{"count":1,"group":"sec-leads"}] is [{"count":2,"group":"sec-leads"}]"#,
        ]
    );
}

#[test]
fn every_mistake_in_a_file_of_cases_is_listed() {
    let text = r#"cases = 1
[[case]]
name = "a"
request = { action = "x", paramters = { a = 1 }, resource = 5 }
client = 5
on_behalf_of = 5
history = { denied = 1 }
now = "noon"
expect = { effect = "block", rule = ["x"], expires_in = "soon", seats = [{ grp = "x" }], require = ["x"], rules = "x" }
[[case]]
name = "a"
nmae = "b"
[[case]]
name = ""
request = {}
expect = {}
"#;
    let findings = parse_cases(text).unwrap_err();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            r#"1:1: error: unknown key "cases"; known here: case"#,
            r#"4:39: error: "paramters" is not a member of a request"#,
            r#"4:61: error: "resource" must be an object"#,
            r#"5:10: error: "client" must be a name, or an object of strings: id, name, owner"#,
            r#"6:16: error: "on_behalf_of" must be an e-mail address, or a person record with an "email""#,
            r#"7:11: error: "history" must be an object of counts: approved_24h, denied_24h, expired_24h"#,
            r#"8:7: error: "now" must be a time such as "2026-11-20T09:00:00Z""#,
            r#"9:21: error: "effect" is not something a policy could answer"#,
            r#"9:30: error: unknown key "rule"; known here: effect, rules, shadow, errors, seats, require, reviewer_when, slack, edit, expires_in, approval_valid, grant_ttl, masks, remind_after, escalate"#,
            r#"9:57: error: "expires_in" is not something a policy could answer"#,
            r#"9:73: error: "seats" is not something a policy could answer"#,
            r#"9:100: error: "require" is not something a policy could answer"#,
            r#"9:115: error: "rules" is not something a policy could answer"#,
            r#"10:1: error: the case has no "request""#,
            r#"10:1: error: the case has no "expect""#,
            r#"12:1: error: unknown key "nmae"; known here: name, request, client, on_behalf_of, history, now, expect"#,
            r#"14:8: error: "name" is empty"#,
            r#"15:11: error: "action" must be a string, and is required"#,
        ]
    );
}

#[test]
fn names_are_used_once_and_a_file_has_cases() {
    let case = "[[case]]\nname = \"a\"\nrequest.action = \"x\"\nexpect.effect = \"review\"\n";
    let of = |text: &str| parse_cases(text).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(of(&case.repeat(2)), [r#"5:1: error: the name "a" is used by an earlier case"#]);
    assert_eq!(of(""), ["1:1: error: there is no [[case]]"]);
    assert_eq!(of("case = 1"), [r#"1:8: error: "case" must be a list: write [[case]]"#]);
    assert_eq!(of("["), ["1:2: error: not TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"]);
}
