//! Owns the form of `directory.toml`: strict, every mistake with line and column.
//!
//! Never quotes a person's data in a message: it goes to the log, so mistakes name places.

use crate::config::document::{self, ConfigError, Entry, Item, Place, Table, Value};
use crate::config::email;
use crate::config::fields::Fields;
use crate::config::key::{Key, Kind, Preset};
use crate::directory::{Record, SlackAccount, SlackHome};
use crate::domain::ids::PersonId;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// Keys of `[[person]]`.
pub(super) const PERSON: &[Key] = &[
    Key::new("person", "id", Kind::Text, Preset::Absent, "The pseudonym in the audit log (per_…); given out at the first tap when absent."),
    Key::new("person", "name", Kind::Text, Preset::Required, "Shown on cards; never used to recognise anybody."),
    Key::new("person", "email", Kind::Text, Preset::Required, "Unique, compared without case."),
    Key::new("person", "active", Kind::Boolean, Preset::Value("true"), "false: can neither approve nor be acted for."),
    Key::new("person", "kind", Kind::Text, Preset::Value("\"human\""), "Anything but \"human\" never approves."),
    Key::new("person", "groups", Kind::List, Preset::Value("[]"), "Names that seats of the policy ask for."),
    Key::new("person", "slack", Kind::Table, Preset::Absent, "The account that is this person, or a list of accounts."),
    Key::new("person", "entra_object_id", Kind::Text, Preset::Absent, "The object id in Entra, a GUID."),
    Key::new("person", "oidc_subject", Kind::Text, Preset::Absent, "The subject at the sign-in issuer."),
    Key::new("person", "manager", Kind::Text, Preset::Absent, "For reviewer_when."),
    Key::new("person", "department", Kind::Text, Preset::Absent, "For reviewer_when."),
    Key::new("person", "attributes", Kind::Table, Preset::Absent, "Anything else for reviewer_when."),
];

/// Keys of `slack = { … }`.
const SLACK: &[Key] = &[
    Key::new("person.slack", "team_id", Kind::Text, Preset::Absent, "The workspace, T…."),
    Key::new("person.slack", "enterprise_id", Kind::Text, Preset::Absent, "The organisation, E…."),
    Key::new("person.slack", "user_id", Kind::Text, Preset::Required, "The account, U… or W…."),
];

/// The file cannot be read at all.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::new(Place::Whole { file: path.display().to_string().into() }, format!("cannot read the directory: {error}"))
}

/// Everybody in `text`, in the order of the file.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Record>, Vec<ConfigError>> {
    let document = document::parse(file, text)?;
    let mut errors = Vec::new();
    let mut people = Vec::new();
    for (name, Entry { key_place, item }) in &document.entries {
        match &item.value {
            Value::List(items) if name == "person" => {
                for item in items {
                    people.extend(person(item, &mut errors).map(|record| (record, item.place.clone())));
                }
            }
            _ if name == "person" => errors.push(ConfigError::new(key_place.clone(), "write [[person]] for each person")),
            _ => errors.push(ConfigError::new(key_place.clone(), "unknown key; this file holds only [[person]]")),
        }
    }
    refuse_shared(&people, &mut errors);
    if errors.is_empty() {
        Ok(people.into_iter().map(|(record, _)| record).collect())
    } else {
        errors.sort();
        Err(errors)
    }
}

fn person(item: &Item, errors: &mut Vec<ConfigError>) -> Option<Record> {
    let Value::Table(table) = &item.value else {
        errors.push(ConfigError::new(item.place.clone(), "write [[person]] for each person"));
        return None;
    };
    let mut fields = Fields::new("[[person]]", PERSON, table, item.place.clone(), Path::new(""));
    for required in ["name", "email"] {
        if !fields.given(required) {
            fields.fail(required, format!("{required} is required in [[person]]"));
        }
    }
    let id = fields.parsed("id", |text| text.parse::<PersonId>().map_err(|error| error.to_string()));
    let address = fields.parsed("email", address).unwrap_or_default();
    let key = format!("file:{}", id.as_ref().map_or_else(|| email::folded(&address), ToString::to_string));
    let slack = fields.raw("slack").map(|item| accounts(item, errors)).unwrap_or_default();
    let attributes = fields.raw("attributes").map(|item| attributes(item, errors)).unwrap_or_default();
    let record = Record {
        key,
        id,
        name: fields.parsed("name", word).unwrap_or_default(),
        email: address,
        active: fields.boolean("active").unwrap_or(true),
        kind: fields.parsed("kind", kind).unwrap_or_else(|| "human".to_owned()),
        groups: fields.list("groups", word).unwrap_or_default().into_iter().collect::<BTreeSet<_>>(),
        slack,
        entra_object_id: fields.parsed("entra_object_id", guid),
        oidc_subject: fields.parsed("oidc_subject", word),
        manager: fields.parsed("manager", word),
        department: fields.parsed("department", word),
        attributes,
    };
    errors.extend(fields.close(Vec::new()));
    Some(record)
}

