//! Owns the overlay of the environment: `COUNTERSIGN_<SECTION>__<KEY>` replaces the key of the file.
//!
//! Never reads the environment itself: it is an argument. A name of that form that means nothing is a mistake, for it may be a misspelt restriction.

use crate::config::document::{self, ConfigError, Entry, Item, Place, Table, Value};
use crate::config::fields::Fields;
use crate::config::key::{Key, Kind, Preset};
use crate::config::suggest;

const PREFIX: &str = "COUNTERSIGN_";

/// Lays the variables over `tree`. Variables without `__`, such as `COUNTERSIGN_URL`, are none of ours.
pub(crate) fn overlay(
    tree: &mut Table,
    variables: impl Iterator<Item = (String, String)>,
    sections: &[(&str, &'static [Key])],
    later: &[&str],
) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (variable, text) in variables {
        let Some((section, key)) = variable.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__")) else { continue };
        let place = Place::Variable(variable.clone());
        match value(&section.to_lowercase(), &key.to_lowercase(), &variable, text, &place, sections, later) {
            Ok((section, key, value)) => insert(tree, section, key, Item { value, place }),
            Err(message) => errors.push(ConfigError::new(place, message)),
        }
    }
    errors
}

fn value(
    section: &str,
    key: &str,
    variable: &str,
    text: String,
    place: &Place,
    sections: &[(&str, &'static [Key])],
    later: &[&str],
) -> Result<(String, String, Value), String> {
    if section == "clients" {
        return Err(
            "[[clients]] cannot come from the environment; put them into the file, with key_file or key_sha256 where no secret may stand"
                .to_owned(),
        );
    }
    if later.contains(&section) {
        return Err(format!("[{section}] is not supported by this version; remove it"));
    }
    let Some((_, keys)) = sections.iter().find(|(name, _)| *name == section) else {
        return Err(format!("unknown variable{}", hint(variable, sections)));
    };
    let kind = Fields::kind_of(keys, key).ok_or_else(|| format!("unknown variable{}", hint(variable, sections)))?;
    let value = match kind {
        Kind::Boolean => Value::Boolean(text.parse().map_err(|_| format!("{key} must be true or false"))?),
        Kind::List => Value::List(list(&text, place)?),
        _ => Value::Text(text),
    };
    Ok((section.to_owned(), key.to_owned(), value))
}

/// `a,b`, or a TOML list when it begins with a bracket; empty is an empty list.
fn list(text: &str, place: &Place) -> Result<Vec<Item>, String> {
    if text.trim_start().starts_with('[') {
        let parsed =
            document::parse("value", &format!("value = {text}")).map_err(|_| "not a TOML list; write a,b or [\"a\", \"b\"]".to_owned())?;
        let Some(Entry { item: Item { value: Value::List(items), .. }, .. }) = parsed.entries.get("value") else {
            return Err("not a TOML list; write a,b or [\"a\", \"b\"]".to_owned());
        };
        return Ok(items.iter().map(|item| Item { value: item.value.clone(), place: place.clone() }).collect());
    }
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(words.map(|word| Item { value: Value::Text(word.to_owned()), place: place.clone() }).collect())
}

fn insert(tree: &mut Table, section: String, key: String, item: Item) {
    let place = item.place.clone();
    let entry = tree
        .entries
        .entry(section)
        .or_insert_with(|| Entry { key_place: place.clone(), item: Item { value: Value::Table(Table::default()), place: place.clone() } });
    // A section of the wrong type is reported as that.
    if let Value::Table(table) = &mut entry.item.value {
        table.entries.insert(key, Entry { key_place: place, item });
    }
}

fn hint(variable: &str, sections: &[(&str, &'static [Key])]) -> String {
    let known: Vec<String> = sections
        .iter()
        .flat_map(|(_, keys)| keys.iter())
        .filter(|key| key.preset != Preset::Unsupported)
        .flat_map(|key| {
            let section = key.section.to_uppercase();
            key.spellings().map(move |name| format!("{PREFIX}{section}__{}", name.to_uppercase()))
        })
        .collect();
    suggest::hint(variable, known.iter().map(String::as_str))
}
