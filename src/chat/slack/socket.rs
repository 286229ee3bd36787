//! Owns Socket Mode: callbacks that come over connections which we open, for servers that Slack cannot reach.
//!
//! Never acknowledges before what came in is kept, never works before it has acknowledged, and never lets the last connection
//! go while Slack still answers: the next one is opened first. There is no signature here; installation, app and person are
//! checked as over HTTP. Source: docs.slack.dev, "Using Socket Mode".

mod frames;
mod links;

pub use links::Links;

use crate::chat::slack::client::Slack;
use crate::chat::slack::connector::{Connector, ConnectorError, TIMEOUT};
use crate::chat::slack::intake::{Intake, Rejection};
use crate::chat::{ChatPlatform, Inbox, Reply};
use crate::domain::time::Clock;
use crate::runtime::Random;
use frames::{Envelope, Frame};
use futures::future::BoxFuture;
use futures::{SinkExt as _, StreamExt as _};
use links::{Seen, Up};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use slack_morphism::errors::SlackClientError;
use slack_morphism::{SlackApiToken, SlackApiTokenValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::{Host, Url};

/// Connections held at a time: while one goes, or is lost, the other one takes what comes.
const CONNECTIONS: usize = 2;
/// Largest message. A card and a dialog come with every tap, so this is well above the 256 KiB of a callback over HTTP.
const MESSAGE_LIMIT: usize = 1024 * 1024;
/// Envelopes of one connection that are handled at a time; more wait in the socket.
const AT_WORK: usize = 64;
/// A connection that lived so long was fine; Slack keeps one for hours.
const STEADY: Duration = Duration::from_mins(1);

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For a connection to greet us.
    pub greeting: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// Without a word on a connection until it counts as dead.
    pub silence: Duration,
    /// The first and the longest pause before another attempt.
    pub pause: (Duration, Duration),
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(10),
            ping: Duration::from_secs(15),
            silence: Duration::from_secs(75),
            pause: (Duration::from_secs(1), Duration::from_mins(1)),
        }
    }
}

/// Everything that a connection needs.
pub struct Socket {
    /// Where the Web API is.
    pub api_url: Url,
    /// `xapp-…`, with `connections:write`.
    pub app_token: SecretString,
    /// What may come in.
    pub intake: Arc<Intake>,
    /// Where it goes.
    pub inbox: Arc<dyn Inbox>,
    /// Tells people what cannot be told otherwise.
    pub slack: Arc<Slack>,
    /// What others see of the connections.
    pub links: Arc<Links>,
    /// The time of the log.
    pub clock: Arc<dyn Clock>,
    /// Spreads attempts over time.
    pub random: Arc<dyn Random>,
    /// How long things may take.
    pub timing: Timing,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("api_url", &self.api_url.as_str()).field("links", &self.links).finish_non_exhaustive()
    }
}

/// A connection that greeted us; counts as long as it lives.
struct Link {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    _up: Up,
}

/// Why a connection ended.
enum End {
    /// We stop.
    Stopped,
    /// It broke, or was silent for too long.
    Lost,
    /// Slack asked for a new one, which is here.
    Replaced(Box<Link>),
    /// Socket Mode was switched off.
    Disabled,
}

type Connecting<'a> = BoxFuture<'a, Link>;

#[derive(Deserialize)]
struct Opened {
    url: String,
}

impl Socket {
    /// Holds the connections until `stop` says so, or Socket Mode is switched off.
    ///
    /// # Errors
    /// When there is no HTTP client to ask for an address with.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<(), ConnectorError> {
        let connector = Arc::new(Connector::new(&self.api_url, TIMEOUT)?);
        let (socket, seen) = (Arc::new(self), Arc::new(Seen::default()));
        let mut slots = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let slot = Slot { socket: Arc::clone(&socket), connector: Arc::clone(&connector), seen: Arc::clone(&seen), stop: stop.clone() };
            slots.spawn(slot.hold());
        }
        while slots.join_next().await.is_some() {}
        Ok(())
    }
}

/// The place of one connection.
struct Slot {
    socket: Arc<Socket>,
    connector: Arc<Connector>,
    seen: Arc<Seen>,
    stop: watch::Receiver<bool>,
}

