//! Owns the configuration: one file per section with its keys, defaults and checks, read once from a TOML file and the environment.
//!
//! Never acts on a value, never reads the environment by itself, never shows a secret: `Debug` of [`Config`] is safe to log.
//!
//! To add a key: a line in the section's `KEYS`, a line in its `read`, what it must obey in `validate`, and the key with default and reason in
//! `countersign.example.toml` (a test compares). To add a section: a file with a struct that is a `Section`, and its lines in `load.rs`.

pub mod admin;
pub mod api_key;
pub mod audit;
pub mod clients;
pub mod database;
pub mod directory;
pub(crate) mod document;
pub mod duration;
pub(crate) mod email;
mod environment;
pub(crate) mod fields;
pub mod grants;
pub mod key;
mod load;
pub mod policy;
mod secret;
pub mod secrets;
pub mod server;
pub mod slack;
mod suggest;
pub mod webhooks;

#[cfg(test)]
mod tests;

pub use document::{ConfigError, Place};
pub use fields::KeySource;
pub use key::{Invalid, Key};

/// The whole configuration. `Default` is what an empty file means: the server on loopback, no Slack, no directory, no client.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// `[server]`.
    pub server: server::Server,
    /// `[database]`.
    pub database: database::Database,
    /// `[secrets]`.
    pub secrets: secrets::Secrets,
    /// `[policy]`.
    pub policy: policy::Policy,
    /// `[admin]`; empty without the section.
    pub admin: admin::Admin,
    /// `[slack]`; none: off.
    pub slack: Option<slack::Slack>,
    /// `[directory]`; none: nobody can be verified.
    pub directory: Option<directory::Directory>,
    /// `[grants]`.
    pub grants: grants::Grants,
    /// `[audit]`.
    pub audit: audit::Audit,
    /// `[webhooks]`; no exceptions without the section.
    pub webhooks: webhooks::Webhooks,
    /// `[[clients]]`, in their order.
    pub clients: Vec<clients::Client>,
}

/// Every key with its type, default and reason, in the order of the example file.
pub fn reference() -> impl Iterator<Item = &'static Key> {
    load::SECTIONS.iter().flat_map(|(_, keys)| keys.iter())
}
