//! Owns the outbox of cards: whatever the newest state of a request is, that is what its cards come to show.
//!
//! Never decides anything about a request, and never sends an outdated card: it renders from the database at the moment
//! of sending, so ten changes in a second are one update. A claimed row belongs to this process for a lease; after a
//! crash another one takes it over. A post whose answer was lost is posted again: both cards carry the same digest.

use super::Engine;
use crate::chat::{ChatPlatform, DeliveryError};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::card::{Card, History, Posted, Surroundings};
use crate::domain::request::Request;
use crate::domain::time::Timestamp;
use crate::engine::Failure;
use crate::store::Delivery;
use std::sync::Arc;
use std::time::Duration;

/// Rows taken at once by one worker.
pub const BATCH: u32 = 16;
/// How long a claimed row is left to its worker.
pub const LEASE: Duration = Duration::from_secs(45);
/// The first and the longest pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Failed attempts after which a row is a dead letter: with the pauses above, several hours.
const MOST_ATTEMPTS: u32 = 60;

impl Engine {
    /// Sends what is due; answers how many rows were handled.
    ///
    /// # Errors
    /// When the store fails; a failing platform is not an error here.
    pub async fn deliver_due(&self, worker: &str) -> Result<usize, Failure> {
        let due = self.store.claim_deliveries(self.clock.now(), BATCH, LEASE, worker).await?;
        let handled = due.len();
        let results = futures::future::join_all(due.into_iter().map(|delivery| self.deliver(delivery))).await;
        for result in results {
            result?;
        }
        Ok(handled)
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), Failure> {
        let now = self.clock.now();
        let Some(platform) = self.platform(&delivery.platform) else {
            return self.bury(&delivery, "platform_not_configured").await;
        };
        if let Err(place) = platform.place(&delivery.channel, &delivery.id.0, now) {
            return Ok(self.store.delivery_later(&delivery.id, place).await?);
        }
        let Some(request) = self.store.request(&delivery.request).await? else {
            return self.bury(&delivery, "request_gone").await;
        };
        let card = Card::of(&request, &self.surroundings(&request).await?, now);
        let sent = match &delivery.posted {
            Some(posted) => platform.update(posted, &card).await,
            None => platform.post(&delivery.channel, &card).await,
        };
        match sent {
            Ok(posted) => self.sent(&delivery, &request, posted).await,
            Err(DeliveryError::CardGone) => Ok(self.store.delivery_repost(&delivery.id, now).await?),
            Err(DeliveryError::Permanent { code }) => self.bury(&delivery, &code).await,
            Err(DeliveryError::Retry { after, code }) => {
                if let Some(after) = after {
                    platform.hold(&delivery.channel, &delivery.id.0, now.plus(after), now);
                }
                self.retry(&delivery, after, &code, now).await
            }
        }
    }

    async fn sent(&self, delivery: &Delivery, request: &Request, posted: Posted) -> Result<(), Failure> {
        let kind = if delivery.posted.is_some() { Kind::DeliveryUpdated } else { Kind::DeliveryPosted };
        let entry = Entry::new(kind, Actor::System, Some(request.id()))
            .with("platform", delivery.platform.as_str())
            .with("version", request.version())
            .with("card", format!("sha256:{}", posted.rendered_hash));
        metrics::counter!("countersign_deliveries_total", "platform" => delivery.platform.clone(), "result" => "sent").increment(1);
        Ok(self.store.delivery_sent(&delivery.id, posted, request.version(), self.clock.now(), entry).await?)
    }

    async fn retry(&self, delivery: &Delivery, after: Option<Duration>, code: &str, now: Timestamp) -> Result<(), Failure> {
        if delivery.attempts >= MOST_ATTEMPTS {
            return self.bury(delivery, code).await;
        }
        metrics::counter!("countersign_deliveries_total", "platform" => delivery.platform.clone(), "result" => "retry").increment(1);
        tracing::warn!(request.id = %delivery.request, platform = delivery.platform, code, attempt = delivery.attempts + 1, "a card could not be sent; trying again");
        let pause = after.unwrap_or_else(|| self.pause(delivery.attempts));
        Ok(self.store.delivery_retry(&delivery.id, now.plus(pause), code).await?)
    }

    /// A dead letter: visible in metrics, readiness and the request; nobody is told "sent".
    async fn bury(&self, delivery: &Delivery, code: &str) -> Result<(), Failure> {
        tracing::error!(request.id = %delivery.request, platform = delivery.platform, code, "a card cannot be delivered");
        metrics::counter!("countersign_deliveries_total", "platform" => delivery.platform.clone(), "result" => "dead").increment(1);
        let entry = Entry::new(Kind::DeliveryFailed, Actor::System, Some(&delivery.request))
            .with("platform", delivery.platform.as_str())
            .with("code", code);
        Ok(self.store.delivery_dead(&delivery.id, code, self.clock.now(), entry).await?)
    }

    /// Doubling from one second, with up to half of it taken off at random so that replicas do not march in step.
    fn pause(&self, attempts: u32) -> Duration {
        let full = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts.min(20))).min(LONGEST_PAUSE);
        let [byte] = self.random.bytes::<1>();
        full.saturating_sub(full.mul_f64(f64::from(byte) / 512.0))
    }

    /// The platform of that name.
    #[must_use]
    pub fn platform(&self, id: &str) -> Option<Arc<dyn ChatPlatform>> {
        self.platforms.iter().find(|platform| platform.id() == id).cloned()
    }

    /// What a card tells besides the request itself.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn surroundings(&self, request: &Request) -> Result<Surroundings, Failure> {
        let client = self.store.client(&request.asked().client.id).await?;
        let history = self.history(&request.asked().client.id, &request.asked().ask.action).await?;
        let pending = !request.status().is_terminal();
        Ok(Surroundings {
            history: History {
                approved: u64::from(history.approved_24h),
                denied: u64::from(history.denied_24h),
                expired: u64::from(history.expired_24h),
            },
            eligible: if pending { self.eligible(request).await } else { None },
            void_before: client.as_ref().and_then(|client| client.void_before),
            frozen: client.is_none_or(|client| client.frozen_at.is_some()),
        })
    }

    /// The card of a request as it stands.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn card(&self, request: &Request) -> Result<Card, Failure> {
        Ok(Card::of(request, &self.surroundings(request).await?, self.clock.now()))
    }
}
