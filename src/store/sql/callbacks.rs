//! Owns the statements over `callback`, the outbox of callbacks.
//!
//! Never calls anybody: it says which change must be told, and who is at it.

use super::bulk::Bulk;
use super::{Conn, DIALECT, Db, Pool};
use crate::domain::time::Timestamp;
use crate::store::callbacks::{Callback, CallbackRow};
use crate::store::deliveries::OutboxState;
use crate::store::error::StoreError;
use crate::store::work::{CallbackWish, Claim};
use sqlx::AssertSqlSafe;
use std::sync::{Arc, LazyLock};

/// Holds only while no later change joined it.
const SAYS: &str = "UPDATE callback SET body = $2 WHERE id = $1 AND body IS NULL AND dead_at IS NULL AND wanted_version <= $3";
const DONE: &str = "DELETE FROM callback WHERE id = $1 AND dead_at IS NULL";
const RETRY: &str = "UPDATE callback SET due_at = $2, attempts = attempts + CASE WHEN CAST($3 AS TEXT) IS NULL THEN 0 ELSE 1 END, \
    last_error = COALESCE(CAST($3 AS TEXT), last_error), lease_owner = NULL, lease_until = NULL WHERE id = $1 AND dead_at IS NULL";
const DEAD: &str = "UPDATE callback SET dead_at = $2, last_error = $3, due_at = NULL, body = NULL, lease_owner = NULL, lease_until = NULL \
    WHERE id = $1 AND dead_at IS NULL";
const PRUNE: &str = "DELETE FROM callback WHERE id IN (SELECT id FROM callback WHERE dead_at < $1 LIMIT 1000)";
const STATE: &str = "SELECT (SELECT count(*) FROM callback WHERE due_at <= $1), (SELECT count(*) FROM callback WHERE dead_at IS NOT NULL), \
    (SELECT min(due_at) FROM callback WHERE due_at <= $1)";

pub(super) const TEXTS: &[&str] = &[SAYS, DONE, RETRY, DEAD, PRUNE, STATE];

/// An update that was tried and waits for another try is overtaken by the next change.
pub(super) static OVERTAKE: Bulk = Bulk::new(
    "DELETE FROM callback WHERE kind = 'updated' AND body IS NOT NULL AND dead_at IS NULL AND lease_owner IS NULL AND request_id IN (VALUES",
    &[""],
    ")",
);

/// A change joins a message that was not tried yet; a receiver that said "gone" is told nothing more.
pub(super) static INSERT: Bulk = Bulk::new(
    "WITH wish (webhook_id, request_id, kind, version, at) AS (VALUES",
    &["TEXT", "TEXT", "TEXT", "BIGINT", "BIGINT"],
    ") INSERT INTO callback (webhook_id, request_id, kind, wanted_version, due_at, created_at) \
     SELECT wish.webhook_id, wish.request_id, wish.kind, wish.version, wish.at, wish.at FROM wish \
     WHERE NOT EXISTS (SELECT 1 FROM callback gone WHERE gone.request_id = wish.request_id AND gone.last_error = 'http_410' AND gone.dead_at IS NOT NULL) \
     ON CONFLICT (request_id) WHERE body IS NULL AND dead_at IS NULL DO UPDATE SET wanted_version = excluded.wanted_version, \
     kind = CASE WHEN excluded.kind = 'terminal' THEN excluded.kind ELSE callback.kind END",
);

pub(super) fn claim_text() -> Arc<str> {
    static TEXT: LazyLock<Arc<str>> = LazyLock::new(|| {
        format!(
            "UPDATE callback SET lease_owner = $4, lease_until = $3 WHERE id IN (SELECT id FROM callback \
             WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) ORDER BY attempts, due_at LIMIT $2 {}) \
             RETURNING id, webhook_id, request_id, kind, body, attempts",
            DIALECT.skip_locked
        )
        .into()
    });
    Arc::clone(&TEXT)
}

pub(super) async fn insert(conn: &mut Conn, wishes: &[&CallbackWish]) -> Result<(), StoreError> {
    for (text, part) in OVERTAKE.parts(wishes) {
        // Constant text and placeholders only, see `bulk`.
        let query = part.iter().fold(sqlx::query::<Db>(AssertSqlSafe(text)), |query, wish| query.bind(wish.request_id.as_str()));
        query.execute(&mut *conn).await?;
    }
    for (text, part) in INSERT.parts(wishes) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for wish in part {
            query = query
                .bind(wish.webhook_id.as_str())
                .bind(wish.request_id.as_str())
                .bind(wish.notice.as_str())
                .bind(wish.version)
                .bind(wish.at);
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

pub(super) async fn claim(conn: &mut Conn, claim: &Claim) -> Result<Vec<Callback>, StoreError> {
    // A constant and a word of the dialect.
    let mut rows = sqlx::query_as::<Db, CallbackRow>(AssertSqlSafe(claim_text()))
        .bind(claim.now.as_millis())
        .bind(i64::from(claim.limit))
        .bind(claim.lease_until.as_millis())
        .bind(claim.owner.as_str())
        .fetch_all(conn)
        .await?;
    rows.sort_unstable_by_key(|row| row.id);
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Whether it could still be fixed.
pub(super) async fn says(conn: &mut Conn, id: i64, version: i64, body: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query::<Db>(SAYS).bind(id).bind(body).bind(version).execute(conn).await?.rows_affected() == 1)
}

pub(super) async fn done(conn: &mut Conn, id: i64) -> Result<bool, StoreError> {
    Ok(sqlx::query::<Db>(DONE).bind(id).execute(conn).await?.rows_affected() == 1)
}

pub(super) async fn retry(conn: &mut Conn, id: i64, due_at: Timestamp, error: Option<&str>) -> Result<(), StoreError> {
    sqlx::query::<Db>(RETRY).bind(id).bind(due_at.as_millis()).bind(error).execute(conn).await?;
    Ok(())
}

pub(super) async fn dead(conn: &mut Conn, id: i64, at: Timestamp, error: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query::<Db>(DEAD).bind(id).bind(at.as_millis()).bind(error).execute(conn).await?.rows_affected() == 1)
}

pub(super) async fn prune(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    Ok(sqlx::query::<Db>(PRUNE).bind(before.as_millis()).execute(conn).await?.rows_affected())
}

pub(in crate::store) async fn state(pool: &Pool, now: Timestamp) -> Result<OutboxState, StoreError> {
    let (waiting, dead, oldest): (i64, i64, Option<i64>) = sqlx::query_as::<Db, _>(STATE).bind(now.as_millis()).fetch_one(pool).await?;
    Ok(OutboxState { waiting: waiting.unsigned_abs(), dead: dead.unsigned_abs(), oldest_due: oldest.map(Timestamp::from_millis) })
}
