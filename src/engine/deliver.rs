//! Owns the outbox: whatever the newest state of a request is, that is what its cards come to show, and then their threads
//! are told what led there.
//!
//! Never decides anything about a request, and never sends an outdated card: it renders from the database at the moment
//! of sending, so ten changes in a second are one update. A card goes before its thread, so the thread never keeps it waiting; each call
//! takes a place in the channel. A claimed row belongs to this process for a lease; after a
//! crash another one takes it over. A post whose answer was lost is posted again: both cards carry the same digest.

use super::Engine;
use crate::chat::{ChatPlatform, DeliveryError};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::card::{Card, History, Posted, Surroundings};
use crate::domain::request::Request;
use crate::domain::time::Timestamp;
use crate::engine::Failure;
use crate::store::{Delivery, DeliveryKind, Instead, Message, MessageId};
use std::sync::Arc;
use std::time::Duration;

/// Rows taken at once by one worker.
pub const BATCH: u32 = 16;
/// How long a claimed row is left to its worker.
pub const LEASE: Duration = Duration::from_secs(45);
/// The first and the longest pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Milliseconds after its creation for which a dead card is tried again at a start: 30 days.
pub(super) const RETRIED_FOR: i64 = 30 * 24 * 3_600 * 1_000;
/// Failed attempts after which a row is a dead letter: with the pauses above, several hours.
const MOST_ATTEMPTS: u32 = 60;

