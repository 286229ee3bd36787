//! Owns the seam between the engine and a chat platform: what a tap is, what a platform can be asked to do, and
//! how its failures are told apart.
//!
//! Never decides anything, holds nothing that a restart needs, and knows no SQL and no engine.
//!
//! # Adding a platform
//! 1. **In**: a module that authenticates a callback over its raw bytes *before* it parses them, and turns it into a
//!    [`Tap`] and nothing else: the account by immutable ids, the request id and the whole digest from the button (never
//!    from the message's text), a key under which a repeated delivery is recognised, and the way back ([`Reply`]).
//!    The HTTP layer stores the tap and only then acknowledges it; a `Tap` is plain data and round-trips through JSON.
//! 2. **Who**: [`ChatPlatform::check_account`] asks the platform afresh whether the account is a full, active human
//!    member of a configured tenant. What the platform does not say is a no. Which *person* this is, the engine asks the directory.
//! 3. **Out**: templates that turn a [`Card`] into the platform's JSON. The card is
//!    already masked; caller text must never become markup. What does not fit is said, and the one-tap Approve gives
//!    way to Details. The hash of the rendered bytes goes into [`Posted`].
//! 4. **Failures**: every answer of the platform becomes a [`DeliveryError`]; when to try again is the delivery worker's business.
//! 5. A fake server of the platform in `tests/it/support`, driven by the platform's own SDKs, and snapshots of every state.

pub mod pacer;
pub mod slack;

pub use crate::domain::card::Posted;

use crate::directory::Identity;
use crate::domain::card::Card;
use crate::domain::digest::Digest;
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A verified act of a chat account on a card or a dialog: stored durably before the platform is answered, finished later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// The same for every delivery of the same act; unique per platform.
    pub dedup_key: String,
    /// Who.
    pub account: Account,
    /// On which request.
    pub request: RequestId,
    /// Digest of the parameters that were on the card.
    pub digest: Digest,
    /// What.
    pub choice: Choice,
    /// Words that were typed into a dialog, trimmed, never empty.
    pub comment: Option<String>,
    /// Opens a dialog for a few seconds, once. Not kept: a dialog cannot be opened after a restart.
    #[serde(skip)]
    pub trigger: Option<Trigger>,
    /// Where a private sentence goes.
    pub reply: Reply,
}

/// What was tapped or submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Choice {
    /// Approve, on the card.
    Approve,
    /// Deny, on the card: opens the dialog for the reason.
    Deny,
    /// Details, on the card: opens everything in full.
    Details,
    /// Approve, after the details were open.
    ApproveFromDetails,
    /// Deny, with what the dialog said.
    DenySubmit {
        /// Name of one of the caller's deny options.
        option: Option<String>,
    },
    /// A remark; neither yes nor no.
    CommentSubmit,
}

impl Choice {
    /// A dialog must be opened at once, while the trigger is good; nothing is decided yet.
    #[must_use]
    pub fn opens_dialog(&self) -> bool {
        matches!(self, Self::Deny | Self::Details)
    }

    /// It came from a dialog's submit, whose acknowledgement may change the dialog.
    #[must_use]
    pub fn is_submit(&self) -> bool {
        matches!(self, Self::ApproveFromDetails | Self::DenySubmit { .. } | Self::CommentSubmit)
    }
}

/// A chat account by its immutable ids. Names are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Tenant of the installation that the callback came through: a workspace, absent in org-wide installs.
    pub team_id: Option<String>,
    /// Organisation above the workspaces.
    pub enterprise_id: Option<String>,
    /// The account.
    pub user_id: String,
    /// Workspace that the account belongs to, as the callback says.
    pub user_team_id: Option<String>,
    /// Handle; for people's eyes only.
    pub username: Option<String>,
}

/// The way back to the person who tapped.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// One-off address for private answers; whoever holds it can write there.
    pub response_url: Option<String>,
    /// Conversation of the card.
    pub channel: Option<String>,
    /// The card.
    pub message_ts: Option<String>,
    /// Thread that the card is in.
    pub thread_ts: Option<String>,
    /// The dialog.
    pub view_id: Option<String>,
    /// The acknowledgement itself tells the person that it was decided meanwhile; a second message would only repeat that.
    #[serde(default)]
    pub answered: bool,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("response_url", &self.response_url.as_ref().map(|_| "…"))
            .field("channel", &self.channel)
            .field("message_ts", &self.message_ts)
            .field("thread_ts", &self.thread_ts)
            .field("view_id", &self.view_id)
            .field("answered", &self.answered)
            .finish()
    }
}

