//! Owns `[directory]`: which sources know the people.
//!
//! Never reads them: `crate::directory` does. Without this section nobody can be verified, so nobody can approve.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use std::path::PathBuf;
use std::time::Duration;

/// A place that knows people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectorySource {
    /// `directory.toml`.
    File,
}

/// Sources that the product knows and this version lacks.
const LATER: [&str; 6] = ["scim", "graph", "okta", "ldap", "google", "slack"];

/// `[directory]`.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Asked in this order; empty: nobody is known.
    pub sources: Vec<DirectorySource>,
    /// The file of people.
    pub file: PathBuf,
    /// How old the last contact of a pushed source may be. The file is not pushed: it is looked at with each question.
    pub max_staleness: Duration,
}

impl Default for Directory {
    fn default() -> Self {
        Self { sources: vec![DirectorySource::File], file: "directory.toml".into(), max_staleness: Duration::from_mins(10) }
    }
}

impl Section for Directory {
    const NAME: &'static str = "directory";
    const HEADING: &'static str = "[directory]";
    const KEYS: &'static [Key] = &[
        Key::new(
            "directory",
            "sources",
            Kind::List,
            Preset::Value("[\"file\"]"),
            "Where people are known from. This version has \"file\". Empty: nobody is known, so nobody can approve.",
        ),
        Key::new(
            "directory",
            "file",
            Kind::Path,
            Preset::Value("\"directory.toml\""),
            "The file of people; read again when changed. While it is invalid every approval is refused.",
        ),
        Key::new(
            "directory",
            "max_staleness",
            Kind::Duration,
            Preset::Value("\"10m\""),
            "How long ago a source that pushes to us may have been heard of last. The file does not push: it is looked at with each question.",
        ),
    ];

    fn read(fields: &mut Fields<'_>) -> Self {
        let defaults = Self::default();
        let sources = fields.list("sources", source).unwrap_or(defaults.sources);
        let file = fields.path_or("file", "directory.toml");
        let max_staleness = fields.duration("max_staleness").unwrap_or(defaults.max_staleness);
        Self { sources, file, max_staleness }
    }

    fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        if self.sources.len() > 1 {
            found.push(Invalid::new("sources", "sources names a source twice"));
        }
        if self.max_staleness.is_zero() {
            found.push(Invalid::new("max_staleness", "max_staleness must be more than \"0s\""));
        }
        found
    }
}

fn source(text: &str) -> Result<DirectorySource, String> {
    match text {
        "file" => Ok(DirectorySource::File),
        later if LATER.contains(&later) => Err(format!("source \"{later}\" is not supported by this version; write [\"file\"]")),
        other => Err(format!("unknown source \"{}\"; write [\"file\"]", other.escape_debug())),
    }
}
