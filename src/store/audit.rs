//! Owns events that stand on their own, and reading the log.
//!
//! Never changes an event: the log is append-only, by triggers. Events of a request are written by its `Commit`.

use super::error::StoreError;
use super::work::Work;
use super::{Store, read};
use crate::domain::audit::{Entry, Head};
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;

/// A row of the log as it is stored; `verify` checks it, so nothing is assumed of it here.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AuditRow {
    /// Its place.
    pub seq: i64,
    /// When, in milliseconds.
    pub at: i64,
    /// The type's name.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// `client`, `person` or `system`.
    pub actor_kind: String,
    /// Who.
    pub actor_id: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// The bytes that the hashes cover.
    pub event: String,
    /// Leaf hash.
    pub leaf_hash: Vec<u8>,
    /// Chain hash.
    pub chain_hash: Vec<u8>,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only with a greater `seq`.
    pub after: u64,
    /// Only up to this `seq`; ignored with `request`.
    pub through: Option<u64>,
    /// Only of this request.
    pub request: Option<RequestId>,
}

impl Store {
    /// Writes events that belong to no transition, all or none.
    pub async fn record(&self, entries: &[Entry], at: Timestamp) -> Result<(), StoreError> {
        let events = entries.iter().map(|entry| self.prepare(entry, at)).collect::<Result<_, _>>()?;
        self.submit(Work::Record(events)).await.map(drop)
    }

    /// Events in the order of the log.
    pub async fn audit_events(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        read!(self, sql, pool => sql::audit::rows(pool, filter, limit))
    }

    /// The end of the log.
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        read!(self, sql, pool => sql::audit::head(pool))
    }
}
