//! Owns the writer's queue as data: what a job asks for and what it is answered.
//!
//! Never holds a domain object that rules could still change: a job is final when it is queued, so the writer neither
//! serialises nor decides.

use super::callbacks::Callback;
use super::clients::{ConfiguredClient, NewKey};
use super::deliveries::{Delivery, DeliveryKind};
use super::error::StoreError;
use super::heads::SignedHead;
use super::taps::{NewTap, ReceivedTap, StoredTap};
use crate::domain::ask::Notice;
use crate::domain::audit::{Entry, Prepared};
use crate::domain::card::Posted;
use crate::domain::client::Client;
use crate::domain::ids::{ClientId, PersonId, RequestId};
use crate::domain::notice::Occasion;
use crate::domain::time::Timestamp;
use std::time::Instant;
use tokio::sync::oneshot;

/// One unit of work; it is done whole or not at all.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Box<CommitRow>),
    Record(Vec<Prepared>),
    Refuse {
        key: String,
        entry: Box<Entry>,
        at: Timestamp,
    },
    FlushRefusals {
        now: Timestamp,
    },
    ReceiveTap(Box<NewTap>),
    ClaimTaps(Claim),
    FinishTap {
        id: i64,
        at: Timestamp,
        outcome: String,
    },
    PostponeTap {
        id: i64,
        due_at: Timestamp,
    },
    ClaimDeliveries(Claim),
    DeliverySent {
        id: i64,
        posted: Box<Posted>,
        /// It was posted, not redrawn.
        is_new: bool,
        version: i64,
        at: Timestamp,
        event: Prepared,
    },
    /// A message of a thread was sent, or with an error given up.
    MessageDone {
        delivery: i64,
        message: i64,
        at: Timestamp,
        error: Option<String>,
        event: Option<Prepared>,
    },
    /// An older card of a delivery was found.
    Supersede {
        delivery: i64,
        ts: String,
        at: Timestamp,
    },
    /// Without an error: the card was not tried.
    DeliveryRetry {
        id: i64,
        due_at: Timestamp,
        error: Option<String>,
    },
    DeliveryRepost {
        id: i64,
        at: Timestamp,
    },
    /// Nothing need be sent.
    DeliverySkipped {
        id: i64,
    },
    DeliveryDead {
        id: i64,
        at: Timestamp,
        error: String,
        event: Prepared,
        /// Posted when no other card of the request can be reached.
        instead: Option<Instead>,
    },
    ClaimCallbacks(Claim),
    /// What it says from now on, made from that version.
    CallbackSays {
        id: i64,
        version: i64,
        body: String,
    },
    CallbackDone {
        id: i64,
        event: Prepared,
    },
    /// Without an error: it was not tried.
    CallbackRetry {
        id: i64,
        due_at: Timestamp,
        error: Option<String>,
    },
    CallbackDead {
        id: i64,
        at: Timestamp,
        error: String,
        event: Prepared,
    },
    /// Dead cards are tried again.
    Revive {
        at: Timestamp,
        created_after: Timestamp,
    },
    /// Nobody holds anything any more.
    ReleaseLeases,
    /// Each with the id it gets when it is new.
    SyncClients {
        configured: Vec<(ConfiguredClient, ClientId)>,
        at: Timestamp,
    },
    CreateClient {
        client: Box<Client>,
        key: NewKey,
        at: Timestamp,
        event: Prepared,
    },
    AddKey {
        client: ClientId,
        key: NewKey,
        at: Timestamp,
        event: Prepared,
    },
    DisableClient {
        client: ClientId,
        event: Prepared,
    },
    Freeze {
        client: ClientId,
        frozen: bool,
        at: Timestamp,
        event: Prepared,
    },
    Person {
        key: String,
        name: String,
        email: String,
        preferred: Option<PersonId>,
        fresh: PersonId,
    },
    PutPolicy {
        version: String,
        text: String,
        /// Only while this version is the active one.
        instead_of: Option<String>,
        at: Timestamp,
        event: Option<Prepared>,
    },
    PutHead(Box<SignedHead>),
    PutMeta {
        key: String,
        value: String,
    },
    Prune {
        before: Timestamp,
    },
}

/// What a job is answered.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Conflict,
    IdempotencyTaken,
    Count(u64),
    Tap(ReceivedTap),
    Taps(Vec<StoredTap>),
    Deliveries(Vec<Delivery>),
    Callbacks(Vec<Callback>),
    /// Whether the cards of `DeliveryDead::instead` were put into the queue.
    Instead(bool),
    Person(PersonId),
}

/// Which rows a worker takes, and for how long nobody else does.
#[derive(Debug)]
pub(super) struct Claim {
    /// Rows that are due at this instant.
    pub(super) now: Timestamp,
    /// At most that many.
    pub(super) limit: u32,
    /// When somebody else may take them, should this worker die.
    pub(super) lease_until: Timestamp,
    /// Who takes them.
    pub(super) owner: String,
    /// Platforms whose rows are left alone.
    pub(super) except: Vec<String>,
}

/// Cards that take the place of one that cannot be delivered.
#[derive(Debug)]
pub(super) struct Instead {
    pub(super) request: RequestId,
    pub(super) version: i64,
    pub(super) cards: Vec<Post>,
}

/// Something to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) kind: DeliveryKind,
    pub(super) platform: String,
    pub(super) channel: String,
}

/// A queued job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<Answer, StoreError>>,
    pub(super) queued: Instant,
}

/// A transition, ready to be written.
#[derive(Debug)]
pub(super) struct CommitRow {
    pub(super) request: RequestRow,
    /// 0 for a new request.
    pub(super) from_version: i64,
    pub(super) unless_frozen: bool,
    pub(super) at: i64,
    pub(super) tap: Option<i64>,
    pub(super) events: Vec<Prepared>,
    pub(super) posts: Vec<Post>,
    /// What the threads of its cards are told.
    pub(super) messages: Vec<Occasion>,
    pub(super) redraw: bool,
    pub(super) redraw_at: Option<i64>,
    pub(super) reviews: Vec<ReviewRow>,
    pub(super) callback: Option<CallbackWish>,
}

/// A change that the caller wants to be told of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CallbackWish {
    pub(super) webhook_id: String,
    pub(super) request_id: String,
    pub(super) notice: Notice,
    pub(super) version: i64,
    pub(super) at: i64,
}

/// A row of `request`.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(super) struct RequestRow {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) status: String,
    pub(super) client_id: String,
    pub(super) action: String,
    pub(super) resource_type: Option<String>,
    pub(super) resource_id: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) search: String,
    pub(super) on_behalf_of: Option<String>,
    pub(super) policy_version: String,
    pub(super) created_at: i64,
    pub(super) expires_at: i64,
    pub(super) decided_at: Option<i64>,
    pub(super) valid_until: Option<i64>,
    pub(super) remind_at: Option<i64>,
    pub(super) escalate_at: Option<i64>,
    pub(super) digest: String,
    pub(super) asked: String,
    pub(super) live: String,
    pub(super) idempotency_key: Option<String>,
    pub(super) body_hash: Option<Vec<u8>>,
}

/// What is read back of a request.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub(super) struct StoredRequest {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) asked: String,
    pub(super) live: String,
}

/// A row of `review`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReviewRow {
    pub(super) id: String,
    pub(super) request_id: String,
    pub(super) person_id: String,
    pub(super) decision: String,
    pub(super) via: String,
    pub(super) at: i64,
}
