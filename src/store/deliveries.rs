//! Owns the outbox: which card must show which version where, what its thread is still to be told, and how far that has come.
//!
//! Never talks to a platform, and never keeps the words that are sent. A card is one row for its whole life; the latest state wins, so a
//! slow platform sees one update, not twenty. Its thread is served through the same row, one message after the other, once the card is right.

use super::error::StoreError;
use super::work::{self, Answer, Claim, Post, Work};
use super::{Backend, Store, read};
use crate::domain::audit::Entry;
use crate::domain::card::Posted;
use crate::domain::ids::RequestId;
use crate::domain::notice::Occasion;
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

/// What a row of the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryKind {
    /// A card, drawn anew for as long as the request changes, and its thread.
    Card,
    /// One message to one person, whose id stands in place of a channel.
    Direct,
}

impl DeliveryKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Direct => "direct",
        }
    }
}

/// What a worker took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The row.
    pub id: DeliveryId,
    /// What it is.
    pub kind: DeliveryKind,
    /// The request that it tells of.
    pub request: RequestId,
    /// The chat platform, e.g. `slack`.
    pub platform: String,
    /// Where policy sends it; for a direct message the person.
    pub channel: String,
    /// Where it stands; `None` when it must be posted.
    pub posted: Option<Posted>,
    /// The card does not show the newest state. When it does, the thread is served.
    pub outdated: bool,
    /// The oldest message that its thread is still to be told.
    pub message: Option<MessageId>,
    /// Failures since it last succeeded.
    pub attempts: u32,
}

/// The row of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId(i64);

/// Something for the thread of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Tell of this.
    Tell(Occasion),
    /// An older card of the same delivery stands there as well, with this id: say on it that it is superseded.
    Superseded(String),
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

/// Where cards go when no other card of a request can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instead {
    /// The version of the request that they must show at least.
    pub version: u64,
    /// Platform and channel of each.
    pub channels: Vec<(String, String)>,
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
    kind: String,
    /// Only of a claimed row.
    #[sqlx(default)]
    outdated: i64,
    #[sqlx(default)]
    message_id: Option<i64>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = StoreError;

    fn try_from(row: DeliveryRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "delivery", column, id: row.id.to_string() };
        Ok(Self {
            id: DeliveryId(row.id.to_string()),
            kind: match row.kind.as_str() {
                "card" => DeliveryKind::Card,
                "direct" => DeliveryKind::Direct,
                _ => return Err(corrupt("kind")),
            },
            outdated: row.outdated != 0,
            message: row.message_id.map(MessageId),
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
    /// Takes what is due and in nobody's hands, for `lease`; longest due first. Rows of the platforms in `except` are left alone.
    pub async fn claim_deliveries(
        &self,
        now: Timestamp,
        limit: u32,
        lease: Duration,
        worker: &str,
        except: Vec<String>,
    ) -> Result<Vec<Delivery>, StoreError> {
        match self
            .submit(Work::ClaimDeliveries(Claim { now, limit, lease_until: now.plus(lease), owner: worker.to_owned(), except }))
            .await?
        {
            Answer::Deliveries(deliveries) => Ok(deliveries),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// It was posted or updated and shows `version`. If the request moved on meanwhile, or its thread is to be told something, it is
    /// due again at once. What a new card shows by itself, its thread is not told.
    pub async fn delivery_sent(
        &self,
        delivery: &Delivery,
        posted: Posted,
        version: u64,
        now: Timestamp,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let event = self.prepare(&entry, now)?;
        self.submit(Work::DeliverySent {
            id: delivery.id.row(),
            posted: Box::new(posted),
            is_new: delivery.posted.is_none(),
            version: version.cast_signed(),
            at: now,
            event,
        })
        .await
        .map(drop)
    }

    /// What the thread is to be told; `None` when that was done meanwhile.
    pub async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError> {
        let Some((kind, subject)) = read!(self, sql, pool => sql::deliveries::message(pool, id.0))? else { return Ok(None) };
        if kind == "superseded" {
            return Ok(Some(Message::Superseded(subject)));
        }
        let occasion = Occasion::parse(&kind, &subject);
        occasion.map(|occasion| Some(Message::Tell(occasion))).ok_or(StoreError::Corrupt {
            table: "message",
            column: "kind",
            id: id.0.to_string(),
        })
    }

    /// A message was sent, or is not needed any more.
    pub async fn message_sent(&self, id: &DeliveryId, message: MessageId, now: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::MessageDone { delivery: id.row(), message: message.0, at: now, error: None, event: None }).await.map(drop)
    }

    /// A message can never be sent; `code` says why. The thread goes on without it.
    pub async fn message_dead(
        &self,
        id: &DeliveryId,
        message: MessageId,
        code: &str,
        now: Timestamp,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let event = Some(self.prepare(&entry, now)?);
        self.submit(Work::MessageDone { delivery: id.row(), message: message.0, at: now, error: Some(code.to_owned()), event })
            .await
            .map(drop)
    }

    /// A card with the id `ts` was seen in a conversation. When it is not the one that is known there, it is an older one, whose
    /// posting got no answer: it is due to be marked so. Answers whether it is one.
    pub async fn older_card(
        &self,
        request: &RequestId,
        platform: &str,
        channel: &str,
        ts: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let Some(delivery) = read!(self, sql, pool => sql::deliveries::with_other_card(pool, request, platform, channel, ts))? else {
            return Ok(false);
        };
        self.submit(Work::Supersede { delivery, ts: ts.to_owned(), at: now }).await?;
        Ok(true)
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

    /// There is nobody to send it to.
    pub async fn delivery_skipped(&self, id: &DeliveryId) -> Result<(), StoreError> {
        self.submit(Work::DeliverySkipped { id: id.row() }).await.map(drop)
    }

    /// It can never be sent; `code` says why. When no other card of the request can be reached, cards are posted to `instead`, in the
    /// same transaction; answers whether they are.
    pub async fn delivery_dead(
        &self,
        delivery: &Delivery,
        code: &str,
        now: Timestamp,
        entry: Entry,
        instead: Option<Instead>,
    ) -> Result<bool, StoreError> {
        let event = self.prepare(&entry, now)?;
        let instead = instead.map(|instead| work::Instead {
            request: delivery.request.clone(),
            version: instead.version.cast_signed(),
            cards: instead.channels.into_iter().map(|(platform, channel)| Post { kind: DeliveryKind::Card, platform, channel }).collect(),
        });
        match self.submit(Work::DeliveryDead { id: delivery.id.row(), at: now, error: code.to_owned(), event, instead }).await? {
            Answer::Instead(posted) => Ok(posted),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// Cards of requests that still matter, which could not be delivered: they are due again. Answers how many.
    pub async fn revive_deliveries(&self, now: Timestamp, created_after: Timestamp) -> Result<u64, StoreError> {
        match self.submit(Work::Revive { at: now, created_after }).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// What a process that is gone had in hand is nobody's any more. Only where no other process can be at work: SQLite; elsewhere
    /// a lease runs out.
    pub async fn release_leases(&self) -> Result<(), StoreError> {
        match self.shared.backend {
            Backend::Sqlite(_) => self.submit(Work::ReleaseLeases).await.map(drop),
            Backend::Postgres(_) => Ok(()),
        }
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
