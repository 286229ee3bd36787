//! Owns `policy.tests.toml`: requests with the answers an admin expects.
//!
//! Never reads a clock: a case without `now` is judged at the time its caller gives.

use super::evaluate::Evaluation;
use super::reader::{Finding, Item, Reader, human, json, seconds};
use super::requirements::{Destination, Require};
use super::scenario::Scenario;
use super::{Effect, Policy};
use crate::domain::mask::MaskMode;
use crate::domain::seats::SeatSpec;
use crate::domain::time::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::{DeTable, DeValue};

const CASE: [&str; 7] = ["name", "request", "client", "on_behalf_of", "history", "now", "expect"];
const EXPECT: [&str; 15] = [
    "effect",
    "rules",
    "shadow",
    "errors",
    "seats",
    "require",
    "reviewer_when",
    "slack",
    "edit",
    "expires_in",
    "approval_valid",
    "grant_ttl",
    "masks",
    "remind_after",
    "escalate",
];

/// One test case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Where it begins in the file, from 1.
    pub line: usize,
    /// What is asked.
    pub scenario: Scenario,
    /// What is expected, by the key of `expect`, in the form of [`answers`].
    expect: BTreeMap<String, Value>,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CaseResult {
    /// The case's name.
    pub name: String,
    /// Where it begins in the file.
    pub line: usize,
    /// What differs from what was expected; empty: it passed.
    pub differences: Vec<Difference>,
    /// The whole answer, with its trace.
    pub evaluation: Evaluation,
}

impl CaseResult {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// One expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The key of `expect`.
    pub key: String,
    /// What was expected.
    pub expected: String,
    /// What the policy says.
    pub actual: String,
}

/// Reads a file of cases; all mistakes are found at once, in the order of the file.
pub fn parse_cases(text: &str) -> Result<Vec<Case>, Vec<Finding>> {
    let (mut reader, document) = Reader::parse(text)?;
    reader.closed(document.get_ref(), &["case"], &[]);
    let (mut cases, mut names) = (Vec::new(), BTreeSet::new());
    match document.get_ref().get("case").map(|item| (item, item.get_ref())) {
        Some((_, DeValue::Array(items))) => {
            for item in items {
                let Some(table) = reader.table("case", item) else { continue };
                let Some(case) = case(&mut reader, table, item) else { continue };
                if !names.insert(case.name.clone()) {
                    reader.error(&item.span(), format!("the name \"{}\" is used by an earlier case", case.name));
                }
                cases.push(case);
            }
        }
        Some((item, _)) => reader.error(&item.span(), "\"case\" must be a list: write [[case]]"),
        None => reader.error(&(0..0), "there is no [[case]]"),
    }
    if reader.has_errors() { Err(reader.finish()) } else { Ok(cases) }
}

fn case<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>, item: &Item<'t>) -> Option<Case> {
    reader.closed(table, &CASE, &[]);
    let mut wanted = |name: &str| {
        let found = table.get(name);
        if found.is_none() {
            reader.error(&item.span(), format!("the case has no \"{name}\""));
        }
        found
    };
    let (name, request, expect) = (wanted("name"), wanted("request"), wanted("expect"));
    let name = name.and_then(|item| reader.name("name", item));
    let request = request.and_then(|item| reader.table("request", item).map(|table| (item, table)));
    let expect = expect.and_then(|item| reader.table("expect", item)).and_then(|table| expectations(reader, table));
    let (request_item, request) = request?;
    let Some(Value::Object(mut scenario)) = json(request_item.get_ref()) else {
        reader.error(&request_item.span(), "\"request\" holds a number that JSON has not");
        return None;
    };
    for beside in ["client", "on_behalf_of", "history", "now"] {
        if let Some(value) = table.get(beside).and_then(|item| json(item.get_ref())) {
            scenario.insert(beside.to_owned(), value);
        }
    }
    let scenario = Scenario::from_json(&Value::Object(scenario)).map_err(|errors| {
        for error in errors {
            let member = error.pointer.trim_start_matches('/');
            let at = request.get(member).or_else(|| table.get(member)).unwrap_or(request_item).span();
            reader.error(&at, format!("\"{member}\" {}", error.detail));
        }
    });
    let line = reader.position(item.span().start).0;
    Some(Case { name: name?, line, scenario: scenario.ok()?, expect: expect? })
}

fn expectations<'t>(reader: &mut Reader<'t>, table: &DeTable<'t>) -> Option<BTreeMap<String, Value>> {
    reader.closed(table, &EXPECT, &[]);
    let (mut expect, mut sound) = (BTreeMap::new(), true);
    for (key, item) in table {
        let key = key.get_ref().as_ref();
        if let Some(value) = json(item.get_ref()).as_ref().and_then(|value| expectation(key, value)) {
            expect.insert(key.to_owned(), value);
            continue;
        }
        sound = false;
        if EXPECT.contains(&key) {
            reader.error(&item.span(), format!("\"{key}\" is not something a policy could answer"));
        }
    }
    sound.then_some(expect)
}

