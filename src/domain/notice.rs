//! Owns the notice: what is told beside a card, in its thread or to one person, about something that happened to a request.
//!
//! Never holds markup, and never an unmasked secret: it is made from the [`Card`], which is masked already. It is made at the
//! moment of sending, so nothing but ids waits in a queue.

use crate::domain::card::{Card, GrantLine, Phase, ReviewLine};
use crate::domain::edit::Change;
use crate::domain::ids::{RequestId, ReviewId};
use crate::domain::request::{Decision, OutcomeStatus};
use crate::domain::time::Timestamp;

/// Most people that a reminder mentions.
pub const MENTIONED: usize = 5;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// A review that decided nothing yet.
    Review(ReviewId),
    /// The request was decided; by this review, when people did.
    Decision(Option<ReviewId>),
    /// The grant was used.
    Redeemed,
    /// The caller told how the action went.
    Outcome,
    /// The approval was taken back.
    Revoked,
    /// Nobody decided for a while.
    Reminder,
    /// Nobody decided, so more people are asked.
    Escalation,
}

impl Occasion {
    /// Its word and the review it is about, as they are stored.
    #[must_use]
    pub fn as_words(&self) -> (&'static str, &str) {
        match self {
            Self::Review(review) => ("review", review.as_str()),
            Self::Decision(review) => ("decision", review.as_ref().map_or("", ReviewId::as_str)),
            Self::Redeemed => ("redeemed", ""),
            Self::Outcome => ("outcome", ""),
            Self::Revoked => ("revoked", ""),
            Self::Reminder => ("reminder", ""),
            Self::Escalation => ("escalation", ""),
        }
    }

    /// Reads both words.
    #[must_use]
    pub fn parse(word: &str, review: &str) -> Option<Self> {
        Some(match (word, review) {
            ("review", review) => Self::Review(review.parse().ok()?),
            ("decision", "") => Self::Decision(None),
            ("decision", review) => Self::Decision(Some(review.parse().ok()?)),
            ("redeemed", "") => Self::Redeemed,
            ("outcome", "") => Self::Outcome,
            ("revoked", "") => Self::Revoked,
            ("reminder", "") => Self::Reminder,
            ("escalation", "") => Self::Escalation,
            _ => return None,
        })
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// The request.
    pub request: RequestId,
    /// One sentence of ours; holds names, and for a direct message the action and its target.
    pub sentence: String,
    /// The same without anything that the caller chose, for notifications and screen readers.
    pub short: String,
    /// What a person or the caller wrote, masked.
    pub said: Option<String>,
    /// What an edit changed against what was asked, masked.
    pub changes: Vec<Change>,
    /// An instant that belongs to the sentence: until when it is open.
    pub until: Option<Timestamp>,
    /// Accounts at the platform that are to be notified.
    pub mentions: Vec<String>,
    /// Eligible people beyond those.
    pub more_people: usize,
    /// Web address of the card, for who is told elsewhere.
    pub card: Option<String>,
}

impl Notice {
    /// What the thread of a card is told. `None` when nothing is left to tell of it.
    #[must_use]
    pub fn in_thread(card: &Card, occasion: &Occasion) -> Option<Self> {
        let review = |id: &ReviewId| card.reviews.iter().find(|review| review.id == *id);
        Some(match occasion {
            Occasion::Review(id) => reviewed(card, review(id)?),
            Occasion::Decision(id) => decided(card, id.as_ref().and_then(review))?,
            Occasion::Redeemed => Self::saying(card, "The grant was redeemed.".to_owned()),
            Occasion::Outcome => outcome(card)?,
            Occasion::Revoked => {
                let Phase::Approved { grant: GrantLine::Revoked { reason }, .. } = &card.phase else { return None };
                Self { said: reason.clone(), ..Self::saying(card, "The approval was revoked.".to_owned()) }
            }
            // Decided meanwhile: nobody need be called.
            Occasion::Reminder | Occasion::Escalation if !card.is_pending() => return None,
            Occasion::Reminder => {
                Self { until: Some(card.expires_at), ..Self::saying(card, format!("Still waiting for {}.", card.open_seats)) }
            }
            Occasion::Escalation => Self::saying(card, escalated(card)),
        })
    }

