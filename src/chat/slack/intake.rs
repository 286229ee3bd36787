//! Owns what must be true of a payload, whichever way it came, before it is taken in: it names a configured workspace or
//! organisation, it is for our app where that is known, and it can be read.
//!
//! Never checks a signature (`callback` does, and over Socket Mode there is none), never tells a stranger why it was refused,
//! and decides nothing.

use crate::chat::slack::payload::{Interaction, PayloadError};
use crate::chat::{Account, Command, Inbound, Reply};
use crate::domain::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Refused strangers are logged at most this often, in seconds.
const LOG_EVERY: i64 = 60;

/// Why a payload is refused. The status is all that the sender may learn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// 413.
    #[error("the callback is too long")]
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

    /// Stable code for the log and for metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Unsigned => "signature",
            Self::Malformed(error) => error.code(),
            Self::Stranger => "stranger",
        }
    }
}

/// An event, as far as it concerns us; everything may be absent.
#[derive(Deserialize)]
struct Event {
    team_id: Option<String>,
    enterprise_id: Option<String>,
    api_app_id: Option<String>,
    #[serde(rename = "event", default)]
    about: Value,
    authorizations: Option<Vec<Authorization>>,
}

#[derive(Deserialize)]
struct Authorization {
    team_id: Option<String>,
    enterprise_id: Option<String>,
}

/// Reads payloads of configured installations.
#[derive(Debug)]
pub struct Intake {
    allowed: BTreeSet<String>,
    app_id: OnceLock<String>,
    log: Quiet,
}

impl Intake {
    /// For these workspaces (`T…`) and organisations (`E…`). An empty list means nobody.
    pub fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        Self { allowed: allowed.into_iter().collect(), app_id: OnceLock::new(), log: Quiet::default() }
    }

    /// The id of our own app, once Slack told it: from then on payloads for another one are a stranger's.
    pub fn learn(&self, app_id: &str) {
        if self.app_id.set(app_id.to_owned()).is_ok() {
            tracing::debug!(app_id, "payloads for other apps are refused");
        }
    }

    /// Whether the id of our own app is known.
    #[must_use]
    pub fn knows_itself(&self) -> bool {
        self.app_id.get().is_some()
    }

    /// Reads an interaction: a tap, a submitted dialog, a closed one.
    pub fn interaction(&self, json: &str) -> Result<Inbound, Rejection> {
        let interaction = Interaction::parse(json)?;
        let ids = [interaction.effective_team(), interaction.effective_enterprise(), interaction.workspace_in_organisation()];
        self.admit(interaction.app_id(), &ids)?;
        if interaction.is_closed_view() {
            return Ok(Inbound::Nothing);
        }
        Ok(Inbound::Tap(Box::new(interaction.tap()?)))
    }

    /// Reads a slash command from its fields.
    pub fn command(&self, field: impl Fn(&str) -> Result<Option<String>, ()>) -> Result<Inbound, Rejection> {
        let field = |name: &str| field(name).map(|text| text.filter(|text| !text.is_empty())).map_err(|()| PayloadError::Malformed);
        let (team_id, enterprise_id) = (field("team_id")?, field("enterprise_id")?);
        let user_id = field("user_id")?.ok_or(PayloadError::Malformed)?;
        self.admit(field("api_app_id")?.as_deref(), &[team_id.as_deref(), enterprise_id.as_deref()])?;
        let account = Account { team_id, enterprise_id, user_id, user_team_id: None, username: field("user_name")? };
        let reply = Reply { response_url: field("response_url")?, channel: field("channel_id")?, ..Reply::default() };
        Ok(Inbound::Command(Box::new(Command { account, words: field("text")?.unwrap_or_default(), reply })))
    }

    /// Reads an event.
    pub fn event(&self, json: &str) -> Result<Inbound, Rejection> {
        let event: Event = serde_json::from_str(json).map_err(|_| PayloadError::Malformed)?;
        let given = |id: Option<String>| id.filter(|id| !id.is_empty());
        // The installation that the event is for stands first; the other ids may be those of a shared channel.
        let (team, enterprise) = event
            .authorizations
            .unwrap_or_default()
            .into_iter()
            .next()
            .map_or((None, None), |one| (given(one.team_id), given(one.enterprise_id)));
        let (team, enterprise) = (team.or_else(|| given(event.team_id)), enterprise.or_else(|| given(event.enterprise_id)));
        self.admit(event.api_app_id.as_deref(), &[team.as_deref(), enterprise.as_deref()])?;
        let told = |pointer: &str| event.about.pointer(pointer);
        Ok(match told("/type").and_then(Value::as_str) {
            Some("app_home_opened") if told("/tab").and_then(Value::as_str) != Some("messages") => {
                let user = told("/user").and_then(Value::as_str).filter(|user| !user.is_empty()).ok_or(PayloadError::Malformed)?;
                let account =
                    Account { team_id: team, enterprise_id: enterprise, user_id: user.to_owned(), user_team_id: None, username: None };
                Inbound::Home(account)
            }
            Some("app_uninstalled") => Inbound::Gone("app_uninstalled"),
            // Tokens of people are none of ours.
            Some("tokens_revoked") if told("/tokens/bot").and_then(Value::as_array).is_some_and(|bots| !bots.is_empty()) => {
                Inbound::Gone("token_revoked")
            }
            _ => Inbound::Nothing,
        })
    }

    /// Reads what came in an envelope of Socket Mode: the same payloads, as JSON.
    pub fn envelope(&self, kind: &str, payload: &str) -> Result<Inbound, Rejection> {
        match kind {
            "interactive" => self.interaction(payload),
            "slash_commands" => {
                let fields: Value = serde_json::from_str(payload).map_err(|_| PayloadError::Malformed)?;
                self.command(|name| Ok(fields.get(name).and_then(Value::as_str).map(str::to_owned)))
            }
            "events_api" => self.event(payload),
            _ => Err(PayloadError::UnknownType.into()),
        }
    }

    /// The account of a configured installation behind an envelope that could not be taken in.
    #[must_use]
    pub fn account(&self, kind: &str, payload: &str) -> Option<Account> {
        Interaction::parse(payload).ok().filter(|_| kind == "interactive").map(|interaction| interaction.account())
    }

    /// Counts a refusal, and logs one a minute.
    pub fn refused(&self, rejection: &Rejection, now: Timestamp) {
        self.refused_as(rejection.code(), now);
    }

    /// The same for whatever has a code.
    pub fn refused_as(&self, code: &'static str, now: Timestamp) {
        metrics::counter!("countersign_callbacks_refused_total", "platform" => "slack", "reason" => code).increment(1);
        if let Some(before) = self.log.permit(now) {
            tracing::warn!(reason = code, suppressed = before, "refused a Slack callback");
        }
    }

    /// The installation is configured, and so is the app where we know our own id.
    fn admit(&self, app: Option<&str>, ids: &[Option<&str>]) -> Result<(), Rejection> {
        let ours = match (self.app_id.get(), app) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        if ours && ids.iter().flatten().any(|id| self.allowed.contains(*id)) { Ok(()) } else { Err(Rejection::Stranger) }
    }
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
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_no_log() {
        let quiet = Quiet::default();
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        assert_eq!(quiet.permit(at(100)), Some(0));
        assert_eq!(quiet.permit(at(101)), None);
        assert_eq!(quiet.permit(at(159)), None);
        assert_eq!(quiet.permit(at(160)), Some(2));
    }
}
