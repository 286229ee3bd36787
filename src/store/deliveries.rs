//! Owns the outbox of cards: which card must show which version where, and how far that has come.
//!
//! Never talks to a platform. A card is one row for its whole life; the latest state wins, so a slow platform sees one update, not twenty.

use super::error::StoreError;
use super::work::{Answer, Claim, Work};
use super::{Store, read};
use crate::domain::audit::Entry;
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;

/// The row number of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub(super) i64);

/// One card in one place.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Delivery {
    pub(super) id: i64,
    request_id: String,
    /// The chat platform, e.g. `slack`.
    pub platform: String,
    /// Where the policy sends it.
    pub channel: String,
    wanted_version: i64,
    sent_version: i64,
    /// How often it was taken since it last succeeded.
    pub attempts: i64,
    /// Where the platform put it; differs from `channel` for a direct message.
    pub posted_channel: Option<String>,
    /// The platform's name for the message.
    pub posted_ts: Option<String>,
    /// A link to it.
    pub permalink: Option<String>,
    /// Hash of the bytes that were posted last.
    pub card_hash: Option<String>,
    /// Code of the last failure, until something succeeds.
    pub last_error: Option<String>,
    dead_at: Option<i64>,
}

/// How far a card has come, in the words of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Nothing was posted yet.
    Pending,
    /// It stands in its channel.
    Posted,
    /// It cannot be delivered.
    Failed,
}

impl DeliveryStatus {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Posted => "posted",
            Self::Failed => "failed",
        }
    }
}

impl Delivery {
    /// The row.
    #[must_use]
    pub fn id(&self) -> DeliveryId {
        DeliveryId(self.id)
    }

    /// The request on the card.
    pub fn request(&self) -> Result<RequestId, StoreError> {
        self.request_id.parse().map_err(|_| StoreError::Corrupt { table: "delivery", column: "request_id", id: self.id.to_string() })
    }

    /// The version that the card must show at least.
    #[must_use]
    pub fn wanted_version(&self) -> u64 {
        self.wanted_version.unsigned_abs()
    }

    /// The version it shows; 0 when nothing was posted.
    #[must_use]
    pub fn sent_version(&self) -> u64 {
        self.sent_version.unsigned_abs()
    }

    /// How far it has come.
    #[must_use]
    pub fn status(&self) -> DeliveryStatus {
        match (self.dead_at, &self.posted_ts) {
            (Some(_), _) => DeliveryStatus::Failed,
            (None, Some(_)) => DeliveryStatus::Posted,
            (None, None) => DeliveryStatus::Pending,
        }
    }
}

/// What a worker drew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The version of the request on the card.
    pub version: u64,
    /// Where the platform put it.
    pub channel: String,
    /// The platform's name for the message.
    pub ts: String,
    /// A link to it, when the platform gave one now.
    pub permalink: Option<String>,
    /// Hash of the bytes.
    pub card_hash: String,
}

/// The state of the outbox, for readiness and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// When the oldest card that waits became due; in the future when nothing is late.
    pub oldest_due: Option<Timestamp>,
    /// Cards that cannot be delivered.
    pub dead: u64,
}

impl Store {
    /// Takes cards that must be drawn and that nobody is drawing, longest due first.
    pub async fn claim_deliveries(&self, claim: Claim) -> Result<Vec<Delivery>, StoreError> {
        match self.submit(Work::ClaimDeliveries(claim)).await? {
            Answer::Deliveries(deliveries) => Ok(deliveries),
            _ => Err(StoreError::Unavailable("writer")),
        }
    }

    /// A card was posted or updated. If the request moved on meanwhile, the card is due again at once.
    pub async fn delivery_done(&self, id: DeliveryId, drawn: Drawn, at: Timestamp, event: &Entry) -> Result<(), StoreError> {
        let event = self.prepare(event, at)?;
        self.submit(Work::DeliveryDone { id: id.0, drawn: Box::new(drawn), at, event }).await.map(drop)
    }

    /// A card could not be drawn now; `error` is a short code.
    pub async fn delivery_retry(&self, id: DeliveryId, due_at: Timestamp, error: &str) -> Result<(), StoreError> {
        self.submit(Work::DeliveryRetry { id: id.0, due_at, error: error.to_owned() }).await.map(drop)
    }

    /// A card can never be drawn; `error` is a short code.
    pub async fn delivery_dead(&self, id: DeliveryId, at: Timestamp, error: &str, event: &Entry) -> Result<(), StoreError> {
        let event = self.prepare(event, at)?;
        self.submit(Work::DeliveryDead { id: id.0, at, error: error.to_owned(), event }).await.map(drop)
    }

    /// The cards of a request.
    pub async fn deliveries(&self, request: &RequestId) -> Result<Vec<Delivery>, StoreError> {
        read!(self, sql, pool => sql::deliveries::of_request(pool, request))
    }

    /// The state of the outbox.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        read!(self, sql, pool => sql::deliveries::backlog(pool))
    }
}
