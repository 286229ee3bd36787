//! Owns taps that were acknowledged before they were judged: durable, taken by one worker at a time, finished once.
//!
//! Never judges: how old a tap may be and what it does is the use case's.

use super::error::StoreError;
use super::work::{Answer, Claim, Work};
use super::{Store, read};
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use std::time::Duration;

/// A tap on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewTap {
    pub(super) platform: String,
    pub(super) dedup_key: String,
    pub(super) request: RequestId,
    pub(super) payload: String,
    pub(super) received_at: Timestamp,
    pub(super) lease: Option<Lease>,
}

/// Who takes a tap at once, and until when nobody else does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker.
    pub worker: String,
    /// When somebody else may take it, should this worker die.
    pub until: Timestamp,
}

/// The row of a tap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapId(pub String);

impl TapId {
    pub(super) fn of(row: i64) -> Self {
        Self(row.to_string())
    }

    /// The row's number; 0, which no row has, for a text that the store did not give.
    pub(super) fn row(&self) -> i64 {
        self.0.parse().unwrap_or(0)
    }
}

/// What became of a tap that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceivedTap {
    /// It is durable now.
    New(TapId),
    /// A copy of it came in before.
    Duplicate,
}

/// A tap that a worker took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTap {
    /// The row.
    pub id: TapId,
    /// Where it came from.
    pub platform: String,
    /// As it was received.
    pub payload: String,
    /// When it came in.
    pub received_at: Timestamp,
    /// How often it was taken, this time included.
    pub attempts: u32,
}

/// What is read of a row of `tap`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct TapRow {
    pub(super) id: i64,
    platform: String,
    payload: String,
    received_at: i64,
    attempts: i64,
}

impl From<TapRow> for StoredTap {
    fn from(row: TapRow) -> Self {
        Self {
            id: TapId::of(row.id),
            platform: row.platform,
            payload: row.payload,
            received_at: Timestamp::from_millis(row.received_at),
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        }
    }
}

impl Store {
    /// Makes a tap durable. Once this answers, it will be finished or refused, whatever happens to this process.
    /// `dedup_key` is the same for every copy that the platform sends of one tap; `payload` is JSON that the use case reads later.
    /// With a `lease` it is taken in the same write: whoever gives one finishes the tap.
    pub async fn receive_tap(
        &self,
        platform: &str,
        dedup_key: &str,
        request: &RequestId,
        payload: &str,
        lease: Option<Lease>,
        now: Timestamp,
    ) -> Result<ReceivedTap, StoreError> {
        let tap = NewTap {
            platform: platform.to_owned(),
            dedup_key: dedup_key.to_owned(),
            request: request.clone(),
            payload: payload.to_owned(),
            received_at: now,
            lease,
        };
        match self.submit(Work::ReceiveTap(Box::new(tap))).await? {
            Answer::Tap(received) => Ok(received),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// Takes unfinished taps that are due and that nobody has, for `lease`; oldest first.
    pub async fn claim_taps(&self, now: Timestamp, limit: u32, lease: Duration, worker: &str) -> Result<Vec<StoredTap>, StoreError> {
        match self
            .submit(Work::ClaimTaps(Claim { now, limit, lease_until: now.plus(lease), owner: worker.to_owned(), except: Vec::new() }))
            .await?
        {
            Answer::Taps(taps) => Ok(taps),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// Finishes a tap that led to no transition; `outcome` is a short code. One that did is finished by its `Commit`.
    pub async fn finish_tap(&self, id: &TapId, outcome: &str, now: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::FinishTap { id: id.row(), at: now, outcome: outcome.to_owned() }).await.map(drop)
    }

    /// Gives a tap back, to be taken again at `until`.
    pub async fn postpone_tap(&self, id: &TapId, until: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::PostponeTap { id: id.row(), due_at: until }).await.map(drop)
    }

    /// Taps that wait to be judged.
    pub async fn unfinished_taps(&self) -> Result<u64, StoreError> {
        read!(self, sql, pool => sql::taps::unfinished(pool))
    }
}