impl Slot {
    /// Has a connection, and the next one when that is gone.
    async fn hold(self) {
        let mut stop = self.stop.clone();
        let mut next: Option<Box<Link>> = None;
        let mut pause = self.socket.timing.pause.0;
        loop {
            let link = if let Some(link) = next.take() {
                *link
            } else {
                tokio::select! {
                    link = self.connect() => link,
                    () = self.socket.links.disabled() => return,
                    () = stopped(&mut stop) => return,
                }
            };
            let since = Instant::now();
            match self.serve(link).await {
                // One that broke soon would break soon again: Slack has enough connections of us, or we choke on what it sends.
                End::Lost if since.elapsed() < STEADY => {
                    tokio::select! {
                        () = self.rest(&mut pause) => {}
                        () = stopped(&mut stop) => return,
                    }
                }
                End::Lost => pause = self.socket.timing.pause.0,
                End::Replaced(link) => next = Some(link),
                End::Disabled => {
                    tracing::error!(
                        "Socket Mode was switched off in the app's settings; nothing comes in from Slack until it is on and the server restarted"
                    );
                    return self.socket.links.disable();
                }
                End::Stopped => return,
            }
        }
    }

    /// Tries until a connection greets.
    async fn connect(&self) -> Link {
        let mut pause = self.socket.timing.pause.0;
        loop {
            match self.try_connect().await {
                Ok(link) => return link,
                Err(code) => {
                    tracing::warn!(code, "no connection to Slack; trying again");
                    self.socket.links.failed(&code);
                }
            }
            self.rest(&mut pause).await;
        }
    }

    /// Waits, and makes the next pause longer.
    async fn rest(&self, pause: &mut Duration) {
        // Up to half of it is taken off at random, so that servers do not come back in step.
        let [byte] = self.socket.random.bytes::<1>();
        tokio::time::sleep(pause.saturating_sub(pause.mul_f64(f64::from(byte) / 512.0))).await;
        *pause = pause.saturating_mul(2).min(self.socket.timing.pause.1);
    }

    /// One attempt, up to the greeting; the code of what failed.
    async fn try_connect(&self) -> Result<Link, String> {
        let token = SlackApiToken::new(SlackApiTokenValue(self.socket.app_token.expose_secret().to_owned()));
        let opened = self.connector.call_with_headers::<Opened>("apps.connections.open", &token).await.map_err(|error| code_of(&error))?;
        let url = address(&opened.body.url, self.connector.api_url()).ok_or("odd_address")?;
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MESSAGE_LIMIT);
        config.max_frame_size = Some(MESSAGE_LIMIT);
        let greeted = async {
            let connected = tokio_tungstenite::connect_async_with_config(url.as_str(), Some(config), true).await;
            // The error may hold the address, which is a ticket.
            let (mut stream, _) = connected.map_err(|_| "unreachable")?;
            loop {
                match stream.next().await {
                    Some(Ok(Message::Text(text))) => match frames::read(&text) {
                        Some(Frame::Hello { app_id }) => return Ok((stream, app_id)),
                        Some(Frame::Disconnect { reason }) => {
                            return Err(if reason == "link_disabled" { "link_disabled" } else { "sent_away" });
                        }
                        _ => return Err("no_greeting"),
                    },
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return Err("no_greeting"),
                }
            }
        };
        let (stream, app_id) = timeout(self.socket.timing.greeting, greeted).await.map_err(|_| "no_greeting")??;
        if let Some(app_id) = app_id {
            self.socket.intake.learn(&app_id);
        }
        Ok(Link { stream, _up: Links::up(&self.socket.links) })
    }

    /// Takes what comes over a connection until it ends.
    async fn serve(&self, link: Link) -> End {
        let mut stop = self.stop.clone();
        let (mut sink, mut source) = link.stream.split();
        let mut at_work: JoinSet<Option<String>> = JoinSet::new();
        let mut next: Option<Connecting<'_>> = None;
        let mut dead = Instant::now() + self.socket.timing.silence;
        let mut ping = tokio::time::interval(self.socket.timing.ping);
        let end = loop {
            tokio::select! {
                message = source.next(), if at_work.len() < AT_WORK => {
                    dead = Instant::now() + self.socket.timing.silence;
                    match message {
                        Some(Ok(Message::Text(text))) => match frames::read(&text) {
                            Some(Frame::Disconnect { reason }) if reason == "link_disabled" => break End::Disabled,
                            Some(Frame::Disconnect { reason }) if matches!(reason.as_str(), "warning" | "refresh_requested") => {
                                next.get_or_insert_with(|| Box::pin(self.connect()));
                            }
                            Some(Frame::Disconnect { .. }) => break End::Lost,
                            Some(Frame::Envelope(envelope)) => {
                                let (socket, seen) = (Arc::clone(&self.socket), Arc::clone(&self.seen));
                                at_work.spawn(async move { socket.take(*envelope, &seen).await });
                            }
                            Some(Frame::Hello { .. }) => {}
                            None => self.socket.intake.refused_as("malformed", self.socket.clock.now()),
                        },
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break End::Lost,
                        Some(Ok(_)) => {}
                    }
                }
                Some(done) = at_work.join_next() => {
                    if let Ok(Some(word)) = done && sink.send(Message::text(word)).await.is_err() {
                        break End::Lost;
                    }
                }
                link = soon(&mut next) => break End::Replaced(Box::new(link)),
                _ = ping.tick() => {
                    if sink.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
                        break End::Lost;
                    }
                }
                () = sleep_until(dead) => break End::Lost,
                () = stopped(&mut stop) => break End::Stopped,
            }
        };
        if !matches!(end, End::Lost) {
            // What was taken is still acknowledged where it came in; what breaks now is delivered again, and known.
            let rest = async {
                while let Some(done) = at_work.join_next().await {
                    if let Ok(Some(word)) = done {
                        sink.send(Message::text(word)).await?;
                    }
                }
                sink.close().await
            };
            let _ = timeout(self.socket.timing.greeting, rest).await;
        }
        // Whatever is being taken is taken to its end: only its acknowledgement is lost, and a copy that comes again is known.
        at_work.detach_all();
        end
    }
}

