//! Owns the statements over `delivery`, the outbox of cards.
//!
//! Never posts anything: it says which card must look how, and who is at it.

use super::bulk::Bulk;
use super::{Conn, DIALECT, Db, Pool};
use crate::domain::card::Posted;
use crate::domain::ids::{ClientId, RequestId};
use crate::domain::time::Timestamp;
use crate::store::deliveries::{Delivery, DeliveryRow, OutboxState};
use crate::store::error::StoreError;
use crate::store::work::Claim;
use sqlx::AssertSqlSafe;
use std::sync::{Arc, LazyLock};

const SENT: &str = "UPDATE delivery SET \
    sent_version = CASE WHEN CAST($2 AS BIGINT) > sent_version THEN CAST($2 AS BIGINT) ELSE sent_version END, \
    redraw_at = CASE WHEN redraw_at > CAST($3 AS BIGINT) THEN redraw_at END, \
    due_at = CASE WHEN wanted_version > CAST($2 AS BIGINT) AND wanted_version > sent_version THEN CAST($3 AS BIGINT) \
        WHEN redraw_at > CAST($3 AS BIGINT) THEN redraw_at END, \
    attempts = 0, lease_owner = NULL, lease_until = NULL, last_error = NULL, dead_at = NULL, \
    posted_channel = $4, posted_ts = $5, permalink = COALESCE($6, permalink), card_hash = $7 WHERE id = $1";
const RETRY: &str = "UPDATE delivery SET due_at = $2, attempts = attempts + CASE WHEN CAST($3 AS TEXT) IS NULL THEN 0 ELSE 1 END, \
    last_error = COALESCE(CAST($3 AS TEXT), last_error), lease_owner = NULL, lease_until = NULL WHERE id = $1 AND dead_at IS NULL";
const REPOST: &str = "UPDATE delivery SET due_at = $2, sent_version = 0, posted_channel = NULL, posted_ts = NULL, permalink = NULL, card_hash = NULL, \
    lease_owner = NULL, lease_until = NULL WHERE id = $1 AND dead_at IS NULL";
const DEAD: &str = "UPDATE delivery SET dead_at = $2, last_error = $3, due_at = NULL, lease_owner = NULL, lease_until = NULL \
    WHERE id = $1 AND dead_at IS NULL";
const OF_REQUEST: &str = "SELECT id, request_id, platform, channel, attempts, posted_channel, posted_ts, permalink, card_hash, last_error, dead_at \
    FROM delivery WHERE request_id = $1 ORDER BY id";
const STATE: &str = "SELECT (SELECT count(*) FROM delivery WHERE due_at <= $1), (SELECT count(*) FROM delivery WHERE dead_at IS NOT NULL), \
    (SELECT min(due_at) FROM delivery WHERE due_at <= $1)";
/// A freeze changes how the client's open cards look.
const REDRAW_OF_CLIENT: &str = "UPDATE delivery SET redraw_at = $2, due_at = COALESCE(due_at, $2) WHERE dead_at IS NULL AND request_id IN \
    (SELECT id FROM request WHERE client_id = $1 AND (decided_at IS NULL OR valid_until > $2))";

pub(super) const TEXTS: &[&str] = &[SENT, RETRY, REPOST, DEAD, OF_REQUEST, STATE, REDRAW_OF_CLIENT];

pub(super) static INSERT: Bulk = Bulk::new(
    "INSERT INTO delivery (request_id, platform, channel, wanted_version, due_at, created_at) VALUES",
    &["", "", "", "", "", ""],
    "ON CONFLICT (request_id, platform, channel) DO NOTHING",
);

/// A card that waits for its next attempt keeps its time: a rate limit holds for the newer state as well.
pub(super) static REDRAW: Bulk = Bulk::new(
    "WITH change (request_id, wanted, at, redraw_at) AS (VALUES",
    &["TEXT", "BIGINT", "BIGINT", "BIGINT"],
    ") UPDATE delivery SET wanted_version = COALESCE(change.wanted, delivery.wanted_version), \
     redraw_at = COALESCE(change.redraw_at, delivery.redraw_at), \
     due_at = CASE WHEN delivery.wanted_version > delivery.sent_version THEN delivery.due_at \
         WHEN change.wanted IS NOT NULL THEN change.at ELSE COALESCE(change.redraw_at, delivery.redraw_at) END \
     FROM change WHERE delivery.request_id = change.request_id AND delivery.dead_at IS NULL",
);

