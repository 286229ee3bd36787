//! Owns the outbox of callbacks: a change becomes one message to the URL that the caller named, at least once.
//!
//! Never tells more than `requests:read` sees, and never puts a URL into the log. What a message says is made at its first
//! try from the newest state, so changes that follow each other quickly are one message; after that it stays the same, as
//! its id does, because the receiver may have had it although no answer came. A claimed row belongs to this process for a
//! lease; after a crash another one takes it over.

use super::{Engine, Failure};
use crate::domain::ask::Notice;
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::request::Request;
use crate::store::Callback;
use crate::webhook::schedule;
use crate::webhook::sender::{Message, SendError};
use serde_json::json;
use std::time::Duration;

/// Messages under way at the same time.
pub const AT_ONCE: u32 = 64;
/// How long a claimed row is left to its worker; longer than a try takes.
const LEASE: Duration = Duration::from_secs(45);
/// A change came in between: look again this soon.
const SOON: Duration = Duration::from_millis(100);

impl Engine {
    /// Takes what is due.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim_callbacks(&self, worker: &str, room: u32) -> Result<Vec<Callback>, Failure> {
        Ok(self.store.claim_callbacks(self.clock.now(), room, LEASE, worker).await?)
    }

    /// One try.
    ///
    /// # Errors
    /// When the store fails; a receiver that fails is not an error here.
    pub async fn call_back(&self, callback: Callback) -> Result<(), Failure> {
        let Some(request) = self.store.request(&callback.request).await? else {
            return self.give_up(&callback, "request_gone").await;
        };
        let asked = request.asked();
        let Some(wish) = &asked.ask.callback else { return self.give_up(&callback, "request_gone").await };
        // Whoever may not ask any more is told nothing more either.
        if self.store.client(&asked.client.id).await?.is_none_or(|client| !client.enabled) {
            return self.give_up(&callback, "client_disabled").await;
        }
        let body = if let Some(body) = &callback.body {
            body.clone()
        } else {
            let body = self.says(callback.notice, &request).await?;
            if !self.store.callback_says(callback.id, request.version(), body.clone()).await? {
                return Ok(self.store.callback_later(callback.id, self.clock.now().plus(SOON)).await?);
            }
            body
        };
        let message = Message { id: &callback.webhook_id, timestamp: self.clock.now().as_seconds(), body: &body };
        match self.webhooks.send(&asked.client.name, &wish.url, message).await {
            Ok(()) => {
                count("sent");
                let entry = entry(Kind::DeliveryPosted, &callback).with("attempts", callback.attempts + 1);
                Ok(self.store.callback_done(callback.id, self.clock.now(), entry).await?)
            }
            Err(SendError::Final { code }) => self.give_up(&callback, code).await,
            Err(SendError::Retry { code, after }) => self.try_later(&callback, &code, after).await,
        }
    }

    async fn says(&self, notice: Notice, request: &Request) -> Result<String, Failure> {
        let view = self.view_for_readers(request).await?;
        let body = json!({"type": kind(notice), "timestamp": self.clock.now(), "data": view});
        Ok(body.to_string())
    }

    async fn try_later(&self, callback: &Callback, code: &str, after: Option<Duration>) -> Result<(), Failure> {
        let failures = callback.attempts.saturating_add(1);
        let [random] = self.random.bytes::<1>();
        let Some(pause) = schedule::pause(failures, random, after) else { return self.give_up(callback, code).await };
        count("retry");
        tracing::warn!(request.id = %callback.request, code, attempt = failures, "a callback failed; trying again");
        Ok(self.store.callback_retry(callback.id, self.clock.now().plus(pause), code).await?)
    }

    /// A dead letter: visible in metrics, readiness and the log.
    async fn give_up(&self, callback: &Callback, code: &str) -> Result<(), Failure> {
        count("dead");
        tracing::error!(request.id = %callback.request, code, "a callback cannot be delivered");
        let entry = entry(Kind::DeliveryFailed, callback).with("code", code);
        Ok(self.store.callback_dead(callback.id, code, self.clock.now(), entry).await?)
    }
}

fn kind(notice: Notice) -> &'static str {
    match notice {
        Notice::Updated => "request.updated",
        Notice::Terminal => "request.terminal",
    }
}

fn entry(kind: Kind, callback: &Callback) -> Entry {
    Entry::new(kind, Actor::System, Some(&callback.request))
        .with("platform", "webhook")
        .with("message", callback.webhook_id.as_str())
        .with("event", self::kind(callback.notice))
}

fn count(result: &'static str) {
    metrics::counter!("countersign_deliveries_total", "platform" => "webhook", "result" => result).increment(1);
}
