//! Owns `countersign check`: every mistake of configuration, policy and directory at once, and what they get wrong together.
//!
//! Never changes anything, never opens the database or a connection, and never shows a secret. Exit 1 on any error; warnings alone pass.
//!
//! What only shows when all three are read: a seat that too few people can fill, a client whose owner is nobody, cards for a platform that is off.

use super::diagnostic::{self, Diagnostic};
use super::output::{Style, count};
use super::{Context, environment};
use crate::config::database::Backend;
use crate::config::document::{self, Table, Value};
use crate::config::{Config, KeySource, Place};
use crate::directory::{FileDirectory, Record};
use crate::domain::policy::{self, DirectoryFacts, Policy, Severity, unsatisfiable};
use crate::keys::{self, KeyKind};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  countersign check
  countersign --config /etc/countersign/countersign.toml check
  countersign check --json | jq -r '.findings[] | \"\\(.file):\\(.line) \\(.message)\"'

Exit code: 0 no error (there may be warnings), 1 at least one error.";

/// What was read, for the summary.
#[derive(Debug, Default)]
struct Checked {
    found: Vec<Diagnostic>,
    rules: Option<usize>,
    people: Option<usize>,
    clients: Option<usize>,
}

/// Checks everything and prints what was found.
pub(super) fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let file = context.config_file();
    let checked = examine(file.as_deref());
    let (out, errors) = (context.out, diagnostic::errors(&checked.found));
    if out.json {
        out.document(&json!({
            "ok": errors == 0,
            "config": file.as_ref().map(|file| file.display().to_string()),
            "rules": checked.rules,
            "people": checked.people,
            "clients": checked.clients,
            "findings": checked.found,
        }))?;
    } else {
        diagnostic::print(out, &checked.found);
        let name = file.as_ref().map_or_else(|| "no countersign.toml, defaults only".to_owned(), |file| file.display().to_string());
        let parts = [(checked.rules, "rule"), (checked.people, "person"), (checked.clients, "client")];
        let read: Vec<String> = parts.iter().filter_map(|(number, one)| number.map(|number| plural(number, one))).collect();
        let read = if read.is_empty() { String::new() } else { format!(" ({})", read.join(", ")) };
        match (errors, diagnostic::tally(&checked.found)) {
            (0, None) => out.line(format!("{} {name}{read}", out.paint(Style::Green, "ok:"))),
            (0, Some(tally)) => out.line(format!("{} {name}{read}, {tally}", out.paint(Style::Green, "ok:"))),
            (_, tally) => out.line(format!("{} {}", out.paint(Style::Red, "failed:"), tally.unwrap_or_default())),
        }
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plural(number: usize, one: &str) -> String {
    if one == "person" && number != 1 { format!("{number} people") } else { count(number, one) }
}

/// Everything that is wrong with a configuration and what it points at.
fn examine(file: Option<&Path>) -> Checked {
    let mut checked = Checked::default();
    let config = match Config::load(file, environment()) {
        Ok(config) => Some(config),
        Err(errors) => {
            checked.found.extend(errors.iter().map(Diagnostic::from));
            None
        }
    };
    // The policy and the directory are read also when the configuration does not load: all mistakes at once.
    let document = file.and_then(places);
    let policy_file = config.as_ref().map_or_else(|| named(document.as_ref(), file, "policy"), |config| Some(config.policy.file.clone()));
    let directory_file = match &config {
        Some(config) => config.directory.as_ref().filter(|section| !section.sources.is_empty()).map(|section| section.file.clone()),
        None => named(document.as_ref(), file, "directory"),
    };
    let policy = policy_file.as_deref().and_then(|file| read_policy(file, &mut checked));
    let people = directory_file.as_deref().map(|file| read_directory(file, &mut checked));
    if let Some(config) = &config {
        checked.clients = Some(config.clients.len());
        key_files(config, &mut checked.found);
        if let Some(policy) = &policy {
            destinations(config, policy, &mut checked.found);
        }
        match &people {
            None => checked.found.push(Diagnostic::whole(
                file.unwrap_or(Path::new(super::CONFIG)),
                Severity::Error,
                "[directory] is missing or has no source: nobody can be verified, so nobody can approve; add [directory] with a file",
            )),
            Some(Some(people)) => owners(config, file, document.as_ref(), people, &mut checked.found),
            Some(None) => {}
        }
    }
    if let (Some(policy), Some(policy_file), Some(Some(people))) = (&policy, &policy_file, &people) {
        seats(policy, policy_file, people, &mut checked.found);
    }
    checked
}

/// A file with the place of every key; nothing when it does not parse, which is said elsewhere.
fn places(file: &Path) -> Option<Table> {
    let text = std::fs::read_to_string(file).ok()?;
    document::parse(&file.display().to_string(), &text).ok()
}

/// The file that a section of a configuration names that does not load as a whole; the section's default when it names none.
fn named(document: Option<&Table>, config: Option<&Path>, section: &str) -> Option<PathBuf> {
    let entry = document?.entries.get(section);
    let file = match entry.map(|entry| &entry.item.value) {
        Some(Value::Table(table)) => match table.entries.get("file").map(|entry| &entry.item.value) {
            Some(Value::Text(file)) => file.clone(),
            _ => format!("{section}.toml"),
        },
        _ if section == "policy" => "policy.toml".to_owned(),
        _ => return None,
    };
    Some(config.and_then(Path::parent).unwrap_or(Path::new("")).join(file))
}

fn read_policy(file: &Path, checked: &mut Checked) -> Option<Policy> {
    match super::policy::read(file) {
        Ok(policy) => {
            checked.found.extend(policy.warnings().iter().map(|finding| Diagnostic::of(file, finding)));
            checked.rules = Some(policy.rule_ids().count());
            Some(policy)
        }
        Err(found) => {
            checked.found.extend(found);
            None
        }
    }
}

fn read_directory(file: &Path, checked: &mut Checked) -> Option<Vec<Record>> {
    match FileDirectory::check(file) {
        Ok(people) => {
            checked.people = Some(people.len());
            Some(people)
        }
        Err(errors) => {
            checked.found.extend(errors.iter().map(Diagnostic::from));
            None
        }
    }
}

/// Key files that exist must be usable. That one is missing is right before the first start, and said by `serve` otherwise.
fn key_files(config: &Config, found: &mut Vec<Diagnostic>) {
    let sources = [
        (&config.secrets.master_key, KeyKind::Master),
        (&config.grants.key, KeyKind::Grant),
        (&config.audit.checkpoint_key, KeyKind::Audit),
    ];
    for (source, kind) in sources {
        let KeySource::File(file) = source else { continue };
        let made_at_start = config.database.backend() == Some(Backend::Sqlite);
        if !file.exists() && made_at_start {
            continue;
        }
        if let Err(error) = keys::load(source, kind, false) {
            found.push(Diagnostic::whole(file, Severity::Error, error.to_string()));
        }
    }
}

/// Cards that would go nowhere.
fn destinations(config: &Config, policy: &Policy, found: &mut Vec<Diagnostic>) {
    let cards = policy.destinations().len();
    if cards > 0 && config.slack.is_none() {
        let message = format!("routes name {}, but [slack] is off: no card is posted there", count(cards, "Slack destination"));
        found.push(Diagnostic::whole(&config.policy.file, Severity::Warning, message));
    }
}

/// Clients that nobody answers for: what they ask could never be approved.
fn owners(config: &Config, file: Option<&Path>, document: Option<&Table>, people: &[Record], found: &mut Vec<Diagnostic>) {
    let entries = match document.and_then(|document| document.entries.get("clients")).map(|entry| &entry.item.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    let whole = Place::Whole { file: file.unwrap_or(Path::new(super::CONFIG)).display().to_string().into() };
    for (number, client) in config.clients.iter().enumerate() {
        let Some(owner) = &client.owner else { continue };
        let Some(problem) = owner_problem(owner, people) else { continue };
        let place = entries.get(number).map_or(&whole, |item| match &item.value {
            Value::Table(table) => table.entries.get("owner").map_or(&item.place, |entry| &entry.item.place),
            _ => &item.place,
        });
        let message = format!("client {}: its owner {problem}, so nothing it asks can be approved", client.name);
        found.push(Diagnostic::at(place, Severity::Error, message));
    }
}

/// Why this owner is nobody; none: an active person.
pub(super) fn owner_problem(owner: &str, people: &[Record]) -> Option<&'static str> {
    let owns =
        |person: &&Record| person.email.to_lowercase() == owner.to_lowercase() || person.id.as_ref().is_some_and(|id| id.as_str() == owner);
    match people.iter().find(owns) {
        None => Some("is not in the directory"),
        Some(person) if !person.active => Some("is not active in the directory"),
        Some(person) if !person.is_human() => Some("is not a human in the directory"),
        Some(_) => None,
    }
}

/// Seats that too few people can fill, where the policy names them.
fn seats(policy: &Policy, file: &Path, people: &[Record], found: &mut Vec<Diagnostic>) {
    let facts: Vec<DirectoryFacts> = people.iter().map(facts).collect();
    let document = places(file);
    let whole = Place::Whole { file: file.display().to_string().into() };
    for short in unsatisfiable(policy, &facts) {
        let place = document.as_ref().and_then(|document| place_of(document, &short.place)).unwrap_or(&whole);
        found.push(Diagnostic::at(place, Severity::Error, short.to_string()));
    }
}

/// What the policy needs to know of a person.
pub(super) fn facts(person: &Record) -> DirectoryFacts {
    DirectoryFacts {
        email: person.email.clone(),
        id: person.id.clone(),
        active: person.active,
        human: person.is_human(),
        groups: person.groups.clone(),
    }
}

/// Where a route or rule begins.
fn place_of<'d>(document: &'d Table, place: &policy::Place) -> Option<&'d Place> {
    match place {
        policy::Place::Route(name) | policy::Place::Escalation(name) => match &document.entries.get("routes")?.item.value {
            Value::Table(routes) => routes.entries.get(name).map(|entry| &entry.key_place),
            _ => None,
        },
        policy::Place::Rule(id) => match &document.entries.get("rule")?.item.value {
            Value::List(rules) => rules.iter().find_map(|item| match &item.value {
                Value::Table(rule) => match &rule.entries.get("id")?.item {
                    document::Item { value: Value::Text(text), place } if text == id => Some(place),
                    _ => None,
                },
                _ => None,
            }),
            _ => None,
        },
    }
}
