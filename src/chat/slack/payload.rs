//! Owns the reading of Slack's interaction payloads: what we need of them, tolerantly, and nothing else.
//!
//! Never trusts a payload: `callback` has verified the bytes before. Everything but the type and the user id may be
//! absent, because Slack sends `team: null` for org-wide installs and leaves out what does not apply; unknown members
//! are ignored. A decision is read from a button's value and from our own dialog, never from the message or its text.
//! Source: docs.slack.dev, "Interaction payloads"; the effective ids follow slack_bolt's `request/internals.py`.

use crate::chat::slack::metadata::{Metadata, Reference};
use crate::chat::{Account, Choice, Reply, Tap, Trigger};
use crate::domain::edit::form::Answers;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;

/// Button: approve at once.
pub const APPROVE: &str = "cs.approve";
/// Button and dialog: deny.
pub const DENY: &str = "cs.deny";
/// Button and dialog: everything in full; the dialog's submit approves.
pub const DETAILS: &str = "cs.details";
/// Button and dialog: a remark.
pub const COMMENT: &str = "cs.comment";
/// Button and dialog: other parameters.
pub const EDIT: &str = "cs.edit";
/// Input of a dialog: the caller's ready reasons.
pub const OPTION_INPUT: &str = "cs.option";
/// Input of a dialog: words.
pub const WORDS_INPUT: &str = "cs.words";
/// Input of the form: this, and the pointer of the field.
pub const FIELD_INPUT: &str = "cs.field.";

/// A payload that cannot be acted upon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON, or not the shape of an interaction.
    #[error("the interaction payload is not valid JSON of the expected shape")]
    Malformed,
    /// A kind of interaction that this app has no part in.
    #[error("the interaction type is not known")]
    UnknownType,
    /// A button or dialog that this app did not make.
    #[error("the action or dialog is not known")]
    UnknownAction,
    /// A button's or dialog's value that is not a request and a whole digest.
    #[error("the value is not a request id and a digest")]
    ForeignValue,
    /// Somebody submitted a dialog that another person opened.
    #[error("the dialog was opened by another person")]
    OtherPerson,
    /// Nothing by which a repetition could be recognised.
    #[error("the interaction has no trigger, time or hash")]
    Unidentifiable,
}

impl PayloadError {
    /// Stable code for metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::UnknownAction => "unknown_action",
            Self::ForeignValue => "foreign_value",
            Self::OtherPerson => "other_person",
            Self::Unidentifiable => "unidentifiable",
        }
    }
}

/// An interaction, borrowed from its bytes.
#[derive(Debug, Deserialize)]
pub struct Interaction<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    user: User<'a>,
    #[serde(borrow, default)]
    team: Option<Team<'a>>,
    #[serde(borrow, default)]
    enterprise: Option<Named<'a>>,
    #[serde(borrow, default)]
    api_app_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    trigger_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response_url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    container: Option<Container<'a>>,
    #[serde(borrow, default)]
    channel: Option<Named<'a>>,
    #[serde(borrow, default)]
    view: Option<View<'a>>,
    #[serde(borrow, default)]
    actions: Option<Vec<Action<'a>>>,
}

#[derive(Debug, Deserialize)]
struct User<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    username: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    team_id: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Team<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    enterprise_id: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Container<'a> {
    #[serde(borrow, default)]
    message_ts: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    channel_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thread_ts: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct View<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    hash: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    team_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    app_installed_team_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    callback_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    private_metadata: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    state: Option<State<'a>>,
}

#[derive(Debug, Deserialize)]
struct State<'a> {
    #[serde(borrow, default)]
    values: HashMap<Cow<'a, str>, HashMap<Cow<'a, str>, Input<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Input<'a> {
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    selected_option: Option<Selected<'a>>,
}

#[derive(Debug, Deserialize)]
struct Selected<'a> {
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Action<'a> {
    #[serde(rename = "action_id", borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
    #[serde(rename = "action_ts", borrow, default)]
    at: Option<Cow<'a, str>>,
}

