//! Owns the statements over `person`.
//!
//! Never compares names: a person is found by the directory's key or by the pseudonym.

use super::{Conn, Db, Pool};
use crate::domain::ids::PersonId;
use crate::store::error::StoreError;
use crate::store::people::KnownPerson;

const BY_KEY: &str = "SELECT id FROM person WHERE source_key = $1";
const UPDATE: &str = "UPDATE person SET source_key = $2, name = $3, email = $4 WHERE id = $1";
const INSERT: &str = "INSERT INTO person (id, source_key, name, email) VALUES ($1, $2, $3, $4)";
const RELEASE_KEY: &str = "UPDATE person SET source_key = 'was ' || id WHERE source_key = $1";
const BY_ID: &str = "SELECT source_key, name, email FROM person WHERE id = $1";

pub(super) const TEXTS: &[&str] = &[BY_KEY, UPDATE, INSERT, RELEASE_KEY, BY_ID];

/// A person as the directory describes them.
pub(super) struct Described<'a> {
    pub(super) key: &'a str,
    pub(super) name: &'a str,
    pub(super) email: &'a str,
    pub(super) preferred: Option<&'a PersonId>,
    pub(super) fresh: &'a PersonId,
}

/// Finds or makes the pseudonym. A preferred one always wins: the directory's `id` names the person, whatever key it had before.
pub(super) async fn upsert(conn: &mut Conn, person: &Described<'_>) -> Result<PersonId, StoreError> {
    let present: Option<String> = sqlx::query_scalar::<Db, _>(BY_KEY).bind(person.key).fetch_optional(&mut *conn).await?;
    let id = match (&present, person.preferred) {
        (Some(present), Some(preferred)) if present != preferred.as_str() => {
            // The key was seen before the directory gave the person an id; the old pseudonym stays in the log, without a key.
            sqlx::query::<Db>(RELEASE_KEY).bind(person.key).execute(&mut *conn).await?;
            preferred.clone()
        }
        (Some(present), _) => present.parse().map_err(|_| StoreError::Corrupt { table: "person", column: "id", id: "?".to_owned() })?,
        (None, preferred) => preferred.unwrap_or(person.fresh).clone(),
    };
    let updated = sqlx::query::<Db>(UPDATE)
        .bind(id.as_str())
        .bind(person.key)
        .bind(person.name)
        .bind(person.email)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    if updated == 0 {
        sqlx::query::<Db>(INSERT).bind(id.as_str()).bind(person.key).bind(person.name).bind(person.email).execute(conn).await?;
    }
    Ok(id)
}

pub(in crate::store) async fn by_id(pool: &Pool, id: &PersonId) -> Result<Option<KnownPerson>, StoreError> {
    let row: Option<(String, String, String)> = sqlx::query_as::<Db, _>(BY_ID).bind(id.as_str()).fetch_optional(pool).await?;
    Ok(row.map(|(key, name, email)| KnownPerson { id: id.clone(), key, name, email }))
}
