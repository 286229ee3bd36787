//! Owns the copy of a database that is in use, and the look at whether a database is whole.
//!
//! Never copies PostgreSQL: its own tools do that, and know about roles and versions.

use super::error::StoreError;
use super::{Backend, Store, sqlite};
use std::path::Path;

impl Store {
    /// Copies an SQLite database into `file`, which must be empty, as it is at one instant; nobody waits meanwhile. The file is
    /// not flushed to disk.
    pub async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_str().ok_or(StoreError::Url("the name of a copy must be UTF-8"))?;
        match &self.shared.backend {
            Backend::Sqlite(pool) => sqlite::copy(pool, file).await,
            Backend::Postgres(_) => Err(StoreError::Url("only an SQLite database is copied")),
        }
    }

    /// What is wrong with the pages or indexes of an SQLite database; none: it is whole, or it is PostgreSQL, which checks itself.
    pub async fn damage(&self) -> Result<Option<String>, StoreError> {
        match &self.shared.backend {
            Backend::Sqlite(pool) => sqlite::integrity(pool).await,
            Backend::Postgres(_) => Ok(None),
        }
    }
}