impl<'a> Interaction<'a> {
    /// Reads the JSON of a payload.
    pub fn parse(json: &'a str) -> Result<Self, PayloadError> {
        let interaction: Self = serde_json::from_str(json).map_err(|_| PayloadError::Malformed)?;
        if interaction.user.id.is_empty() { Err(PayloadError::Malformed) } else { Ok(interaction) }
    }

    /// The app that the payload is for.
    #[must_use]
    pub fn app_id(&self) -> Option<&str> {
        self.api_app_id.as_deref()
    }

    /// The workspace of the installation, which may differ from the person's.
    #[must_use]
    pub fn effective_team(&self) -> Option<&str> {
        let view = self.view.as_ref();
        // Slack Connect: a dialog used from another workspace names the workspace that installed the app.
        given(view.and_then(|view| view.app_installed_team_id.as_ref()))
            .or_else(|| given(self.team.as_ref().and_then(|team| team.id.as_ref())))
            .or_else(|| given(self.user.team_id.as_ref()))
            .or_else(|| given(view.and_then(|view| view.team_id.as_ref())))
    }

    /// The organisation of the installation.
    #[must_use]
    pub fn effective_enterprise(&self) -> Option<&str> {
        given(self.enterprise.as_ref().and_then(|enterprise| enterprise.id.as_ref()))
            .or_else(|| given(self.team.as_ref().and_then(|team| team.enterprise_id.as_ref())))
    }

    /// The workspace of the person, where the installation is the whole organisation's and so has none of its own.
    #[must_use]
    pub fn workspace_in_organisation(&self) -> Option<&str> {
        let org_wide = self.effective_team().is_none_or(|team| team.starts_with('E'));
        given(self.user.team_id.as_ref()).filter(|_| org_wide)
    }

    /// Somebody closed a dialog; never a decision.
    #[must_use]
    pub fn is_closed_view(&self) -> bool {
        self.kind == "view_closed"
    }

    /// The account that acts.
    #[must_use]
    pub fn account(&self) -> Account {
        Account {
            team_id: self.effective_team().map(str::to_owned),
            enterprise_id: self.effective_enterprise().map(str::to_owned),
            user_id: self.user.id.as_ref().to_owned(),
            user_team_id: own(self.user.team_id.as_ref()),
            username: own(self.user.username.as_ref()).or_else(|| own(self.user.name.as_ref())),
        }
    }

    /// What was tapped or submitted.
    pub fn tap(&self) -> Result<Tap, PayloadError> {
        match self.kind.as_ref() {
            "block_actions" => self.button(),
            "view_submission" => self.submission(),
            _ => Err(PayloadError::UnknownType),
        }
    }

    fn button(&self) -> Result<Tap, PayloadError> {
        // Buttons come one at a time; more at once is nothing that a person tapped.
        let Some([action]) = self.actions.as_deref() else { return Err(PayloadError::UnknownAction) };
        // A page has several buttons of one kind, which Slack tells apart by a number behind the name.
        let choice = match action.name.as_deref().map(|name| name.split_once(':').map_or(name, |(name, _)| name)) {
            Some(APPROVE) => Choice::Approve,
            Some(DENY) => Choice::Deny,
            Some(DETAILS) => Choice::Details,
            Some(EDIT) => Choice::Edit,
            Some(COMMENT) => Choice::Comment,
            _ => return Err(PayloadError::UnknownAction),
        };
        let reference = action.value.as_deref().and_then(Reference::parse).ok_or(PayloadError::ForeignValue)?;
        let (Some(trigger), Some(action_ts)) = (given(self.trigger_id.as_ref()), given(action.at.as_ref())) else {
            return Err(PayloadError::Unidentifiable);
        };
        Ok(Tap {
            dedup_key: format!("slack:action:{trigger}:{action_ts}"),
            account: self.account(),
            request: reference.request,
            digest: reference.digest,
            choice,
            comment: None,
            trigger: Some(Trigger(trigger.to_owned())),
            reply: self.way_back()?,
        })
    }

