//! The examples at the top of the repository load clean, name every key, and their cases pass.

use super::*;

const POLICY: &str = include_str!("../../../../policy.example.toml");
const CASES: &str = include_str!("../../../../policy.tests.example.toml");

#[test]
fn the_example_loads_without_a_finding() {
    assert_eq!(lines(policy(POLICY).warnings()), [""; 0]);
}

#[test]
fn the_example_shows_every_key() {
    for key in [
        "default",
        "default_route",
        "slack",
        "seats",
        "expires_in",
        "approval_valid",
        "require",
        "id",
        "effect",
        "match",
        "when",
        "route",
        "mode",
        "reviewer_when",
        "edit",
        "grant",
        "group",
        "any",
        "person",
        "count",
        "action",
        "client",
        "environment",
        "resource_type",
        "resource_id",
        "on_behalf_of",
        "parameters",
        "ttl",
    ] {
        let shown = POLICY.lines().any(|line| {
            line.split('#').next().is_some_and(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == key))
        });
        assert!(shown, "{key}");
    }
}

#[test]
fn the_cases_of_the_example_pass_and_touch_every_rule() {
    let policy = policy(POLICY);
    let cases = parse_cases(CASES).unwrap_or_else(|findings| panic!("{}", lines(&findings).join("\n")));
    let results: Vec<_> = cases.iter().map(|case| run_case(&policy, case, noon())).collect();
    for result in &results {
        assert!(result.passed(), "{} (line {}): {:?}\n{}", result.name, result.line, result.differences, result.evaluation.to_text());
    }
    for id in policy.rule_ids() {
        let touched = |result: &CaseResult| result.evaluation.trace.iter().any(|rule| rule.rule == id && rule.matched);
        assert!(results.iter().any(touched), "no case matches rule {id}");
    }
}
