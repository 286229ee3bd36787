//! Owns the statements over `tap`.
//!
//! Never judges a tap: it keeps them until a worker did.

use super::bulk::Bulk;
use super::{Conn, DIALECT, Db, Pool};
use crate::domain::time::Timestamp;
use crate::store::error::StoreError;
use crate::store::taps::{NewTap, StoredTap, TapRow};
use crate::store::work::Claim;
use sqlx::AssertSqlSafe;
use std::sync::{Arc, LazyLock};

const POSTPONE: &str = "UPDATE tap SET due_at = $2, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND finished_at IS NULL";
const UNFINISHED: &str = "SELECT count(*) FROM tap WHERE due_at IS NOT NULL";
const RELEASE: &str = "UPDATE tap SET lease_owner = NULL, lease_until = NULL WHERE due_at IS NOT NULL AND lease_until IS NOT NULL";
const PRUNE: &str = "DELETE FROM tap WHERE id IN (SELECT id FROM tap WHERE due_at IS NULL AND received_at < $1 LIMIT 1000)";

pub(super) const TEXTS: &[&str] = &[POSTPONE, UNFINISHED, RELEASE, PRUNE];

pub(super) static INSERT: Bulk = Bulk::new(
    "INSERT INTO tap (platform, dedup_key, request_id, payload, received_at, due_at, lease_owner, lease_until, attempts) VALUES",
    &["", "", "", "", "", "", "", "", ""],
    "ON CONFLICT (platform, dedup_key) DO NOTHING RETURNING id, platform, dedup_key",
);

pub(super) static FINISH: Bulk = Bulk::new(
    "WITH done (id, at, outcome) AS (VALUES",
    &["BIGINT", "BIGINT", "TEXT"],
    ") UPDATE tap SET finished_at = done.at, outcome = done.outcome, due_at = NULL, lease_owner = NULL, lease_until = NULL \
     FROM done WHERE tap.id = done.id AND tap.finished_at IS NULL",
);

pub(super) fn claim_text() -> Arc<str> {
    static TEXT: LazyLock<Arc<str>> = LazyLock::new(|| {
        format!(
            "UPDATE tap SET lease_owner = $4, lease_until = $3, attempts = attempts + 1 WHERE id IN (SELECT id FROM tap \
             WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at LIMIT $2 {}) \
             RETURNING id, platform, payload, received_at, attempts",
            DIALECT.skip_locked
        )
        .into()
    });
    Arc::clone(&TEXT)
}

/// Inserts what is not there yet; answers with the id, platform and key of each new row.
pub(super) async fn insert(conn: &mut Conn, taps: &[&NewTap]) -> Result<Vec<(i64, String, String)>, StoreError> {
    let mut inserted = Vec::with_capacity(taps.len());
    for (text, part) in INSERT.parts(taps) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query_as::<Db, (i64, String, String)>(AssertSqlSafe(text));
        for tap in part {
            query = query
                .bind(tap.platform.as_str())
                .bind(tap.dedup_key.as_str())
                .bind(tap.request.as_str())
                .bind(tap.payload.as_str())
                .bind(tap.received_at.as_millis())
                .bind(tap.received_at.as_millis())
                .bind(tap.lease.as_ref().map(|lease| lease.worker.as_str()))
                .bind(tap.lease.as_ref().map(|lease| lease.until.as_millis()))
                .bind(i64::from(tap.lease.is_some()));
        }
        inserted.extend(query.fetch_all(&mut *conn).await?);
    }
    Ok(inserted)
}

pub(super) async fn claim(conn: &mut Conn, claim: &Claim) -> Result<Vec<StoredTap>, StoreError> {
    // A constant and a word of the dialect.
    let mut taps = sqlx::query_as::<Db, TapRow>(AssertSqlSafe(claim_text()))
        .bind(claim.now.as_millis())
        .bind(i64::from(claim.limit))
        .bind(claim.lease_until.as_millis())
        .bind(claim.owner.as_str())
        .fetch_all(conn)
        .await?;
    taps.sort_unstable_by_key(|tap| tap.id);
    Ok(taps.into_iter().map(Into::into).collect())
}

/// Marks taps as finished: id, time, outcome.
pub(super) async fn finish(conn: &mut Conn, done: &[(i64, i64, &str)]) -> Result<u64, StoreError> {
    let mut count = 0;
    for (text, part) in FINISH.parts(done) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for (id, at, outcome) in part {
            query = query.bind(*id).bind(*at).bind(*outcome);
        }
        count += query.execute(&mut *conn).await?.rows_affected();
    }
    Ok(count)
}

pub(super) async fn postpone(conn: &mut Conn, id: i64, due_at: Timestamp) -> Result<(), StoreError> {
    sqlx::query::<Db>(POSTPONE).bind(id).bind(due_at.as_millis()).execute(conn).await?;
    Ok(())
}

/// A thousand at a time: no caller should wait behind a long deletion.
pub(super) async fn prune(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    Ok(sqlx::query::<Db>(PRUNE).bind(before.as_millis()).execute(conn).await?.rows_affected())
}

pub(in crate::store) async fn unfinished(pool: &Pool) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar::<Db, _>(UNFINISHED).fetch_one(pool).await?;
    Ok(count.unsigned_abs())
}

pub(super) async fn release(conn: &mut Conn) -> Result<(), StoreError> {
    sqlx::query::<Db>(RELEASE).execute(conn).await?;
    Ok(())
}
