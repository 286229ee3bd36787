//! Owns the calls to Slack: posting and redrawing cards, dialogs, private sentences, and the questions about accounts and channels.
//!
//! Never retries, waits or decides: it says what an answer means (`DeliveryError`) and when the next call to a channel may go.

use crate::chat::pacer::Pacer;
use crate::chat::slack::connector::{Connector, ConnectorError, TIMEOUT};
use crate::chat::slack::edit;
use crate::chat::slack::installation::Installed;
use crate::chat::slack::intake::Intake;
use crate::chat::slack::limits;
use crate::chat::slack::people::{self, Recent};
use crate::chat::slack::render::{RenderError, Renderer};
use crate::chat::slack::socket::Links;
use crate::chat::{
    Account, AccountError, AccountFacts, ChatPlatform, Choice, DeliveryError, Dialog, Page, Pending, Posted, Reply, Tap, Trigger, Verdict,
};
use crate::directory::{Identity, Record, SlackHome};
use crate::domain::card::Card;
use crate::domain::notice::Notice;
use crate::domain::text;
use crate::domain::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use slack_morphism::api::{
    SlackApiChatPostMessageRequest, SlackApiChatUpdateRequest, SlackApiViewsOpenRequest, SlackApiViewsUpdateRequest,
};
use slack_morphism::blocks::SlackView;
use slack_morphism::errors::SlackClientError;
use slack_morphism::{
    SlackApiToken, SlackApiTokenValue, SlackClient, SlackClientSession, SlackMessageContent, SlackTriggerId, SlackTs, SlackViewId,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use url::{Host, Url};

/// One message per second and channel (docs.slack.dev, "Rate limits").
const SPACING: Duration = Duration::from_secs(1);
/// How long a channel that was fine is not asked about again.
const FINE_FOR: Duration = Duration::from_mins(5);
/// How long a card that stands waits while Slack sends us away.
const AWAY: Duration = Duration::from_mins(1);
/// People of another company read along.
const SHARED: &str = "channel_is_shared";
/// Longest private sentence, in characters.
const SENTENCE: usize = 2_900;

/// What the Slack platform needs of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the Web API is.
    pub api_url: Url,
    /// The bot's token.
    pub bot_token: SecretString,
    /// Workspaces and organisations whose people may decide; empty: nobody.
    pub allowed: BTreeSet<String>,
    /// A confirmed e-mail address may tie an account to a person.
    pub match_email: bool,
    /// Channels shared with other companies that may show cards all the same.
    pub shared_channels: BTreeSet<String>,
}

/// Slack as a chat platform.
#[derive(Debug)]
pub struct Slack {
    client: SlackClient<Connector>,
    token: SlackApiToken,
    allowed: BTreeSet<String>,
    match_email: bool,
    shared_channels: BTreeSet<String>,
    /// Channels that were fine, and when that was found.
    fine: Mutex<HashMap<String, Instant>>,
    renderer: Renderer,
    pacer: Pacer,
    recent: Recent,
    links: OnceLock<Arc<Links>>,
    installed: Installed,
}

/// Slack cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// No HTTP client.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// A template is wrong.
    #[error("templates/slack: {0}")]
    Template(#[from] RenderError),
}

/// What `auth.test` says about the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The workspace, absent for an org-wide token.
    pub team_id: Option<String>,
    /// The organisation.
    pub enterprise_id: Option<String>,
    /// The app is installed for the whole organisation.
    pub org_wide: bool,
    /// The bot's user.
    pub user_id: Option<String>,
    /// The app, where Slack tells.
    pub app_id: Option<String>,
    /// The bot behind the token.
    pub bot_id: Option<String>,
    /// Scopes that the token has.
    pub scopes: BTreeSet<String>,
    /// Slack's time, where it tells (`Date`, RFC 9110 section 6.6.1).
    pub at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct PostedAnswer {
    channel: String,
    ts: String,
}

#[derive(Deserialize)]
struct AuthAnswer {
    team_id: Option<String>,
    enterprise_id: Option<String>,
    #[serde(default)]
    is_enterprise_install: bool,
    user_id: Option<String>,
    app_id: Option<String>,
    bot_id: Option<String>,
}

