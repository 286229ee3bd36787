//! The file's findings, every row of the evaluation's semantics, and its behaviour with very many rules.

mod examples;
mod findings;
mod scale;
mod semantics;

use super::*;
use crate::domain::seats::SeatSpec;
use crate::domain::time::Timestamp;
use serde_json::{Map, Value, json};

/// Loads a policy that has no errors.
fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|findings| panic!("{}", lines(&findings).join("\n")))
}

/// Findings as people see them.
fn lines(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => panic!("not an object"),
    }
}

fn noon() -> Timestamp {
    Timestamp::parse("2026-11-20T12:00:00Z").unwrap()
}

/// Evaluates, and sees to it that `explain` says the same and that a trace comes with it.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn ask(policy: &Policy, request: Value) -> Evaluation {
    let scenario = Scenario::from_json(&request).unwrap();
    let facts = scenario.facts(noon());
    let evaluation = policy.evaluate(&facts);
    let mut explained = policy.explain(&facts);
    assert_eq!(explained.trace.len(), policy.rule_ids().count());
    explained.trace.clear();
    assert_eq!(explained, evaluation);
    evaluation
}

fn group(name: &str, count: u32) -> SeatSpec {
    SeatSpec::Group { group: name.to_owned(), count }
}
