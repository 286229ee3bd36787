//! Owns the statements over `meta` and the policy's two tables.
//!
//! Never parses a policy: texts go in and come out as they are.

use super::{Conn, Db, Pool};
use crate::domain::time::Timestamp;
use crate::store::error::StoreError;

const GET: &str = "SELECT value FROM meta WHERE key = $1";
const PUT: &str = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const IS_USED: &str = "SELECT CAST(CASE WHEN EXISTS (SELECT 1 FROM audit_event) OR EXISTS (SELECT 1 FROM meta) OR EXISTS (SELECT 1 FROM client) \
    OR EXISTS (SELECT 1 FROM request) THEN 1 ELSE 0 END AS BIGINT)";
const ADD_POLICY: &str = "INSERT INTO policy_version (version, text, added_at) VALUES ($1, $2, $3) ON CONFLICT (version) DO NOTHING";
const ACTIVATE_POLICY: &str = "INSERT INTO policy_active (one, version, activated_at) VALUES (1, $1, $2) \
    ON CONFLICT (one) DO UPDATE SET version = excluded.version, activated_at = excluded.activated_at WHERE policy_active.version <> excluded.version";
const ACTIVE_POLICY: &str = "SELECT p.version, p.text FROM policy_active a JOIN policy_version p ON p.version = a.version";
const POLICY_TEXT: &str = "SELECT text FROM policy_version WHERE version = $1";

pub(super) const TEXTS: &[&str] = &[GET, PUT, IS_USED, ADD_POLICY, ACTIVATE_POLICY, ACTIVE_POLICY, POLICY_TEXT];

pub(in crate::store) async fn get(pool: &Pool, key: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar::<Db, _>(GET).bind(key).fetch_optional(pool).await?)
}

pub(super) async fn put(conn: &mut Conn, key: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query::<Db>(PUT).bind(key).bind(value).execute(conn).await?;
    Ok(())
}

pub(in crate::store) async fn is_used(pool: &Pool) -> Result<bool, StoreError> {
    let used: i64 = sqlx::query_scalar::<Db, _>(IS_USED).fetch_one(pool).await?;
    Ok(used != 0)
}

/// Keeps the text and makes it the active one; false when it was active before.
pub(super) async fn put_policy(conn: &mut Conn, version: &str, text: &str, at: Timestamp) -> Result<bool, StoreError> {
    sqlx::query::<Db>(ADD_POLICY).bind(version).bind(text).bind(at.as_millis()).execute(&mut *conn).await?;
    Ok(sqlx::query::<Db>(ACTIVATE_POLICY).bind(version).bind(at.as_millis()).execute(conn).await?.rows_affected() == 1)
}

/// Whether this version is the active one, inside the writer's transaction.
pub(super) async fn policy_is_active(conn: &mut Conn, version: &str) -> Result<bool, StoreError> {
    let active: Option<(String, String)> = sqlx::query_as::<Db, _>(ACTIVE_POLICY).fetch_optional(conn).await?;
    Ok(active.is_some_and(|(active, _)| active == version))
}

pub(in crate::store) async fn active_policy(pool: &Pool) -> Result<Option<(String, String)>, StoreError> {
    Ok(sqlx::query_as::<Db, _>(ACTIVE_POLICY).fetch_optional(pool).await?)
}

pub(in crate::store) async fn policy_text(pool: &Pool, version: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar::<Db, _>(POLICY_TEXT).bind(version).fetch_optional(pool).await?)
}
