//! Owns the use cases, one file each, named by what is done: open, review, grants, end, escalate, follow, view, deliver,
//! tell, callbacks, taps.
//!
//! Never knows axum or a chat platform's JSON, and never writes a request but through `Store::commit` of a `Transition`.
//!
//! A use case reads, asks the pure domain, and commits in one transaction; a lost race reloads and asks again, so the
//! loser gets the domain's own answer. Everything slow (chat, directory) happens before the transaction or after it.

pub mod admin;
pub mod callbacks;
pub mod caller;
pub mod deliver;
pub mod dialogs;
pub mod eligibility;
pub mod end;
pub mod escalate;
pub mod failure;
pub mod feed;
pub mod follow;
pub mod grants;
mod inbox;
pub mod open;
pub mod outage;
mod overview;
pub mod people;
pub mod review;
pub mod signer;
pub mod taps;
pub mod tell;
pub mod view;
pub mod waiters;
pub mod worker;

pub use failure::Failure;

use crate::chat::ChatPlatform;
use crate::directory::Directory;
use crate::domain::audit::Entry;
use crate::domain::policy::Policy;
use crate::domain::time::Clock;
use crate::keys::{AuditKey, Subkey};
use crate::runtime::Random;
use crate::store::{Commit, CommitError, Store};
use crate::webhook::Webhooks;
use eligibility::Eligibility;
use outage::Outages;
use signer::GrantSigner;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use waiters::Waiters;

/// What the use cases need to know of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where callers and reviewers reach this server; no trailing slash.
    pub public_url: String,
    /// Groups whose people administer.
    pub admin_groups: Vec<String>,
    /// Life of a grant when neither caller nor rule says less.
    pub grant_ttl: Duration,
    /// The policy is the file's: it cannot be replaced through the API.
    pub policy_is_file_managed: bool,
}

/// Everything a use case works with. Cheap to share: one `Arc` per process.
pub struct Engine {
    /// The database.
    pub store: Store,
    /// Who is who.
    pub directory: Arc<dyn Directory>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub random: Arc<dyn Random>,
    /// How callers are called.
    pub webhooks: Webhooks,
    /// Where cards go.
    pub platforms: Vec<Arc<dyn ChatPlatform>>,
    /// The key of the grants.
    pub signer: GrantSigner,
    /// Encrypts what must be kept but not read.
    pub data_key: Subkey,
    /// Signs the head of the log.
    pub audit_key: AuditKey,
    /// Callers that wait.
    pub waiters: Arc<Waiters>,
    /// Configuration.
    pub settings: Settings,
    /// The active policy.
    pub active_policy: RwLock<Arc<Policy>>,
    /// Platforms that refuse us.
    pub outages: Outages,
    /// Rings when something is to be sent.
    pub cards: Notify,
    /// Rings when a caller must be told.
    pub callbacks: Notify,
    /// How many people can decide, as far as it was counted.
    pub eligibility: Eligibility,
    /// Rings when a tap came in.
    pub taps: Notify,
    /// Taps that this process took as they came in.
    pub inbox: taps::Inbox,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Engine {
    /// The active policy.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.active_policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes another policy the active one; the store has it already.
    pub fn activate(&self, policy: Arc<Policy>) {
        *self.active_policy.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Commits, and rings for the cards when they changed. The only way in which a use case writes a request.
    pub(in crate::engine) async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let (draws, tells) = (commit.draws(), commit.tells());
        self.store.commit(commit).await?;
        if draws {
            self.cards.notify_one();
        }
        if tells {
            self.callbacks.notify_one();
        }
        Ok(())
    }

    /// Records that a known caller or person was refused. Repeats within a minute become one event with a count.
    ///
    /// A refusal stands even when its evidence cannot be written: refusing is the safe side.
    pub async fn note_refusal(&self, entry: Entry) {
        if let Err(error) = self.store.record_refusal(entry, self.clock.now()).await {
            tracing::error!(error = %error, "a refusal could not be recorded");
        }
    }
}
