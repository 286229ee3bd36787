//! Owns taps that were acknowledged before they were judged: durable, taken by one worker at a time, finished once.
//!
//! Never judges: how old a tap may be and what it does is the use case's.

use super::error::StoreError;
use super::work::{Answer, Claim, Work};
use super::{Store, read};
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;

/// A tap on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTap {
    /// The same for every copy that the platform sends of one tap.
    pub dedup_key: String,
    /// The request on the card.
    pub request: RequestId,
    /// The digest on the button.
    pub digest: String,
    /// What the use case needs later, as JSON.
    pub payload: String,
    /// When it came in.
    pub received_at: Timestamp,
}

/// The row number of a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TapId(pub(super) i64);

/// What became of a tap that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is durable now.
    New(TapId),
    /// A copy of it came in before.
    Duplicate,
}

/// A tap that a worker took.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Tap {
    pub(super) id: i64,
    #[sqlx(rename = "request_id")]
    pub(super) request: String,
    /// The digest on the button.
    pub digest: String,
    /// As it was received.
    pub payload: String,
    received_at: i64,
    /// How often it was taken, this time included.
    pub attempts: i64,
}

impl Tap {
    /// The row.
    #[must_use]
    pub fn id(&self) -> TapId {
        TapId(self.id)
    }

    /// When it came in.
    #[must_use]
    pub fn received_at(&self) -> Timestamp {
        Timestamp::from_millis(self.received_at)
    }

    /// The request on the card.
    pub fn request(&self) -> Result<RequestId, StoreError> {
        self.request.parse().map_err(|_| StoreError::Corrupt { table: "tap", column: "request_id", id: self.id.to_string() })
    }
}

impl Store {
    /// Makes a tap durable. Once this answers, it will be finished or refused, whatever happens to this process.
    pub async fn receive_tap(&self, tap: NewTap) -> Result<Received, StoreError> {
        match self.submit(Work::ReceiveTap(Box::new(tap))).await? {
            Answer::Tap(received) => Ok(received),
            _ => Err(StoreError::Unavailable("writer")),
        }
    }

    /// Takes unfinished taps that are due and nobody has, oldest first.
    pub async fn claim_taps(&self, claim: Claim) -> Result<Vec<Tap>, StoreError> {
        match self.submit(Work::ClaimTaps(claim)).await? {
            Answer::Taps(taps) => Ok(taps),
            _ => Err(StoreError::Unavailable("writer")),
        }
    }

    /// Finishes a tap that led to no transition; `outcome` is a short code. One that did is finished by its `Commit`.
    pub async fn finish_tap(&self, id: TapId, at: Timestamp, outcome: &str) -> Result<(), StoreError> {
        self.submit(Work::FinishTap { id: id.0, at, outcome: outcome.to_owned() }).await.map(drop)
    }

    /// Gives a tap back, to be taken again at `due_at`.
    pub async fn postpone_tap(&self, id: TapId, due_at: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::PostponeTap { id: id.0, due_at }).await.map(drop)
    }

    /// Taps that wait to be judged.
    pub async fn unfinished_taps(&self) -> Result<u64, StoreError> {
        read!(self, sql, pool => sql::taps::unfinished(pool))
    }

    /// Forgets finished taps that came in before `taps_before`; platforms repeat a tap within minutes.
    pub async fn prune(&self, taps_before: Timestamp) -> Result<u64, StoreError> {
        match self.submit(Work::Prune { taps_before }).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(StoreError::Unavailable("writer")),
        }
    }
}
