//! Owns the findings that are not about one key's shape: patterns that can match nothing, and rules that can never decide.
//!
//! Never keeps a policy from loading: these are warnings.

use super::glob::Glob;
use super::matching::{Key, action_patterns, is_as_wide_as};
use super::reader::{Reader, Severity};
use super::{Effect, MaskEntry, Mode, Rule};
use crate::domain::mask::MaskMode;
use std::collections::HashMap;
use std::ops::Range;

/// Most pairs of rules that are compared, so that a file of many thousand rules still loads at once.
const MAX_PAIRS: usize = 2_000_000;

/// Warns of patterns outside the alphabet of what they are compared with.
pub(super) fn patterns(key: &Key, patterns: &[(Glob, Range<usize>)], reader: &mut Reader<'_>) {
    let (alphabet, what) = match key {
        Key::Action => ("._-*?", "an action is lower-case words joined by dots"),
        Key::Environment => ("._-*?", "an environment is lower case"),
        Key::ResourceType => ("._-*?", "a resource type is lower case"),
        Key::Client | Key::ResourceId | Key::OnBehalfOf | Key::Parameter(_) => return,
    };
    for (glob, at) in patterns {
        let possible = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || alphabet.contains(character);
        if glob.as_str().is_empty() || !glob.as_str().chars().all(possible) {
            reader.warn(at, format!("\"{}\" can never match: {what}", glob.as_str()));
        }
    }
}

/// Warns of rules that a stricter one always overrules: its `match` is the same or wider and it has no `when`.
pub(super) fn useless_rules(rules: &[Rule], reader: &mut Reader<'_>) {
    // The stricter rules that could cover a rule, found by one literal action or, for all others, one by one.
    let (mut literal, mut wide) = (HashMap::<&str, Vec<usize>>::new(), Vec::new());
    for (index, rule) in rules.iter().enumerate() {
        if rule.effect == Effect::Allow || rule.mode == Mode::Shadow || rule.when.is_some() {
            continue;
        }
        match action_patterns(&rule.matchers) {
            Some(patterns) if patterns.iter().all(Glob::is_literal) => {
                for pattern in patterns {
                    literal.entry(pattern.as_str()).or_default().push(index);
                }
            }
            _ => wide.push(index),
        }
    }
    let mut pairs = 0_usize;
    for rule in rules {
        let same = action_patterns(&rule.matchers).and_then(|patterns| literal.get(patterns.first()?.as_str()));
        let mut others = same.into_iter().flatten().chain(&wide).map(|index| &rules[*index]);
        let cover = others.find(|other| {
            pairs += 1;
            pairs <= MAX_PAIRS && other.effect > rule.effect && is_as_wide_as(&other.matchers, &rule.matchers)
        });
        if let Some(cover) = cover {
            reader.rule = Some(rule.id.clone());
            let message = format!("never decides: rule \"{}\" is stricter and matches whatever this one does", cover.id);
            reader.report(rule.at, Severity::Warning, message);
        }
        if pairs > MAX_PAIRS {
            break;
        }
    }
    reader.rule = None;
}

/// Warns of masks for actions that no rule is about (a slip of the pen there would show what was meant to be hidden), of those
/// that another one makes superfluous, and of one that shows everything.
pub(super) fn useless_masks(masks: &[MaskEntry], rules: &[Rule], reader: &mut Reader<'_>) {
    let named: Vec<_> = rules.iter().map(|rule| action_patterns(&rule.matchers)).collect();
    let every_action_is_named = named.is_empty() || named.iter().any(Option::is_none);
    for (number, entry) in masks.iter().enumerate() {
        if entry.mask.path.is_empty() && entry.mask.mode == MaskMode::Show {
            reader.report(entry.at, Severity::Warning, "shows every parameter, secrets too: name the path that you mean".to_owned());
        }
        let met = |glob: &Glob| named.iter().flatten().flat_map(|patterns| patterns.iter()).any(|pattern| pattern.meets(glob));
        for glob in entry.actions.iter().filter(|glob| !every_action_is_named && !met(glob)) {
            reader.report(entry.at, Severity::Warning, format!("no rule is about an action like \"{}\": is it misspelt?", glob.as_str()));
        }
        let covers = |other: &MaskEntry| entry.actions.iter().all(|narrow| other.actions.iter().any(|wide| wide.is_as_wide_as(narrow)));
        let stricter = masks.iter().enumerate().find(|(other_number, other)| {
            let decides = other.mask.mode > entry.mask.mode || (other.mask.mode == entry.mask.mode && *other_number < number);
            decides && other.mask.path == entry.mask.path && covers(other)
        });
        if let Some((_, other)) = stricter {
            let line = reader.position(other.at).0;
            reader.report(entry.at, Severity::Warning, format!("has no effect: the mask in line {line} is as wide and at least as strict"));
        }
    }
}
