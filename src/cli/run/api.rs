//! Owns the calls of the REST API that `countersign run` makes, and what their failures mean.
//!
//! Never decides, never follows a redirect with the credential, never puts the token or the grant into a message.

use super::ask::Ask;
use super::usage;
use crate::cli::output::visible;
use crate::domain::time::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// How long an answer may take beyond what the server was asked to wait.
const SLACK: Duration = Duration::from_secs(15);
/// The longest pause that a server can ask for.
const MAX_RETRY_AFTER: u64 = 60;

/// A server and the credential for it.
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
}

/// Why a call gave no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// No answer came back.
    Lost {
        /// What happened, without address or credential.
        why: String,
        /// Whether the call may have reached the server.
        arrived: bool,
    },
    /// The server cannot now.
    Busy {
        /// The status.
        status: u16,
        /// In its words.
        detail: String,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// The server does not.
    Refused {
        /// The status.
        status: u16,
        /// In its words.
        detail: String,
    },
    /// What came back is no answer of a Countersign server.
    Foreign(String),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { why, .. } => write!(f, "the server cannot be reached ({why}); is COUNTERSIGN_URL right?"),
            Self::Busy { status, detail, .. } => write!(f, "the server cannot answer now: {detail} ({status})"),
            Self::Refused { status: 401, .. } => {
                f.write_str("the server does not know this credential (401); is COUNTERSIGN_TOKEN right, and not expired?")
            }
            Self::Refused { status, detail } => write!(f, "{detail} ({status})"),
            Self::Foreign(why) => write!(f, "this is no answer of a Countersign server: {why}; is COUNTERSIGN_URL right?"),
        }
    }
}

impl CallError {
    /// Whether asking again can help.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Busy { .. })
    }

    /// Whether the call may have had its effect although no answer came.
    pub(super) fn may_have_arrived(&self) -> bool {
        match self {
            Self::Lost { arrived, .. } => *arrived,
            // A gateway answers for a server that may have acted; 429 and 503 are said before anything is done.
            Self::Busy { status, .. } => !matches!(status, 429 | 503),
            Self::Refused { .. } | Self::Foreign(_) => false,
        }
    }

    /// Whether what was asked is wrong, rather than who asks.
    pub(super) fn is_about_the_body(&self) -> bool {
        matches!(self, Self::Refused { status: 400 | 413 | 415 | 422, .. })
    }

    /// When the server wants to be asked again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A request, as far as its caller needs it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) version: u64,
    #[serde(default)]
    pub(super) edited: bool,
    pub(super) grant: Option<Grant>,
    pub(super) grant_reason: Option<String>,
    pub(super) feedback: Option<String>,
    pub(super) reason: Option<String>,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(default)]
    pub(super) approval: Approval,
    #[serde(default)]
    pub(super) deliveries: Vec<Delivery>,
}

impl Seen {
    /// Whether it is still to be waited for. A word that is not known is not pending, and not approved either.
    pub(super) fn is_pending(&self) -> bool {
        self.status == "pending"
    }

    /// From its creation to its end.
    pub(super) fn life(&self) -> Duration {
        self.expires_at.since(self.created_at)
    }
}

/// The credential that an approval yields.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Grant {
    #[serde(deserialize_with = "secret")]
    token: SecretString,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

/// The seats.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Approval {
    #[serde(default)]
    pub(super) seats: Vec<Seat>,
    #[serde(default)]
    pub(super) required: u32,
    #[serde(default)]
    pub(super) granted: u32,
}

/// One of them.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Seat {
    group: Option<String>,
    #[serde(default)]
    any: Vec<String>,
    person: Option<String>,
    count: Option<u32>,
    #[serde(default)]
    filled_by: Vec<Value>,
}

impl Seat {
    /// Who is still missing, in words.
    pub(super) fn open(&self) -> Option<String> {
        let missing = self.count.unwrap_or(1).saturating_sub(u32::try_from(self.filled_by.len()).unwrap_or(u32::MAX));
        let who = self.group.clone().or_else(|| self.person.clone()).unwrap_or_else(|| self.any.join(" or "));
        (missing > 0).then(|| format!("{missing} of {}", visible(&who)))
    }
}

/// Where people are asked.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Delivery {
    pub(super) channel: String,
}