impl Socket {
    /// Takes an envelope in; the acknowledgement to send, when there is one.
    async fn take(&self, envelope: Envelope, seen: &Seen) -> Option<String> {
        let id = envelope.id.clone();
        if seen.taken_before(&id).await {
            return Some(frames::acknowledgement(&id, None));
        }
        let taken = match self.intake.envelope(&envelope.kind, &envelope.payload) {
            Ok(inbound) => self.inbox.take("slack", inbound).await.ok(),
            Err(rejection) => {
                self.intake.refused(&rejection, self.clock.now());
                tracing::info!(kind = envelope.kind, reason = rejection.code(), "an envelope of Slack was not taken in");
                self.apologise(&envelope, &rejection);
                // Slack would only send it again.
                Some(None)
            }
        };
        seen.done(&id, taken.is_some());
        let answer = taken?.filter(|_| envelope.accepts_answer);
        Some(frames::acknowledgement(&id, answer))
    }

    /// Over HTTP Slack itself tells the person that something went wrong.
    fn apologise(&self, envelope: &Envelope, rejection: &Rejection) {
        let Some(account) = self.intake.account(&envelope.kind, &envelope.payload).filter(|_| *rejection != Rejection::Stranger) else {
            return;
        };
        let slack = Arc::clone(&self.slack);
        tokio::spawn(async move {
            slack
                .tell(&account, &Reply::default(), "This could not be understood, so nothing was decided. Please try again from the card.")
                .await;
        });
    }
}

/// The next connection, once it greets.
async fn soon(next: &mut Option<Connecting<'_>>) -> Link {
    match next {
        Some(connecting) => connecting.await,
        None => std::future::pending().await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that whoever could stop us is gone, which is the end as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The address of a connection: encrypted, or on loopback where the Web API is there too.
fn address(text: &str, api: &Url) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let loopback = |url: &Url| match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    let fine = url.scheme() == "wss" || (url.scheme() == "ws" && loopback(&url) && api.scheme() == "http" && loopback(api));
    fine.then_some(url)
}

/// Codes only: an error's text may hold Slack's whole answer, and with it the address.
fn code_of(error: &SlackClientError) -> String {
    match error {
        SlackClientError::ApiError(error) => error.code.clone(),
        SlackClientError::RateLimitError(_) => "ratelimited".to_owned(),
        SlackClientError::HttpError(error) => format!("http_{}", error.status_code.as_u16()),
        _ => "unreachable".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_encrypted_or_stays_on_this_machine() {
        let (slack, here) = (Url::parse("https://slack.com/api/").unwrap(), Url::parse("http://127.0.0.1:9/api/").unwrap());
        for (text, api, good) in [
            ("wss://wss-primary.slack.com/link/?ticket=x", &slack, true),
            ("ws://wss-primary.slack.com/link/?ticket=x", &slack, false),
            ("ws://127.0.0.1:10/link", &slack, false),
            ("ws://127.0.0.1:10/link", &here, true),
            ("ws://localhost:10/link", &here, false),
            ("https://slack.com/", &slack, false),
            ("", &slack, false),
        ] {
            assert_eq!(address(text, api).is_some(), good, "{text}");
        }
    }
}
