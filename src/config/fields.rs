//! Owns the typed reading of one table: takes keys out by type, collects every mistake with its place, refuses what it does not know.
//!
//! Never stops at the first mistake, and never puts the value of a secret into a message.

use crate::config::document::{ConfigError, Item, Place, Table, Value};
use crate::config::key::{Invalid, Key, Kind, Preset};
use crate::config::{duration, secret, suggest};
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A path to a file, or the text itself: how keys (master, grant, audit) are given.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The file; it may not exist yet.
    File(PathBuf),
    /// The key as text, from the configuration or the environment.
    Text(SecretString),
}

/// One table under reading.
pub(crate) struct Fields<'a> {
    /// How the table is written, e.g. `[server]` or `[[clients]]`.
    heading: &'static str,
    keys: &'static [Key],
    table: &'a Table,
    /// Where its heading stands.
    place: Place,
    base: &'a Path,
    failed: BTreeSet<String>,
    errors: Vec<ConfigError>,
}

impl<'a> Fields<'a> {
    /// Starts to read `table`, written as `heading`; relative paths start at `base`.
    pub(crate) fn new(heading: &'static str, keys: &'static [Key], table: &'a Table, place: Place, base: &'a Path) -> Self {
        let mut fields = Self { heading, keys, table, place, base, failed: BTreeSet::new(), errors: Vec::new() };
        fields.refuse_unknown();
        fields
    }

    fn refuse_unknown(&mut self) {
        let known: Vec<String> = self.keys.iter().filter(|key| key.preset != Preset::Unsupported).flat_map(Key::spellings).collect();
        for (name, entry) in &self.table.entries {
            if known.contains(name) {
                continue;
            }
            let unsupported =
                self.keys.iter().any(|key| key.preset == Preset::Unsupported && key.spellings().any(|spelling| spelling == *name));
            if unsupported {
                if !matches!(&entry.item.value, Value::List(items) if items.is_empty()) {
                    let message = format!("{name} in {} is not supported by this version; remove it", self.heading);
                    self.errors.push(ConfigError::new(entry.key_place.clone(), message));
                }
                continue;
            }
            let hint = suggest::hint(name, known.iter().map(String::as_str));
            let message = format!("unknown key \"{}\" in {}{hint}", name.escape_debug(), self.heading);
            self.errors.push(ConfigError::new(entry.key_place.clone(), message));
        }
    }

    /// Whether the key is written at all.
    pub(crate) fn given(&self, name: &str) -> bool {
        self.table.entries.contains_key(name)
    }

    /// Where the value of `name`, or of `<name>_file`, stands; the heading when it is absent.
    fn place_of(&self, name: &str) -> Place {
        let entry = self.table.entries.get(name).or_else(|| self.table.entries.get(&format!("{name}_file")));
        entry.map_or_else(|| self.place.clone(), |entry| entry.item.place.clone())
    }

    /// Records that `name` is wrong.
    pub(crate) fn fail(&mut self, name: &str, message: impl Into<String>) {
        self.fail_at(name, self.place_of(name), message);
    }

    fn fail_at(&mut self, name: &str, place: Place, message: impl Into<String>) {
        self.failed.insert(name.to_owned());
        self.errors.push(ConfigError::new(place, message));
    }

