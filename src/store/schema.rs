//! Owns the question how far a database is migrated, for `doctor`.
//!
//! Never changes anything: `migrate` does.

use super::{Backend, Store, StoreError, postgres, sqlite};
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};
use std::collections::BTreeSet;

/// How the schema of a database stands to this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// As this version needs it.
    Present,
    /// So many migrations are to come.
    Missing(usize),
    /// A later version has been at work; this one must not write.
    Later,
}

impl Store {
    /// Compares the migrations that the database has had with those that this version knows.
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        match &self.shared.backend {
            Backend::Sqlite(pool) => compare(&mut *pool.acquire().await?, &sqlite::MIGRATIONS).await,
            Backend::Postgres(pool) => compare(&mut *pool.acquire().await?, &postgres::MIGRATIONS).await,
        }
    }
}

async fn compare<C: Migrate>(connection: &mut C, known: &Migrator) -> Result<Schema, StoreError> {
    let applied: Vec<AppliedMigration> = match connection.list_applied_migrations(&known.table_name).await {
        Ok(applied) => applied,
        // No such table: nothing was ever migrated.
        Err(MigrateError::Execute(sqlx::Error::Database(error))) if absent(error.as_ref()) => Vec::new(),
        Err(MigrateError::Execute(error)) => return Err(error.into()),
        Err(other) => return Err(StoreError::Migrate(Box::new(other))),
    };
    let known: BTreeSet<i64> = known.iter().map(|migration| migration.version).collect();
    let applied: BTreeSet<i64> = applied.iter().map(|migration| migration.version).collect();
    Ok(match (applied.is_subset(&known), known.difference(&applied).count()) {
        (false, _) => Schema::Later,
        (true, 0) => Schema::Present,
        (true, missing) => Schema::Missing(missing),
    })
}

/// `undefined_table` of PostgreSQL, SQLITE_ERROR of SQLite, which has no code of its own for it.
fn absent(error: &dyn sqlx::error::DatabaseError) -> bool {
    matches!(error.code().as_deref(), Some("42P01" | "1"))
}
