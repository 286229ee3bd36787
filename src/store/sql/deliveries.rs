//! Owns the statements over `delivery` and `message`, the outbox of cards and their threads.
//!
//! Never posts anything: it says which card must look how, what its thread is to be told, and who is at it.

use super::bulk::Bulk;
use super::{Conn, DIALECT, Db, Pool};
use crate::domain::card::Posted;
use crate::domain::ids::{ClientId, RequestId};
use crate::domain::notice::Occasion;
use crate::domain::time::Timestamp;
use crate::store::deliveries::{Delivery, DeliveryRow, OutboxState};
use crate::store::error::StoreError;
use crate::store::work::{Claim, Post};
use sqlx::AssertSqlSafe;
use std::sync::{Arc, LazyLock};

/// When a row is due after something of it was done at $3: at once while the card lags behind or its thread waits, else when it must be
/// redrawn. Only a drawing that was made after that time has done so; a message leaves it due.
macro_rules! due_after {
    ($version:literal, $redraw:literal) => {
        concat!(
            "CASE WHEN kind = 'card' AND wanted_version > ",
            $version,
            " AND wanted_version > sent_version THEN CAST($3 AS BIGINT) \
             WHEN EXISTS (SELECT 1 FROM message m WHERE m.delivery_id = delivery.id AND m.done_at IS NULL) THEN CAST($3 AS BIGINT) \
             ",
            $redraw,
            " END"
        )
    };
}

const SENT: &str = concat!(
    "UPDATE delivery SET sent_version = CASE WHEN CAST($2 AS BIGINT) > sent_version THEN CAST($2 AS BIGINT) ELSE sent_version END, \
    redraw_at = CASE WHEN redraw_at > CAST($3 AS BIGINT) THEN redraw_at END, due_at = ",
    due_after!("CAST($2 AS BIGINT)", "WHEN redraw_at > CAST($3 AS BIGINT) THEN redraw_at"),
    ", attempts = 0, lease_owner = NULL, lease_until = NULL, last_error = NULL, dead_at = NULL, \
    posted_channel = $4, posted_ts = $5, permalink = COALESCE($6, permalink), card_hash = $7 WHERE id = $1"
);
/// A new card shows by itself what happened before it was posted. A reminder still has to call somebody.
const SHOWN: &str = "UPDATE message SET done_at = $3, error = 'shown_on_card' \
    WHERE delivery_id = $1 AND version <= $2 AND done_at IS NULL AND kind NOT IN ('reminder', 'superseded')";
const MESSAGE: &str = "SELECT kind, subject FROM message WHERE id = $1 AND done_at IS NULL";
const MESSAGE_DONE: &str = "UPDATE message SET done_at = $2, error = $3 WHERE id = $1 AND done_at IS NULL";
const AFTER_MESSAGE: &str = concat!(
    "UPDATE delivery SET due_at = ",
    due_after!("$2", "ELSE redraw_at"),
    ", attempts = 0, lease_owner = NULL, lease_until = NULL, last_error = NULL WHERE id = $1 AND dead_at IS NULL"
);
const WITH_OTHER_CARD: &str = "SELECT id FROM delivery WHERE request_id = $1 AND platform = $2 AND kind = 'card' \
    AND (posted_channel = $3 AND posted_ts <> $4 OR posted_ts IS NULL AND channel = $3)";
const SUPERSEDE: &str =
    "INSERT INTO message (delivery_id, version, kind, subject, created_at) VALUES ($1, 0, 'superseded', $2, $3) ON CONFLICT DO NOTHING";
const WAKE: &str = "UPDATE delivery SET due_at = COALESCE(due_at, $2) WHERE id = $1 AND dead_at IS NULL";
const ALIVE: &str = "SELECT count(*) FROM delivery WHERE request_id = $1 AND kind = 'card' AND dead_at IS NULL";
/// A card that nobody can tap any more is not worth a new attempt, unless it still stands somewhere and looks open.
const REVIVE: &str = "UPDATE delivery SET dead_at = NULL, due_at = $1, attempts = 0, lease_owner = NULL, lease_until = NULL \
    WHERE dead_at IS NOT NULL AND created_at > $2 \
    AND (posted_ts IS NOT NULL OR EXISTS (SELECT 1 FROM request WHERE request.id = delivery.request_id AND request.status = 'pending'))";
const RELEASE: &str = "UPDATE delivery SET lease_owner = NULL, lease_until = NULL WHERE lease_until IS NOT NULL";
const RETRY: &str = "UPDATE delivery SET due_at = $2, attempts = attempts + CASE WHEN CAST($3 AS TEXT) IS NULL THEN 0 ELSE 1 END, \
    last_error = COALESCE(CAST($3 AS TEXT), last_error), lease_owner = NULL, lease_until = NULL WHERE id = $1 AND dead_at IS NULL";