impl Slack {
    /// From the configuration.
    pub fn new(settings: &Settings) -> Result<Self, SetUpError> {
        Self::with_timeout(settings, TIMEOUT)
    }

    /// With another limit for a call's duration than five seconds.
    pub fn with_timeout(settings: &Settings, timeout: Duration) -> Result<Self, SetUpError> {
        Ok(Self {
            client: SlackClient::new(Connector::new(&settings.api_url, timeout)?),
            token: SlackApiToken::new(SlackApiTokenValue(settings.bot_token.expose_secret().to_owned())),
            allowed: settings.allowed.clone(),
            match_email: settings.match_email,
            shared_channels: settings.shared_channels.clone(),
            fine: Mutex::default(),
            renderer: Renderer::new()?,
            pacer: Pacer::new(SPACING),
            recent: Recent::default(),
            links: OnceLock::new(),
            installed: Installed::default(),
        })
    }

    /// The drawing of cards, for the HTTP layer's answers to dialogs.
    #[must_use]
    pub fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    /// What comes in comes over these connections.
    pub fn listens_on(&self, links: Arc<Links>) {
        // A second set of connections would be a mistake of the composition; the first one stays.
        let _ = self.links.set(links);
    }

    /// Who the token is, and what it may (`doctor`).
    pub async fn auth_test(&self) -> Result<Installation, DeliveryError> {
        let answer = self.connector().call_with_headers::<AuthAnswer>("auth.test", &self.token).await;
        let answer = answer.map_err(|error| self.meaning(&error))?;
        self.installed.is_fine();
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let scopes = header("x-oauth-scopes").unwrap_or_default();
        let at = header("date").and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
        Ok(Installation {
            team_id: answer.body.team_id,
            enterprise_id: answer.body.enterprise_id,
            org_wide: answer.body.is_enterprise_install,
            user_id: answer.body.user_id,
            app_id: answer.body.app_id,
            bot_id: answer.body.bot_id,
            scopes: scopes.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
            at: at.map(|at| Timestamp::from_millis(at.timestamp().as_millisecond())),
        })
    }

    /// Whether a card may be shown in a conversation: `conversations.info`, judged. A user id is a direct message and needs none.
    pub async fn check_channel(&self, channel: &str) -> Result<(), DeliveryError> {
        if channel.starts_with(['U', 'W']) {
            return Ok(());
        }
        let answer: Value = self.get("conversations.info", &[("channel", channel)]).await?;
        let Some(info) = answer.get("channel") else { return Err(permanent("channel_unclear")) };
        let holds = |name: &str| match info.get(name) {
            Some(Value::Bool(value)) => Some(*value),
            None => Some(false),
            Some(_) => None,
        };
        let may_be_shared = self.shared_channels.contains(channel);
        for (flag, code) in [
            ("is_archived", "is_archived"),
            ("is_ext_shared", SHARED),
            ("is_pending_ext_shared", SHARED),
            ("is_read_only", "channel_is_read_only"),
        ] {
            if holds(flag) != Some(false) && !(may_be_shared && code == SHARED) {
                return Err(permanent(code));
            }
        }
        if holds("is_private") != Some(false) && info.get("is_member") != Some(&Value::Bool(true)) {
            return Err(permanent("not_in_channel"));
        }
        Ok(())
    }

    /// The same, where a good answer may be some minutes old. A refusal is never remembered.
    async fn fine_channel(&self, channel: &str) -> Result<(), DeliveryError> {
        let fine = || self.fine.lock().unwrap_or_else(PoisonError::into_inner);
        if fine().get(channel).is_some_and(|since| since.elapsed() < FINE_FOR) {
            return Ok(());
        }
        let found = self.check_channel(channel).await;
        match &found {
            Ok(()) => fine().insert(channel.to_owned(), Instant::now()),
            Err(_) => fine().remove(channel),
        };
        found
    }

