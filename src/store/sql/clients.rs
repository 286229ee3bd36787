//! Owns the statements over `client` and `client_key`.
//!
//! Never sees a key, only its SHA-256.

use super::bulk::Bulk;
use super::{Conn, DIALECT, Db, Pool};
use crate::domain::client::{Client, Scope};
use crate::domain::ids::ClientId;
use crate::domain::time::Timestamp;
use crate::store::clients::{ClientRow, ClientSource, KeyRow, NewKey};
use crate::store::error::StoreError;
use sqlx::AssertSqlSafe;
use std::collections::{BTreeSet, HashMap};

const BY_NAME: &str =
    "SELECT id, name, owner, scopes, may_act_for, enabled, source, frozen_at, void_before, created_at FROM client WHERE name = $1";
const PAGE: &str = "SELECT id, name, owner, scopes, may_act_for, enabled, source, frozen_at, void_before, created_at FROM client \
    WHERE id > $1 ORDER BY id LIMIT $2";
const ALL: &str =
    "SELECT id, name, owner, scopes, may_act_for, enabled, source, frozen_at, void_before, created_at FROM client ORDER BY id";
const INSERT: &str = "INSERT INTO client (id, name, owner, scopes, may_act_for, enabled, source, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
    ON CONFLICT (name) DO NOTHING";
const UPDATE: &str = "UPDATE client SET owner = $2, scopes = $3, may_act_for = $4, enabled = $5, source = $6 WHERE id = $1";
const DISABLE: &str = "UPDATE client SET enabled = 0 WHERE id = $1 AND enabled = 1";
const FREEZE: &str = "UPDATE client SET frozen_at = $2, void_before = $2 WHERE id = $1 AND frozen_at IS NULL";
const UNFREEZE: &str = "UPDATE client SET frozen_at = NULL WHERE id = $1 AND frozen_at IS NOT NULL";
const INSERT_KEY: &str = "INSERT INTO client_key (hash, key_id, client_id, source, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
const KEYS_OF_FILE: &str = "SELECT hash FROM client_key WHERE client_id = $1 AND source = 'file'";
const DELETE_KEY: &str = "DELETE FROM client_key WHERE hash = $1 AND source = 'file'";
const DELETE_KEYS: &str = "DELETE FROM client_key WHERE client_id = $1";
const EXISTS: &str = "SELECT name FROM client WHERE id = $1 AND enabled = 1";

pub(super) const TEXTS: &[&str] =
    &[BY_NAME, PAGE, ALL, INSERT, UPDATE, DISABLE, FREEZE, UNFREEZE, INSERT_KEY, KEYS_OF_FILE, DELETE_KEY, DELETE_KEYS, EXISTS];

pub(super) static BY_IDS: Bulk = Bulk::new(
    "SELECT id, name, owner, scopes, may_act_for, enabled, source, frozen_at, void_before, created_at FROM client WHERE id IN (VALUES",
    &[""],
    ")",
);
pub(super) static BY_KEYS: Bulk = Bulk::new(
    "SELECT k.hash, k.expires_at, c.id, c.name, c.owner, c.scopes, c.may_act_for, c.enabled, c.source, c.frozen_at, c.void_before, c.created_at \
     FROM client_key k JOIN client c ON c.id = k.client_id WHERE c.enabled = 1 AND k.hash IN (VALUES",
    &[DIALECT.bytes],
    ")",
);

/// The clients of these ids, as far as they exist.
pub(in crate::store) async fn by_ids(pool: &Pool, ids: &[ClientId]) -> Result<HashMap<ClientId, ClientRow>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for (text, part) in BY_IDS.parts(ids) {
        // Constant text and placeholders only, see `bulk`.
        let query = part.iter().fold(sqlx::query_as::<Db, ClientRow>(AssertSqlSafe(text)), |query, id| query.bind(id.as_str()));
        for row in query.fetch_all(pool).await? {
            if let Some(id) = part.iter().find(|id| id.as_str() == row.id) {
                found.insert(id.clone(), row);
            }
        }
    }
    Ok(found)
}

/// The keys of these SHA-256 hashes that belong to an enabled client, expired or not.
pub(in crate::store) async fn by_keys(pool: &Pool, hashes: &[[u8; 32]]) -> Result<HashMap<[u8; 32], KeyRow>, StoreError> {
    let mut found = HashMap::with_capacity(hashes.len());
    for (text, part) in BY_KEYS.parts(hashes) {
        // Constant text and placeholders only, see `bulk`.
        let query = part.iter().fold(sqlx::query_as::<Db, KeyRow>(AssertSqlSafe(text)), |query, hash| query.bind(hash.as_slice()));
        for row in query.fetch_all(pool).await? {
            if let Ok(hash) = row.hash.as_slice().try_into() {
                found.insert(hash, row);
            }
        }
    }
    Ok(found)
}

