//! Owns what happens to a tap after it was stored: who it was, whether they may, and what they are told.
//!
//! Never acknowledges anything: the edge does that once `receive` has committed. Expiry, policy, platform and directory
//! are judged when the tap is finished, never at receipt, and a tap that could not be finished within 60 s is refused:
//! nothing is approved that nobody expects any more.

use super::review::Wish;
use super::{Engine, Failure};
use crate::chat::{AccountError, ChatPlatform, Choice, Tap};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::person::Via;
use crate::domain::request::{Decision, Refused};
use crate::store::{Lease, ReceivedTap, StoredTap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// A tap not finished by then is refused.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// Taps taken at once.
pub const BATCH: u32 = 256;
/// How long a claimed tap is left to its worker.
pub const LEASE: Duration = Duration::from_secs(20);
/// Pause before a tap is tried again while a platform or the database does not answer.
const PAUSE: Duration = Duration::from_secs(3);

const TOOK_TOO_LONG: &str = "Your tap took too long to process, so nothing was decided. Please tap again.";

/// The short way of a tap from its receipt to this process's worker, which saves the write that would take it.
///
/// Never the only way: a tap that finds no room here, and whatever a crash left, is taken from the database.
#[derive(Debug, Default)]
pub struct Inbox(Mutex<Option<(String, mpsc::Sender<StoredTap>)>>);

/// Room for one tap with the worker that will finish it.
struct Place {
    worker: String,
    permit: mpsc::OwnedPermit<StoredTap>,
}

impl Inbox {
    /// What comes from now on, for the worker that finishes it.
    pub(super) fn open(&self, worker: &str) -> mpsc::Receiver<StoredTap> {
        let (sender, taps) = mpsc::channel(BATCH as usize);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((worker.to_owned(), sender));
        taps
    }

    fn place(&self) -> Option<Place> {
        let inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (worker, sender) = inbox.as_ref()?;
        Some(Place { worker: worker.clone(), permit: sender.clone().try_reserve_owned().ok()? })
    }
}

impl Engine {
    /// Stores a tap. Once this returns, the platform may be told "ok".
    ///
    /// # Errors
    /// When nothing was stored: the platform must not be told "ok".
    pub async fn receive(&self, platform: &str, tap: &Tap) -> Result<ReceivedTap, Failure> {
        let payload = serde_json::to_string(tap).map_err(|_| Failure::Internal)?;
        let now = self.clock.now();
        let place = self.inbox.place();
        let lease = place.as_ref().map(|place| Lease { worker: place.worker.clone(), until: now.plus(LEASE) });
        let received = self.store.receive_tap(platform, &tap.dedup_key, &tap.request, &payload, lease, now).await?;
        match (place, &received) {
            (Some(place), ReceivedTap::New(id)) => {
                let platform = platform.to_owned();
                place.permit.send(StoredTap { id: id.clone(), platform, payload, received_at: now, attempts: 1 });
            }
            (Some(_), ReceivedTap::Duplicate) => {}
            (None, _) => self.taps.notify_one(),
        }
        Ok(received)
    }

    /// Finishes taps that wait; answers how many were handled.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn finish_taps(&self, worker: &str) -> Result<usize, Failure> {
        let taps = self.claim_taps(worker, BATCH).await?;
        let handled = taps.len();
        let results = futures::future::join_all(taps.iter().map(|tap| self.finish(tap))).await;
        for result in results {
            result?;
        }
        Ok(handled)
    }

    /// Takes taps that wait, for [`LEASE`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim_taps(&self, worker: &str, most: u32) -> Result<Vec<StoredTap>, Failure> {
        Ok(self.store.claim_taps(self.clock.now(), most, LEASE, worker).await?)
    }

    /// Finishes one tap, or leaves it for later while nobody can judge it.
    ///
    /// # Errors
    /// When the store fails; the tap is taken again when its lease is over.
    pub async fn finish(&self, stored: &StoredTap) -> Result<(), Failure> {
        let Some(platform) = self.platform(&stored.platform) else {
            return Ok(self.store.finish_tap(&stored.id, "platform_not_configured", self.clock.now()).await?);
        };
        let Ok(tap) = serde_json::from_str::<Tap>(&stored.payload) else {
            tracing::error!(tap = stored.id.0, "a stored tap cannot be read");
            return Ok(self.store.finish_tap(&stored.id, "unreadable", self.clock.now()).await?);
        };
        let tap = &tap;
        self.notice_older_card(&*platform, tap).await?;
        let decision = decision_of(&tap.choice);
        let checked = platform.check_account(&tap.account, self.clock.now()).await;
        // Judged after the wait for the platform, which may have been what took so long.
        let late = self.clock.now() >= stored.received_at.plus(PATIENCE);
        let identity = match checked {
            Ok(facts) => platform.identity(&tap.account, Some(&facts)),
            Err(AccountError::Refused { code, sentence }) => return self.refuse(stored, tap, &*platform, code, sentence).await,
            // No answer means no approval, but a no is taken from whoever the directory ties to this account.
            Err(AccountError::Unavailable(_)) if decision == Decision::Deny => platform.identity(&tap.account, None),
            Err(error @ AccountError::Unavailable(_)) => {
                return if late {
                    self.refuse(stored, tap, &*platform, "took_too_long", TOOK_TOO_LONG).await
                } else {
                    self.later(stored, tap, &error).await
                };
            }
        };
        if late {
            return self.refuse(stored, tap, &*platform, "took_too_long", TOOK_TOO_LONG).await;
        }
        let wish = self.wish(tap, decision).await?;
        match self.review(&tap.request, &identity, &wish, Via::Slack, Some(stored.id.clone())).await {
            Ok(reviewed) if reviewed.repeated => Ok(self.store.finish_tap(&stored.id, "repeated", self.clock.now()).await?),
            Ok(_) => Ok(()),
            Err(failure @ (Failure::Busy | Failure::Unavailable)) => self.later(stored, tap, &failure).await,
            Err(failure) => {
                // The refusal itself is in the log already.
                self.store.finish_tap(&stored.id, failure.code(), self.clock.now()).await?;
                if tap.reply.answered && matches!(failure, Failure::Refused(Refused::AlreadyDecided(..) | Refused::DigestChanged)) {
                    return Ok(());
                }
                platform.tell(&tap.account, &tap.reply, &failure.to_string()).await;
                Ok(())
            }
        }
    }

    async fn wish(&self, tap: &Tap, decision: Decision) -> Result<Wish, Failure> {
        let mut wish = Wish { decision, comment: tap.comment.clone(), option: None, parameters: None, digest: Some(tap.digest) };
        match &tap.choice {
            Choice::DenySubmit { option } => wish.option.clone_from(option),
            Choice::EditSubmit { answers, .. } => {
                let request = self.store.request(&tap.request).await?;
                // What was a draft at the submit and is none now was changed or decided meanwhile, for which it is refused below.
                wish.parameters = request.and_then(|request| request.draft(answers).ok()).map(|draft| draft.parameters);
            }
            _ => {}
        }
        Ok(wish)
    }

    /// The card that was tapped may be one whose posting got no answer, so that another one was posted: it is marked so.
    async fn notice_older_card(&self, platform: &dyn ChatPlatform, tap: &Tap) -> Result<(), Failure> {
        let (Some(channel), Some(ts)) = (&tap.reply.channel, &tap.reply.message_ts) else { return Ok(()) };
        if self.store.older_card(&tap.request, platform.id(), channel, ts, self.clock.now()).await? {
            self.cards.notify_one();
        }
        Ok(())
    }

    async fn later(&self, stored: &StoredTap, tap: &Tap, why: &(dyn std::error::Error + Sync)) -> Result<(), Failure> {
        tracing::warn!(request.id = %tap.request, why = %why, "a tap cannot be finished yet");
        Ok(self.store.postpone_tap(&stored.id, self.clock.now().plus(PAUSE)).await?)
    }

    /// A refusal before the person was checked: an event when the directory knows the account, a metric otherwise.
    async fn refuse(
        &self,
        stored: &StoredTap,
        tap: &Tap,
        platform: &dyn ChatPlatform,
        code: &'static str,
        sentence: &str,
    ) -> Result<(), Failure> {
        metrics::counter!("countersign_taps_refused_total", "reason" => code).increment(1);
        if let Ok(Some(person)) = self.present(&platform.identity(&tap.account, None)).await {
            let entry = Entry::new(Kind::ReviewRefused, Actor::Person(person.id), Some(&tap.request))
                .with("reason", code)
                .with("decision", decision_of(&tap.choice).as_str())
                .with("via", Via::Slack.as_str());
            self.note_refusal(entry).await;
        } else {
            tracing::info!(code, "a tap of an account that the directory does not know was refused");
        }
        self.store.finish_tap(&stored.id, code, self.clock.now()).await?;
        platform.tell(&tap.account, &tap.reply, sentence).await;
        Ok(())
    }
}

fn decision_of(choice: &Choice) -> Decision {
    match choice {
        Choice::Approve | Choice::ApproveFromDetails => Decision::Approve,
        Choice::Deny | Choice::DenySubmit { .. } => Decision::Deny,
        Choice::Edit | Choice::EditSubmit { .. } => Decision::Edit,
        Choice::Details | Choice::Comment | Choice::CommentSubmit => Decision::Comment,
    }
}
