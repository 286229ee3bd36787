//! Owns the outbox of cards: which card must show which version where, and how far that has come.
//!
//! Never talks to a platform. A card is one row for its whole life; the latest state wins, so a slow platform sees one update, not twenty.

use super::error::StoreError;
use super::work::{Answer, Claim, Work};
use super::{Store, read};
use crate::domain::audit::Entry;
use crate::domain::card::Posted;
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use std::time::Duration;

/// The row of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryId(pub String);

impl DeliveryId {
    /// The row's number; 0, which no row has, for a text that the store did not give.
    fn row(&self) -> i64 {
        self.0.parse().unwrap_or(0)
    }
}

/// A card that a worker took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The row.
    pub id: DeliveryId,
    /// The request on the card.
    pub request: RequestId,
    /// The chat platform, e.g. `slack`.
    pub platform: String,
    /// Where policy sends it.
    pub channel: String,
    /// Where it stands; `None` when it must be posted.
    pub posted: Option<Posted>,
    /// Failures since it last succeeded.
    pub attempts: u32,
}

/// A card as a reader of the request sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryLine {
    /// The chat platform.
    pub platform: String,
    /// Where policy sends it.
    pub channel: String,
    /// `waiting`, `posted` or `failed`.
    pub status: &'static str,
    /// Web address of the message.
    pub permalink: Option<String>,
    /// Code of the last failure, until something succeeds.
    pub error: Option<String>,
}

/// The state of the outbox, for readiness and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxState {
    /// Cards that are due now.
    pub waiting: u64,
    /// Cards that cannot be delivered.
    pub dead: u64,
    /// When the one that waits longest became due.
    pub oldest_due: Option<Timestamp>,
}

/// What is read of a row of `delivery`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct DeliveryRow {
    pub(super) id: i64,
    request_id: String,
    platform: String,
    channel: String,
    attempts: i64,
    posted_channel: Option<String>,
    posted_ts: Option<String>,
    permalink: Option<String>,
    card_hash: Option<String>,
    last_error: Option<String>,
    dead_at: Option<i64>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "delivery", column, id: row.id.to_string() };
        Ok(Self {
            id: DeliveryId(row.id.to_string()),
            request: row.request_id.parse().map_err(|_| corrupt("request_id"))?,
            posted: match (row.posted_channel, row.posted_ts, row.card_hash) {
                (Some(channel), Some(ts), Some(rendered_hash)) => Some(Posted { channel, ts, permalink: row.permalink, rendered_hash }),
                (None, None, None) => None,
                _ => return Err(corrupt("posted_ts")),
            },
            platform: row.platform,
            channel: row.channel,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        })
    }
}

impl From<DeliveryRow> for DeliveryLine {
    fn from(row: DeliveryRow) -> Self {
        let status = match (row.dead_at, &row.posted_ts) {
            (Some(_), _) => "failed",
            (None, Some(_)) => "posted",
            (None, None) => "waiting",
        };
        Self { platform: row.platform, channel: row.channel, status, permalink: row.permalink, error: row.last_error }
    }
}

impl Store {
    /// Takes cards that must be drawn and that nobody is drawing, for `lease`; longest due first.
    pub async fn claim_deliveries(&self, now: Timestamp, limit: u32, lease: Duration, worker: &str) -> Result<Vec<Delivery>, StoreError> {
        match self.submit(Work::ClaimDeliveries(Claim { now, limit, lease_until: now.plus(lease), owner: worker.to_owned() })).await? {
            Answer::Deliveries(deliveries) => Ok(deliveries),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// A card was posted or updated and shows `version`. If the request moved on meanwhile, it is due again at once.
    pub async fn delivery_sent(
        &self,
        id: &DeliveryId,
        posted: Posted,
        version: u64,
        now: Timestamp,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let event = self.prepare(&entry, now)?;
        self.submit(Work::DeliverySent { id: id.row(), posted: Box::new(posted), version: version.cast_signed(), at: now, event })
            .await
            .map(drop)
    }

    /// A card could not be drawn now; `code` says why.
    pub async fn delivery_retry(&self, id: &DeliveryId, next: Timestamp, code: &str) -> Result<(), StoreError> {
        self.submit(Work::DeliveryRetry { id: id.row(), due_at: next, error: Some(code.to_owned()) }).await.map(drop)
    }

    /// A card was not tried, because its channel is not free yet.
    pub async fn delivery_later(&self, id: &DeliveryId, next: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::DeliveryRetry { id: id.row(), due_at: next, error: None }).await.map(drop)
    }

    /// The card was deleted: forget where it was and post it again.
    pub async fn delivery_repost(&self, id: &DeliveryId, now: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::DeliveryRepost { id: id.row(), at: now }).await.map(drop)
    }

    /// A card can never be drawn; `code` says why.
    pub async fn delivery_dead(&self, id: &DeliveryId, code: &str, now: Timestamp, entry: Entry) -> Result<(), StoreError> {
        self.submit(Work::DeliveryDead { id: id.row(), at: now, error: code.to_owned(), event: self.prepare(&entry, now)? }).await.map(drop)
    }

    /// The cards of a request.
    pub async fn delivery_lines(&self, request: &RequestId) -> Result<Vec<DeliveryLine>, StoreError> {
        Ok(read!(self, sql, pool => sql::deliveries::of_request(pool, request))?.into_iter().map(Into::into).collect())
    }

    /// The state of the outbox.
    pub async fn outbox_state(&self, now: Timestamp) -> Result<OutboxState, StoreError> {
        read!(self, sql, pool => sql::deliveries::state(pool, now))
    }
}
