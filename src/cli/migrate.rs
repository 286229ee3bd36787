//! Owns `countersign migrate`: brings the configured database to the form that this version needs.
//!
//! Never starts anything else, and never shows the address of the database: it may hold a password. `serve` migrates too; this is for those who do it
//! apart, before the replicas are replaced.

use super::Context;
use super::output::Style;
use crate::config::database::{Backend, Database};
use crate::store::Store;
use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "\
Examples:
  countersign migrate
  countersign --config /etc/countersign/countersign.toml migrate
  COUNTERSIGN_DATABASE__URL=postgres://… countersign migrate";

/// Migrates and says what was done.
pub(super) async fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let config = context.load_config()?;
    let existed = sqlite_file(&config.database).is_none_or(|file| file.exists());
    let store = open(&config.database).await?;
    let migrated = store.migrate().await;
    store.close().await;
    migrated.context("the migrations failed; the database is as it was before the one that failed")?;
    let (out, name) = (context.out, describe(&config.database));
    if out.json {
        out.document(&json!({"ok": true, "database": name, "created": !existed}))?;
    } else {
        let what = if existed { "is in the form of this version" } else { "was made, in the form of this version" };
        out.line(format!("{} {name} {what} ({})", out.paint(Style::Green, "ok:"), env!("CARGO_PKG_VERSION")));
    }
    Ok(ExitCode::SUCCESS)
}

/// The configured database, not migrated yet.
pub(super) async fn open(database: &Database) -> anyhow::Result<Store> {
    Store::open(database.url.expose_secret()).await.with_context(|| format!("cannot open the {}", describe(database)))
}

/// The database in words that hold no password.
pub(super) fn describe(database: &Database) -> String {
    match sqlite_file(database) {
        Some(file) => format!("SQLite database {}", file.display()),
        None => "PostgreSQL database".to_owned(),
    }
}

/// The file of an SQLite database.
pub(super) fn sqlite_file(database: &Database) -> Option<PathBuf> {
    if database.backend() != Some(Backend::Sqlite) {
        return None;
    }
    let path = database.url.expose_secret().trim_start_matches("sqlite://").split('?').next().unwrap_or_default();
    Some(Path::new(path).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        let name = |url: &str| describe(&Database { url: url.into() });
        assert_eq!(name("sqlite:///var/lib/cs/a.db?mode=rwc"), "SQLite database /var/lib/cs/a.db");
        assert_eq!(name("postgres://u:hunter2@h/db"), "PostgreSQL database");
    }
}
