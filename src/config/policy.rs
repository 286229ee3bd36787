//! Owns `[policy]`: which file holds the policy and who may change it.
//!
//! Never reads the policy itself.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use std::path::PathBuf;

/// Who is master of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicySource {
    /// The file; changes through the API are refused.
    File,
    /// The API; the file only seeds an empty database.
    Api,
}

/// `[policy]`.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who is master of it.
    pub source: PolicySource,
    /// The policy file.
    pub file: PathBuf,
}

impl Default for Policy {
    fn default() -> Self {
        Self { source: PolicySource::File, file: "policy.toml".into() }
    }
}

impl Section for Policy {
    const NAME: &'static str = "policy";
    const HEADING: &'static str = "[policy]";
    const KEYS: &'static [Key] = &[
        Key::new(
            "policy",
            "source",
            Kind::Choice(&["file", "api"]),
            Preset::Value("\"file\""),
            "\"file\": the file is the policy, changes by API are refused. \"api\": the file only seeds an empty database.",
        ),
        Key::new(
            "policy",
            "file",
            Kind::Path,
            Preset::Value("\"policy.toml\""),
            "The policy; applied at start and on SIGHUP when it differs from the active version.",
        ),
    ];

    fn read(fields: &mut Fields<'_>) -> Self {
        let source = fields.choice("source", &[("file", PolicySource::File), ("api", PolicySource::Api)]).unwrap_or(PolicySource::File);
        let file = fields.path_or("file", "policy.toml");
        Self { source, file }
    }

    fn validate(&self) -> Vec<Invalid> {
        Vec::new()
    }
}