impl Api {
    /// From `COUNTERSIGN_URL` and `COUNTERSIGN_TOKEN` or `COUNTERSIGN_TOKEN_FILE`.
    pub(super) fn from_environment() -> anyhow::Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let url = variable("COUNTERSIGN_URL")
            .ok_or_else(|| usage("COUNTERSIGN_URL is not set; set it to the address of the server, e.g. http://127.0.0.1:8080"))?;
        let base = base(&url).map_err(usage)?;
        let token = match (variable("COUNTERSIGN_TOKEN"), variable("COUNTERSIGN_TOKEN_FILE")) {
            (Some(_), Some(_)) => return Err(usage("COUNTERSIGN_TOKEN and COUNTERSIGN_TOKEN_FILE are both set; keep one")),
            (None, None) => {
                return Err(usage("COUNTERSIGN_TOKEN is not set; set it, or COUNTERSIGN_TOKEN_FILE, to the API key of this client"));
            }
            (Some(token), None) => token,
            (None, Some(file)) => {
                std::fs::read_to_string(&file).map_err(|error| usage(format!("COUNTERSIGN_TOKEN_FILE: cannot read {file}: {error}")))?
            }
        };
        let token = token.trim().to_owned();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(usage("COUNTERSIGN_TOKEN holds no API key: one line of visible characters is expected"));
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()?;
        Ok(Self { http, base, token: SecretString::from(token) })
    }

    /// Asks.
    pub(super) async fn create(&self, ask: &Ask) -> Result<Seen, CallError> {
        let call = self.call(Method::POST, &["v1", "requests"]).header("idempotency-key", ask.key()).json(ask.body());
        self.parsed(call.timeout(SLACK)).await
    }

    /// Waits until the request is newer than `version`, at most `seconds`.
    pub(super) async fn wait(&self, id: &str, seconds: u64, version: u64) -> Result<Seen, CallError> {
        let query = [("wait", seconds), ("after_version", version)];
        let mut call = self.call(Method::GET, &["v1", "requests", id]);
        if let Some(url) = self.address(&["v1", "requests", id], &query) {
            call = self.authorised(self.http.get(url));
        }
        self.parsed(call.timeout(Duration::from_secs(seconds) + SLACK)).await
    }

    /// Reads it as it is now.
    pub(super) async fn read(&self, id: &str) -> Result<Seen, CallError> {
        self.parsed(self.call(Method::GET, &["v1", "requests", id]).timeout(SLACK)).await
    }

    /// Takes it back while it is pending.
    pub(super) async fn cancel(&self, id: &str, reason: &str) -> Result<(), CallError> {
        let call = self.call(Method::POST, &["v1", "requests", id, "cancel"]).json(&json!({"reason": reason}));
        self.answer(call.timeout(SLACK)).await.map(drop)
    }

    /// Takes an approval back before it is used.
    pub(super) async fn revoke(&self, id: &str, reason: &str) -> Result<(), CallError> {
        let call = self.call(Method::POST, &["v1", "requests", id, "revoke"]).json(&json!({"reason": reason}));
        self.answer(call.timeout(SLACK)).await.map(drop)
    }

    /// Uses the grant for exactly these parameters.
    pub(super) async fn redeem(&self, grant: &Grant, parameters: &Value) -> Result<Value, CallError> {
        let body = json!({"token": grant.token.expose_secret(), "parameters": parameters});
        self.answer(self.call(Method::POST, &["v1", "grants", "redeem"]).json(&body).timeout(SLACK)).await
    }

    /// Tells how it went.
    pub(super) async fn outcome(&self, id: &str, body: &Value) -> Result<(), CallError> {
        self.answer(self.call(Method::POST, &["v1", "requests", id, "outcome"]).json(body).timeout(SLACK)).await.map(drop)
    }

    fn address(&self, path: &[&str], query: &[(&str, u64)]) -> Option<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut().ok()?.pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query.iter().map(|(name, value)| (*name, value.to_string())));
        }
        Some(url)
    }

    fn call(&self, method: Method, path: &[&str]) -> RequestBuilder {
        // `base` checked that the address can have a path.
        let url = self.address(path, &[]).unwrap_or_else(|| self.base.clone());
        self.authorised(self.http.request(method, url))
    }

    fn authorised(&self, call: RequestBuilder) -> RequestBuilder {
        call.bearer_auth(self.token.expose_secret())
    }

    async fn parsed(&self, call: RequestBuilder) -> Result<Seen, CallError> {
        serde_json::from_value(self.answer(call).await?).map_err(|_| CallError::Foreign("it does not describe a request".to_owned()))
    }

    async fn answer(&self, call: RequestBuilder) -> Result<Value, CallError> {
        let response = call.send().await.map_err(lost)?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let bytes = response.bytes().await.map_err(lost)?;
        let body: Option<Value> = serde_json::from_slice(&bytes).ok();
        if status.is_success() {
            return body.ok_or_else(|| CallError::Foreign(format!("{status} without JSON")));
        }
        let detail = body.as_ref().and_then(detail).unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").to_owned());
        let code = status.as_u16();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT {
            Err(CallError::Busy { status: code, detail, retry_after })
        } else if status.is_client_error() {
            Err(CallError::Refused { status: code, detail })
        } else {
            Err(CallError::Foreign(format!("status {code}; redirects are not followed")))
        }
    }
}

