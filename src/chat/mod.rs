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
//! 5. A fake server of the platform (as `fake_slack`), driven by the platform's own SDKs, and snapshots of every state.

pub mod inbound;
pub mod pacer;
pub mod slack;

pub use crate::domain::card::Posted;
pub use inbound::{Account, Choice, Command, Inbound, Inbox, NotTaken, Reply, Tap, Trigger};

use crate::directory::{Identity, Record};
use crate::domain::card::Card;
use crate::domain::edit::form::Form;
use crate::domain::field_error::FieldError;
use crate::domain::notice::Notice;
use crate::domain::request::Draft;
use crate::domain::time::Timestamp;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

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
    /// The platform refuses us altogether: every other call will fail as well, until somebody puts that right.
    #[error("the platform refuses us: {code}")]
    Refused {
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
            Self::Retry { code, .. } | Self::Permanent { code } | Self::Refused { code } => code,
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
    /// Takes other parameters; its submit shows what they change, and the next one approves them.
    Edit,
    /// Takes a remark.
    Comment,
}

/// What a submitted dialog is told in the acknowledgement itself, while the person looks at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The request was decided while the dialog was open.
    Decided,
    /// Its parameters were changed while the dialog was open.
    Changed,
    /// Something is to be corrected. The pointer leads into the parameters; [`WORDS`] is the comment, and the empty one the whole.
    Mistakes(Vec<FieldError>),
    /// What the edit would change: the next submit of the same approves it.
    Confirm(Box<Confirmation>),
}

/// A valid edit, before it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// The form as it was filled in.
    pub form: Form,
    /// What it would change.
    pub draft: Draft,
}

/// Pointer of a mistake in the comment.
pub const WORDS: &str = "comment";

/// An answer to somebody alone: the app's own page for them, or the answer to a command.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// One below the other.
    pub sections: Vec<PageSection>,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PageSection {
    /// What it is about.
    pub heading: String,
    /// Sentences and facts, one a line.
    pub lines: Vec<String>,
    /// Requests, from each of which Details can be opened.
    pub cards: Vec<Card>,
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

    /// Tells the thread of a card.
    fn reply<'a>(&'a self, posted: &'a Posted, notice: &'a Notice) -> Pending<'a, Result<(), DeliveryError>>;

    /// Tells one account directly.
    fn direct<'a>(&'a self, account: &'a str, notice: &'a Notice) -> Pending<'a, Result<Posted, DeliveryError>>;

    /// Draws the older card `older`, which stands in the same conversation as `newer`, so that it only leads there.
    fn supersede<'a>(&'a self, newer: &'a Posted, older: &'a str, card: &'a Card) -> Pending<'a, Result<(), DeliveryError>>;

    /// The account that the directory ties a person to here by its immutable id; `None` when there is none of a tenant of ours.
    fn account_of(&self, person: &Record) -> Option<String>;

    /// Whether the platform accepts us at all.
    fn probe(&self) -> Pending<'_, Result<(), DeliveryError>>;

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

    /// The acknowledgement of a submitted dialog that is not simply closed, in the platform's own JSON; `None` when it cannot be drawn.
    fn answer_submit(&self, tap: &Tap, card: &Card, verdict: &Verdict) -> Option<serde_json::Value>;

    /// Tells the person alone. When nothing reaches them, that is logged: there is nothing else to be done.
    fn tell<'a>(&'a self, account: &'a Account, reply: &'a Reply, sentence: &'a str) -> Pending<'a, ()>;

    /// Answers a person alone. When nothing reaches them, that is logged.
    fn answer<'a>(&'a self, account: &'a Account, reply: &'a Reply, page: &'a Page) -> Pending<'a, ()>;

    /// Puts a page in place of the app's own page for a person.
    fn show_home<'a>(&'a self, account: &'a Account, page: &'a Page) -> Pending<'a, Result<(), DeliveryError>>;

    /// The platform said that the app is installed no more: nothing is sent until it accepts us again.
    fn gone(&self, code: &str);

    /// What keeps the platform from reaching us, in words for operators; `None` when nothing does.
    fn trouble(&self) -> Option<String>;
}
