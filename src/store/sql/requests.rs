//! Owns the statements over `request` and `review`.
//!
//! Never looks into the documents: what a column holds was taken out of them by `store::requests`.

use super::bulk::Bulk;
use super::{Conn, Db, Pool};
use crate::domain::ids::{ClientId, RequestId};
use crate::domain::time::Timestamp;
use crate::store::error::StoreError;
use crate::store::requests::{RequestFilter, escape_like};
use crate::store::work::{CommitRow, ReviewRow, StoredRequest};
use sqlx::{AssertSqlSafe, QueryBuilder};
use std::collections::{HashMap, HashSet};

const BY_IDEMPOTENCY: &str = "SELECT body_hash, id FROM request WHERE client_id = $1 AND idempotency_key = $2";
const DUE: &str = "SELECT id FROM request WHERE status = 'pending' AND expires_at <= $1 ORDER BY expires_at LIMIT $2";
const DUE_REMINDERS: &str = "SELECT id FROM request WHERE remind_at <= $1 ORDER BY remind_at LIMIT $2";
const DUE_ESCALATIONS: &str = "SELECT id FROM request WHERE escalate_at <= $1 ORDER BY escalate_at LIMIT $2";
const NEXT_EXPIRY: &str = "SELECT min(expires_at) FROM request WHERE status = 'pending'";
const HISTORY: &str = "SELECT status, count(*) FROM request WHERE client_id = $1 AND action = $2 AND decided_at >= $3 GROUP BY status";
const PENDING: &str = "SELECT count(*) FROM request WHERE status = 'pending'";

pub(super) const TEXTS: &[&str] = &[BY_IDEMPOTENCY, DUE, DUE_REMINDERS, DUE_ESCALATIONS, NEXT_EXPIRY, HISTORY, PENDING];

pub(super) static BY_IDS: Bulk = Bulk::new("SELECT id, version, asked, live FROM request WHERE id IN (VALUES", &[""], ")");

pub(super) static INSERT: Bulk = Bulk::new(
    "INSERT INTO request (id, version, status, client_id, action, resource_type, resource_id, environment, search, on_behalf_of, policy_version, \
     created_at, expires_at, decided_at, valid_until, digest, asked, live, idempotency_key, body_hash, remind_at, escalate_at) VALUES",
    &["", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""],
    "ON CONFLICT DO NOTHING RETURNING id",
);

/// The guard of the state machine: only the row that is still at the version the transition was made for.
pub(super) static UPDATE: Bulk = Bulk::new(
    "WITH next (id, from_version, unless_frozen, version, status, decided_at, valid_until, digest, live, remind_at, escalate_at) AS (VALUES",
    &["TEXT", "BIGINT", "BIGINT", "BIGINT", "TEXT", "BIGINT", "BIGINT", "TEXT", "TEXT", "BIGINT", "BIGINT"],
    ") UPDATE request SET version = next.version, status = next.status, decided_at = next.decided_at, valid_until = next.valid_until, \
     digest = next.digest, live = next.live, remind_at = next.remind_at, escalate_at = next.escalate_at FROM next WHERE request.id = next.id AND request.version = next.from_version \
     AND (next.unless_frozen = 0 OR NOT EXISTS (SELECT 1 FROM client WHERE client.id = request.client_id AND client.frozen_at IS NOT NULL)) \
     RETURNING request.id",
);

pub(super) static INSERT_REVIEW: Bulk =
    Bulk::new("INSERT INTO review (id, request_id, person_id, decision, via, at) VALUES", &["", "", "", "", "", ""], "");

/// Inserts new requests; answers with the ids that were free, and whose idempotency key was.
pub(super) async fn insert(conn: &mut Conn, commits: &[&CommitRow]) -> Result<HashSet<String>, StoreError> {
    let mut inserted = HashSet::with_capacity(commits.len());
    for (text, part) in INSERT.parts(commits) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query_scalar::<Db, String>(AssertSqlSafe(text));
        for commit in part {
            let row = &commit.request;
            query = query
                .bind(row.id.as_str())
                .bind(row.version)
                .bind(row.status.as_str())
                .bind(row.client_id.as_str())
                .bind(row.action.as_str())
                .bind(row.resource_type.as_deref())
                .bind(row.resource_id.as_deref())
                .bind(row.environment.as_deref())
                .bind(row.search.as_str())
                .bind(row.on_behalf_of.as_deref())
                .bind(row.policy_version.as_str())
                .bind(row.created_at)
                .bind(row.expires_at)
                .bind(row.decided_at)
                .bind(row.valid_until)
                .bind(row.digest.as_str())
                .bind(row.asked.as_str())
                .bind(row.live.as_str())
                .bind(row.idempotency_key.as_deref())
                .bind(row.body_hash.as_deref())
                .bind(row.remind_at)
                .bind(row.escalate_at);
        }
        inserted.extend(query.fetch_all(&mut *conn).await?);
    }
    Ok(inserted)
}