pub(super) fn claim_text() -> Arc<str> {
    static TEXT: LazyLock<Arc<str>> = LazyLock::new(|| {
        format!(
            "UPDATE delivery SET lease_owner = $4, lease_until = $3 WHERE id IN (SELECT id FROM delivery \
             WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at LIMIT $2 {}) \
             RETURNING id, request_id, platform, channel, attempts, posted_channel, posted_ts, permalink, card_hash, last_error, dead_at",
            DIALECT.skip_locked
        )
        .into()
    });
    Arc::clone(&TEXT)
}

/// A new card: request, platform, channel, version, time.
pub(super) type Post<'a> = (&'a str, &'a str, &'a str, i64, i64);

pub(super) async fn insert(conn: &mut Conn, posts: &[Post<'_>]) -> Result<(), StoreError> {
    for (text, part) in INSERT.parts(posts) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for (request, platform, channel, version, at) in part {
            query = query.bind(*request).bind(*platform).bind(*channel).bind(*version).bind(*at).bind(*at);
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// A changed card: request, wanted version, time, when to redraw without a change.
pub(super) type Redraw<'a> = (&'a str, Option<i64>, i64, Option<i64>);

pub(super) async fn redraw(conn: &mut Conn, changes: &[Redraw<'_>]) -> Result<(), StoreError> {
    for (text, part) in REDRAW.parts(changes) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for (request, wanted, at, redraw_at) in part {
            query = query.bind(*request).bind(*wanted).bind(*at).bind(*redraw_at);
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

pub(super) async fn redraw_of_client(conn: &mut Conn, client: &ClientId, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query::<Db>(REDRAW_OF_CLIENT).bind(client.as_str()).bind(at.as_millis()).execute(conn).await?;
    Ok(())
}

pub(super) async fn claim(conn: &mut Conn, claim: &Claim) -> Result<Vec<Delivery>, StoreError> {
    // A constant and a word of the dialect.
    let mut deliveries = sqlx::query_as::<Db, DeliveryRow>(AssertSqlSafe(claim_text()))
        .bind(claim.now.as_millis())
        .bind(i64::from(claim.limit))
        .bind(claim.lease_until.as_millis())
        .bind(claim.owner.as_str())
        .fetch_all(conn)
        .await?;
    deliveries.sort_unstable_by_key(|delivery| delivery.id);
    deliveries.into_iter().map(TryInto::try_into).collect()
}

pub(super) async fn sent(conn: &mut Conn, id: i64, posted: &Posted, version: i64, at: Timestamp) -> Result<bool, StoreError> {
    let result = sqlx::query::<Db>(SENT)
        .bind(id)
        .bind(version)
        .bind(at.as_millis())
        .bind(posted.channel.as_str())
        .bind(posted.ts.as_str())
        .bind(posted.permalink.as_deref())
        .bind(posted.rendered_hash.as_str())
        .execute(conn)
        .await?;
    Ok(result.rows_affected() == 1)
}

pub(super) async fn retry(conn: &mut Conn, id: i64, due_at: Timestamp, error: Option<&str>) -> Result<(), StoreError> {
    sqlx::query::<Db>(RETRY).bind(id).bind(due_at.as_millis()).bind(error).execute(conn).await?;
    Ok(())
}

pub(super) async fn repost(conn: &mut Conn, id: i64, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query::<Db>(REPOST).bind(id).bind(at.as_millis()).execute(conn).await?;
    Ok(())
}

pub(super) async fn dead(conn: &mut Conn, id: i64, at: Timestamp, error: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query::<Db>(DEAD).bind(id).bind(at.as_millis()).bind(error).execute(conn).await?.rows_affected() == 1)
}

pub(in crate::store) async fn of_request(pool: &Pool, request: &RequestId) -> Result<Vec<DeliveryRow>, StoreError> {
    Ok(sqlx::query_as::<Db, DeliveryRow>(OF_REQUEST).bind(request.as_str()).fetch_all(pool).await?)
}

pub(in crate::store) async fn state(pool: &Pool, now: Timestamp) -> Result<OutboxState, StoreError> {
    let (waiting, dead, oldest): (i64, i64, Option<i64>) = sqlx::query_as::<Db, _>(STATE).bind(now.as_millis()).fetch_one(pool).await?;
    Ok(OutboxState { waiting: waiting.unsigned_abs(), dead: dead.unsigned_abs(), oldest_due: oldest.map(Timestamp::from_millis) })
}
