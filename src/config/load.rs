//! Owns the way from a file and the environment to a [`Config`], or to the list of all mistakes.
//!
//! Never returns a configuration together with a mistake, and never stops at the first one.

use crate::config::document::{self, ConfigError, Entry, Item, Place, Table, Value};
use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key};
use crate::config::{
    Config, admin, audit, clients, database, directory, environment, grants, policy, secrets, server, slack, suggest, webhooks,
};
use std::path::Path;

/// Every section with its keys.
pub(crate) const SECTIONS: [(&str, &[Key]); 11] = [
    listed::<server::Server>(),
    listed::<database::Database>(),
    listed::<secrets::Secrets>(),
    listed::<policy::Policy>(),
    listed::<admin::Admin>(),
    listed::<slack::Slack>(),
    listed::<directory::Directory>(),
    listed::<grants::Grants>(),
    listed::<audit::Audit>(),
    listed::<webhooks::Webhooks>(),
    listed::<clients::Client>(),
];

/// Sections of the contract whose effect this version lacks.
const LATER: [&str; 4] = ["teams", "scim", "oidc", "trusted_issuers"];

const fn listed<S: Section>() -> (&'static str, &'static [Key]) {
    (S::NAME, S::KEYS)
}

impl Config {
    /// Reads `path` (none: defaults only), lays `environment` over it and checks everything.
    ///
    /// Relative paths of file keys start at the directory of `path`. Errors are sorted as they stand in the file; those of the environment
    /// follow. After a syntax error nothing else is judged: half a document would only mislead.
    pub fn load(path: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, Vec<ConfigError>> {
        let mut tree = match path {
            Some(path) => read(path)?,
            None => Table::default(),
        };
        let base = path.and_then(Path::parent).unwrap_or(Path::new(""));
        let mut errors = environment::overlay(&mut tree, environment, &SECTIONS, &LATER);
        let config = Loader { tree: &tree, base, errors: &mut errors }.config();
        if errors.is_empty() {
            Ok(config)
        } else {
            errors.sort();
            Err(errors)
        }
    }

    /// What a configuration that was not loaded from a file gets wrong, e.g. one that a test or the demo built: the section and the mistake.
    pub fn validate(&self) -> Vec<(&'static str, Invalid)> {
        fn of<S: Section>(section: &S) -> impl Iterator<Item = (&'static str, Invalid)> + use<S> {
            section.validate().into_iter().map(|invalid| (S::NAME, invalid))
        }
        let mut found: Vec<_> = of(&self.server)
            .chain(of(&self.database))
            .chain(of(&self.secrets))
            .chain(of(&self.policy))
            .chain(of(&self.admin))
            .chain(self.slack.iter().flat_map(of))
            .chain(self.directory.iter().flat_map(of))
            .chain(of(&self.grants))
            .chain(of(&self.audit))
            .chain(of(&self.webhooks))
            .chain(self.clients.iter().flat_map(of))
            .collect();
        found.extend(clients::shared(&self.clients).into_iter().map(|(_, invalid)| (clients::Client::NAME, invalid)));
        found
    }
}

fn read(path: &Path) -> Result<Table, Vec<ConfigError>> {
    let file = path.display().to_string();
    let whole = |message: String| vec![ConfigError::new(Place::Whole { file: file.as_str().into() }, message)];
    let bytes = std::fs::read(path).map_err(|error| whole(format!("cannot read the configuration: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        whole(format!("line {line} is not UTF-8 text"))
    })?;
    document::parse(&file, &text)
}

/// The tree under reading, with what was found so far.
struct Loader<'a> {
    tree: &'a Table,
    base: &'a Path,
    errors: &'a mut Vec<ConfigError>,
}

impl Loader<'_> {
    fn config(mut self) -> Config {
        self.refuse_unknown();
        Config {
            server: self.section().unwrap_or_default(),
            database: self.section().unwrap_or_default(),
            secrets: self.section().unwrap_or_else(|| self.absent()),
            policy: self.section().unwrap_or_else(|| self.absent()),
            admin: self.section().unwrap_or_default(),
            slack: self.section(),
            directory: self.section(),
            grants: self.section().unwrap_or_else(|| self.absent()),
            audit: self.section().unwrap_or_else(|| self.absent()),
            webhooks: self.section().unwrap_or_default(),
            clients: self.clients(),
        }
    }

    fn refuse_unknown(&mut self) {
        for (name, Entry { key_place, .. }) in &self.tree.entries {
            let message = if LATER.contains(&name.as_str()) {
                format!("[{name}] is not supported by this version; remove it")
            } else if SECTIONS.iter().any(|(known, _)| known == name) {
                continue;
            } else {
                format!("unknown section [{}]{}", name.escape_debug(), suggest::hint(name, SECTIONS.iter().map(|(known, _)| *known)))
            };
            self.errors.push(ConfigError::new(key_place.clone(), message));
        }
    }

    /// The section, when it is there.
    fn section<S: Section>(&mut self) -> Option<S> {
        let Entry { key_place, item } = self.tree.entries.get(S::NAME)?;
        let Value::Table(table) = &item.value else {
            let message = format!("{} must be a table, written {}, not {}", S::NAME, S::HEADING, item.value.kind());
            self.errors.push(ConfigError::new(key_place.clone(), message));
            return None;
        };
        let mut fields = Fields::new(S::HEADING, S::KEYS, table, key_place.clone(), self.base);
        let section = S::read(&mut fields);
        let invalid = section.validate();
        self.errors.extend(fields.close(invalid));
        Some(section)
    }

    /// What a section without heading means where its default has a path, which starts at the directory of the file.
    fn absent<S: Section>(&self) -> S {
        let empty = Table::default();
        S::read(&mut Fields::new(S::HEADING, S::KEYS, &empty, Place::Defaults, self.base))
    }

    fn clients(&mut self) -> Vec<clients::Client> {
        let Some(Entry { key_place, item }) = self.tree.entries.get(clients::Client::NAME) else { return Vec::new() };
        let Value::List(items) = &item.value else {
            self.errors.push(ConfigError::new(key_place.clone(), format!("write {} for each client", clients::Client::HEADING)));
            return Vec::new();
        };
        let mut read = Vec::new();
        for Item { value, place } in items {
            let Value::Table(table) = value else {
                self.errors.push(ConfigError::new(place.clone(), format!("write {} for each client", clients::Client::HEADING)));
                continue;
            };
            let mut fields = Fields::new(clients::Client::HEADING, clients::Client::KEYS, table, place.clone(), self.base);
            let client = <clients::Client as Section>::read(&mut fields);
            read.push((client, fields));
        }
        let mut shared = clients::shared(&read.iter().map(|(client, _)| client.clone()).collect::<Vec<_>>());
        let mut clients = Vec::new();
        for (index, (client, fields)) in read.into_iter().enumerate() {
            let mut invalid = client.validate();
            invalid.extend(shared.extract_if(.., |(of, _)| *of == index).map(|(_, invalid)| invalid));
            self.errors.extend(fields.close(invalid));
            clients.push(client);
        }
        clients
    }
}