/// Brings an expectation into the form of [`answers`].
fn expectation(key: &str, value: &Value) -> Option<Value> {
    match key {
        "effect" => Effect::deserialize(value).ok().map(|effect| Value::from(effect.as_str())),
        "expires_in" | "approval_valid" | "grant_ttl" | "remind_after" => {
            value.as_str().and_then(seconds).map(|seconds| Value::from(human(seconds)))
        }
        "masks" => BTreeMap::<String, MaskMode>::deserialize(value).ok().and_then(|masks| serde_json::to_value(masks).ok()),
        "seats" => {
            let seats: Vec<SeatSpec> = Vec::deserialize(value).ok()?;
            Some(sorted(seats.iter().filter_map(|seat| serde_json::to_value(seat).ok()).collect()))
        }
        "require" => {
            Vec::<Require>::deserialize(value).ok().map(|all| sorted(all.into_iter().map(|one| Value::from(one.as_str())).collect()))
        }
        "escalate" => {
            let all: Vec<Expected> = Vec::deserialize(value).ok()?;
            let all: Option<Vec<Value>> =
                all.into_iter().map(|one| Some(escalation(seconds(&one.after)?, &one.slack, &one.groups))).collect();
            all.map(sorted)
        }
        _ => Vec::<String>::deserialize(value).ok().map(|all| sorted(all.into_iter().map(Value::from).collect())),
    }
}

/// An escalation as a case names it: `{ after = "30m", slack = ["C0LEADS"], groups = ["leads"] }`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    after: String,
    #[serde(default)]
    slack: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
}

fn escalation(after: u64, slack: &[String], groups: &[String]) -> Value {
    let texts = |list: &[String]| sorted(list.iter().cloned().map(Value::from).collect());
    serde_json::json!({"after": human(after), "slack": texts(slack), "groups": texts(groups)})
}

/// The order of a list is no expectation.
fn sorted(mut list: Vec<Value>) -> Value {
    list.sort_by_key(Value::to_string);
    Value::Array(list)
}

/// What a policy answered, under every key of `expect`.
fn answers(evaluation: &Evaluation) -> BTreeMap<&'static str, Value> {
    let asked = &evaluation.requirements;
    let texts = |list: Vec<&str>| sorted(list.into_iter().map(Value::from).collect());
    let failed: BTreeSet<&str> = evaluation.errors.iter().map(|error| error.rule.as_str()).collect();
    let time = |seconds: Option<u64>| seconds.map_or(Value::Null, |seconds| Value::from(human(seconds)));
    BTreeMap::from([
        ("effect", Value::from(evaluation.effect.as_str())),
        ("rules", texts(evaluation.rules.iter().map(String::as_str).collect())),
        ("shadow", texts(evaluation.shadow.iter().map(|shadow| shadow.rule.as_str()).collect())),
        ("errors", texts(failed.into_iter().collect())),
        ("seats", sorted(asked.seats.iter().filter_map(|seat| serde_json::to_value(seat).ok()).collect())),
        ("require", texts(asked.require.iter().map(|require| require.as_str()).collect())),
        ("reviewer_when", texts(asked.reviewer_when.iter().map(String::as_str).collect())),
        ("slack", texts(asked.destinations.iter().map(|Destination::Slack { channel }| channel.as_str()).collect())),
        ("edit", asked.edit.as_ref().map_or(Value::Null, |edit| texts(edit.iter().map(String::as_str).collect()))),
        ("expires_in", time(Some(asked.expires_in))),
        ("approval_valid", time(Some(asked.approval_valid))),
        ("grant_ttl", time(asked.grant_ttl)),
        ("masks", evaluation.masks.iter().map(|mask| (mask.path.clone(), Value::from(mask.mode.as_str()))).collect()),
        ("remind_after", time(asked.remind_after)),
        (
            "escalate",
            sorted(
                asked
                    .escalate
                    .iter()
                    .map(|one| {
                        let slack: Vec<String> = one.destinations.iter().map(|Destination::Slack { channel }| channel.clone()).collect();
                        escalation(one.after, &slack, &one.groups)
                    })
                    .collect(),
            ),
        ),
    ])
}

/// Runs one case; `now` is used where the case names no time. Only what the case expects is compared.
pub fn run_case(policy: &Policy, case: &Case, now: Timestamp) -> CaseResult {
    let evaluation = policy.explain(&case.scenario.facts(now));
    let answers = answers(&evaluation);
    let differences = case.expect.iter().filter_map(|(key, expected)| {
        let actual = answers.get(key.as_str()).filter(|actual| *actual != expected)?;
        Some(Difference { key: key.clone(), expected: expected.to_string(), actual: actual.to_string() })
    });
    CaseResult { name: case.name.clone(), line: case.line, differences: differences.collect(), evaluation }
}

#[cfg(test)]
mod tests;