pub(in crate::store) async fn by_name(pool: &Pool, name: &str) -> Result<Option<ClientRow>, StoreError> {
    Ok(sqlx::query_as::<Db, ClientRow>(BY_NAME).bind(name).fetch_optional(pool).await?)
}

pub(in crate::store) async fn page(pool: &Pool, after: &str, limit: u32) -> Result<Vec<ClientRow>, StoreError> {
    Ok(sqlx::query_as::<Db, ClientRow>(PAGE).bind(after).bind(i64::from(limit)).fetch_all(pool).await?)
}

pub(super) async fn all(conn: &mut Conn) -> Result<Vec<ClientRow>, StoreError> {
    Ok(sqlx::query_as::<Db, ClientRow>(ALL).fetch_all(conn).await?)
}

/// Inserts a client; false when the name is taken.
pub(super) async fn insert(conn: &mut Conn, client: &Client, source: ClientSource, at: Timestamp) -> Result<bool, StoreError> {
    let inserted = sqlx::query::<Db>(INSERT)
        .bind(client.id.as_str())
        .bind(client.name.as_str())
        .bind(client.owner.as_deref())
        .bind(words(&client.scopes))
        .bind(serde_json::Value::from(client.may_act_for.as_slice()).to_string())
        .bind(i64::from(client.enabled))
        .bind(source.as_str())
        .bind(at.as_millis())
        .execute(conn)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

pub(super) async fn update(conn: &mut Conn, client: &Client, source: ClientSource) -> Result<(), StoreError> {
    sqlx::query::<Db>(UPDATE)
        .bind(client.id.as_str())
        .bind(client.owner.as_deref())
        .bind(words(&client.scopes))
        .bind(serde_json::Value::from(client.may_act_for.as_slice()).to_string())
        .bind(i64::from(client.enabled))
        .bind(source.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// Scopes as they are stored: a JSON list of words.
fn words(scopes: &BTreeSet<Scope>) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<serde_json::Value>().to_string()
}

/// Disables a client and forgets its keys; false when it was not enabled.
pub(super) async fn disable(conn: &mut Conn, id: &ClientId) -> Result<bool, StoreError> {
    let disabled = sqlx::query::<Db>(DISABLE).bind(id.as_str()).execute(&mut *conn).await?.rows_affected() == 1;
    sqlx::query::<Db>(DELETE_KEYS).bind(id.as_str()).execute(conn).await?;
    Ok(disabled)
}

pub(super) async fn freeze(conn: &mut Conn, id: &ClientId, at: Timestamp) -> Result<bool, StoreError> {
    Ok(sqlx::query::<Db>(FREEZE).bind(id.as_str()).bind(at.as_millis()).execute(conn).await?.rows_affected() == 1)
}

pub(super) async fn unfreeze(conn: &mut Conn, id: &ClientId) -> Result<bool, StoreError> {
    Ok(sqlx::query::<Db>(UNFREEZE).bind(id.as_str()).execute(conn).await?.rows_affected() == 1)
}

/// Adds a key to an enabled client; false when there is none of that id.
pub(super) async fn add_key(
    conn: &mut Conn,
    client: &ClientId,
    key: &NewKey,
    source: ClientSource,
    at: Timestamp,
) -> Result<bool, StoreError> {
    if sqlx::query::<Db>(EXISTS).bind(client.as_str()).fetch_optional(&mut *conn).await?.is_none() {
        return Ok(false);
    }
    sqlx::query::<Db>(INSERT_KEY)
        .bind(key.hash.as_slice())
        .bind(key.key_id.as_str())
        .bind(client.as_str())
        .bind(source.as_str())
        .bind(key.expires_at.map(Timestamp::as_millis))
        .bind(at.as_millis())
        .execute(conn)
        .await?;
    Ok(true)
}

/// Makes `key` the only key that the file gives this client; true when something changed.
pub(super) async fn set_file_key(conn: &mut Conn, client: &ClientId, key: &NewKey, at: Timestamp) -> Result<bool, StoreError> {
    let present: Vec<Vec<u8>> = sqlx::query_scalar::<Db, _>(KEYS_OF_FILE).bind(client.as_str()).fetch_all(&mut *conn).await?;
    let mut changed = false;
    for old in present.iter().filter(|old| old.as_slice() != key.hash) {
        sqlx::query::<Db>(DELETE_KEY).bind(old.as_slice()).execute(&mut *conn).await?;
        changed = true;
    }
    if !present.iter().any(|old| old.as_slice() == key.hash) {
        changed |= add_key(conn, client, key, ClientSource::File, at).await?;
    }
    Ok(changed)
}
