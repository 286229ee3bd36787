//! Owns the outbox of callbacks: which changes must still be told to which caller, and how far that has come.
//!
//! Never calls anybody, and never changes what a message says once it was tried: a receiver knows a repeat by its id.

use super::error::StoreError;
use super::work::{Answer, Claim, Work};
use super::{OutboxState, Store, read};
use crate::domain::ask::Notice;
use crate::domain::audit::Entry;
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use std::time::Duration;

/// A callback that a worker took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The row.
    pub id: i64,
    /// `webhook-id`: the same on every try.
    pub webhook_id: String,
    /// The request that it tells of.
    pub request: RequestId,
    /// What for.
    pub notice: Notice,
    /// What it says; `None` before the first try.
    pub body: Option<String>,
    /// Tries that failed.
    pub attempts: u32,
}

/// What is read of a row of `callback`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct CallbackRow {
    pub(super) id: i64,
    webhook_id: String,
    request_id: String,
    kind: String,
    body: Option<String>,
    attempts: i64,
}

impl TryFrom<CallbackRow> for Callback {
    type Error = StoreError;

    fn try_from(row: CallbackRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "callback", column, id: row.id.to_string() };
        Ok(Self {
            id: row.id,
            request: row.request_id.parse().map_err(|_| corrupt("request_id"))?,
            notice: Notice::parse(&row.kind).ok_or_else(|| corrupt("kind"))?,
            webhook_id: row.webhook_id,
            body: row.body,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        })
    }
}

impl Store {
    /// Takes callbacks that are due and that nobody is at, for `lease`; first tries before repeats, so that receivers that are
    /// away hold up nobody else.
    pub async fn claim_callbacks(&self, now: Timestamp, limit: u32, lease: Duration, worker: &str) -> Result<Vec<Callback>, StoreError> {
        match self
            .submit(Work::ClaimCallbacks(Claim { now, limit, lease_until: now.plus(lease), owner: worker.to_owned(), except: Vec::new() }))
            .await?
        {
            Answer::Callbacks(callbacks) => Ok(callbacks),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// Fixes what a callback says, made from that version of the request. `false`: it must tell a newer one.
    pub async fn callback_says(&self, id: i64, version: u64, body: String) -> Result<bool, StoreError> {
        Ok(!matches!(self.submit(Work::CallbackSays { id, version: version.cast_signed(), body }).await?, Answer::Conflict))
    }

    /// The receiver has it.
    pub async fn callback_done(&self, id: i64, now: Timestamp, entry: Entry) -> Result<(), StoreError> {
        self.submit(Work::CallbackDone { id, event: self.prepare(&entry, now)? }).await.map(drop)
    }

    /// A try failed; `code` says why.
    pub async fn callback_retry(&self, id: i64, next: Timestamp, code: &str) -> Result<(), StoreError> {
        self.submit(Work::CallbackRetry { id, due_at: next, error: Some(code.to_owned()) }).await.map(drop)
    }

    /// It was not tried.
    pub async fn callback_later(&self, id: i64, next: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::CallbackRetry { id, due_at: next, error: None }).await.map(drop)
    }

    /// It will never be tried again; `code` says why. After `http_410` nothing more is told of the request.
    pub async fn callback_dead(&self, id: i64, code: &str, now: Timestamp, entry: Entry) -> Result<(), StoreError> {
        self.submit(Work::CallbackDead { id, at: now, error: code.to_owned(), event: self.prepare(&entry, now)? }).await.map(drop)
    }

    /// The state of the outbox of callbacks.
    pub async fn callback_state(&self, now: Timestamp) -> Result<OutboxState, StoreError> {
        read!(self, sql, pool => sql::callbacks::state(pool, now))
    }
}
