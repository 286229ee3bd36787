//! Owns events that stand on their own, and reading the log.
//!
//! Never changes an event: the log is append-only, by triggers. Events of a request are written by its `Commit`.

use super::error::StoreError;
use super::work::Work;
use super::{Store, read};
use crate::domain::audit::{Entry, Hash, Head};
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its place, from 1.
    pub seq: u64,
    /// The bytes that the hashes cover.
    pub event: String,
    /// Leaf hash.
    pub leaf_hash: Hash,
    /// Chain hash up to and with it.
    pub chain_hash: Hash,
}

/// A row of `audit_event`, of which nothing is assumed: `verify` judges it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RawEvent {
    /// `seq`.
    pub seq: i64,
    /// `at`, in milliseconds.
    pub at: i64,
    /// `type`.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// `actor_kind`.
    pub actor_kind: String,
    /// `actor_id`.
    pub actor_id: Option<String>,
    /// `request_id`.
    pub request_id: Option<String>,
    /// `event`.
    pub event: String,
    /// `leaf_hash`.
    pub leaf_hash: Vec<u8>,
    /// `chain_hash`.
    pub chain_hash: Vec<u8>,
}

impl TryFrom<RawEvent> for AuditRow {
    type Error = StoreError;

    fn try_from(row: RawEvent) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "audit_event", column, id: row.seq.to_string() };
        Ok(Self {
            seq: u64::try_from(row.seq).map_err(|_| corrupt("seq"))?,
            leaf_hash: row.leaf_hash.as_slice().try_into().map_err(|_| corrupt("leaf_hash"))?,
            chain_hash: row.chain_hash.as_slice().try_into().map_err(|_| corrupt("chain_hash"))?,
            event: row.event,
        })
    }
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only with a greater `seq`.
    pub after: u64,
    /// Only of this request.
    pub request: Option<RequestId>,
    /// Only by this client or person.
    pub actor: Option<String>,
    /// Only of this type.
    pub kind: Option<String>,
    /// Only of requests for this action.
    pub action: Option<String>,
    /// Only of requests for this resource id.
    pub resource: Option<String>,
    /// Only of requests in this environment.
    pub environment: Option<String>,
    /// Only of requests with this text in action, resource id, summary or the requester's name.
    pub q: Option<String>,
    /// Only from this instant on.
    pub from: Option<Timestamp>,
    /// Only before this instant.
    pub to: Option<Timestamp>,
}

impl Store {
    /// Writes events that belong to no transition, all or none.
    pub async fn record(&self, entries: Vec<Entry>, now: Timestamp) -> Result<(), StoreError> {
        let events = entries.iter().map(|entry| self.prepare(entry, now)).collect::<Result<_, _>>()?;
        self.submit(Work::Record(events)).await.map(drop)
    }

    /// Events with a greater `seq` than `after`, in order.
    pub async fn audit_rows(&self, after: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.raw_events(after, limit).await?.into_iter().map(TryInto::try_into).collect()
    }

    /// The same rows, unjudged.
    pub async fn raw_events(&self, after: u64, limit: u32) -> Result<Vec<RawEvent>, StoreError> {
        read!(self, sql, pool => sql::audit::range(pool, after, limit))
    }

    /// Events that a filter lets through, in order.
    pub async fn audit_events(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        read!(self, sql, pool => sql::audit::filtered(pool, filter, limit))?.into_iter().map(TryInto::try_into).collect()
    }

    /// The end of the log.
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        read!(self, sql, pool => sql::audit::head(pool))
    }
}
