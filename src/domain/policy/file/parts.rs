//! Owns the smaller shapes of the policy file: seats, `require`, `edit`, and the keys and patterns of `match`.
//!
//! Never judges a rule as a whole.

use super::File;
use crate::domain::ids::PersonId;
use crate::domain::policy::glob::Glob;
use crate::domain::policy::matching::{Key, Matcher};
use crate::domain::policy::reader::{Item, json};
use crate::domain::policy::requirements::Require;
use crate::domain::policy::{facts, lint};
use crate::domain::seats::SeatSpec;
use std::collections::BTreeSet;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

const MAX_PATTERN: usize = 512;

impl<'t> File<'t> {
    pub(super) fn require(&mut self, table: &DeTable<'t>) -> BTreeSet<Require> {
        let items = table.get("require").and_then(|item| self.reader.list("require", item)).unwrap_or_default();
        items.into_iter().filter_map(|item| self.reader.word("require", item, &Require::ALL)).collect()
    }

    pub(super) fn pointers(&mut self, item: &Item<'t>) -> Vec<String> {
        let items = self.reader.list("edit", item).unwrap_or_default();
        items.into_iter().filter_map(|item| self.pointer("edit", item)).collect()
    }

    pub(super) fn pointer(&mut self, name: &str, item: &Item<'t>) -> Option<String> {
        let pointer = self.reader.string(name, item)?;
        let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !escapes || !(pointer.is_empty() || pointer.starts_with('/')) {
            self.reader.error(&item.span(), format!("\"{pointer}\" is not a JSON pointer such as \"/rows\""));
        }
        Some(pointer)
    }

    /// The seats of a route or rule, and whether some could not be read.
    pub(super) fn seats(&mut self, table: &DeTable<'t>) -> (Vec<SeatSpec>, bool) {
        let Some(item) = table.get("seats") else { return (Vec::new(), false) };
        let Some(items) = self.reader.list("seats", item) else { return (Vec::new(), true) };
        let (mut seats, mut broken) = (Vec::<SeatSpec>::new(), false);
        for item in items {
            match self.seat(item) {
                Some(seat) if seats.iter().any(|other| other.same_place(&seat)) => {
                    self.reader.error(&item.span(), "this seat is asked for twice here: write it once, with the count you mean");
                }
                Some(seat) => seats.push(seat),
                None => broken = true,
            }
        }
        (seats, broken)
    }

    fn seat(&mut self, item: &Item<'t>) -> Option<SeatSpec> {
        let table = self.reader.table("seats", item)?;
        self.reader.closed(table, &["group", "any", "person", "count"], &[]);
        let count = match table.get("count") {
            Some(item) => self.reader.count("count", item, 1..101)?,
            None => 1,
        };
        match (table.get("group"), table.get("any"), table.get("person")) {
            (Some(group), None, None) => Some(SeatSpec::Group { group: self.reader.name("group", group)?, count }),
            (None, Some(any), None) => {
                let items = self.reader.list("any", any)?;
                let groups: Vec<_> = items.iter().filter_map(|item| self.reader.name("any", item)).collect();
                if items.is_empty() {
                    self.reader.error(&any.span(), "\"any\" names no group");
                }
                (!groups.is_empty() && groups.len() == items.len()).then_some(SeatSpec::Any { any: groups, person: None, count })
            }
            (None, None, Some(person)) => {
                let name = self.reader.name("person", person)?;
                if !name.contains('@') && name.parse::<PersonId>().is_err() {
                    self.reader.error(&person.span(), format!("\"{name}\" is neither an e-mail address nor a person id"));
                    return None;
                }
                if table.contains_key("count") {
                    self.reader.error(&item.span(), "a person fills one seat: leave \"count\" out");
                    return None;
                }
                Some(SeatSpec::Person { person: name })
            }
            _ => {
                self.reader.error(&item.span(), "a seat has exactly one of \"group\", \"any\" and \"person\"");
                None
            }
        }
    }

    pub(super) fn matchers(&mut self, table: &DeTable<'t>) -> Vec<Matcher> {
        let Some(keys) = table.get("match").and_then(|item| self.reader.table("match", item)) else { return Vec::new() };
        let mut known: Vec<_> = Key::WORDS.iter().map(|(word, _)| *word).collect();
        known.push("parameters");
        self.reader.closed(keys, &known, &[]);
        let mut matchers = Vec::new();
        for (word, key) in Key::WORDS {
            if let Some(item) = keys.get(word) {
                let patterns = self.patterns(word, item);
                lint::patterns(&key, &patterns, &mut self.reader);
                matchers.push(Matcher { key, patterns: patterns.into_iter().map(|(glob, _)| glob).collect() });
            }
        }
        if let Some(parameters) = keys.get("parameters").and_then(|item| self.reader.table("parameters", item)) {
            for (name, item) in parameters {
                let name = name.get_ref().to_string();
                let patterns = self.patterns(&format!("parameters.{name}"), item).into_iter().map(|(glob, _)| glob).collect();
                matchers.push(Matcher { key: Key::Parameter(name), patterns });
            }
        }
        matchers
    }

    /// One pattern or a list of them. Numbers and booleans stand for their JSON text.
    pub(super) fn patterns(&mut self, name: &str, item: &Item<'t>) -> Vec<(Glob, Range<usize>)> {
        let items = match item.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![item],
        };
        if items.is_empty() {
            self.reader.error(&item.span(), format!("\"{name}\" is an empty list, which could never match"));
        }
        let mut patterns = Vec::new();
        for item in items {
            let text = json(item.get_ref()).filter(|_| !item.get_ref().is_datetime()).as_ref().and_then(facts::scalar_text);
            match text {
                Some(text) if text.len() > MAX_PATTERN => self.reader.error(&item.span(), format!("longer than {MAX_PATTERN} bytes")),
                Some(text) => patterns.push((Glob::new(&text), item.span())),
                None if item.get_ref().is_table() && name.starts_with("parameters.") => {
                    self.reader.error(
                        &item.span(),
                        format!("\"{name}\" has members: match looks at the top of parameters only, use when for more"),
                    );
                }
                None => self.reader.error(&item.span(), format!("\"{name}\" must be a string, number or boolean, or a list of them")),
            }
        }
        patterns
    }
}
