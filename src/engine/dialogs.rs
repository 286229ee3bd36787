//! Owns what is answered to a tap at once: the dialog that it opens, or the word on a submitted dialog, and the tap's row.
//!
//! Never decides anything and never asks a platform or a directory before the acknowledgement: what is said here is what the
//! database and the request itself know. Whether the person may do it is judged when the stored tap is finished.

use super::{Engine, Failure};
use crate::chat::{ChatPlatform, Choice, Confirmation, Dialog, Tap, Verdict, WORDS};
use crate::domain::card::Card;
use crate::domain::field_error::FieldError;
use crate::domain::request::{Refused, Request};
use crate::store::ReceivedTap;
use serde_json::Value;
use std::sync::Arc;

impl Engine {
    /// Takes a tap in. Once this returns, the platform may be told "ok", with these words in its own language when there are any.
    ///
    /// # Errors
    /// When nothing was stored: the platform must not be told "ok".
    pub async fn take_tap(self: &Arc<Self>, platform: &Arc<dyn ChatPlatform>, mut tap: Tap) -> Result<Option<Value>, Failure> {
        if let Some(dialog) = self.dialog(&tap).await {
            // Nothing is decided: the trigger is good for seconds, so the dialog opens beside the acknowledgement.
            let (engine, platform) = (Arc::clone(self), Arc::clone(platform));
            tokio::spawn(async move { engine.open_dialog(&*platform, dialog, &tap).await });
            return Ok(None);
        }
        // Judged before the tap is stored: afterwards it may itself be what decided.
        let verdict = if tap.choice.is_submit() { self.weigh(&tap).await? } else { None };
        let answer = verdict.as_ref().and_then(|(card, verdict)| platform.answer_submit(&tap, card, verdict));
        if matches!(verdict, Some((_, Verdict::Mistakes(_) | Verdict::Confirm(_)))) {
            if answer.is_none() {
                let platform = Arc::clone(platform);
                tokio::spawn(async move {
                    platform.tell(&tap.account, &tap.reply, "The dialog could not be shown. Nothing was decided.").await;
                });
            }
            return Ok(answer);
        }
        tap.reply.answered = answer.is_some();
        match self.receive(platform.id(), &tap).await? {
            ReceivedTap::New(_) => Ok(answer),
            // The first copy has its answer already; this one must not say that it came too late for itself.
            ReceivedTap::Duplicate => Ok(None),
        }
    }

    /// The dialog that a tap opens. An approval for which a comment must be written opens one too.
    async fn dialog(&self, tap: &Tap) -> Option<Dialog> {
        if tap.choice != Choice::Approve {
            return tap.choice.dialog();
        }
        let request = self.store.request(&tap.request).await.ok().flatten()?;
        (!request.status().is_terminal() && request.requirements().needs_comment()).then_some(Dialog::Details)
    }

    /// What a submitted dialog is told; `None`: it closes, and the tap is finished later.
    async fn weigh(&self, tap: &Tap) -> Result<Option<(Card, Verdict)>, Failure> {
        let Some(request) = self.store.request(&tap.request).await? else { return Ok(None) };
        let Some(verdict) = verdict(&request, tap) else { return Ok(None) };
        Ok(Some((self.card(&request).await?, verdict)))
    }

    /// Opens a dialog while the tap's trigger is good. Nothing is decided here.
    async fn open_dialog(&self, platform: &dyn ChatPlatform, dialog: Dialog, tap: &Tap) {
        let Some(trigger) = &tap.trigger else { return };
        let card = match self.store.request(&tap.request).await {
            Ok(Some(request)) => self.card(&request).await,
            Ok(None) => return platform.tell(&tap.account, &tap.reply, "This request is not known here any more.").await,
            Err(error) => Err(error.into()),
        };
        match card {
            Ok(card) if dialog == Dialog::Edit && card.is_pending() && card.form.is_none() => {
                platform.tell(&tap.account, &tap.reply, &Refused::NotOffered("edit").to_string()).await;
            }
            Ok(card) => {
                if let Err(error) = platform.open_dialog(trigger, dialog, &tap.account, &tap.reply, &card).await {
                    tracing::warn!(request.id = %tap.request, code = error.code(), "a dialog could not be opened");
                    platform.tell(&tap.account, &tap.reply, "The dialog could not be opened. Please tap again.").await;
                }
            }
            Err(failure) => platform.tell(&tap.account, &tap.reply, &failure.to_string()).await,
        }
    }
}

fn verdict(request: &Request, tap: &Tap) -> Option<Verdict> {
    if request.status().is_terminal() {
        return Some(Verdict::Decided);
    }
    let missing = |refused: Refused| Some(Verdict::Mistakes(vec![FieldError::new(WORDS, refused.to_string())]));
    let unsaid = tap.comment.is_none() && request.requirements().needs_comment();
    match &tap.choice {
        Choice::ApproveFromDetails | Choice::EditSubmit { .. } if tap.digest != *request.digest() => Some(Verdict::Changed),
        Choice::ApproveFromDetails if unsaid => missing(Refused::CommentRequired),
        Choice::CommentSubmit if tap.comment.is_none() => {
            Some(Verdict::Mistakes(vec![FieldError::new(WORDS, "is required for the decision \"comment\"")]))
        }
        Choice::EditSubmit { answers, confirmed } => match request.draft(answers) {
            Ok(draft) if *confirmed == Some(draft.digest) => {
                if unsaid {
                    missing(Refused::CommentRequired)
                } else {
                    None
                }
            }
            Ok(draft) => {
                let form = request.form()?.filled(answers);
                Some(Verdict::Confirm(Box::new(Confirmation { form, draft })))
            }
            Err(Refused::EditOutOfBounds(mistakes)) => Some(Verdict::Mistakes(mistakes)),
            Err(refused @ Refused::EditRepeats) => Some(Verdict::Mistakes(vec![FieldError::new("", refused.to_string())])),
            // Refused for good, with a reason and an event, when the tap is finished.
            Err(_) => None,
        },
        _ => None,
    }
}
