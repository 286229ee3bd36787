//! Owns `[secrets]`: where the master key comes from.
//!
//! Never reads it: `crate::keys` does, with its checks.

use crate::config::fields::{Fields, KeySource, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};

/// `[secrets]`.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// 32 random bytes as base64; sessions, commitments and data keys are derived from it.
    pub master_key: KeySource,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { master_key: KeySource::File("countersign.key".into()) }
    }
}

impl Section for Secrets {
    const NAME: &'static str = "secrets";
    const HEADING: &'static str = "[secrets]";
    const KEYS: &'static [Key] = &[Key::new(
        "secrets",
        "master_key",
        Kind::Secret,
        Preset::File("countersign.key"),
        "32 random bytes as base64. Sessions, commitments in the log and data keys derive from it: without it stored texts cannot be read again.",
    )];

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { master_key: fields.key_source("master_key", "countersign.key") }
    }

    fn validate(&self) -> Vec<Invalid> {
        Vec::new()
    }
}