impl Engine {
    /// Sends what is due; answers how many rows were handled. What waits for a platform that refuses us altogether goes on waiting.
    ///
    /// # Errors
    /// When the store fails; a failing platform is not an error here.
    pub async fn deliver_due(&self, worker: &str) -> Result<usize, Failure> {
        let except = self.outages.all().into_keys().collect();
        let due = self.store.claim_deliveries(self.clock.now(), BATCH, LEASE, worker, except).await?;
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
            return self.bury(&delivery, None, "platform_not_configured").await;
        };
        if let Err(place) = platform.place(&delivery.channel, &delivery.id.0, now) {
            return Ok(self.store.delivery_later(&delivery.id, place).await?);
        }
        let Some(request) = self.store.request(&delivery.request).await? else {
            return self.bury(&delivery, None, "request_gone").await;
        };
        match (delivery.kind, &delivery.posted, delivery.message) {
            (DeliveryKind::Direct, ..) => self.send_direct(&*platform, &delivery, &request).await,
            (DeliveryKind::Card, Some(posted), Some(message)) if !delivery.outdated => {
                self.send_message(&*platform, &delivery, &request, posted, message).await
            }
            (DeliveryKind::Card, posted, _) => {
                let card = Card::of(&request, &self.surroundings(&request).await?, now);
                let sent = match posted {
                    Some(posted) => platform.update(posted, &card).await,
                    None => platform.post(&delivery.channel, &card).await,
                };
                match sent {
                    Ok(posted) => self.sent(&delivery, &request, posted, now).await,
                    Err(error) => self.not_sent(&*platform, &delivery, &request, error).await,
                }
            }
        }
    }

    async fn send_direct(&self, platform: &dyn ChatPlatform, delivery: &Delivery, request: &Request) -> Result<(), Failure> {
        match self.tell_person(platform, request, delivery).await? {
            None => Ok(self.store.delivery_skipped(&delivery.id).await?),
            Some(Ok(posted)) => self.sent(delivery, request, posted, self.clock.now()).await,
            Some(Err(error)) => self.not_sent(platform, delivery, request, error).await,
        }
    }

    async fn send_message(
        &self,
        platform: &dyn ChatPlatform,
        delivery: &Delivery,
        request: &Request,
        posted: &Posted,
        id: MessageId,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let Some(message) = self.store.message(id).await? else { return Ok(self.store.message_sent(&delivery.id, id, now).await?) };
        let code = match self.tell_thread(platform, request, posted, &message).await? {
            Ok(()) => return Ok(self.store.message_sent(&delivery.id, id, self.clock.now()).await?),
            // The older card is gone, which is as good as marked.
            Err(DeliveryError::CardGone) if matches!(message, Message::Superseded(_)) => {
                return Ok(self.store.message_sent(&delivery.id, id, now).await?);
            }
            Err(DeliveryError::Permanent { code }) => code,
            Err(DeliveryError::Retry { code, .. }) if delivery.attempts >= MOST_ATTEMPTS => code,
            Err(error) => return self.not_sent(platform, delivery, request, error).await,
        };
        // One message that the platform does not take must not silence the thread; whether the channel is there at all shows with the card.
        tracing::error!(request.id = %delivery.request, platform = delivery.platform, code, "a message of a card's thread cannot be sent; it is left out");
        metrics::counter!("countersign_deliveries_total", "platform" => delivery.platform.clone(), "result" => "message_dead").increment(1);
        let entry = Self::failed(delivery, &code).with("message", true);
        Ok(self.store.message_dead(&delivery.id, id, &code, now, entry).await?)
    }

    async fn not_sent(
        &self,
        platform: &dyn ChatPlatform,
        delivery: &Delivery,
        request: &Request,
        error: DeliveryError,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        match error {
            DeliveryError::CardGone => Ok(self.store.delivery_repost(&delivery.id, now).await?),
            DeliveryError::Permanent { code } => self.bury(delivery, Some(request), &code).await,
            DeliveryError::Refused { code } => {
                self.platform_is_down(&delivery.platform, &code);
                Ok(self.store.delivery_retry(&delivery.id, now, &code).await?)
            }
            DeliveryError::Retry { after, code } => {
                if let Some(after) = after {
                    platform.hold(&delivery.channel, &delivery.id.0, now.plus(after), now);
                }
                self.retry(delivery, request, after, &code, now).await
            }
        }
    }

    /// `drawn_at` is when it was drawn: what is due between that and now is not on it.
    async fn sent(&self, delivery: &Delivery, request: &Request, posted: Posted, drawn_at: Timestamp) -> Result<(), Failure> {
        let kind = if delivery.posted.is_some() { Kind::DeliveryUpdated } else { Kind::DeliveryPosted };
        let mut entry = Entry::new(kind, Actor::System, Some(request.id()))
            .with("platform", delivery.platform.as_str())
            .with("version", request.version())
            .with("card", format!("sha256:{}", posted.rendered_hash));
        if delivery.kind == DeliveryKind::Direct {
            entry = entry.with("person", delivery.channel.as_str());
        }
        metrics::counter!("countersign_deliveries_total", "platform" => delivery.platform.clone(), "result" => "sent").increment(1);
        Ok(self.store.delivery_sent(delivery, posted, request.version(), drawn_at, entry).await?)
    }

    async fn retry(
        &self,
        delivery: &Delivery,
        request: &Request,
        after: Option<Duration>,
        code: &str,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if delivery.attempts >= MOST_ATTEMPTS {
            return self.bury(delivery, Some(request), code).await;
        }
        metrics::counter!("countersign_deliveries_total", "platform" => delivery.platform.clone(), "result" => "retry").increment(1);
        tracing::warn!(request.id = %delivery.request, platform = delivery.platform, code, attempt = delivery.attempts + 1, "a card could not be sent; trying again");
        let pause = after.unwrap_or_else(|| self.pause(delivery.attempts));
        Ok(self.store.delivery_retry(&delivery.id, now.plus(pause), code).await?)
    }

    /// A dead letter: visible in metrics, readiness and the request; nobody is told "sent". When it was the last card of an open request,
    /// others are tried.
    async fn bury(&self, delivery: &Delivery, request: Option<&Request>, code: &str) -> Result<(), Failure> {
        let what_to_do = remedy(code);
        tracing::error!(request.id = %delivery.request, platform = delivery.platform, channel = delivery.channel, code, what_to_do, "a card cannot be delivered");
        metrics::counter!("countersign_deliveries_total", "platform" => delivery.platform.clone(), "result" => "dead").increment(1);
        let mut instead = None;
        if let Some(request) = request.filter(|request| delivery.kind == DeliveryKind::Card && !request.status().is_terminal()) {
            let channels = self.other_ways(request).await?;
            instead = (!channels.is_empty()).then(|| Instead { version: request.version(), channels });
        }
        let now = self.clock.now();
        if self.store.delivery_dead(delivery, code, now, Self::failed(delivery, code), instead).await? {
            tracing::warn!(request.id = %delivery.request, "no card of this request can be delivered where policy sends it; it is sent to others who can decide");
            self.cards.notify_one();
        }
        Ok(())
    }

    fn failed(delivery: &Delivery, code: &str) -> Entry {
        Entry::new(Kind::DeliveryFailed, Actor::System, Some(&delivery.request))
            .with("platform", delivery.platform.as_str())
            .with("code", code)
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

/// What an operator can do about a failure that no waiting cures.
fn remedy(code: &str) -> &'static str {
    match code {
        "not_in_channel" | "channel_not_found" => {
            "is the channel's id right, and is the bot invited? A private channel needs an invitation"
        }
        "is_archived" => "unarchive the channel, or name another one in the policy",
        "channel_is_shared" => "the channel is shared with another company: allow it in [slack] allow_shared_channels, or name another one",
        "channel_is_read_only" => "the bot may not post there: let it, or name another channel in the policy",
        "missing_scope" => "install the app again with the scopes of manifests/slack/app.yaml",
        "platform_not_configured" => "the policy names a platform that the configuration does not have",
        "render_failed" | "invalid_blocks" | "msg_blocks_too_long" => "a template in templates/ draws what the platform does not take",
        _ => "see the code; cards are tried again at the next start",
    }
}
