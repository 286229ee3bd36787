//! Owns the shape of the policy file: every key, its type, its bounds, and what it becomes.
//!
//! Never ignores a key: one that is unknown, whose effect is not built, or that does nothing where it stands is a finding.

mod escalate;
mod masks;
mod parts;

use super::condition::{self, Condition, Scope};
use super::evaluate::Index;
use super::reader::{Finding, Item, Reader, Severity};
use super::requirements::{Destination, Require, Requirements};
use super::{Effect, Mode, Policy, Rule, lint};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

const TOP: [&str; 5] = ["default", "default_route", "routes", "rule", "mask"];
const ROUTE: [&str; 7] = ["slack", "seats", "expires_in", "approval_valid", "require", "remind_after", "escalate"];
const ROUTE_LACKING: [&str; 1] = ["teams"];
const RULE: [&str; 11] = ["id", "effect", "mode", "match", "when", "route", "seats", "require", "reviewer_when", "edit", "grant"];
const RULE_LACKING: [&str; 3] = ["step_up", "require_live_directory", "offline_ok"];
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];

/// A route as read. `broken`: its seats could not be read, so nothing is said about whether it has any.
pub(super) struct Route {
    pub(super) requirements: Requirements,
    broken: bool,
}

/// Everything read so far.
struct File<'t> {
    reader: Reader<'t>,
    routes: BTreeMap<String, Route>,
    default_route: Option<String>,
    /// The file names one that does not exist.
    default_route_unknown: bool,
    conditions: HashMap<String, (Option<Arc<Condition>>, Vec<condition::Mistake>)>,
    ids: BTreeSet<String>,
}

/// Reads and judges the whole file. Call it on a big stack.
pub(super) fn parse(text: &str) -> Result<Policy, Vec<Finding>> {
    let (reader, document) = Reader::parse(text)?;
    let mut file = File {
        reader,
        routes: BTreeMap::new(),
        default_route: None,
        default_route_unknown: false,
        conditions: HashMap::new(),
        ids: BTreeSet::new(),
    };
    let top = document.get_ref();
    file.reader.closed(top, &TOP, &[]);
    if let Some(routes) = top.get("routes").and_then(|item| file.reader.table("routes", item)) {
        for (name, item) in routes {
            let Some(table) = file.reader.table(name.get_ref(), item) else { continue };
            let route = file.route(table);
            file.routes.insert(name.get_ref().to_string(), route);
        }
        file.escalations(routes);
    }
    let default = file.default(top);
    let mut rules = Vec::new();
    for item in file.tables("rule", top) {
        if let Some(table) = file.reader.table("rule", item) {
            rules.extend(file.rule(table, &item.span()));
            file.reader.rule = None;
        }
    }
    let masks = file.masks(top);
    if !file.reader.has_errors() {
        lint::useless_rules(&rules, &mut file.reader);
        lint::useless_masks(&masks, &rules, &mut file.reader);
    }
    if file.reader.has_errors() {
        return Err(file.reader.finish());
    }
    Ok(Policy {
        version: version(text),
        default,
        default_route: file.default_route,
        reads_history: file
            .conditions
            .values()
            .any(|(condition, _)| condition.as_ref().is_some_and(|condition| condition.reads("history"))),
        routes: file.routes.into_iter().map(|(name, route)| (name, route.requirements)).collect(),
        index: Index::of(&rules),
        rules,
        masks,
        warnings: file.reader.finish(),
    })
}

