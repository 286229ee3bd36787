//! Owns the statements over `audit_event` and `audit_head`.
//!
//! Never updates or deletes an event: the triggers would refuse it.

use super::bulk::Bulk;
use super::{Conn, Db, Pool};
use crate::domain::audit::{Head, Prepared, Sealed};
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use crate::store::audit::{AuditFilter, RawEvent};
use crate::store::error::StoreError;
use crate::store::heads::HeadRow;
use crate::store::requests::escape_like;
use sqlx::{AssertSqlSafe, QueryBuilder};
use std::borrow::Cow;

const HEAD: &str = "SELECT seq, chain_hash FROM audit_event ORDER BY seq DESC LIMIT 1";
const RANGE: &str = "SELECT seq, at, type, actor_kind, actor_id, request_id, event, leaf_hash, chain_hash FROM audit_event \
    WHERE seq > $1 ORDER BY seq LIMIT $2";
const FILTERED: &str = "SELECT seq, at, type, actor_kind, actor_id, request_id, event, leaf_hash, chain_hash FROM audit_event WHERE seq > ";
const PUT_HEAD: &str =
    "INSERT INTO audit_head (seq, at, chain_hash, signature, public_key) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (seq, at) DO NOTHING";
const HEADS: &str = "SELECT seq, at, chain_hash, signature, public_key FROM audit_head ORDER BY seq, at";
const LAST_HEAD: &str = "SELECT seq, at, chain_hash, signature, public_key FROM audit_head ORDER BY seq DESC, at DESC LIMIT 1";
/// A later head says all that an earlier one of its day (UTC) does.
const PRUNE_HEADS: &str = "DELETE FROM audit_head WHERE at < $1 AND seq NOT IN (SELECT max(seq) FROM audit_head GROUP BY at / 86400000)";

pub(super) const TEXTS: &[&str] = &[HEAD, RANGE, PUT_HEAD, HEADS, LAST_HEAD, PRUNE_HEADS];

pub(super) static INSERT: Bulk = Bulk::new(
    "INSERT INTO audit_event (seq, at, type, actor_kind, actor_id, request_id, event, leaf_hash, chain_hash) VALUES",
    &["", "", "", "", "", "", "", "", ""],
    "",
);

/// Gives the events their places and writes them; answers with the place of the last one, 0 without any. Must run in the writer's
/// transaction, which holds the lock of the head.
pub(super) async fn append(conn: &mut Conn, events: &[Cow<'_, Prepared>]) -> Result<u64, StoreError> {
    if events.is_empty() {
        return Ok(0);
    }
    let mut head = read_head(conn).await?;
    let sealed: Vec<(&Prepared, Sealed)> = events
        .iter()
        .map(|event| {
            let sealed = event.seal(&head);
            head = Head::after(&sealed);
            (event.as_ref(), sealed)
        })
        .collect();
    for (text, part) in INSERT.parts(&sealed) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for (event, sealed) in part {
            query = query
                .bind(sealed.seq.cast_signed())
                .bind(event.at.as_millis())
                .bind(event.kind.as_str())
                .bind(event.actor.kind())
                .bind(event.actor.id())
                .bind(event.request.as_ref().map(RequestId::as_str))
                .bind(sealed.event.as_str())
                .bind(sealed.leaf.as_slice())
                .bind(sealed.chain.as_slice());
        }
        query.execute(&mut *conn).await?;
    }
    Ok(head.seq)
}

async fn read_head(conn: &mut Conn) -> Result<Head, StoreError> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as::<Db, _>(HEAD).fetch_optional(conn).await?;
    row.map_or(Ok(Head::EMPTY), |(seq, chain)| to_head(seq, &chain))
}

fn to_head(seq: i64, chain: &[u8]) -> Result<Head, StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "audit_event", column, id: seq.to_string() };
    Ok(Head { seq: u64::try_from(seq).map_err(|_| corrupt("seq"))?, chain: chain.try_into().map_err(|_| corrupt("chain_hash"))? })
}

/// The end of the log, on a pool or a connection of its own.
pub(in crate::store) async fn head<'e>(executor: impl sqlx::Executor<'e, Database = Db>) -> Result<Head, StoreError> {
    let row: Option<(i64, Vec<u8>)> = sqlx::query_as::<Db, _>(HEAD).fetch_optional(executor).await?;
    row.map_or(Ok(Head::EMPTY), |(seq, chain)| to_head(seq, &chain))
}

pub(in crate::store) async fn range(pool: &Pool, after: u64, limit: u32) -> Result<Vec<RawEvent>, StoreError> {
    Ok(sqlx::query_as::<Db, RawEvent>(RANGE).bind(after.cast_signed()).bind(i64::from(limit)).fetch_all(pool).await?)
}

/// The text depends on which members of the filter are set; every value is bound.
pub(in crate::store) async fn filtered(pool: &Pool, filter: &AuditFilter, limit: u32) -> Result<Vec<RawEvent>, StoreError> {
    let mut query = QueryBuilder::<Db>::new(FILTERED);
    query.push_bind(filter.after.cast_signed());
    if let Some(request) = &filter.request {
        query.push(" AND request_id = ").push_bind(request.as_str());
    }
    if let Some(actor) = &filter.actor {
        query.push(" AND actor_id = ").push_bind(actor.as_str());
    }
    for (column, value) in [("action", &filter.action), ("resource_id", &filter.resource), ("environment", &filter.environment)] {
        if let Some(value) = value {
            query.push(" AND request_id IN (SELECT id FROM request WHERE ").push(column).push(" = ").push_bind(value.as_str()).push(")");
        }
    }
    if let Some(text) = &filter.q {
        query.push(" AND request_id IN (SELECT id FROM request WHERE search LIKE ").push_bind(escape_like(text)).push(" ESCAPE '\\')");
    }
    if let Some(kind) = &filter.kind {
        query.push(" AND type = ").push_bind(kind.as_str());
    }
    if let Some(from) = filter.from {
        query.push(" AND at >= ").push_bind(from.as_millis());
    }
    if let Some(to) = filter.to {
        query.push(" AND at < ").push_bind(to.as_millis());
    }
    query.push(" ORDER BY seq LIMIT ").push_bind(i64::from(limit));
    Ok(query.build_query_as::<RawEvent>().fetch_all(pool).await?)
}

pub(super) async fn put_head(conn: &mut Conn, head: &HeadRow) -> Result<(), StoreError> {
    sqlx::query::<Db>(PUT_HEAD)
        .bind(head.seq)
        .bind(head.at)
        .bind(head.chain_hash.as_slice())
        .bind(head.signature.as_slice())
        .bind(head.public_key.as_slice())
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn prune_heads(conn: &mut Conn, before: Timestamp) -> Result<u64, StoreError> {
    Ok(sqlx::query::<Db>(PRUNE_HEADS).bind(before.as_millis()).execute(conn).await?.rows_affected())
}

pub(in crate::store) async fn heads(pool: &Pool) -> Result<Vec<HeadRow>, StoreError> {
    Ok(sqlx::query_as::<Db, HeadRow>(HEADS).fetch_all(pool).await?)
}

pub(in crate::store) async fn last_head(pool: &Pool) -> Result<Option<HeadRow>, StoreError> {
    Ok(sqlx::query_as::<Db, HeadRow>(LAST_HEAD).fetch_optional(pool).await?)
}