    fn session(&self) -> SlackClientSession<'_, Connector> {
        self.client.open_session(&self.token)
    }

    fn connector(&self) -> &Connector {
        &self.client.http_api.connector
    }

    async fn get(&self, method: &str, parameters: &[(&str, &str)]) -> Result<Value, DeliveryError> {
        let parameters: Vec<(&str, Option<&str>)> = parameters.iter().map(|(name, value)| (*name, Some(*value))).collect();
        self.session().http_session_api.http_get(method, &parameters, None).await.map_err(|error| self.meaning(&error))
    }

    async fn send<Q: serde::Serialize + Send + Sync, A: for<'de> Deserialize<'de> + Send>(
        &self,
        method: &str,
        body: &Q,
    ) -> Result<A, DeliveryError> {
        self.session().http_session_api.http_post(method, body, None).await.map_err(|error| self.meaning(&error))
    }

    fn meaning(&self, error: &SlackClientError) -> DeliveryError {
        let meaning = failure(error);
        self.installed.learn(&meaning);
        meaning
    }

    /// The id of our own app: what the token says, else what its bot says.
    pub async fn own_app(&self) -> Result<Option<String>, DeliveryError> {
        let installation = self.auth_test().await?;
        let (None, Some(bot)) = (&installation.app_id, &installation.bot_id) else { return Ok(installation.app_id) };
        let answer = self.get("bots.info", &[("bot", bot)]).await?;
        Ok(answer.pointer("/bot/app_id").and_then(Value::as_str).map(str::to_owned))
    }

    /// Finds out who we are and, after Slack sent us away, whether it takes us again; asks nothing when both are known.
    pub async fn look_after(&self, intake: &Intake) {
        if intake.knows_itself() && self.installed.refused().is_none() {
            return;
        }
        match self.own_app().await {
            Ok(Some(app)) => intake.learn(&app),
            Ok(None) => {}
            Err(error) => tracing::debug!(code = error.code(), "Slack did not say who we are"),
        }
    }

    async fn post_card(&self, channel: &str, card: &Card) -> Result<Posted, DeliveryError> {
        if let Some(code) = self.installed.refused() {
            return Err(permanent(&code));
        }
        self.fine_channel(channel).await?;
        let rendered = self.renderer.card(card).map_err(|error| undrawable(&error))?;
        let hash = rendered.hash();
        let content = SlackMessageContent::new().with_text(rendered.text).with_blocks(rendered.blocks);
        let request = SlackApiChatPostMessageRequest::new(channel.into(), content).with_unfurl_links(false).with_unfurl_media(false);
        let answer: PostedAnswer = self.send("chat.postMessage", &request).await?;
        let permalink = self.permalink(&answer.channel, &answer.ts).await;
        Ok(Posted { channel: answer.channel, ts: answer.ts, permalink, rendered_hash: hash })
    }

    async fn update_card(&self, posted: &Posted, card: &Card) -> Result<Posted, DeliveryError> {
        if let Some(code) = self.installed.refused() {
            // The card stands where Slack does not let us in; it is put right once it does.
            return Err(DeliveryError::Retry { after: Some(AWAY), code });
        }
        let rendered = self.renderer.card(card).map_err(|error| undrawable(&error))?;
        let hash = rendered.hash();
        let content = SlackMessageContent::new().with_text(rendered.text).with_blocks(rendered.blocks);
        let request = SlackApiChatUpdateRequest::new(posted.channel.as_str().into(), content, SlackTs(posted.ts.clone()));
        let _: PostedAnswer = self.send("chat.update", &request).await?;
        Ok(Posted { rendered_hash: hash, ..posted.clone() })
    }

    /// Posts a message that is no card; `thread` is the card that it belongs to.
    async fn post_notice(&self, channel: &str, thread: Option<&str>, notice: &Notice) -> Result<Posted, DeliveryError> {
        let rendered = self.renderer.notice(notice).map_err(|error| undrawable(&error))?;
        let hash = rendered.hash();
        let content = SlackMessageContent::new().with_text(rendered.text).with_blocks(rendered.blocks);
        let request = SlackApiChatPostMessageRequest::new(channel.into(), content)
            .with_unfurl_links(false)
            .with_unfurl_media(false)
            .opt_thread_ts(thread.map(|ts| SlackTs(ts.to_owned())));
        let answer: PostedAnswer = self.send("chat.postMessage", &request).await?;
        Ok(Posted { channel: answer.channel, ts: answer.ts, permalink: None, rendered_hash: hash })
    }

    async fn supersede_card(&self, newer: &Posted, older: &str, card: &Card) -> Result<(), DeliveryError> {
        let rendered = self.renderer.superseded(card, newer.permalink.as_deref()).map_err(|error| undrawable(&error))?;
        let content = SlackMessageContent::new().with_text(rendered.text).with_blocks(rendered.blocks);
        let request = SlackApiChatUpdateRequest::new(newer.channel.as_str().into(), content, SlackTs(older.to_owned()));
        self.send::<_, PostedAnswer>("chat.update", &request).await.map(|_| ())
    }

    /// A convenience; a card without it is no failure.
    async fn permalink(&self, channel: &str, ts: &str) -> Option<String> {
        let answer = self.get("chat.getPermalink", &[("channel", channel), ("message_ts", ts)]).await.ok()?;
        answer.get("permalink").and_then(Value::as_str).map(str::to_owned)
    }

    async fn ask_about(&self, account: &Account, now: Timestamp) -> Result<AccountFacts, AccountError> {
        if let Some(facts) = self.recent.get(account, now) {
            return Ok(facts);
        }
        let judged = match self.get("users.info", &[("user", &account.user_id)]).await {
            Ok(answer) => people::judge(answer.get("user").unwrap_or(&Value::Null), account, &self.allowed, now),
            Err(DeliveryError::Permanent { code }) if matches!(code.as_str(), "user_not_found" | "user_not_visible") => {
                Err(people::unknown())
            }
            Err(error) => Err(AccountError::Unavailable(error)),
        };
        match &judged {
            Ok(facts) => self.recent.put(account, facts, now),
            Err(_) => self.recent.forget(account),
        }
        judged
    }

    async fn open(&self, method: &str, trigger: &Trigger, view: SlackView) -> Result<(), DeliveryError> {
        let request = SlackApiViewsOpenRequest::new(SlackTriggerId(trigger.0.clone()), view);
        self.send::<_, Value>(method, &request).await.map(|_| ())
    }

    /// Replaces a dialog that is open; `hash` guards against overwriting a newer one.
    pub async fn update_view(&self, view_id: &str, hash: Option<&str>, view: SlackView) -> Result<(), DeliveryError> {
        let request = SlackApiViewsUpdateRequest::new(view).with_view_id(SlackViewId(view_id.to_owned())).opt_hash(hash.map(str::to_owned));
        self.send::<_, Value>("views.update", &request).await.map(|_| ())
    }

    /// Where the tap came from, else privately in the channel, else as a direct message. Never to the channel.
    async fn whisper(&self, account: &Account, reply: &Reply, content: &Value) -> Result<(), DeliveryError> {
        if let Some(url) = reply.response_url.as_deref().and_then(|url| self.own_hook(url)) {
            let mut body = content.clone();
            body["response_type"] = json!("ephemeral");
            body["replace_original"] = json!(false);
            if self.connector().post_plain(url, &body).await.is_ok() {
                return Ok(());
            }
        }
        if let Some(channel) = &reply.channel {
            let mut body = content.clone();
            body["channel"] = json!(channel);
            body["user"] = json!(account.user_id);
            if let Some(thread) = &reply.thread_ts {
                body["thread_ts"] = json!(thread);
            }
            if self.send::<_, Value>("chat.postEphemeral", &body).await.is_ok() {
                return Ok(());
            }
        }
        let mut body = content.clone();
        body["channel"] = json!(account.user_id);
        body["unfurl_links"] = json!(false);
        body["unfurl_media"] = json!(false);
        self.send::<_, Value>("chat.postMessage", &body).await.map(|_| ())
    }

    /// The address, when it is one of the configured Slack: whoever could put another one there would learn what we tell.
    fn own_hook(&self, url: &str) -> Option<Url> {
        let url = Url::parse(url).ok()?;
        let api = self.connector().api_url();
        let own = if is_loopback(api) {
            url.scheme() == api.scheme() && url.host() == api.host() && url.port_or_known_default() == api.port_or_known_default()
        } else {
            let api_host = api.host_str()?;
            let wanted = format!("hooks.{}", api_host.strip_prefix("www.").unwrap_or(api_host));
            url.scheme() == "https" && url.host_str() == Some(wanted.as_str()) && url.port_or_known_default() == Some(443)
        };
        (own && url.username().is_empty() && url.password().is_none()).then_some(url)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// A private sentence: plain text, because names of people and groups stand in it.
fn note(sentence: &str) -> Value {
    let plain = text::cut(&text::clean(sentence), SENTENCE);
    json!({
        "text": text::cut(&text::escape_mrkdwn(sentence), SENTENCE),
        "blocks": [{"type": "section", "block_id": "cs:note", "text": {"type": "plain_text", "text": plain, "emoji": false}}],
    })
}

fn permanent(code: &str) -> DeliveryError {
    DeliveryError::Permanent { code: code.to_owned() }
}

fn undrawable(error: &RenderError) -> DeliveryError {
    tracing::error!(error = %error, "a card cannot be drawn");
    permanent("render_failed")
}

/// What a failed call means for whoever wanted it. Codes only: an error's text may hold Slack's whole answer.
fn failure(error: &SlackClientError) -> DeliveryError {
    let retry = |code: &str| DeliveryError::Retry { after: None, code: code.to_owned() };
    match error {
        SlackClientError::RateLimitError(limit) => DeliveryError::Retry { after: limit.retry_after, code: "ratelimited".to_owned() },
        SlackClientError::ApiError(error) => match error.code.as_str() {
            "message_not_found" | "thread_not_found" => DeliveryError::CardGone,
            "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" | "org_login_required"
            | "ekm_access_denied" => DeliveryError::Refused { code: error.code.clone() },
            "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" | "accesslimited" => {
                retry(&error.code)
            }
            code => permanent(code),
        },
        SlackClientError::HttpError(error) if error.status_code.is_server_error() || error.status_code.as_u16() == 408 => {
            retry(&format!("http_{}", error.status_code.as_u16()))
        }
        SlackClientError::HttpError(error) => permanent(&format!("http_{}", error.status_code.as_u16())),
        SlackClientError::HttpProtocolError(_) | SlackClientError::EndOfStream(_) => retry("unreachable"),
        SlackClientError::SystemError(_) | SlackClientError::ProtocolError(_) | SlackClientError::SocketModeProtocolError(_) => {
            retry("odd_answer")
        }
    }
}

impl ChatPlatform for Slack {
    fn id(&self) -> &'static str {
        "slack"
    }

    fn place(&self, channel: &str, delivery: &str, now: Timestamp) -> Result<(), Timestamp> {
        self.pacer.take(channel, delivery, now)
    }

    fn hold(&self, channel: &str, delivery: &str, until: Timestamp, now: Timestamp) {
        self.pacer.hold(channel, delivery, until, now);
    }

    fn post<'a>(&'a self, channel: &'a str, card: &'a Card) -> Pending<'a, Result<Posted, DeliveryError>> {
        Box::pin(self.post_card(channel, card))
    }

    fn update<'a>(&'a self, posted: &'a Posted, card: &'a Card) -> Pending<'a, Result<Posted, DeliveryError>> {
        Box::pin(self.update_card(posted, card))
    }

    fn reply<'a>(&'a self, posted: &'a Posted, notice: &'a Notice) -> Pending<'a, Result<(), DeliveryError>> {
        Box::pin(async move { self.post_notice(&posted.channel, Some(&posted.ts), notice).await.map(|_| ()) })
    }

    fn direct<'a>(&'a self, account: &'a str, notice: &'a Notice) -> Pending<'a, Result<Posted, DeliveryError>> {
        Box::pin(self.post_notice(account, None, notice))
    }

    fn supersede<'a>(&'a self, newer: &'a Posted, older: &'a str, card: &'a Card) -> Pending<'a, Result<(), DeliveryError>> {
        Box::pin(self.supersede_card(newer, older, card))
    }

    fn account_of(&self, person: &Record) -> Option<String> {
        let ours = person.slack.iter().find(|account| match &account.home {
            SlackHome::Team(id) | SlackHome::Enterprise(id) => self.allowed.contains(id),
        })?;
        limits::is_account(&ours.user_id).then(|| ours.user_id.clone())
    }

    fn probe(&self) -> Pending<'_, Result<(), DeliveryError>> {
        Box::pin(async move { self.auth_test().await.map(|_| ()) })
    }

    fn check_account<'a>(&'a self, account: &'a Account, now: Timestamp) -> Pending<'a, Result<AccountFacts, AccountError>> {
        Box::pin(self.ask_about(account, now))
    }

    fn identity(&self, account: &Account, facts: Option<&AccountFacts>) -> Identity {
        // The workspace that the callback names was compared with what Slack says, where it did answer.
        let own_team = account.user_team_id.clone();
        match facts {
            Some(facts) => Identity::Slack {
                team_id: own_team.filter(|team| facts.team_ids.contains(team)).or_else(|| facts.team_ids.first().cloned()),
                enterprise_id: facts.enterprise_id.clone(),
                user_id: facts.user_id.clone(),
                confirmed_email: facts.confirmed_email.clone().filter(|_| self.match_email),
            },
            None => Identity::Slack {
                team_id: own_team.or_else(|| account.team_id.clone()),
                enterprise_id: account.enterprise_id.clone(),
                user_id: account.user_id.clone(),
                confirmed_email: None,
            },
        }
    }

    fn open_dialog<'a>(
        &'a self,
        trigger: &'a Trigger,
        dialog: Dialog,
        account: &'a Account,
        reply: &'a Reply,
        card: &'a Card,
    ) -> Pending<'a, Result<(), DeliveryError>> {
        Box::pin(async move {
            let view = match dialog {
                Dialog::Deny => self.renderer.deny(card, &account.user_id, reply),
                Dialog::Details => self.renderer.details(card, &account.user_id, reply),
                Dialog::Edit => self.renderer.edit(card, &account.user_id, reply, None),
                Dialog::Comment => self.renderer.comment(card, &account.user_id, reply),
            };
            // A button of a dialog lays another one on top, from which there is a way back.
            let method = if reply.view_id.is_some() { "views.push" } else { "views.open" };
            self.open(method, trigger, view.map_err(|error| undrawable(&error))?).await
        })
    }

    fn answer_submit(&self, tap: &Tap, card: &Card, verdict: &Verdict) -> Option<Value> {
        let view = match verdict {
            Verdict::Decided => self.renderer.decided(card),
            Verdict::Changed => self.renderer.changed(card),
            Verdict::Mistakes(mistakes) => {
                let confirmed = match &tap.choice {
                    Choice::EditSubmit { confirmed, .. } => confirmed.as_ref(),
                    _ => None,
                };
                let form = card.form.as_ref().filter(|_| matches!(tap.choice, Choice::EditSubmit { .. }));
                let errors = edit::errors(form, mistakes, &tap.digest, confirmed);
                return Some(json!({"response_action": "errors", "errors": errors}));
            }
            Verdict::Confirm(confirmation) => {
                self.renderer.edit(card, &tap.account.user_id, &tap.reply, Some((confirmation, tap.comment.as_deref())))
            }
        };
        let view = view.map_err(|error| undrawable(&error)).ok()?;
        Some(json!({"response_action": "update", "view": serde_json::to_value(view).ok()?}))
    }

    fn answer<'a>(&'a self, account: &'a Account, reply: &'a Reply, page: &'a Page) -> Pending<'a, ()> {
        Box::pin(async move {
            let told = match self.renderer.answer(page) {
                Ok(content) => self.whisper(account, reply, &content).await,
                Err(error) => Err(undrawable(&error)),
            };
            if let Err(error) = told {
                tracing::warn!(code = error.code(), "a person could not be answered privately");
            }
        })
    }

    fn show_home<'a>(&'a self, account: &'a Account, page: &'a Page) -> Pending<'a, Result<(), DeliveryError>> {
        Box::pin(async move {
            let view = self.renderer.home(page).map_err(|error| undrawable(&error))?;
            self.send::<_, Value>("views.publish", &json!({"user_id": account.user_id, "view": view})).await.map(|_| ())
        })
    }

    fn gone(&self, code: &str) {
        self.installed.gone(code);
    }

    fn trouble(&self) -> Option<String> {
        match self.installed.refused() {
            Some(code) => Some(format!("Slack has the app installed no more, or its token is revoked: {code}")),
            None => self.links.get().and_then(|links| links.trouble()),
        }
    }

    fn tell<'a>(&'a self, account: &'a Account, reply: &'a Reply, sentence: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            if let Err(error) = self.whisper(account, reply, &note(sentence)).await {
                tracing::warn!(code = error.code(), "a person could not be told privately what became of a tap");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slack_morphism::errors::{SlackClientApiError, SlackClientHttpError, SlackRateLimitError};

    fn slack(api_url: &str) -> Slack {
        Slack::new(&Settings {
            api_url: Url::parse(api_url).unwrap(),
            bot_token: "xoxb-1".into(),
            allowed: BTreeSet::new(),
            match_email: false,
            shared_channels: BTreeSet::new(),
        })
        .unwrap()
    }

    #[test]
    fn a_private_address_is_used_only_at_the_configured_slack() {
        for (api, url, own) in [
            ("https://slack.com/api/", "https://hooks.slack.com/actions/T1/1/x", true),
            ("https://slack.com/api/", "http://hooks.slack.com/actions/T1/1/x", false),
            ("https://slack.com/api/", "https://hooks.slack.com:8443/x", false),
            ("https://slack.com/api/", "https://hooks.slack.com.example.com/x", false),
            ("https://slack.com/api/", "https://hooks.slack.com@example.com/x", false),
            ("https://slack.com/api/", "https://a:b@hooks.slack.com/x", false),
            ("https://slack.com/api/", "http://127.0.0.1:9/x", false),
            ("https://slack-gov.com/api/", "https://hooks.slack-gov.com/x", true),
            ("http://127.0.0.1:9/api/", "http://127.0.0.1:9/hook/1", true),
            ("http://127.0.0.1:9/api/", "http://127.0.0.1:10/hook/1", false),
            ("http://127.0.0.1:9/api/", "https://hooks.slack.com/x", false),
        ] {
            assert_eq!(slack(api).own_hook(url).is_some(), own, "{api} {url}");
        }
    }

    #[test]
    fn every_failure_has_one_meaning() {
        let api = |code: &str| SlackClientError::ApiError(SlackClientApiError::new(code.to_owned()));
        let http = |status: u16| SlackClientError::HttpError(SlackClientHttpError::new(status.try_into().unwrap()));
        let after = Some(Duration::from_secs(7));
        for (error, wanted) in [
            (
                SlackClientError::RateLimitError(SlackRateLimitError::new().opt_retry_after(after)),
                DeliveryError::Retry { after, code: "ratelimited".to_owned() },
            ),
            (api("message_not_found"), DeliveryError::CardGone),
            (api("channel_not_found"), permanent("channel_not_found")),
            (api("missing_scope"), permanent("missing_scope")),
            (api("token_revoked"), DeliveryError::Refused { code: "token_revoked".to_owned() }),
            (api("internal_error"), DeliveryError::Retry { after: None, code: "internal_error".to_owned() }),
            (http(503), DeliveryError::Retry { after: None, code: "http_503".to_owned() }),
            (http(404), permanent("http_404")),
        ] {
            assert_eq!(failure(&error), wanted);
        }
    }

    #[test]
    fn a_private_sentence_holds_no_markup() {
        let note = note("Already denied by <!channel> *Bob* :tada:");
        assert_eq!(note["blocks"][0]["text"]["type"], "plain_text");
        let text = note["text"].as_str().unwrap();
        assert!(!text.contains("<!") && !text.contains('*') && !text.contains(":tada:"), "{text}");
    }

    #[test]
    fn the_token_is_not_printed() {
        assert!(!format!("{:?}", slack("https://slack.com/api/")).contains("xoxb-1"));
    }
}
