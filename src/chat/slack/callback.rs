//! Owns the way in: what must be true of an HTTP callback before a tap exists.
//!
//! Never parses before the signature is verified, never tells a stranger why it was refused, and decides nothing. The
//! router reads at most [`BODY_LIMIT`] bytes (more: 413, before they are buffered), calls [`SlackInbound::authenticate`],
//! stores the tap, and only then answers 200; when the store cannot take it, 503.

use crate::chat::Inbound;
use crate::chat::slack::form;
use crate::chat::slack::intake::{Intake, Rejection};
use crate::chat::slack::payload::PayloadError;
use crate::chat::slack::signature::{EmptySecret, Verifier};
use crate::domain::time::Timestamp;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;

/// Largest callback body, in bytes.
pub const BODY_LIMIT: usize = 256 * 1024;

/// Authenticates callbacks.
#[derive(Debug)]
pub struct SlackInbound {
    verifier: Verifier,
    intake: Arc<Intake>,
}

/// What came in, from Slack itself and from a configured workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Take it in, then answer 200.
    In(Inbound),
    /// Answer 200 with this text (`url_verification` of the events endpoint).
    Challenge(String),
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

/// An event, as far as it concerns us.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    challenge: Option<Cow<'a, str>>,
}

impl SlackInbound {
    /// From the active signing secrets, for the installations of `intake`.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>, intake: Arc<Intake>) -> Result<Self, EmptySecret> {
        Ok(Self { verifier: Verifier::new(secrets)?, intake })
    }

    /// Size, signature, form, workspace, content: in this order, over the raw bytes.
    pub fn authenticate(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Verified<Received>, Rejection> {
        self.judge(headers, body, now).map(Verified).inspect_err(|rejection| self.intake.refused(rejection, now))
    }

    /// Counts a callback whose body was too long, or broke off, before there was anything to authenticate.
    pub fn refused_unread(&self, now: Timestamp) {
        self.intake.refused_as("unread", now);
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Received, Rejection> {
        if body.len() > BODY_LIMIT {
            return Err(Rejection::TooLarge);
        }
        self.verifier.verify(headers, body, now).map_err(|_| Rejection::Unsigned)?;
        // Events are JSON objects; a form never begins with a brace.
        if body.first() == Some(&b'{') {
            let text = std::str::from_utf8(body).map_err(|_| PayloadError::Malformed)?;
            let event: Event<'_> = serde_json::from_str(text).map_err(|_| PayloadError::Malformed)?;
            return Ok(match (event.kind.as_ref(), event.challenge) {
                ("url_verification", Some(challenge)) => Received::Challenge(challenge.into_owned()),
                ("url_verification", None) => return Err(PayloadError::Malformed.into()),
                _ => Received::In(self.intake.event(text)?),
            });
        }
        let Some(payload) = form::field(body, "payload").map_err(|()| PayloadError::Malformed)? else {
            if form::field(body, "command").is_ok_and(|name| name.is_some()) {
                return Ok(Received::In(self.intake.command(|name| form::field(body, name))?));
            }
            return match form::field(body, "ssl_check") {
                Ok(Some(flag)) if flag == "1" => Ok(Received::In(Inbound::Nothing)),
                _ => Err(PayloadError::Malformed.into()),
            };
        };
        Ok(Received::In(self.intake.interaction(&payload)?))
    }
}

#[cfg(test)]
mod tests;
