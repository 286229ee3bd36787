//! Owns the bound of the steps that evaluating a condition takes: what the expression does, times how much there is to look at.
//!
//! Never measures: the bound is known before anything is evaluated. A step is about half a microsecond.

use super::{MAX_ELEMENTS, REVIEWER};
use crate::domain::policy::facts::Facts;
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// How much an expression may have to look at.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Weight {
    /// JSON values, at any depth.
    pub(super) nodes: u64,
    /// Bytes of text, in units of 256.
    pub(super) text: u64,
    /// Elements of the longest list or object.
    pub(super) longest: u64,
}

impl Weight {
    /// Weighs the named variables.
    pub(in super::super) fn of(facts: &Facts<'_>, roots: &BTreeSet<&'static str>, reviewer: Option<&Json>) -> Self {
        let (mut weight, mut bytes) = (Self::default(), facts.action.len());
        for root in roots {
            match *root {
                "parameters" => weight.add_object(facts.parameters, &mut bytes),
                "resource" => facts.resource.into_iter().for_each(|map| weight.add_object(map, &mut bytes)),
                "context" => facts.context.into_iter().for_each(|map| weight.add_object(map, &mut bytes)),
                "on_behalf_of" => facts.on_behalf_of.into_iter().for_each(|person| weight.add(person.record, &mut bytes)),
                REVIEWER => reviewer.into_iter().for_each(|record| weight.add(record, &mut bytes)),
                _ => weight.nodes += 4,
            }
        }
        weight.text = u64::try_from(bytes / 256).unwrap_or(u64::MAX) + 1;
        weight
    }

    fn add(&mut self, value: &Json, bytes: &mut usize) {
        self.nodes += 1;
        match value {
            Json::String(text) => *bytes += text.len(),
            Json::Array(items) => {
                self.longest = self.longest.max(u64::try_from(items.len()).unwrap_or(u64::MAX));
                for item in items {
                    self.add(item, bytes);
                }
            }
            Json::Object(map) => self.add_object(map, bytes),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn add_object(&mut self, map: &serde_json::Map<String, Json>, bytes: &mut usize) {
        self.longest = self.longest.max(u64::try_from(map.len()).unwrap_or(u64::MAX));
        for (key, value) in map {
            *bytes += key.len();
            self.add(value, bytes);
        }
    }
}

/// The nodes of an expression by what one evaluation of them costs, outside and inside its comprehensions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) outer: Level,
    pub(super) looped: Level,
    /// Some comprehension iterates over something computed, whose length the request alone does not tell.
    pub(super) computed_range: bool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Level {
    /// Constant.
    pub(super) plain: u64,
    /// Proportional to the length of a text.
    pub(super) textual: u64,
    /// Proportional to the number of values: comparing, copying or searching a whole list or map.
    pub(super) structural: u64,
}

impl Level {
    fn steps(self, weight: Weight) -> u64 {
        let structural = self.structural.saturating_mul(weight.nodes.saturating_add(weight.text));
        self.plain.saturating_add(self.textual.saturating_mul(weight.text)).saturating_add(structural)
    }
}

impl Cost {
    pub(super) fn steps(self, weight: Weight) -> u64 {
        let rounds = if self.computed_range { MAX_ELEMENTS } else { weight.longest.min(MAX_ELEMENTS) };
        self.outer.steps(weight).saturating_add(self.looped.steps(weight).saturating_mul(rounds))
    }
}