const REPOST: &str = "UPDATE delivery SET due_at = $2, sent_version = 0, posted_channel = NULL, posted_ts = NULL, permalink = NULL, card_hash = NULL, \
    lease_owner = NULL, lease_until = NULL WHERE id = $1 AND dead_at IS NULL";
const DEAD: &str = "UPDATE delivery SET dead_at = $2, last_error = $3, due_at = NULL, lease_owner = NULL, lease_until = NULL \
    WHERE id = $1 AND dead_at IS NULL";
const SKIPPED: &str = "UPDATE delivery SET due_at = NULL, sent_version = wanted_version, attempts = 0, lease_owner = NULL, lease_until = NULL \
    WHERE id = $1";
const OF_REQUEST: &str = "SELECT id, request_id, platform, channel, attempts, posted_channel, posted_ts, permalink, card_hash, last_error, dead_at, kind \
    FROM delivery WHERE request_id = $1 AND kind = 'card' ORDER BY id";
const STATE: &str = "SELECT (SELECT count(*) FROM delivery WHERE due_at <= $1), (SELECT count(*) FROM delivery WHERE dead_at IS NOT NULL), \
    (SELECT min(due_at) FROM delivery WHERE due_at <= $1)";
/// A freeze changes how the client's open cards look.
const REDRAW_OF_CLIENT: &str = "UPDATE delivery SET redraw_at = $2, due_at = COALESCE(due_at, $2) WHERE dead_at IS NULL AND kind = 'card' AND request_id IN \
    (SELECT id FROM request WHERE client_id = $1 AND (decided_at IS NULL OR valid_until > $2))";

pub(super) const TEXTS: &[&str] = &[
    SENT,
    SHOWN,
    MESSAGE,
    MESSAGE_DONE,
    AFTER_MESSAGE,
    WITH_OTHER_CARD,
    SUPERSEDE,
    WAKE,
    ALIVE,
    REVIVE,
    RELEASE,
    RETRY,
    REPOST,
    DEAD,
    SKIPPED,
    OF_REQUEST,
    STATE,
    REDRAW_OF_CLIENT,
];

pub(super) static INSERT: Bulk = Bulk::new(
    "INSERT INTO delivery (request_id, kind, platform, channel, wanted_version, due_at, created_at) VALUES",
    &["", "", "", "", "", "", ""],
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
     FROM change WHERE delivery.request_id = change.request_id AND delivery.kind = 'card' AND delivery.dead_at IS NULL",
);

/// One message for the thread of every card of a request. Goes with a redraw, which makes the cards due.
pub(super) static TELL: Bulk = Bulk::new(
    "WITH told (request_id, version, kind, subject, at) AS (VALUES",
    &["TEXT", "BIGINT", "TEXT", "TEXT", "BIGINT"],
    ") INSERT INTO message (delivery_id, version, kind, subject, created_at) \
     SELECT delivery.id, told.version, told.kind, told.subject, told.at FROM told JOIN delivery ON delivery.request_id = told.request_id \
     WHERE delivery.kind = 'card' AND delivery.dead_at IS NULL ORDER BY told.version, delivery.id",
);

pub(super) fn claim_text() -> Arc<str> {
    static TEXT: LazyLock<Arc<str>> = LazyLock::new(|| {
        format!(
            "UPDATE delivery SET lease_owner = $4, lease_until = $3 WHERE id IN (SELECT id FROM delivery \
             WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) AND CAST($5 AS TEXT) NOT LIKE '%,' || platform || ',%' \
             ORDER BY due_at LIMIT $2 {}) \
             RETURNING id, request_id, platform, channel, attempts, posted_channel, posted_ts, permalink, card_hash, last_error, dead_at, kind, \
             CAST(CASE WHEN posted_ts IS NULL OR wanted_version > sent_version OR redraw_at <= $1 THEN 1 ELSE 0 END AS BIGINT) AS outdated, \
             (SELECT min(m.id) FROM message m WHERE m.delivery_id = delivery.id AND m.done_at IS NULL) AS message_id",
            DIALECT.skip_locked
        )
        .into()
    });
    Arc::clone(&TEXT)
}

/// A new row: request, what, version, time.
pub(super) type NewDelivery<'a> = (&'a str, &'a Post, i64, i64);