/// A one-off permission to open a dialog; short-lived.
#[derive(Clone, PartialEq, Eq)]
pub struct Trigger(pub String);

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trigger(…)")
    }
}

/// What the platform says about an account, asked at the tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFacts {
    /// Account id, confirmed by the platform.
    pub user_id: String,
    /// Workspaces that the account belongs to, the first one first.
    pub team_ids: Vec<String>,
    /// Organisation that it belongs to.
    pub enterprise_id: Option<String>,
    /// Its e-mail address, only when the platform confirmed it. Whether that may tie it to a person is configuration's business.
    pub confirmed_email: Option<String>,
    /// When the platform said so.
    pub as_of: Timestamp,
}

/// Why an account may not decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The platform answered, and the answer is no.
    #[error("{sentence}")]
    Refused {
        /// Stable code for the log.
        code: &'static str,
        /// Sentence for the person.
        sentence: &'static str,
    },
    /// The platform did not answer, so nothing can be approved.
    #[error("The chat platform cannot confirm your account right now, so nothing can be approved. You may try again.")]
    Unavailable(DeliveryError),
}

impl AccountError {
    /// Stable code for the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Unavailable(_) => "account_unavailable",
        }
    }
}

/// Why a call to the platform had no effect, or none that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// May work later.
    #[error("temporary failure: {code}")]
    Retry {
        /// The platform's own wish; `None`: back off.
        after: Option<Duration>,
        /// Short code, never a body.
        code: String,
    },
    /// Will not work until somebody changes something.
    #[error("permanent failure: {code}")]
    Permanent {
        /// The platform's code.
        code: String,
    },
    /// The card is no longer there; a new one can be posted.
    #[error("the card was deleted")]
    CardGone,
}

impl DeliveryError {
    /// Stable code for the log and for metrics.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Retry { code, .. } | Self::Permanent { code } => code,
            Self::CardGone => "message_not_found",
        }
    }
}

/// What a platform gives later.
pub type Pending<'a, T> = BoxFuture<'a, T>;

/// A dialog that a tap opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialog {
    /// Asks for the reason of a denial.
    Deny,
    /// Shows everything in full; its submit approves where that is offered.
    Details,
}

/// A chat platform, as the engine sees it. No call retries or waits for its turn; none takes longer than a few seconds.
pub trait ChatPlatform: Send + Sync + fmt::Debug {
    /// `slack`, as it stands in deliveries and taps.
    fn id(&self) -> &'static str;

    /// Takes the place of `delivery` for a message to a conversation. `Err`: not before that instant, for which its place is kept.
    fn place(&self, channel: &str, delivery: &str, now: Timestamp) -> Result<(), Timestamp>;

    /// The platform answered `delivery` that the conversation must wait until then.
    fn hold(&self, channel: &str, delivery: &str, until: Timestamp, now: Timestamp);

    /// Posts a card. Calling it twice posts twice.
    fn post<'a>(&'a self, channel: &'a str, card: &'a Card) -> Pending<'a, Result<Posted, DeliveryError>>;

    /// Draws a card anew where it stands.
    fn update<'a>(&'a self, posted: &'a Posted, card: &'a Card) -> Pending<'a, Result<Posted, DeliveryError>>;

    /// Asks the platform about an account; a good answer may be up to a minute old, a refusal is always fresh.
    fn check_account<'a>(&'a self, account: &'a Account, now: Timestamp) -> Pending<'a, Result<AccountFacts, AccountError>>;

    /// How a directory may know the account: by its immutable ids, and by an e-mail address only where configuration
    /// trusts it and the platform confirmed it. Without `facts` (the platform does not answer) it is good for a denial only.
    fn identity(&self, account: &Account, facts: Option<&AccountFacts>) -> Identity;

    /// Opens a dialog while the trigger is good.
    fn open_dialog<'a>(
        &'a self,
        trigger: &'a Trigger,
        dialog: Dialog,
        account: &'a Account,
        reply: &'a Reply,
        card: &'a Card,
    ) -> Pending<'a, Result<(), DeliveryError>>;

    /// What stands in place of a submitted dialog when the request was decided meanwhile; the platform's own JSON.
    fn decided_dialog(&self, card: &Card) -> Option<serde_json::Value>;

    /// Tells the person alone. When nothing reaches them, that is logged: there is nothing else to be done.
    fn tell<'a>(&'a self, account: &'a Account, reply: &'a Reply, sentence: &'a str) -> Pending<'a, ()>;
}
