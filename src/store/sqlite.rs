//! Owns what is SQLite's own: how to connect, and the words in which its SQL differs.
//!
//! Never holds a query: those stand in `sql/`, once for both databases.

use super::error::StoreError;
use super::{Dialect, StoreOptions};
use sqlx::ConnectOptions as _;
use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

#[path = "sql/mod.rs"]
pub(super) mod sql;

pub(super) type Db = sqlx::Sqlite;

pub(super) const DIALECT: Dialect = Dialect {
    // The lock is taken at once: a transaction that starts reading and then writes could fail half way.
    begin: "BEGIN IMMEDIATE",
    numbered_placeholders: false,
    bytes: "BLOB",
    skip_locked: "",
    notify: None,
};

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Pages of 4 KiB in the write-ahead log before it is copied back: 16 MiB.
const CHECKPOINT_PAGES: &str = "4096";

fn base(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    let options = SqliteConnectOptions::from_str(url).map_err(|_| StoreError::Url("expected sqlite://path/to/file.db"))?;
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(StoreError::Url("an in-memory database keeps nothing; name a file"));
    }
    Ok(options.busy_timeout(Duration::from_secs(5)).foreign_keys(true).disable_statement_logging())
}

/// Options of the one connection that writes.
pub(super) fn writer(url: &str, options: &StoreOptions) -> Result<SqliteConnectOptions, StoreError> {
    let mut connect = base(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .statement_cache_capacity(256);
    if let Some(pages) = options.sqlite_max_pages {
        connect = connect.pragma("max_page_count", pages.to_string());
    }
    Ok(connect)
}

/// The pool that reads; its connections cannot write.
pub(super) fn readers(url: &str, options: &StoreOptions) -> Result<sqlx::Pool<Db>, StoreError> {
    let connect = base(url)?.read_only(true).statement_cache_capacity(128);
    Ok(PoolOptions::new()
        .max_connections(options.readers)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .connect_lazy_with(connect))
}

/// The pool that reads a file which nobody writes to.
pub(super) fn still(file: &Path, options: &StoreOptions) -> sqlx::Pool<Db> {
    let connect = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true).disable_statement_logging();
    PoolOptions::new().max_connections(options.readers).test_before_acquire(false).connect_lazy_with(connect)
}

/// Creates the file with mode 0600 when it is missing: it holds what people wrote.
pub(super) fn create_private_file(url: &str) -> Result<(), StoreError> {
    let connect = base(url)?;
    let file: &Path = connect.get_filename();
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    match open.open(file) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => Err(StoreError::Unavailable { code: "cannot_open" }),
    }
}

/// Copies the whole database as it is at one instant into `file`, which must not exist or be empty. Readers and the writer go on meanwhile.
pub(super) async fn copy(pool: &sqlx::Pool<Db>, file: &str) -> Result<(), StoreError> {
    sqlx::query::<Db>("VACUUM INTO $1").bind(file).execute(pool).await?;
    Ok(())
}

/// Looks at every page and index; answers with what is wrong first.
pub(super) async fn integrity(pool: &sqlx::Pool<Db>) -> Result<Option<String>, StoreError> {
    let found: String = sqlx::query_scalar::<Db, _>("PRAGMA integrity_check(1)").fetch_one(pool).await?;
    Ok((found != "ok").then_some(found))
}