    /// What the person it is for is told, with the address of the card.
    #[must_use]
    pub fn to_behalf(card: &Card, address: Option<String>) -> Option<Self> {
        let decided = decided(card, card.reviews.iter().rev().find(|review| review.decision == Decision::Deny))?;
        let what = match &card.target {
            Some(target) => format!("{} on {target}", card.action),
            None => card.action.clone(),
        };
        Some(Self {
            sentence: format!("{} asked for {what} on your behalf. {}", card.client, decided.sentence),
            short: format!("{} asked for {} on your behalf. {}", card.client, card.action, decided.short),
            changes: card.changes.clone(),
            card: address,
            ..decided
        })
    }

    fn saying(card: &Card, sentence: String) -> Self {
        Self {
            request: card.request.clone(),
            short: sentence.clone(),
            sentence,
            said: None,
            changes: Vec::new(),
            until: None,
            mentions: Vec::new(),
            more_people: 0,
            card: None,
        }
    }
}

fn reviewed(card: &Card, review: &ReviewLine) -> Notice {
    let name = &review.name;
    let sentence = match (review.decision, review.counts) {
        (Decision::Approve, true) => {
            let seat = review.seat.as_ref().map(|seat| format!(" for {seat}")).unwrap_or_default();
            format!("{name} approved{seat}: {} of {} approved.", card.granted, card.required)
        }
        (Decision::Approve, false) => format!("{name} approved; that does not count any more."),
        (Decision::Edit, true) => format!("{name} edited the parameters. Earlier approvals do not count any more."),
        (Decision::Edit, false) => format!("{name} edited the parameters; that does not count any more."),
        (Decision::Deny, _) => format!("{name} denied."),
        (Decision::Comment, _) => format!("{name} commented."),
    };
    let changes = if review.decision == Decision::Edit && review.counts { card.changes.clone() } else { Vec::new() };
    Notice { said: review.comment.clone(), changes, ..Notice::saying(card, sentence) }
}

fn decided(card: &Card, review: Option<&ReviewLine>) -> Option<Notice> {
    let names = |by: &[String]| match by {
        [] => "policy".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    };
    let edited = review.filter(|review| review.decision == Decision::Edit);
    let (sentence, said) = match &card.phase {
        Phase::Pending => return None,
        Phase::Approved { by, .. } => {
            let how = if edited.is_some() { " with edited parameters" } else { "" };
            (format!("Approved by {}{how}.", names(by)), review.and_then(|review| review.comment.clone()))
        }
        Phase::Denied { by, reason, .. } => (format!("Denied by {}.", by.as_deref().unwrap_or("policy")), reason.clone()),
        Phase::Expired { .. } => ("Expired: nobody decided in time.".to_owned(), None),
        Phase::Cancelled { reason, .. } => ("Cancelled by the client that asked.".to_owned(), reason.clone()),
    };
    let changes = if edited.is_some() { card.changes.clone() } else { Vec::new() };
    Some(Notice { said, changes, ..Notice::saying(card, sentence) })
}

fn outcome(card: &Card) -> Option<Notice> {
    let Phase::Approved { outcome: Some(outcome), .. } = &card.phase else { return None };
    let word = match outcome.status {
        OutcomeStatus::Succeeded => "succeeded",
        OutcomeStatus::Failed => "failed",
    };
    Some(Notice { said: outcome.detail.clone(), ..Notice::saying(card, format!("The caller reported: {word}.")) })
}

fn escalated(card: &Card) -> String {
    match card.escalated_to.as_slice() {
        [] => "Escalated: more people see this now.".to_owned(),
        [group] => format!("Escalated: {group} may fill open seats too."),
        [first @ .., last] => format!("Escalated: {} and {last} may fill open seats too.", first.join(", ")),
    }
}
