//! Owns how refusals reach the log without a repeated one filling it.
//!
//! The first refusal of a key (who, which request, why) is an event at once. Repeats within the next minute only count in
//! an ordinary row; when the minute is over, one further event with `repeats: n` says how many there were. A count that was
//! not flushed yet survives a restart, because the row does. Never for unauthenticated callers: strangers must not grow a table.

use super::Store;
use super::error::StoreError;
use super::work::{Answer, Work};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use std::time::Duration;

/// How long repeats are counted.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// What a refusal was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    First,
    Repeat,
    /// The first of a new minute, with what the last one left unsaid.
    Restarted {
        earlier_repeats: i64,
    },
}

/// The event of a minute's repeats, from what the row kept.
pub(super) fn to_entry(kind: &str, actor: &str, request: Option<&str>, data: &str, repeats: i64) -> Result<Entry, StoreError> {
    let corrupt = |column| StoreError::Corrupt { table: "refusal", column, id: kind.to_owned() };
    let kind = Kind::ALL.iter().copied().find(|known| known.as_str() == kind).ok_or_else(|| corrupt("type"))?;
    let actor: Actor = serde_json::from_str(actor).map_err(|_| corrupt("actor"))?;
    let request: Option<RequestId> = request.map(str::parse).transpose().map_err(|_| corrupt("request_id"))?;
    let mut entry = Entry::new(kind, actor, request.as_ref());
    entry.data = serde_json::from_str(data).map_err(|_| corrupt("data"))?;
    Ok(entry.with("repeats", repeats))
}

impl Store {
    /// Writes that a known caller or person was refused; the fact `reason` is the code. Repeats of the same actor, request
    /// and reason within a minute are counted, not written.
    pub async fn record_refusal(&self, entry: Entry, now: Timestamp) -> Result<(), StoreError> {
        let request = entry.request.as_ref().map_or("-", |id| id.as_str());
        let reason = entry.data.get("reason").and_then(serde_json::Value::as_str).unwrap_or("-");
        let key = format!("{} {} {request} {reason}", entry.kind.as_str(), entry.actor.id().unwrap_or("-"));
        self.submit(Work::Refuse { key, entry: Box::new(entry), at: now }).await.map(drop)
    }

    /// Writes the counts of the minutes that are over; call it every few seconds. Answers with the number of events.
    pub async fn flush_refusals(&self, now: Timestamp) -> Result<usize, StoreError> {
        match self.submit(Work::FlushRefusals { now }).await? {
            Answer::Count(count) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            _ => Err(StoreError::MISMATCH),
        }
    }
}
