//! Owns `[admin]`: which directory groups administer the server.
//!
//! Never lifts separation of duties: an administrator approves nothing of their own either.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};

/// `[admin]`. Without it nobody administers.
#[derive(Debug, Clone, Default)]
pub struct Admin {
    /// Groups of the directory; empty: nobody.
    pub groups: Vec<String>,
}

impl Section for Admin {
    const NAME: &'static str = "admin";
    const HEADING: &'static str = "[admin]";
    const KEYS: &'static [Key] = &[Key::new(
        "admin",
        "groups",
        Kind::List,
        Preset::Value("[]"),
        "Directory groups whose people may revoke and freeze. Empty: nobody. No administrator approves their own request.",
    )];

    fn read(fields: &mut Fields<'_>) -> Self {
        Self { groups: fields.list("groups", group).unwrap_or_default() }
    }

    fn validate(&self) -> Vec<Invalid> {
        Vec::new()
    }
}

fn group(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("a group without a name".to_owned()) } else { Ok(text.to_owned()) }
}
