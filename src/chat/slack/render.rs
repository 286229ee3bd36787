//! Owns the drawing of cards, messages beside them and dialogs: a `Card`'s face, through the templates, into Block Kit.
//!
//! Never sends anything and never decides. What it returns has been read back through slack-morphism's types with no
//! field lost, and through the limits; otherwise nothing is returned.

use crate::chat::slack::edit::Inputs;
use crate::chat::slack::face::{self, Approve, Budget, CARD, DIALOG, Face, NoticeFace};
use crate::chat::slack::limits::{self, Broken, Reached};
use crate::chat::slack::metadata::{Metadata, Reference};
use crate::chat::slack::page;
use crate::chat::{Confirmation, Page, Reply};
use crate::domain::card::Card;
use crate::domain::notice::Notice;
use crate::domain::text;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value as Values, context};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use slack_morphism::blocks::{SlackBlock, SlackView};

/// Why a card or dialog cannot be drawn; always a fault of a template or of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A template is wrong.
    #[error("template {0}: {1}")]
    Template(&'static str, String),
    /// The template's output is not JSON.
    #[error("template {0} does not give JSON: {1}")]
    NotJson(&'static str, String),
    /// The output holds a block or member that Slack does not know.
    #[error("template {0} gives a block or a member that Slack does not know")]
    Unknown(&'static str),
    /// The output breaks a limit.
    #[error("template {0}: {1}")]
    Limit(&'static str, Broken),
}

/// A drawn card.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// For notifications and screen readers.
    pub text: String,
    /// The card.
    pub blocks: Vec<SlackBlock>,
    /// `{"blocks":…,"text":…}` as it is sent.
    pub bytes: Vec<u8>,
}

impl Rendered {
    /// SHA-256 of the bytes, 64 lower hex characters.
    #[must_use]
    pub fn hash(&self) -> String {
        use std::fmt::Write as _;
        Sha256::digest(&self.bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// Draws cards and dialogs.
#[derive(Debug)]
pub struct Renderer {
    templates: Environment<'static>,
}

const CARD_TEMPLATE: &str = "card.json.j2";
const DENY_TEMPLATE: &str = "deny.json.j2";
const DETAILS_TEMPLATE: &str = "details.json.j2";
const DECIDED_TEMPLATE: &str = "decided.json.j2";
const CHANGED_TEMPLATE: &str = "changed.json.j2";
const EDIT_TEMPLATE: &str = "edit.json.j2";
const COMMENT_TEMPLATE: &str = "comment.json.j2";
const PAGE_TEMPLATE: &str = "page.json.j2";
const NOTICE_TEMPLATE: &str = "notice.json.j2";
const SUPERSEDED_TEMPLATE: &str = "superseded.json.j2";

impl Renderer {
    /// With the templates of `templates/slack`.
    pub fn new() -> Result<Self, RenderError> {
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_filter("mrkdwn", |words: String| text::escape_mrkdwn(&words));
        templates.add_filter("cut", |words: String, most: usize| text::cut(&words, most));
        templates.add_filter("date", date);
        for (name, source) in [
            ("parts.json.j2", include_str!("../../../templates/slack/parts.json.j2")),
            (CARD_TEMPLATE, include_str!("../../../templates/slack/card.json.j2")),
            (DENY_TEMPLATE, include_str!("../../../templates/slack/deny.json.j2")),
            (DETAILS_TEMPLATE, include_str!("../../../templates/slack/details.json.j2")),
            (DECIDED_TEMPLATE, include_str!("../../../templates/slack/decided.json.j2")),
            (CHANGED_TEMPLATE, include_str!("../../../templates/slack/changed.json.j2")),
            (EDIT_TEMPLATE, include_str!("../../../templates/slack/edit.json.j2")),
            (COMMENT_TEMPLATE, include_str!("../../../templates/slack/comment.json.j2")),
            (PAGE_TEMPLATE, include_str!("../../../templates/slack/page.json.j2")),
            (NOTICE_TEMPLATE, include_str!("../../../templates/slack/notice.json.j2")),
            (SUPERSEDED_TEMPLATE, include_str!("../../../templates/slack/superseded.json.j2")),
        ] {
            templates.add_template(name, source).map_err(|error| RenderError::Template(name, error.to_string()))?;
        }
        Ok(Self { templates })
    }

    /// The card in the channel.
    pub fn card(&self, card: &Card) -> Result<Rendered, RenderError> {
        let mut last = Err(RenderError::Unknown(CARD_TEMPLATE));
        for budget in CARD {
            last = self.card_within(card, budget);
            if !matches!(last, Err(RenderError::Limit(..))) {
                break;
            }
        }
        last
    }

    fn card_within(&self, card: &Card, budget: Budget) -> Result<Rendered, RenderError> {
        let face = Face::of(card, budget);
        // Approving in the dialog must be possible before the card says so.
        let in_dialog = || self.details_face(card, &longest_metadata(card)).is_ok_and(|(_, complete)| complete);
        let approve = match () {
            () if !may_approve(card) => Approve::No,
            () if face.complete && !card.needs_comment => Approve::Now,
            () if !in_dialog() => Approve::No,
            () if face.complete => Approve::Comment,
            () => Approve::Details,
        };
        let value = self.draw(CARD_TEMPLATE, context! { face => Values::from(Serde(&face.offering(approve))) })?;
        rendered(CARD_TEMPLATE, &value, Reached::default())
    }

    /// A message beside a card.
    pub fn notice(&self, notice: &Notice) -> Result<Rendered, RenderError> {
        let value = self.draw(NOTICE_TEMPLATE, context! { notice => Values::from(Serde(&NoticeFace::of(notice))) })?;
        rendered(NOTICE_TEMPLATE, &value, Reached { accounts: &notice.mentions, address: notice.card.as_deref() })
    }

    /// An older card, leading to the `newer` one.
    pub fn superseded(&self, card: &Card, newer: Option<&str>) -> Result<Rendered, RenderError> {
        let face = Face::of(card, DIALOG[1]);
        let value = self.draw(SUPERSEDED_TEMPLATE, context! { face => Values::from(Serde(&face)), newer })?;
        rendered(SUPERSEDED_TEMPLATE, &value, Reached { address: newer, ..Reached::default() })
    }

    /// The dialog behind Deny, for the account `opener`.
    pub fn deny(&self, card: &Card, opener: &str, reply: &Reply) -> Result<SlackView, RenderError> {
        if !card.is_pending() {
            return self.decided(card);
        }
        let metadata = Metadata::new(reference(card), opener, reply).to_text();
        self.modal(DENY_TEMPLATE, context! { face => short(card), metadata })
    }

    /// The dialog behind Comment, for the account `opener`.
    pub fn comment(&self, card: &Card, opener: &str, reply: &Reply) -> Result<SlackView, RenderError> {
        if !card.is_pending() {
            return self.decided(card);
        }
        let metadata = Metadata::new(reference(card), opener, reply).to_text();
        self.modal(COMMENT_TEMPLATE, context! { face => short(card), metadata })
    }

    /// The dialog behind Edit, for the account `opener`; with what it changes, once that is known.
    pub fn edit(
        &self,
        card: &Card,
        opener: &str,
        reply: &Reply,
        confirm: Option<(&Confirmation, Option<&str>)>,
    ) -> Result<SlackView, RenderError> {
        let Some(form) = card.form.as_ref().filter(|_| card.is_pending()) else { return self.decided(card) };
        let edited = confirm.map(|(confirmation, _)| confirmation.draft.digest);
        let metadata = Metadata { edited, ..Metadata::new(reference(card), opener, reply) }.to_text();
        let inputs = Inputs::of(confirm.map_or(form, |(confirmation, _)| &confirmation.form), &card.digest, edited.as_ref());
        let changes = confirm.map_or_else(Vec::new, |(confirmation, _)| face::all_changes(&confirmation.draft.changes));
        let words = confirm.and_then(|(_, words)| words);
        self.modal(EDIT_TEMPLATE, context! { face => short(card), metadata, inputs => Values::from(Serde(&inputs)), changes, words })
    }

    /// The dialog behind Details, for the account `opener`. Its submit approves where that is offered.
    pub fn details(&self, card: &Card, opener: &str, reply: &Reply) -> Result<SlackView, RenderError> {
        let metadata = Metadata::new(reference(card), opener, reply).to_text();
        self.details_face(card, &metadata).map(|(view, _)| view)
    }

    /// What a dialog turns into when the request was decided meanwhile.
    pub fn decided(&self, card: &Card) -> Result<SlackView, RenderError> {
        self.modal(DECIDED_TEMPLATE, context! { face => short(card) })
    }

    /// What a dialog turns into when the parameters were changed meanwhile.
    pub fn changed(&self, card: &Card) -> Result<SlackView, RenderError> {
        self.modal(CHANGED_TEMPLATE, context! { face => short(card) })
    }

    /// A page as a message for one person: `{"text", "blocks"}`.
    pub fn answer(&self, page: &Page) -> Result<Value, RenderError> {
        let value = self.draw(PAGE_TEMPLATE, context! { sections => Values::from(Serde(&page::sections(page))), home => false })?;
        limits::card(&value).map_err(|broken| RenderError::Limit(PAGE_TEMPLATE, broken))?;
        let _: Vec<SlackBlock> = typed(PAGE_TEMPLATE, &value["blocks"])?;
        Ok(value)
    }

    /// A page as the app's own page.
    pub fn home(&self, page: &Page) -> Result<SlackView, RenderError> {
        self.modal(PAGE_TEMPLATE, context! { sections => Values::from(Serde(&page::sections(page))), home => true })
    }

    fn details_face(&self, card: &Card, metadata: &str) -> Result<(SlackView, bool), RenderError> {
        let mut last = Err(RenderError::Unknown(DETAILS_TEMPLATE));
        for budget in DIALOG {
            let face = Face::of(card, budget);
            let complete = face.complete;
            let approve = if complete && may_approve(card) { Approve::Details } else { Approve::No };
            let face = Values::from(Serde(&face.offering(approve)));
            last = self.modal(DETAILS_TEMPLATE, context! { face, metadata }).map(|view| (view, complete));
            if !matches!(last, Err(RenderError::Limit(..))) {
                break;
            }
        }
        last
    }

    fn modal(&self, template: &'static str, told: Values) -> Result<SlackView, RenderError> {
        let value = self.draw(template, told)?;
        limits::modal(&value).map_err(|broken| RenderError::Limit(template, broken))?;
        typed(template, &value)
    }

    fn draw(&self, template: &'static str, told: Values) -> Result<Value, RenderError> {
        let wrong = |error: minijinja::Error| RenderError::Template(template, format!("{error:#}"));
        let text = self.templates.get_template(template).and_then(|found| found.render(told)).map_err(wrong)?;
        serde_json::from_str(&text).map_err(|error| RenderError::NotJson(template, error.to_string()))
    }
}

/// What a dialog tells that does not show everything.
fn short(card: &Card) -> Values {
    Values::from(Serde(&Face::of(card, DIALOG[1])))
}

/// A message as it is sent, once it is within the limits.
fn rendered(template: &'static str, value: &Value, reached: Reached<'_>) -> Result<Rendered, RenderError> {
    limits::message(value, reached).map_err(|broken| RenderError::Limit(template, broken))?;
    let blocks: Vec<SlackBlock> = typed(template, &value["blocks"])?;
    Ok(Rendered { text: value["text"].as_str().unwrap_or_default().to_owned(), blocks, bytes: value.to_string().into_bytes() })
}

/// Approval is possible at all: pending, offered by the caller, and its client not frozen.
fn may_approve(card: &Card) -> bool {
    card.is_pending() && card.may_approve && !card.frozen
}

fn reference(card: &Card) -> Reference {
    Reference { request: card.request.clone(), digest: card.digest }
}

/// Metadata as long as any, to find out whether a dialog fits.
fn longest_metadata(card: &Card) -> String {
    let reply = Reply { response_url: Some("x".repeat(2_500)), ..Reply::default() };
    Metadata::new(reference(card), "U0000000000", &reply).to_text()
}

/// Reads JSON through slack-morphism's types; nothing may get lost on the way.
fn typed<T: serde::Serialize + serde::de::DeserializeOwned>(template: &'static str, value: &Value) -> Result<T, RenderError> {
    let typed: T = serde_json::from_value(value.clone()).map_err(|_| RenderError::Unknown(template))?;
    let back = serde_json::to_value(&typed).map_err(|_| RenderError::Unknown(template))?;
    // The crate keeps blocks that it does not know as they are; those would come back whole, so the limits name the known ones.
    if back == *value { Ok(typed) } else { Err(RenderError::Unknown(template)) }
}

/// Slack's date macro; shown in the reader's own time zone.
#[expect(clippy::needless_pass_by_value, reason = "filters of minijinja take their values so")]
fn date(instant: Values) -> Result<String, minijinja::Error> {
    let epoch = instant.get_attr("epoch")?;
    let fallback = instant.get_attr("fallback")?;
    Ok(format!("<!date^{epoch}^{{date_short_pretty}} {{time}}|{fallback}>"))
}