    fn item(&self, name: &str) -> Option<&'a Item> {
        debug_assert!(self.keys.iter().any(|key| key.spellings().any(|spelling| spelling == name)), "{name} is not in the list of keys");
        self.table.entries.get(name).map(|entry| &entry.item)
    }

    fn wrong_type(&mut self, name: &str, wanted: &str, item: &Item) {
        self.fail_at(name, item.place.clone(), format!("{name} must be {wanted}, not {}", item.value.kind()));
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.parsed(name, |text| Ok(text.to_owned()))
    }

    /// A text that `parse` understands; its message gets the key in front.
    pub(crate) fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let item = self.item(name)?;
        let Value::Text(text) = &item.value else {
            self.wrong_type(name, "a string", item);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fail_at(name, item.place.clone(), format!("{name}: {message}"));
                None
            }
        }
    }

    /// One of the words that the list of keys allows.
    pub(crate) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parsed(name, |text| {
            choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                format!("\"{}\" is not known; write {}", text.escape_debug(), words.join(" or "))
            })
        })
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        let item = self.item(name)?;
        if let Value::Boolean(flag) = item.value {
            return Some(flag);
        }
        self.wrong_type(name, "true or false", item);
        None
    }

    /// A duration such as `"10m"`.
    pub(crate) fn duration(&mut self, name: &str) -> Option<Duration> {
        self.parsed(name, duration::parse)
    }

    /// A list of texts, each of which `parse` understands.
    pub(crate) fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let item = self.item(name)?;
        let Value::List(items) = &item.value else {
            self.wrong_type(name, "a list of strings", item);
            return None;
        };
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let parsed = match &item.value {
                Value::Text(text) => parse(text),
                other => Err(format!("every entry must be a string, not {}", other.kind())),
            };
            match parsed {
                Ok(value) => values.push(value),
                Err(message) => self.fail_at(name, item.place.clone(), format!("{name}: {message}")),
            }
        }
        Some(values)
    }

    /// Any value, with its place: for what only one section has.
    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a Item> {
        self.item(name)
    }

    /// A path; a relative one starts at the directory of the configuration file.
    pub(crate) fn path(&mut self, name: &str) -> Option<PathBuf> {
        let base = self.base;
        self.parsed(name, |text| if text.is_empty() { Err("the path is empty".to_owned()) } else { Ok(base.join(text)) })
    }

    /// A path with a default, which starts at the same directory.
    pub(crate) fn path_or(&mut self, name: &str, default: &str) -> PathBuf {
        self.path(name).unwrap_or_else(|| self.base.join(default))
    }

    /// A secret, from `name` or from the file `<name>_file`; both is a mistake, and so is an empty one.
    pub(crate) fn secret(&mut self, name: &str) -> Option<SecretString> {
        let file = format!("{name}_file");
        match (self.given(name), self.given(&file)) {
            (true, true) => {
                self.fail(name, format!("{name} and {file} are both given; keep one"));
                None
            }
            (true, false) => {
                let text = self.text(name)?;
                if text.is_empty() {
                    self.fail(name, format!("{name} is empty"));
                    return None;
                }
                Some(SecretString::from(text))
            }
            (false, true) => {
                let path = self.path(&file);
                let result = path.map(|path| secret::read(&path));
                match result {
                    Some(Ok(secret)) => return Some(secret),
                    Some(Err(message)) => self.fail(&file, format!("{file}: {message}")),
                    None => {}
                }
                self.failed.insert(name.to_owned());
                None
            }
            (false, false) => None,
        }
    }

    /// A secret that may also be given as `""`, which means that there is none.
    pub(crate) fn optional_secret(&mut self, name: &str) -> Option<SecretString> {
        let empty = matches!(self.item(name), Some(Item { value: Value::Text(text), .. }) if text.is_empty());
        if empty && !self.given(&format!("{name}_file")) { None } else { self.secret(name) }
    }

    /// A key: its text in `name`, or the path of its file in `<name>_file`. The file is not read: it may have to be made first.
    pub(crate) fn key_source(&mut self, name: &str, default_file: &str) -> KeySource {
        let file = format!("{name}_file");
        if self.given(name) {
            return self.secret(name).map_or_else(|| KeySource::File(self.base.join(default_file)), KeySource::Text);
        }
        KeySource::File(self.path_or(&file, default_file))
    }

    /// Adds what the finished section says about itself, unless the key was already found wrong; then all mistakes.
    pub(crate) fn close(mut self, invalid: Vec<Invalid>) -> Vec<ConfigError> {
        for Invalid { key, message } in invalid {
            if !self.failed.contains(key) {
                self.fail(key, message);
            }
        }
        self.errors
    }

    /// The type of a key, for the environment.
    pub(crate) fn kind_of(keys: &[Key], name: &str) -> Option<Kind> {
        keys.iter().find_map(|key| {
            if key.name == name {
                Some(key.kind)
            } else if key.spellings().any(|spelling| spelling == name) {
                Some(Kind::Path)
            } else {
                None
            }
        })
    }
}

/// Keys of a section that is always there, e.g. `[server]`, and how it reads and judges itself.
pub(crate) trait Section: Sized {
    /// The name in brackets.
    const NAME: &'static str;
    /// The heading as it is written.
    const HEADING: &'static str;
    /// Its keys.
    const KEYS: &'static [Key];
    /// Takes the values out; what is absent or wrong gets its default.
    fn read(fields: &mut Fields<'_>) -> Self;
    /// What the values must obey together or by range.
    fn validate(&self) -> Vec<Invalid>;
}
