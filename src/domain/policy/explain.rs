//! Owns saying why: the sentences that come with every answer, and the trace of every rule that `policy explain` shows.
//!
//! Never decides: it words what `evaluate` found.

use super::evaluate::{Decided, Evaluation, Judgement};
use super::reader::human;
use super::requirements::{Escalation, Requirements};
use super::{Effect, Mode, Rule};
use crate::domain::seats::SeatSpec;
use std::fmt::Write as _;

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RuleTrace {
    /// The rule's id.
    pub rule: String,
    /// Its effect.
    pub effect: Effect,
    /// Whether it counts.
    pub mode: Mode,
    /// Whether it matches.
    pub matched: bool,
    /// Which `match` key or `when` decided.
    pub decided_by: String,
    /// What could not be evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// What a matching review rule asks for, and what any rule limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<String>,
}

impl RuleTrace {
    pub(super) fn of(rule: &Rule, judgement: &Judgement) -> Self {
        let part = match &judgement.decided {
            Decided::Key(number) => rule.matchers.get(*number).map(|matcher| matcher.key.to_string()).unwrap_or_default(),
            Decided::When => "when".to_owned(),
            Decided::All => String::new(),
        };
        let decided_by = match (judgement.matches(), judgement.errors.is_empty()) {
            (true, true) if rule.matchers.is_empty() && rule.when.is_none() => "it matches every request".to_owned(),
            (true, true) => "everything in it matches".to_owned(),
            (true, false) => format!("what cannot be evaluated counts as matching in a {} rule", rule.effect),
            (false, true) if part == "when" => "when is false".to_owned(),
            (false, true) => format!("{part} does not match"),
            (false, false) => format!("{part} cannot be evaluated, which never allows"),
        };
        Self {
            rule: rule.id.clone(),
            effect: rule.effect,
            mode: rule.mode,
            matched: judgement.matches(),
            decided_by,
            errors: judgement.errors.clone(),
            adds: if judgement.matches() { demands(rule) } else { Vec::new() },
        }
    }
}

/// What a rule adds to the requirements, one line each.
fn demands(rule: &Rule) -> Vec<String> {
    let Requirements { seats, require, reviewer_when, destinations, expires_in, approval_valid, grant_ttl, edit, remind_after, escalate } =
        &rule.requirements;
    let mut adds = Vec::new();
    if rule.effect == Effect::Review {
        adds.push(format!("seats: {}", join(seats)));
        adds.extend(reviewer_when.iter().map(|source| format!("reviewer_when: {source}")));
        adds.extend(destinations.iter().map(|destination| format!("card: {destination}")));
        adds.extend(remind_after.map(|seconds| format!("remind_after: {}", human(seconds))));
        adds.extend(escalate.iter().map(escalation));
        adds.push(format!("expires_in: {}", human(*expires_in)));
        adds.push(format!("approval_valid: {}", human(*approval_valid)));
    }
    adds.extend(require.iter().map(|require| format!("require: {}", require.as_str())));
    adds.extend(grant_ttl.map(|seconds| format!("grant.ttl: {}", human(seconds))));
    adds.extend(
        edit.iter().map(|pointers| format!("edit: {}", if pointers.is_empty() { "nothing".to_owned() } else { pointers.join(", ") })),
    );
    adds
}

/// `escalate: after 30m, card: slack:C0LEADS, open seats also to security-leads`
fn escalation(escalation: &Escalation) -> String {
    let mut text = format!("escalate: after {}", human(escalation.after));
    for destination in &escalation.destinations {
        let _ = write!(text, ", card: {destination}");
    }
    if escalation.opens() {
        let _ = write!(text, ", open seats also to {}", escalation.groups.join(", "));
    }
    text
}

fn join(seats: &[SeatSpec]) -> String {
    seats.iter().map(SeatSpec::to_string).collect::<Vec<_>>().join(", ")
}

/// `a`, `a and b`, `a, b and c`.
fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn rules(ids: &[&str]) -> String {
    format!("{} {}", if ids.len() == 1 { "rule" } else { "rules" }, list(ids))
}

/// The explanation of an answer: who decided and, for a review, who is asked; then what could not be evaluated.
pub(super) fn sentences(effect: Effect, deciding: &[&str], unsure: &[&str], requirements: &Requirements) -> String {
    let by_default = deciding.is_empty();
    let mut text = match effect {
        Effect::Allow if by_default => "Allowed by default: no rule matches.".to_owned(),
        Effect::Deny if by_default => "Denied by default: no rule matches.".to_owned(),
        Effect::Allow => format!("Allowed by {}.", rules(deciding)),
        Effect::Deny => format!("Denied by {}.", rules(deciding)),
        Effect::Review => {
            let seats: Vec<String> = requirements.seats.iter().map(SeatSpec::to_string).collect();
            let seats = list(&seats.iter().map(String::as_str).collect::<Vec<_>>());
            let by = if by_default { "by default, since no rule matches".to_owned() } else { format!("by {}", rules(deciding)) };
            let needs = if seats.is_empty() { "nobody can approve it".to_owned() } else { format!("it needs {seats}") };
            let mut text = format!("Review asked for {by}: {needs}.");
            for Escalation { after, groups, .. } in requirements.escalate.iter().filter(|escalation| escalation.opens()) {
                let groups = list(&groups.iter().map(String::as_str).collect::<Vec<_>>());
                let _ = write!(text, " Undecided for {}, {groups} may fill open seats too.", human(*after));
            }
            text
        }
    };
    if !unsure.is_empty() {
        let _ = write!(text, " Not everything in {} could be evaluated, which never loosens.", rules(unsure));
    }
    text
}

impl Evaluation {
    /// The answer and its reasons as lines of text, for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("{}: {}\n", self.effect, self.explanation);
        for rule in &self.trace {
            let mark = if rule.matched { "matches" } else { "no match" };
            let shadow = if rule.mode == Mode::Shadow { ", shadow" } else { "" };
            let _ = writeln!(text, "\n{} ({}{shadow}): {mark}, {}", rule.rule, rule.effect, rule.decided_by);
            rule.errors.iter().chain(&rule.adds).for_each(|line| {
                let _ = writeln!(text, "  {line}");
            });
        }
        for shadow in self.shadow.iter().filter(|shadow| shadow.would_be != self.effect) {
            let _ = writeln!(text, "\nEnforced, the shadow rule {} would make it {}.", shadow.rule, shadow.would_be);
        }
        if !self.masks.is_empty() {
            let _ = writeln!(text, "\nShown to others:");
            self.masks.iter().for_each(|mask| {
                let path = if mask.path.is_empty() { "every parameter" } else { &mask.path };
                let _ = writeln!(text, "  {}: {path}", mask.mode.as_str());
            });
        }
        text
    }
}
