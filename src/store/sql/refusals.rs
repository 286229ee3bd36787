//! Owns the statements over `refusal`, which counts repeats so that they do not fill the log.
//!
//! Never writes an event: the writer does, from what stands here.

use super::{Conn, Db};
use crate::domain::audit::Entry;
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use crate::store::error::StoreError;
use crate::store::refusals::{Counted, WINDOW, to_entry};

const COUNT: &str = "INSERT INTO refusal (key, window_start, repeats, type, actor, request_id, data) VALUES ($1, $2, 0, $3, $4, $5, $6) \
    ON CONFLICT (key) DO UPDATE SET repeats = refusal.repeats + 1 RETURNING window_start, repeats";
const RESTART: &str = "UPDATE refusal SET window_start = $2, repeats = 0 WHERE key = $1";
const OVER: &str = "DELETE FROM refusal WHERE window_start <= $1 RETURNING type, actor, request_id, data, repeats";

pub(super) const TEXTS: &[&str] = &[COUNT, RESTART, OVER];

/// Counts one refusal.
pub(super) async fn count(conn: &mut Conn, key: &str, entry: &Entry, at: Timestamp) -> Result<Counted, StoreError> {
    let actor = serde_json::to_string(&entry.actor).unwrap_or_default();
    let data = serde_json::to_string(&entry.data).unwrap_or_default();
    let (start, repeats): (i64, i64) = sqlx::query_as::<Db, _>(COUNT)
        .bind(key)
        .bind(at.as_millis())
        .bind(entry.kind.as_str())
        .bind(actor)
        .bind(entry.request.as_ref().map(RequestId::as_str))
        .bind(data)
        .fetch_one(&mut *conn)
        .await?;
    if repeats == 0 {
        return Ok(Counted::First);
    }
    if at.since(Timestamp::from_millis(start)) < WINDOW {
        return Ok(Counted::Repeat);
    }
    // The minute is over and nobody flushed it yet: this one starts another.
    sqlx::query::<Db>(RESTART).bind(key).bind(at.as_millis()).execute(conn).await?;
    Ok(Counted::Restarted { earlier_repeats: repeats - 1 })
}

/// Takes out what is over; answers with an entry for each that was repeated.
pub(super) async fn take_over(conn: &mut Conn, now: Timestamp) -> Result<Vec<Entry>, StoreError> {
    type Row = (String, String, Option<String>, String, i64);
    let limit = now.as_millis().saturating_sub(i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX));
    let rows: Vec<Row> = sqlx::query_as::<Db, _>(OVER).bind(limit).fetch_all(conn).await?;
    rows.into_iter()
        .filter(|row| row.4 > 0)
        .map(|(kind, actor, request, data, repeats)| to_entry(&kind, &actor, request.as_deref(), &data, repeats))
        .collect()
}