/// `slack = { … }` or a list of such tables.
fn accounts(item: &Item, errors: &mut Vec<ConfigError>) -> Vec<SlackAccount> {
    match &item.value {
        Value::List(items) => items.iter().filter_map(|item| account(item, errors)).collect(),
        _ => account(item, errors).into_iter().collect(),
    }
}

fn account(item: &Item, errors: &mut Vec<ConfigError>) -> Option<SlackAccount> {
    let Value::Table(table) = &item.value else {
        errors.push(ConfigError::new(
            item.place.clone(),
            "slack must be a table such as { team_id = \"T0123\", user_id = \"U0123\" }, or a list of such",
        ));
        return None;
    };
    let mut fields = Fields::new("slack", SLACK, table, item.place.clone(), Path::new(""));
    let team = fields.parsed("team_id", |text| slack_id(text, "T")).map(SlackHome::Team);
    let enterprise = fields.parsed("enterprise_id", |text| slack_id(text, "E")).map(SlackHome::Enterprise);
    let user_id = fields.parsed("user_id", |text| slack_id(text, "UW"));
    if !fields.given("user_id") {
        fields.fail("user_id", "slack needs a user_id");
    }
    if fields.given("team_id") == fields.given("enterprise_id") {
        fields.fail("team_id", "slack needs exactly one of team_id and enterprise_id");
    }
    errors.extend(fields.close(Vec::new()));
    Some(SlackAccount { home: team.or(enterprise)?, user_id: user_id? })
}

fn attributes(item: &Item, errors: &mut Vec<ConfigError>) -> serde_json::Map<String, serde_json::Value> {
    if let Value::Table(table) = &item.value {
        return members(table, errors);
    }
    errors.push(ConfigError::new(item.place.clone(), format!("attributes must be a table, not {}", item.value.kind())));
    serde_json::Map::new()
}

fn members(table: &Table, errors: &mut Vec<ConfigError>) -> serde_json::Map<String, serde_json::Value> {
    table.entries.iter().map(|(name, entry)| (name.clone(), json(&entry.item, errors))).collect()
}

fn json(item: &Item, errors: &mut Vec<ConfigError>) -> serde_json::Value {
    match &item.value {
        Value::Text(text) | Value::Time(text) => text.as_str().into(),
        Value::Integer(number) => (*number).into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Float(number) => serde_json::Number::from_f64(*number).map_or_else(
            || {
                errors.push(ConfigError::new(item.place.clone(), "an attribute must be a finite number"));
                serde_json::Value::Null
            },
            serde_json::Value::Number,
        ),
        Value::List(items) => items.iter().map(|item| json(item, errors)).collect(),
        Value::Table(table) => members(table, errors).into(),
    }
}

/// What identifies a person may stand once only: a tap could not be told apart otherwise.
fn refuse_shared(people: &[(Record, Place)], errors: &mut Vec<ConfigError>) {
    let mut seen: HashMap<(&'static str, String), &Place> = HashMap::new();
    for (person, place) in people {
        let mut marks = vec![("this e-mail address", email::folded(&person.email))];
        marks.extend(person.id.iter().map(|id| ("this id", id.to_string())));
        marks.extend(person.entra_object_id.iter().map(|id| ("this entra_object_id", id.clone())));
        marks.extend(person.oidc_subject.iter().map(|subject| ("this oidc_subject", subject.clone())));
        marks.extend(person.slack.iter().map(|account| ("this Slack account", format!("{account:?}"))));
        for (what, mark) in marks.into_iter().filter(|(_, mark)| !mark.is_empty()) {
            if let Some(first) = seen.get(&(what, mark.clone())) {
                errors.push(ConfigError::new(place.clone(), format!("{what} is used twice; the other is at {first}")));
            } else {
                seen.insert((what, mark), place);
            }
        }
    }
}

fn address(text: &str) -> Result<String, String> {
    if email::is_address(text) { Ok(text.to_owned()) } else { Err("this is not an e-mail address".to_owned()) }
}

fn word(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err("must not be empty or hold control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A lower-case word: `Human` would otherwise silently be nobody.
fn kind(text: &str) -> Result<String, String> {
    let fits =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
    if fits { Ok(text.to_owned()) } else { Err("must be a lower-case word such as \"human\" or \"service\"".to_owned()) }
}

/// A GUID, in lower case: Entra writes both.
fn guid(text: &str) -> Result<String, String> {
    uuid::Uuid::try_parse(text)
        .ok()
        .map(|id| id.hyphenated().to_string())
        .filter(|id| id.eq_ignore_ascii_case(text))
        .ok_or_else(|| "this is not a GUID such as 00000000-0000-0000-0000-000000000000".to_owned())
}

/// An id as Slack writes them: one of `letters`, then upper-case letters and digits.
fn slack_id(text: &str, letters: &str) -> Result<String, String> {
    let fits = text.len() > 1
        && text.starts_with(|first| letters.contains(first))
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if fits {
        Ok(text.to_owned())
    } else {
        let letters: Vec<String> = letters.chars().map(|letter| format!("{letter}…")).collect();
        Err(format!("this is not an id of Slack such as {}", letters.join(" or ")))
    }
}