    /// The way back from a button: of the message it stands on, or of the card from which its dialog was opened.
    fn way_back(&self) -> Result<Reply, PayloadError> {
        let dialog = self.view.as_ref().filter(|view| view.kind.as_deref() == Some("modal"));
        if let Some(dialog) = dialog {
            let metadata = dialog.private_metadata.as_deref().and_then(Metadata::parse).ok_or(PayloadError::ForeignValue)?;
            return if metadata.opener == self.user.id {
                Ok(metadata.reply(own(dialog.id.as_ref())))
            } else {
                Err(PayloadError::OtherPerson)
            };
        }
        let container = self.container.as_ref();
        Ok(Reply {
            response_url: own(self.response_url.as_ref()),
            // In a thread or an ephemeral message the container may be the only one that knows.
            channel: own(self.channel.as_ref().and_then(|channel| channel.id.as_ref()))
                .or_else(|| own(container.and_then(|container| container.channel_id.as_ref()))),
            message_ts: own(container.and_then(|container| container.message_ts.as_ref())),
            thread_ts: own(container.and_then(|container| container.thread_ts.as_ref())),
            view_id: None,
            answered: false,
        })
    }

    fn submission(&self) -> Result<Tap, PayloadError> {
        let view = self.view.as_ref().ok_or(PayloadError::UnknownAction)?;
        let metadata = || view.private_metadata.as_deref().and_then(Metadata::parse).ok_or(PayloadError::ForeignValue);
        let (metadata, choice) = match view.callback_id.as_deref() {
            Some(DENY) => (metadata()?, Choice::DenySubmit { option: self.input(OPTION_INPUT, true) }),
            Some(DETAILS) => (metadata()?, Choice::ApproveFromDetails),
            Some(COMMENT) => (metadata()?, Choice::CommentSubmit),
            Some(EDIT) => {
                let metadata = metadata()?;
                let confirmed = metadata.edited;
                (metadata, Choice::EditSubmit { answers: self.answers(), confirmed })
            }
            _ => return Err(PayloadError::UnknownAction),
        };
        if metadata.opener != self.user.id {
            return Err(PayloadError::OtherPerson);
        }
        let (Some(id), Some(hash)) = (given(view.id.as_ref()), given(view.hash.as_ref())) else {
            return Err(PayloadError::Unidentifiable);
        };
        Ok(Tap {
            dedup_key: format!("slack:view:{id}:{hash}"),
            account: self.account(),
            request: metadata.reference.request.clone(),
            digest: metadata.reference.digest,
            choice,
            comment: self.input(WORDS_INPUT, false),
            trigger: given(self.trigger_id.as_ref()).map(|trigger| Trigger(trigger.to_owned())),
            reply: metadata.reply(Some(id.to_owned())),
        })
    }

    /// What an input of our own dialog holds, whatever its block is called in this version.
    fn input(&self, name: &str, chosen: bool) -> Option<String> {
        let state = self.view.as_ref()?.state.as_ref()?;
        let input = state.values.values().find_map(|block| block.get(name))?;
        let text = if chosen { input.selected_option.as_ref()?.value.as_ref()? } else { input.value.as_ref()? }.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// What stands in the inputs of the form, untrimmed: blanks may be meant.
    fn answers(&self) -> Answers {
        let inputs = self.view.iter().flat_map(|view| &view.state).flat_map(|state| state.values.values()).flatten();
        inputs
            .filter_map(|(name, input)| {
                let chosen = input.selected_option.as_ref().and_then(|selected| selected.value.as_ref());
                Some((name.strip_prefix(FIELD_INPUT)?.to_owned(), own(input.value.as_ref().or(chosen))))
            })
            .collect()
    }
}

fn given<'b>(text: Option<&'b Cow<'_, str>>) -> Option<&'b str> {
    text.map(AsRef::as_ref).filter(|text: &&str| !text.is_empty())
}

fn own(text: Option<&Cow<'_, str>>) -> Option<String> {
    given(text).map(str::to_owned)
}

#[cfg(test)]
mod tests;