/// The problem's sentence and places (RFC 9457).
fn detail(problem: &Value) -> Option<String> {
    let detail = problem.get("detail").or_else(|| problem.get("title"))?.as_str()?;
    let errors = problem.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let places: Vec<String> = errors
        .iter()
        .filter_map(|error| Some(format!("{}: {}", error.get("pointer")?.as_str()?, error.get("detail")?.as_str()?)))
        .collect();
    let places = if places.is_empty() { String::new() } else { format!(" [{}]", places.join("; ")) };
    Some(visible(&format!("{detail}{places}")))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// The innermost reason is the one that says something.
fn lost(error: reqwest::Error) -> CallError {
    let arrived = !error.is_connect() && !error.is_builder();
    if error.is_timeout() {
        return CallError::Lost { why: "it did not answer in time".to_owned(), arrived };
    }
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    CallError::Lost { why: visible(&reason.to_string()), arrived }
}

fn base(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim())
        .map_err(|error| format!("COUNTERSIGN_URL is not an address: {error}; write for example https://countersign.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
        return Err("COUNTERSIGN_URL must begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("COUNTERSIGN_URL must be an address alone: no user, password, query or fragment".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_joined() {
        for wrong in [
            "",
            "countersign",
            "ftp://x",
            "mailto:a@example.com",
            "https://u:p@example.com",
            "https://example.com?x=1",
            "https://example.com/#x",
        ] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
        let api = |url: &str| Api { http: reqwest::Client::builder().build().unwrap(), base: base(url).unwrap(), token: "t".into() };
        let join = |url: &str| api(url).address(&["v1", "requests", "a/../b"], &[("wait", 5)]).unwrap().to_string();
        assert_eq!(join("https://example.com"), "https://example.com/v1/requests/a%2F..%2Fb?wait=5");
        assert_eq!(join("https://example.com/approvals/"), "https://example.com/approvals/v1/requests/a%2F..%2Fb?wait=5");
    }

    #[test]
    fn open_seats_are_told_in_words() {
        let open = |value: Value| serde_json::from_value::<Seat>(value).unwrap().open();
        assert_eq!(open(json!({"group": "security", "count": 2, "filled_by": ["per_1"]})).as_deref(), Some("1 of security"));
        assert_eq!(open(json!({"any": ["a", "b"], "count": 1, "filled_by": []})).as_deref(), Some("1 of a or b"));
        assert_eq!(open(json!({"group": "security", "count": 1, "filled_by": ["per_1"]})), None);
    }

    #[test]
    fn problems_are_told_with_their_places() {
        let problem = json!({"detail": "The body is not acceptable.", "errors": [{"pointer": "/action", "detail": "must be lower case"}]});
        assert_eq!(detail(&problem).unwrap(), "The body is not acceptable. [/action: must be lower case]");
        assert_eq!(detail(&json!({"title": "Gone"})).unwrap(), "Gone");
        assert_eq!(detail(&json!([])), None);
    }

    #[test]
    fn a_grant_does_not_show_its_token() {
        let grant: Grant = serde_json::from_value(json!({"token": "e.y.j"})).unwrap();
        assert!(!format!("{grant:?}").contains("e.y.j"));
    }
}
