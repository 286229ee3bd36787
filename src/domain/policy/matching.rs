//! Owns `match`: the closed list of keys, what each compares, and when a key cannot be evaluated.
//!
//! Never decides what an unevaluable key means: that depends on the rule's effect, see `evaluate`.

use super::facts::{Facts, scalar_text};
use super::glob::Glob;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// What a `match` key looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Action,
    Client,
    Environment,
    ResourceType,
    ResourceId,
    OnBehalfOf,
    Parameter(String),
}

impl Key {
    /// The keys that stand directly in `match`; parameters come as `parameters.<name>`.
    pub(super) const WORDS: [(&'static str, Self); 6] = [
        ("action", Self::Action),
        ("client", Self::Client),
        ("environment", Self::Environment),
        ("resource_type", Self::ResourceType),
        ("resource_id", Self::ResourceId),
        ("on_behalf_of", Self::OnBehalfOf),
    ];

    /// The attribute's text, or nothing when it is absent or not a string, number or boolean.
    fn value<'a>(&self, facts: &Facts<'a>) -> Option<Cow<'a, str>> {
        let resource = |name: &str| facts.resource.and_then(|map| map.get(name)).and_then(scalar);
        match self {
            Self::Action => Some(Cow::Borrowed(facts.action)),
            Self::Client => Some(Cow::Borrowed(facts.client.name)),
            Self::Environment => resource("environment"),
            Self::ResourceType => resource("type"),
            Self::ResourceId => resource("id"),
            Self::OnBehalfOf => facts.on_behalf_of.map(|person| Cow::Borrowed(person.email)),
            Self::Parameter(name) => facts.parameters.get(name).and_then(scalar),
        }
    }
}

fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => scalar_text(other).map(Cow::Owned),
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "match.parameters.{name}"),
            other => {
                let word = Self::WORDS.iter().find(|(_, key)| key == other).map_or("", |(word, _)| word);
                write!(f, "match.{word}")
            }
        }
    }
}

/// One key and its patterns, any of which may match.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pub(super) key: Key,
    pub(super) patterns: Vec<Glob>,
}

/// What a key says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Yes,
    No,
    /// The attribute is absent, or not a string, number or boolean.
    Unevaluable,
}

impl Matcher {
    pub(super) fn judge(&self, facts: &Facts<'_>) -> Verdict {
        match self.key.value(facts) {
            None => Verdict::Unevaluable,
            Some(value) if self.patterns.iter().any(|pattern| pattern.matches(&value)) => Verdict::Yes,
            Some(_) => Verdict::No,
        }
    }

    /// Whether whatever this key of another rule admits is admitted here.
    fn is_as_wide_as(&self, other: &Self) -> bool {
        self.key == other.key && other.patterns.iter().all(|narrow| self.patterns.iter().any(|wide| wide.is_as_wide_as(narrow)))
    }
}

/// Whether a rule with the keys `wide` matches whenever one with the keys `narrow` does.
pub(super) fn is_as_wide_as(wide: &[Matcher], narrow: &[Matcher]) -> bool {
    wide.iter().all(|mine| narrow.iter().any(|theirs| mine.is_as_wide_as(theirs)))
}

/// The patterns of `match.action`, when the rule has the key.
pub(super) fn action_patterns(matchers: &[Matcher]) -> Option<&[Glob]> {
    matchers.iter().find(|matcher| matcher.key == Key::Action).map(|matcher| matcher.patterns.as_slice())
}