/// Moves requests on; answers with the ids whose guard held.
pub(super) async fn update(conn: &mut Conn, commits: &[&CommitRow]) -> Result<HashSet<String>, StoreError> {
    let mut updated = HashSet::with_capacity(commits.len());
    for (text, part) in UPDATE.parts(commits) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query_scalar::<Db, String>(AssertSqlSafe(text));
        for commit in part {
            let row = &commit.request;
            query = query
                .bind(row.id.as_str())
                .bind(commit.from_version)
                .bind(i64::from(commit.unless_frozen))
                .bind(row.version)
                .bind(row.status.as_str())
                .bind(row.decided_at)
                .bind(row.valid_until)
                .bind(row.digest.as_str())
                .bind(row.live.as_str())
                .bind(row.remind_at)
                .bind(row.escalate_at);
        }
        updated.extend(query.fetch_all(&mut *conn).await?);
    }
    Ok(updated)
}

pub(super) async fn insert_reviews(conn: &mut Conn, reviews: &[&ReviewRow]) -> Result<(), StoreError> {
    for (text, part) in INSERT_REVIEW.parts(reviews) {
        // Constant text and placeholders only, see `bulk`.
        let mut query = sqlx::query::<Db>(AssertSqlSafe(text));
        for review in part {
            query = query
                .bind(review.id.as_str())
                .bind(review.request_id.as_str())
                .bind(review.person_id.as_str())
                .bind(review.decision.as_str())
                .bind(review.via.as_str())
                .bind(review.at);
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// The requests of these ids, as far as they exist.
pub(in crate::store) async fn by_ids(pool: &Pool, ids: &[RequestId]) -> Result<HashMap<RequestId, StoredRequest>, StoreError> {
    let mut found = HashMap::with_capacity(ids.len());
    for (text, part) in BY_IDS.parts(ids) {
        // Constant text and placeholders only, see `bulk`.
        let query = part.iter().fold(sqlx::query_as::<Db, StoredRequest>(AssertSqlSafe(text)), |query, id| query.bind(id.as_str()));
        for row in query.fetch_all(pool).await? {
            if let Some(id) = part.iter().find(|id| id.as_str() == row.id) {
                found.insert(id.clone(), row);
            }
        }
    }
    Ok(found)
}

pub(in crate::store) async fn by_idempotency(pool: &Pool, client: &ClientId, key: &str) -> Result<Option<(Vec<u8>, String)>, StoreError> {
    Ok(sqlx::query_as::<Db, _>(BY_IDEMPOTENCY).bind(client.as_str()).bind(key).fetch_optional(pool).await?)
}

pub(in crate::store) async fn due(pool: &Pool, now: Timestamp, limit: u32) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar::<Db, _>(DUE).bind(now.as_millis()).bind(i64::from(limit)).fetch_all(pool).await?)
}

pub(in crate::store) async fn due_reminders(pool: &Pool, now: Timestamp, limit: u32) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar::<Db, _>(DUE_REMINDERS).bind(now.as_millis()).bind(i64::from(limit)).fetch_all(pool).await?)
}

pub(in crate::store) async fn due_escalations(pool: &Pool, now: Timestamp, limit: u32) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar::<Db, _>(DUE_ESCALATIONS).bind(now.as_millis()).bind(i64::from(limit)).fetch_all(pool).await?)
}

pub(in crate::store) async fn next_expiry(pool: &Pool) -> Result<Option<i64>, StoreError> {
    Ok(sqlx::query_scalar::<Db, _>(NEXT_EXPIRY).fetch_one(pool).await?)
}

pub(in crate::store) async fn pending(pool: &Pool) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar::<Db, _>(PENDING).fetch_one(pool).await?;
    Ok(count.unsigned_abs())
}

pub(in crate::store) async fn history(
    pool: &Pool,
    client: &ClientId,
    action: &str,
    since: Timestamp,
) -> Result<Vec<(String, i64)>, StoreError> {
    Ok(sqlx::query_as::<Db, _>(HISTORY).bind(client.as_str()).bind(action).bind(since.as_millis()).fetch_all(pool).await?)
}

/// Newest first. The text depends on which members of the filter are set; every value is bound.
pub(in crate::store) async fn list(
    pool: &Pool,
    filter: &RequestFilter,
    before: Option<&RequestId>,
    limit: u32,
) -> Result<Vec<StoredRequest>, StoreError> {
    let mut query = QueryBuilder::<Db>::new("SELECT id, version, asked, live FROM request WHERE 1 = 1");
    if let Some(before) = before {
        query.push(" AND id < ").push_bind(before.as_str());
    }
    for client in [&filter.client, &filter.visible_to_client].into_iter().flatten() {
        query.push(" AND client_id = ").push_bind(client.as_str());
    }
    if let Some(action) = &filter.action {
        query.push(" AND action = ").push_bind(action.as_str());
    }
    if !filter.statuses.is_empty() {
        query.push(" AND status IN (");
        let mut list = query.separated(", ");
        for status in &filter.statuses {
            list.push_bind(status.as_str());
        }
        query.push(")");
    }
    if let Some(person) = &filter.reviewer {
        query.push(" AND id IN (SELECT request_id FROM review WHERE person_id = ").push_bind(person.as_str()).push(")");
    }
    if let Some(text) = &filter.q {
        query.push(" AND search LIKE ").push_bind(escape_like(text)).push(" ESCAPE '\\'");
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    Ok(query.build_query_as::<StoredRequest>().fetch_all(pool).await?)
}