pub(super) async fn insert(conn: &mut Conn, posts: &[NewDelivery<'_>]) -> Result<(), StoreError> {
    for (text, part) in INSERT.parts(posts) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for (request, post, version, at) in part {
            query = query
                .bind(*request)
                .bind(post.kind.as_str())
                .bind(post.platform.as_str())
                .bind(post.channel.as_str())
                .bind(*version)
                .bind(*at)
                .bind(*at);
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// A message for every card of a request: request, version, occasion, time.
pub(super) type Told<'a> = (&'a str, i64, &'a Occasion, i64);

pub(super) async fn tell(conn: &mut Conn, told: &[Told<'_>]) -> Result<(), StoreError> {
    for (text, part) in TELL.parts(told) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for (request, version, occasion, at) in part {
            let (kind, subject) = occasion.as_words();
            query = query.bind(*request).bind(*version).bind(kind).bind(subject).bind(*at);
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
        .bind(format!(",{},", claim.except.join(",")))
        .fetch_all(conn)
        .await?;
    deliveries.sort_unstable_by_key(|delivery| delivery.id);
    deliveries.into_iter().map(TryInto::try_into).collect()
}

/// A card was posted for the first time, or anew: its thread begins with what it does not show.
pub(super) async fn shown(conn: &mut Conn, id: i64, version: i64, at: Timestamp) -> Result<(), StoreError> {
    sqlx::query::<Db>(SHOWN).bind(id).bind(version).bind(at.as_millis()).execute(conn).await?;
    Ok(())
}

pub(super) async fn message_done(
    conn: &mut Conn,
    delivery: i64,
    message: i64,
    at: Timestamp,
    error: Option<&str>,
) -> Result<bool, StoreError> {
    let done = sqlx::query::<Db>(MESSAGE_DONE).bind(message).bind(at.as_millis()).bind(error).execute(&mut *conn).await?.rows_affected();
    // A message is sent when its card shows the newest version that was known then: 0 is older than any.
    sqlx::query::<Db>(AFTER_MESSAGE).bind(delivery).bind(0_i64).bind(at.as_millis()).execute(conn).await?;
    Ok(done == 1)
}

pub(super) async fn supersede(conn: &mut Conn, delivery: i64, ts: &str, at: Timestamp) -> Result<(), StoreError> {
    let inserted = sqlx::query::<Db>(SUPERSEDE).bind(delivery).bind(ts).bind(at.as_millis()).execute(&mut *conn).await?.rows_affected();
    if inserted == 1 {
        sqlx::query::<Db>(WAKE).bind(delivery).bind(at.as_millis()).execute(conn).await?;
    }
    Ok(())
}

/// How many cards of a request can still be delivered.
pub(super) async fn alive(conn: &mut Conn, request: &RequestId) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar::<Db, i64>(ALIVE).bind(request.as_str()).fetch_one(conn).await?)
}

pub(super) async fn revive(conn: &mut Conn, at: Timestamp, created_after: Timestamp) -> Result<u64, StoreError> {
    Ok(sqlx::query::<Db>(REVIVE).bind(at.as_millis()).bind(created_after.as_millis()).execute(conn).await?.rows_affected())
}

pub(super) async fn release(conn: &mut Conn) -> Result<(), StoreError> {
    sqlx::query::<Db>(RELEASE).execute(conn).await?;
    Ok(())
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

pub(super) async fn skipped(conn: &mut Conn, id: i64) -> Result<(), StoreError> {
    sqlx::query::<Db>(SKIPPED).bind(id).execute(conn).await?;
    Ok(())
}

pub(super) async fn dead(conn: &mut Conn, id: i64, at: Timestamp, error: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query::<Db>(DEAD).bind(id).bind(at.as_millis()).bind(error).execute(conn).await?.rows_affected() == 1)
}

pub(in crate::store) async fn message(pool: &Pool, id: i64) -> Result<Option<(String, String)>, StoreError> {
    Ok(sqlx::query_as::<Db, _>(MESSAGE).bind(id).fetch_optional(pool).await?)
}

pub(in crate::store) async fn with_other_card(
    pool: &Pool,
    request: &RequestId,
    platform: &str,
    channel: &str,
    ts: &str,
) -> Result<Option<i64>, StoreError> {
    let query = sqlx::query_scalar::<Db, i64>(WITH_OTHER_CARD).bind(request.as_str()).bind(platform).bind(channel).bind(ts);
    Ok(query.fetch_optional(pool).await?)
}

pub(in crate::store) async fn of_request(pool: &Pool, request: &RequestId) -> Result<Vec<DeliveryRow>, StoreError> {
    Ok(sqlx::query_as::<Db, DeliveryRow>(OF_REQUEST).bind(request.as_str()).fetch_all(pool).await?)
}

pub(in crate::store) async fn state(pool: &Pool, now: Timestamp) -> Result<OutboxState, StoreError> {
    let (waiting, dead, oldest): (i64, i64, Option<i64>) = sqlx::query_as::<Db, _>(STATE).bind(now.as_millis()).fetch_one(pool).await?;
    Ok(OutboxState { waiting: waiting.unsigned_abs(), dead: dead.unsigned_abs(), oldest_due: oldest.map(Timestamp::from_millis) })
}
