//! Owns `[grants]`: the key that signs grants and how long a token lives.
//!
//! Never reads the key: `crate::keys` does.

use crate::config::fields::{Fields, KeySource, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use std::time::Duration;

/// `[grants]`.
#[derive(Debug, Clone)]
pub struct Grants {
    /// EC P-256, PKCS#8 PEM.
    pub key: KeySource,
    /// Life of a token, 10 s to 120 s; a caller or a rule may shorten it.
    pub ttl: Duration,
}

impl Default for Grants {
    fn default() -> Self {
        Self { key: KeySource::File("grant-key.pem".into()), ttl: Duration::from_mins(2) }
    }
}

impl Section for Grants {
    const NAME: &'static str = "grants";
    const HEADING: &'static str = "[grants]";
    const KEYS: &'static [Key] = &[
        Key::new(
            "grants",
            "key",
            Kind::Secret,
            Preset::File("grant-key.pem"),
            "EC P-256 key (PKCS#8 PEM) that signs grants. Made at the first start on SQLite with an empty database only; later a missing one is an error.",
        ),
        Key::new(
            "grants",
            "ttl",
            Kind::Duration,
            Preset::Value("\"120s\""),
            "Life of a grant's token, 10s to 120s: a stolen one is soon worth nothing.",
        ),
    ];

    fn read(fields: &mut Fields<'_>) -> Self {
        let ttl = fields.duration("ttl").unwrap_or(Self::default().ttl);
        Self { key: fields.key_source("key", "grant-key.pem"), ttl }
    }

    fn validate(&self) -> Vec<Invalid> {
        if (10..=120).contains(&self.ttl.as_secs()) {
            Vec::new()
        } else {
            vec![Invalid::new("ttl", "ttl must be from \"10s\" to \"120s\"")]
        }
    }
}