fn version(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

impl<'t> File<'t> {
    /// The entries of a list of tables, such as `[[rule]]`.
    fn tables<'d>(&mut self, name: &str, top: &'d DeTable<'t>) -> Vec<&'d Item<'t>> {
        match top.get(name).map(|item| (item, item.get_ref())) {
            None => Vec::new(),
            Some((_, DeValue::Array(items))) => items.iter().collect(),
            Some((item, _)) => {
                self.reader.error(&item.span(), format!("\"{name}\" must be a list: write [[{name}]]"));
                Vec::new()
            }
        }
    }

    /// The effect where no rule matches, and whether somebody could approve then.
    fn default(&mut self, top: &DeTable<'t>) -> Effect {
        let item = top.get("default");
        let default = item.and_then(|item| self.reader.word("default", item, &Effect::WORDS)).unwrap_or(Effect::Review);
        if let Some(item) = item.filter(|_| default == Effect::Allow) {
            self.reader.warn(&item.span(), "what no rule matches passes without a person; \"review\" or \"deny\" is safer");
        }
        let route = top.get("default_route");
        if let Some(item) = route {
            self.default_route = self.reader.string("default_route", item).filter(|name| self.known_route(name, &item.span()));
            self.default_route_unknown = self.default_route.is_none();
        }
        match (&self.default_route, route) {
            _ if default != Effect::Review => {}
            (Some(name), Some(item)) if self.routes.get(name).is_some_and(|route| !route.broken && route.requirements.seats.is_empty()) => {
                let message = format!("route \"{name}\" has no seats, so what no rule matches could never be approved");
                self.reader.error(&item.span(), message);
            }
            (None, None) => {
                let at = item.map_or(0..0, toml::Spanned::span);
                self.reader.error(&at, "what no rule matches is reviewed, but there is no default_route, so it could never be approved");
            }
            _ => {}
        }
        default
    }

    fn known_route(&mut self, name: &str, at: &Range<usize>) -> bool {
        if self.routes.contains_key(name) {
            return true;
        }
        let known = self.routes.keys().cloned().collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "there are no routes".to_owned() } else { format!("known: {known}") };
        self.reader.error(at, format!("route \"{name}\" does not exist; {known}"));
        false
    }

    fn route(&mut self, table: &DeTable<'t>) -> Route {
        self.reader.closed(table, &ROUTE, &ROUTE_LACKING);
        let mut requirements = Requirements::default();
        for item in table.get("slack").and_then(|item| self.reader.list("slack", item)).unwrap_or_default() {
            let Some(channel) = self.reader.name("slack", item) else { continue };
            if !is_slack_id(&channel) {
                let message =
                    format!("\"{channel}\" is not a Slack channel or user id such as \"C0123ABCD\": its card cannot be delivered");
                self.reader.warn(&item.span(), message);
            }
            requirements.destinations.push(Destination::Slack { channel });
        }
        let (seats, broken) = self.seats(table);
        requirements.seats = seats;
        if let Some(seconds) = table.get("expires_in").and_then(|item| self.reader.duration("expires_in", item, "10s", "30d")) {
            requirements.expires_in = seconds;
        }
        if let Some(seconds) = table.get("approval_valid").and_then(|item| self.reader.duration("approval_valid", item, "10s", "30d")) {
            requirements.approval_valid = seconds;
        }
        requirements.require = self.require(table);
        if let Some(item) = table.get("remind_after") {
            let seconds = self.reader.duration("remind_after", item, "10s", "30d");
            requirements.remind_after = seconds.filter(|seconds| self.in_time("remind_after", *seconds, requirements.expires_in, item));
        }
        Route { requirements, broken }
    }

    fn rule(&mut self, table: &DeTable<'t>, at: &Range<usize>) -> Option<Rule> {
        let id = table.get("id").and_then(|item| self.id(item));
        if !table.contains_key("id") {
            self.reader.error(at, "the rule has no id");
        }
        self.reader.rule.clone_from(&id);
        self.reader.closed(table, &RULE, &RULE_LACKING);
        let effect = table.get("effect").and_then(|item| self.reader.word("effect", item, &Effect::WORDS));
        if !table.contains_key("effect") {
            self.reader.error(at, "the rule has no effect: \"allow\", \"review\" or \"deny\"");
        }
        let mode = table.get("mode").and_then(|item| self.reader.word("mode", item, &MODES)).unwrap_or(Mode::Enforce);
        let matchers = self.matchers(table);
        if effect == Some(Effect::Allow) && matchers.is_empty() {
            self.reader.error(at, "an allow rule must say what it matches");
        }
        let when = self.condition(table, "when", Scope::When).and_then(|(_, condition)| condition);
        let requirements = self.requirements(table, effect, at);
        Some(Rule { id: id?, effect: effect?, mode, matchers, when, requirements, at: at.start })
    }

    fn id(&mut self, item: &Item<'t>) -> Option<String> {
        let id = self.reader.string("id", item)?;
        let allowed = |character: char| character.is_ascii_alphanumeric() || "._:/-".contains(character);
        if id.is_empty() || id.len() > 64 || !id.chars().all(allowed) {
            self.reader.error(&item.span(), "\"id\" must be 1 to 64 letters, digits or . _ : / -");
            return None;
        }
        if !self.ids.insert(id.clone()) {
            self.reader.error(&item.span(), format!("the id \"{id}\" is used by an earlier rule"));
        }
        Some(id)
    }

    /// What the rule asks for: in a review rule its route's demands and its own, elsewhere the limits it sets.
    fn requirements(&mut self, table: &DeTable<'t>, effect: Option<Effect>, at: &Range<usize>) -> Requirements {
        self.without_effect(table, effect);
        let route = match table.get("route") {
            Some(item) => self.reader.string("route", item).filter(|name| self.known_route(name, &item.span())),
            None => self.default_route.clone(),
        };
        let route = route.filter(|_| effect == Some(Effect::Review));
        let (mut sum, route_broken) =
            route.and_then(|name| self.routes.get(&name)).map_or_else(Default::default, |route| (route.requirements.clone(), route.broken));
        let (seats, broken) = self.seats(table);
        let require = self.require(table);
        let reviewer_when = self.condition(table, "reviewer_when", Scope::ReviewerWhen);
        let edit = table.get("edit").map(|item| self.pointers(item));
        let ttl = table.get("grant").and_then(|item| self.reader.table("grant", item)).and_then(|grant| {
            self.reader.closed(grant, &["ttl"], &[]);
            grant.get("ttl").and_then(|item| self.reader.duration("ttl", item, "10s", "120s"))
        });
        sum.require.extend(require);
        if effect == Some(Effect::Review) {
            sum.demand(&seats);
            sum.reviewer_when.extend(reviewer_when.map(|(source, _)| source));
            if sum.seats.is_empty() && !broken && !route_broken && self.route_was_found(table) {
                self.reader.error(at, "a review rule without any seat can never be approved: give it seats, or a route that has some");
            }
        } else {
            sum.require.remove(&Require::Comment);
        }
        sum.limit(ttl, edit.as_deref());
        sum
    }

    /// Whether the seats of the rule's route are known: not when its name is itself a finding.
    fn route_was_found(&self, table: &DeTable<'t>) -> bool {
        match table.get("route") {
            Some(item) => item.get_ref().as_str().is_some_and(|name| self.routes.contains_key(name)),
            None => self.default_route.is_some() || !self.default_route_unknown,
        }
    }

    fn without_effect(&mut self, table: &DeTable<'t>, effect: Option<Effect>) {
        let (severity, keys): (_, &[&str]) = match effect {
            Some(Effect::Deny) => (Severity::Error, &["route", "seats", "require", "reviewer_when", "edit", "grant"]),
            Some(Effect::Allow) => (Severity::Warning, &["route", "seats", "reviewer_when"]),
            Some(Effect::Review) | None => return,
        };
        let article = if effect == Some(Effect::Deny) { "a deny" } else { "an allow" };
        for key in table.keys().filter(|key| keys.contains(&key.get_ref().as_ref())) {
            self.reader.report(key.span().start, severity, format!("\"{}\" has no effect in {article} rule", key.get_ref()));
        }
    }

    /// The source of a condition and, when it is sound, its compiled form.
    fn condition(&mut self, table: &DeTable<'t>, name: &str, scope: Scope) -> Option<(String, Option<Arc<Condition>>)> {
        let item = table.get(name)?;
        let source = self.reader.string(name, item)?;
        let cached = self.conditions.entry(format!("{name} {source}")).or_insert_with(|| {
            let (condition, mistakes) = Condition::compile(&source, scope);
            (condition.map(Arc::new), mistakes)
        });
        let (condition, mistakes) = (cached.0.clone(), cached.1.clone());
        for mistake in mistakes {
            let severity = if mistake.warning { Severity::Warning } else { Severity::Error };
            let offset = self.reader.contents_at(&item.span()).map_or(item.span().start, |start| start + mistake.offset);
            self.reader.report(offset, severity, format!("{name}: {}", mistake.message));
        }
        Some((source, condition))
    }
}

/// Conversation and user ids begin with one of these letters; the rest is upper case and digits.
fn is_slack_id(text: &str) -> bool {
    text.starts_with(['C', 'G', 'D', 'U', 'W'])
        && text.len() > 1
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}
