//! Owns `[audit]`: the key that signs the head of the audit log.
//!
//! Never reads the key: `crate::keys` does.

use crate::config::fields::{Fields, KeySource, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};

/// `[audit]`.
#[derive(Debug, Clone)]
pub struct Audit {
    /// Ed25519, PKCS#8 PEM.
    pub checkpoint_key: KeySource,
}

impl Default for Audit {
    fn default() -> Self {
        Self { checkpoint_key: KeySource::File("audit-key.pem".into()) }
    }
}

impl Section for Audit {
    const NAME: &'static str = "audit";
    const HEADING: &'static str = "[audit]";
    const KEYS: &'static [Key] = &[Key::new(
        "audit",
        "checkpoint_key",
        Kind::Secret,
        Preset::File("audit-key.pem"),
        "Ed25519 key (PKCS#8 PEM) that signs the head of the log, so that a cut tail shows. Made and required by the same rule as the grant key.",
    )];

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { checkpoint_key: fields.key_source("checkpoint_key", "audit-key.pem") }
    }

    fn validate(&self) -> Vec<Invalid> {
        Vec::new()
    }
}
