//! Owns the way in: what must be true of an HTTP callback before a tap exists.
//!
//! Never parses before the signature is verified, never tells a stranger why it was refused, and decides nothing. The
//! router reads at most [`BODY_LIMIT`] bytes (more: 413, before they are buffered), calls [`SlackInbound::authenticate`],
//! stores the tap, and only then answers 200; when the store cannot take it, 503.

use crate::chat::Tap;
use crate::chat::slack::form;
use crate::chat::slack::payload::{Interaction, PayloadError};
use crate::chat::slack::signature::{EmptySecret, Verifier};
use crate::domain::time::Timestamp;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Largest callback body, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;
/// Refused strangers are logged at most this often, in seconds.
const LOG_EVERY: i64 = 60;

/// Authenticates callbacks.
#[derive(Debug)]
pub struct SlackInbound {
    verifier: Verifier,
    allowed: BTreeSet<String>,
    app_id: Option<String>,
    log: Quiet,
}

/// What came in, from Slack itself and from a configured workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// Store it, then answer 200 with an empty body.
    Tap(Box<Tap>),
    /// Answer 200 with this text (`url_verification` of the events endpoint).
    Challenge(String),
    /// Answer 200 with an empty body; nothing to do (`ssl_check`, a closed dialog, an event without meaning here).
    Nothing,
}

/// A value that came through [`SlackInbound::authenticate`]; there is no other way to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// Why a callback is refused. The status is all that the caller may learn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// 413.
    #[error("the callback is longer than {BODY_LIMIT} bytes")]
    TooLarge,
    /// 401.
    #[error("the callback is not signed by Slack")]
    Unsigned,
    /// 400.
    #[error("the callback cannot be read: {0}")]
    Malformed(#[from] PayloadError),
    /// 403.
    #[error("the callback comes from a workspace or an app that is not configured")]
    Stranger,
}

impl Rejection {
    /// The HTTP status to answer with, and an empty body.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 413,
            Self::Unsigned => 401,
            Self::Malformed(PayloadError::OtherPerson) | Self::Stranger => 403,
            Self::Malformed(_) => 400,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Unsigned => "signature",
            Self::Malformed(error) => error.code(),
            Self::Stranger => "stranger",
        }
    }
}

/// An event, as far as it concerns us.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    challenge: Option<Cow<'a, str>>,
}

impl SlackInbound {
    /// From the active signing secrets and the workspaces (`T…`) and organisations (`E…`) whose people may decide.
    /// An empty list means nobody. `app_id` is ours, where known.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a SecretString>,
        allowed: impl IntoIterator<Item = String>,
        app_id: Option<String>,
    ) -> Result<Self, EmptySecret> {
        Ok(Self { verifier: Verifier::new(secrets)?, allowed: allowed.into_iter().collect(), app_id, log: Quiet::default() })
    }

    /// Size, signature, form, workspace, content: in this order, over the raw bytes.
    pub fn authenticate(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified<Inbound>, Rejection> {
        self.judge(headers, body, now).map(Verified).inspect_err(|rejection| {
            count(rejection.code());
            if let Some(before) = self.log.permit(now) {
                tracing::warn!(reason = rejection.code(), suppressed = before, "refused a Slack callback");
            }
        })
    }

    /// Counts a callback whose body was too long, or broke off, before there was anything to authenticate.
    pub fn refused_unread(&self) {
        count("unread");
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Inbound, Rejection> {
        if body.len() > BODY_LIMIT {
            return Err(Rejection::TooLarge);
        }
        self.verifier.verify(headers, body, now).map_err(|_| Rejection::Unsigned)?;
        // Events are JSON objects; a form never begins with a brace.
        if body.first() == Some(&b'{') {
            let text = std::str::from_utf8(body).map_err(|_| PayloadError::Malformed)?;
            let event: Event<'_> = serde_json::from_str(text).map_err(|_| PayloadError::Malformed)?;
            return Ok(match (event.kind.as_ref(), event.challenge) {
                ("url_verification", Some(challenge)) => Inbound::Challenge(challenge.into_owned()),
                ("url_verification", None) => return Err(PayloadError::Malformed.into()),
                _ => Inbound::Nothing,
            });
        }
        let Some(payload) = form::field(body, "payload").map_err(|()| PayloadError::Malformed)? else {
            return match form::field(body, "ssl_check") {
                Ok(Some(flag)) if flag == "1" => Ok(Inbound::Nothing),
                _ => Err(PayloadError::Malformed.into()),
            };
        };
        let interaction = Interaction::parse(&payload)?;
        if !self.knows(&interaction) {
            return Err(Rejection::Stranger);
        }
        if interaction.is_closed_view() {
            return Ok(Inbound::Nothing);
        }
        Ok(Inbound::Tap(Box::new(interaction.tap()?)))
    }

    /// The installation is configured, and so is the app where we know our own id.
    fn knows(&self, interaction: &Interaction<'_>) -> bool {
        let app = match (self.app_id.as_deref(), interaction.app_id()) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        let ids = [interaction.effective_team(), interaction.effective_enterprise(), interaction.workspace_in_organisation()];
        app && ids.into_iter().flatten().any(|id| self.allowed.contains(id))
    }
}

fn count(reason: &'static str) {
    metrics::counter!("countersign_callbacks_refused_total", "platform" => "slack", "reason" => reason).increment(1);
}

/// Lets one line per minute through and counts the rest.
#[derive(Debug)]
struct Quiet {
    next: AtomicI64,
    suppressed: AtomicU64,
}

impl Default for Quiet {
    fn default() -> Self {
        Self { next: AtomicI64::new(i64::MIN), suppressed: AtomicU64::new(0) }
    }
}

impl Quiet {
    /// How many were suppressed since the last line, when a line may be written now.
    fn permit(&self, now: Timestamp) -> Option<u64> {
        let seconds = now.as_seconds();
        let next = self.next.load(Ordering::Relaxed);
        let won = seconds >= next
            && self.next.compare_exchange(next, seconds.saturating_add(LOG_EVERY), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests;
