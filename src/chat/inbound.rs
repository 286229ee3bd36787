//! Owns what comes in from a chat platform, in our own words: who did what on which card or dialog, and the way back.
//!
//! Never a platform's JSON, and never a fact of the request: everything but ids, the digest and what a person wrote is read
//! from the database. Plain data that round-trips through JSON, because a tap is stored before it is acknowledged.

use super::{Dialog, Pending};
use crate::domain::digest::Digest;
use crate::domain::edit::form::Answers;
use crate::domain::ids::RequestId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What came in from a platform, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// Somebody acted on a card or a dialog.
    Tap(Box<Tap>),
    /// Somebody asked something in words.
    Command(Box<Command>),
    /// Somebody opened the app's own page.
    Home(Account),
    /// The platform says that the app is installed no more; its code.
    Gone(&'static str),
    /// Nothing that anybody waits for: a closed dialog, a check of the platform's own.
    Nothing,
}

/// A question in words; it decides nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Who.
    pub account: Account,
    /// What, without the name of the command.
    pub words: String,
    /// Where the answer goes, privately.
    pub reply: Reply,
}

/// What came in could not be kept: the platform must not be told "ok".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came in could not be stored")]
pub struct NotTaken;

/// Where everything goes that came in. `Ok`: it is durable, or needs not be, and the platform may be told "ok", with these words
/// in its own JSON when there are any.
pub trait Inbox: Send + Sync {
    /// Takes it in, within moments.
    fn take<'a>(&'a self, platform: &'static str, inbound: Inbound) -> Pending<'a, Result<Option<Value>, NotTaken>>;
}

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
    /// Edit, on the card: opens the form.
    Edit,
    /// The form, filled in.
    EditSubmit {
        /// What stands in its inputs.
        answers: Answers,
        /// Digest of the edited parameters, when the person was shown what they change.
        confirmed: Option<Digest>,
    },
    /// Comment: opens the dialog for it.
    Comment,
    /// A remark; neither yes nor no.
    CommentSubmit,
}

impl Choice {
    /// The dialog that must be opened at once, while the trigger is good; nothing is decided yet.
    #[must_use]
    pub fn dialog(&self) -> Option<Dialog> {
        match self {
            Self::Deny => Some(Dialog::Deny),
            Self::Details => Some(Dialog::Details),
            Self::Edit => Some(Dialog::Edit),
            Self::Comment => Some(Dialog::Comment),
            Self::Approve | Self::ApproveFromDetails | Self::DenySubmit { .. } | Self::EditSubmit { .. } | Self::CommentSubmit => None,
        }
    }

    /// It came from a dialog's submit, whose acknowledgement may change the dialog.
    #[must_use]
    pub fn is_submit(&self) -> bool {
        matches!(self, Self::ApproveFromDetails | Self::DenySubmit { .. } | Self::EditSubmit { .. } | Self::CommentSubmit)
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
    /// The dialog that it came from, on top of which another one can be opened.
    pub view_id: Option<String>,
    /// The acknowledgement itself tells the person why nothing came of it; a second message would only repeat that.
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
