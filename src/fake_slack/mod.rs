//! Owns FakeSlack: a Slack workspace in memory, for `demo --slack` and for tests, served over HTTP on loopback with Slack's
//! rules, limits and failures.
//!
//! Never reachable from `serve`: only `demo` and the tests build one. Never sleeps: what Slack would make wait is held until
//! it is let go, and time is the clock that was handed over. Slack's own clients for Node and Python work against it
//! unmodified (`tests/oracles`), so it answers as Slack does.

mod api;
mod blocks;
pub mod model;
mod page;
pub mod person;
mod socket;

use crate::domain::time::{Clock, Timestamp};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use model::{Message, Model, View};
use person::{Acknowledged, Impossible, Person, sign};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The signing secret of the app, unless the workspace is given another one.
pub const SECRET: &str = "fake-signing-secret";
/// How long the app may take to answer a callback. Slack gives three seconds; a slow machine gets more.
const ANSWER: Duration = Duration::from_secs(20);

/// A failure that a call meets instead of, or besides, its effect.
#[derive(Debug, Clone)]
pub enum Fault {
    /// 429 with `Retry-After`.
    RateLimited(u64),
    /// This HTTP status, with a page that is not JSON.
    Status(u16),
    /// `{"ok":false,"error":…}`.
    Error(&'static str),
    /// The call takes effect, but its answer is a 502: whoever called cannot know.
    LostAnswer,
    /// The connection ends before an answer; the call takes no effect.
    Cut,
}

/// Calls that wait until they are let go.
#[derive(Debug, Clone)]
pub struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// Lets everything through, now and later.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    /// Waits until that many calls wait.
    pub async fn holds(&self, calls: usize) {
        // The sender is ours, so the wait ends only with its condition.
        let _ = self.waiting.subscribe().wait_for(|held| *held >= calls).await;
    }
}

/// A call that came in.
#[derive(Debug, Clone)]
pub struct Call {
    /// `chat.postMessage`, …
    pub method: String,
    /// What it was called with, without the token.
    pub args: Map<String, Value>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    model: Mutex<Model>,
    /// How often the workspace changed.
    changed: watch::Sender<u64>,
    /// Part of every path of the page; `None`: there is no page.
    page: Option<String>,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<BTreeMap<String, VecDeque<Fault>>>,
    outage: Mutex<Option<Fault>>,
    gates: Mutex<BTreeMap<String, Gate>>,
    origin: String,
    app: Mutex<Option<String>>,
    sockets: socket::Sockets,
    http: reqwest::Client,
}

/// The workspace and its server. Clones are the same workspace.
#[derive(Clone)]
pub struct FakeSlack(Arc<Inner>);

impl std::fmt::Debug for FakeSlack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FakeSlack({})", self.0.origin)
    }
}

impl FakeSlack {
    /// Serves a workspace on a free port of loopback, without a page.
    ///
    /// # Errors
    /// When loopback has no port left.
    pub async fn start(clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        Self::serve(TcpListener::bind("127.0.0.1:0").await?, clock, None)
    }

    /// Serves a workspace, and under `/page/{token}/` the page on which people see it and act, if there is a token.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn serve(listener: TcpListener, clock: Arc<dyn Clock>, page: Option<String>) -> std::io::Result<Self> {
        let origin = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER).build().map_err(std::io::Error::other)?;
        let slack = Self(Arc::new(Inner {
            clock,
            model: Mutex::new(Model::new()),
            changed: watch::Sender::new(1),
            page,
            calls: Mutex::default(),
            faults: Mutex::default(),
            outage: Mutex::default(),
            gates: Mutex::default(),
            origin,
            app: Mutex::default(),
            sockets: socket::Sockets::default(),
            http,
        }));
        let mut router = Router::new().route("/api/{method}", any(serve_method)).route("/hook/{id}", post(serve_hook));
        if slack.0.page.is_some() {
            router = router.merge(page::routes());
        }
        let router = router.with_state(slack.clone());
        // Ends with the process, or with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(slack)
    }

    /// `slack.api_url` of the configuration.
    pub fn api_url(&self) -> String {
        format!("{}/api/", self.0.origin)
    }

    /// Where it listens, without a trailing slash.
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// Where the app listens; callbacks go to `/slack/interactions` there.
    pub fn app_is_at(&self, url: &str) {
        *lock(&self.0.app) = Some(url.trim_end_matches('/').to_owned());
    }

    /// The workspace, to set it up or to look at it.
    pub fn lock(&self) -> MutexGuard<'_, Model> {
        lock(&self.0.model)
    }

    /// The time in Slack.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Changes the workspace, and wakes whoever waits for that.
    pub fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let result = change(&mut self.lock());
        self.0.changed.send_modify(|changes| *changes += 1);
        result
    }

    /// The person with this id, who need not be a member.
    pub fn user(&self, id: &str) -> Person {
        Person { slack: self.clone(), id: id.to_owned() }
    }

    /// The messages of a channel, the oldest first.
    pub fn messages(&self, channel: &str) -> Vec<Message> {
        self.lock().channels.get(channel).map(|channel| channel.messages.clone()).unwrap_or_default()
    }

    /// Waits until something is so.
    pub async fn until<T>(&self, mut look: impl FnMut(&Model) -> Option<T>) -> T {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(found) = look(&self.lock()) {
                return found;
            }
            // The sender is ours, so the wait ends only with a change.
            let _ = changes.changed().await;
        }
    }

    /// Every call meets this fault from now on; `None` ends that.
    pub fn all_fail(&self, fault: Option<Fault>) {
        *lock(&self.0.outage) = fault;
    }

    /// The next call of a method meets this fault; several are met in order.
    pub fn fails(&self, method: &str, fault: Fault) {
        lock(&self.0.faults).entry(method.to_owned()).or_default().push_back(fault);
    }

    /// Calls of a method wait from now on, until the gate is released.
    pub fn holds(&self, method: &str) -> Gate {
        let gate = Gate { open: watch::Sender::new(false), waiting: watch::Sender::new(0) };
        lock(&self.0.gates).insert(method.to_owned(), gate.clone());
        gate
    }

    /// Every call of a method so far.
    pub fn calls(&self, method: &str) -> Vec<Call> {
        lock(&self.0.calls).iter().filter(|call| call.method == method).cloned().collect()
    }

    /// Sends an interaction to the app as Slack does.
    pub(crate) async fn deliver(&self, payload: &Value) -> Result<Acknowledged, Impossible> {
        let secret = self.lock().secret.clone();
        self.send(payload, &secret, self.now()).await
    }

    /// Sends an interaction to the app, signed with this secret at that time.
    ///
    /// # Errors
    /// When the app cannot be reached.
    pub async fn send(&self, payload: &Value, secret: &str, at: Timestamp) -> Result<Acknowledged, Impossible> {
        if self.lock().socket_address.is_some() {
            return self.envelope("interactive", payload).await;
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish();
        self.call_back("/slack/interactions", "application/x-www-form-urlencoded", body, secret, at).await
    }

    /// Tells the app of an event.
    ///
    /// # Errors
    /// When the app cannot be reached.
    pub async fn event(&self, event: &Value) -> Result<Acknowledged, Impossible> {
        let (payload, over_socket, secret) = {
            let mut model = self.lock();
            let payload = json!({
                "token": "legacy", "team_id": model.team, "api_app_id": model.app, "type": "event_callback", "event": event,
                "event_id": format!("Ev{:08X}", model.serial()), "event_time": self.now().as_seconds(), "is_ext_shared_channel": false,
                "authorizations": [{
                    "enterprise_id": model.enterprise, "team_id": model.team, "user_id": model.bot_user, "is_bot": true,
                    "is_enterprise_install": model.org_wide,
                }],
            });
            (payload, model.socket_address.is_some(), model.secret.clone())
        };
        if over_socket {
            return self.envelope("events_api", &payload).await;
        }
        self.call_back("/slack/events", "application/json", payload.to_string(), &secret, self.now()).await
    }

    /// Sends a slash command to the app.
    ///
    /// # Errors
    /// When the app cannot be reached.
    pub async fn command(&self, fields: &Value) -> Result<Acknowledged, Impossible> {
        let (over_socket, secret) = {
            let model = self.lock();
            (model.socket_address.is_some(), model.secret.clone())
        };
        if over_socket {
            return self.envelope("slash_commands", fields).await;
        }
        let fields = fields.as_object().into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_str()?)));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.call_back("/slack/commands", "application/x-www-form-urlencoded", body, &secret, self.now()).await
    }

    async fn call_back(&self, path: &str, kind: &str, body: String, secret: &str, at: Timestamp) -> Result<Acknowledged, Impossible> {
        let headers = sign(secret, &body, at);
        let app = lock(&self.0.app).clone().ok_or_else(|| Impossible::new("nobody said where the app is"))?;
        let request = self.0.http.post(format!("{app}{path}")).header(header::CONTENT_TYPE, kind);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let unreachable = |_| Impossible::new("the app does not answer");
        let response = request.body(body).send().await.map_err(unreachable)?;
        Ok(Acknowledged { status: response.status().as_u16(), body: response.text().await.map_err(unreachable)? })
    }

    /// What Slack's client does with a dialog once the app has answered its submit.
    fn settle(&self, view: &View, answer: &Acknowledged) -> Result<(), Impossible> {
        if answer.status != 200 {
            return Ok(());
        }
        let told: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        self.change(|model| match told["response_action"].as_str() {
            Some("errors") => {
                let inputs = view.content["blocks"].as_array().into_iter().flatten().filter(|block| block["type"] == "input");
                let known: Vec<&str> = inputs.filter_map(|block| block["block_id"].as_str()).collect();
                match told["errors"].as_object() {
                    Some(errors) if !errors.is_empty() && errors.keys().all(|block| known.contains(&block.as_str())) => Ok(()),
                    _ => Err(Impossible::new(format!("errors belong to input blocks of the dialog, {known:?}, not {}", told["errors"]))),
                }
            }
            Some("update") => {
                let faults = blocks::modal_faults(&told["view"]);
                if !faults.is_empty() {
                    return Err(Impossible::new(format!("Slack would refuse the new dialog: {faults:?}")));
                }
                api::replace(model, &mut view.clone(), told["view"].clone());
                Ok(())
            }
            Some("clear") => {
                model.stacks.entry(view.user.clone()).or_default().clear();
                Ok(())
            }
            Some(other) => Err(Impossible::new(format!("Slack does not know response_action {other}"))),
            None if answer.body.is_empty() => {
                model.stacks.entry(view.user.clone()).or_default().retain(|id| *id != view.id);
                Ok(())
            }
            None => Err(Impossible::new("Slack wants an empty body to close a dialog")),
        })
    }

    async fn pass_gate(&self, method: &str) {
        let gate = lock(&self.0.gates).get(method).cloned();
        if let Some(gate) = gate {
            gate.waiting.send_modify(|waiting| *waiting += 1);
            // An error means that the gate is gone, and with it the reason to wait.
            let _ = gate.open.subscribe().wait_for(|open| *open).await;
        }
    }

    fn fault(&self, method: &str) -> Option<Fault> {
        let own = lock(&self.0.faults).get_mut(method).and_then(VecDeque::pop_front);
        own.or_else(|| lock(&self.0.outage).clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn serve_method(
    State(slack): State<FakeSlack>,
    Path(method): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut args = Map::new();
    fill(&mut args, query.unwrap_or_default().as_bytes());
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") && !body.is_empty() {
        match serde_json::from_slice(&body) {
            Ok(Value::Object(object)) => args.extend(object),
            _ => return answer(200, &json!({"ok": false, "error": "invalid_json"})),
        }
    } else {
        fill(&mut args, &body);
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
    let token = bearer.map(str::to_owned).or_else(|| args.remove("token").and_then(|token| token.as_str().map(str::to_owned)));
    lock(&slack.0.calls).push(Call { method: method.clone(), args: args.clone() });
    slack.pass_gate(&method).await;
    let fault = slack.fault(&method);
    match fault {
        Some(Fault::RateLimited(seconds)) => return limited(seconds),
        Some(Fault::Status(status)) => return (code(status), "<html>busy</html>").into_response(),
        Some(Fault::Error(code)) => return answer(200, &json!({"ok": false, "error": code})),
        Some(Fault::Cut) => return cut(),
        Some(Fault::LostAnswer) | None => {}
    }
    let now = slack.now();
    let outcome = slack.change(|model| api::call(model, &method, &args, token.as_deref(), now));
    if matches!(fault, Some(Fault::LostAnswer)) {
        return (StatusCode::BAD_GATEWAY, "<html>lost</html>").into_response();
    }
    match outcome {
        Ok(mut body) => {
            body["ok"] = json!(true);
            let date =
                jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            let scopes = slack.lock().scopes.iter().cloned().collect::<Vec<_>>().join(",");
            let mut response = answer(200, &body);
            for (name, value) in [(HeaderName::from_static("x-oauth-scopes"), scopes), (header::DATE, date)] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Err(api::Refusal(code, _)) if code == "ratelimited" => limited(1),
        Err(api::Refusal(code, mut body)) => {
            body["ok"] = json!(false);
            body["error"] = json!(code);
            answer(200, &body)
        }
    }
}

async fn serve_hook(State(slack): State<FakeSlack>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    assert!(!headers.contains_key(header::AUTHORIZATION), "a token was sent to a response_url");
    slack.pass_gate("response_url").await;
    if let Some(Fault::Status(status)) = slack.fault("response_url") {
        return code(status).into_response();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return (StatusCode::BAD_REQUEST, "invalid_payload").into_response() };
    let now = slack.now();
    let (status, text) = slack.change(|model| api::hook(model, &id, &body, now));
    (code(status), text).into_response()
}

/// Arguments of a form; those that Slack wants as JSON may be JSON text.
fn fill(args: &mut Map<String, Value>, form: &[u8]) {
    for (name, value) in url::form_urlencoded::parse(form) {
        let parsed = match name.as_ref() {
            "blocks" | "view" | "attachments" | "metadata" => serde_json::from_str(&value).ok(),
            "unfurl_links" | "unfurl_media" => Some(json!(matches!(value.as_ref(), "true" | "1"))),
            _ => None,
        };
        args.insert(name.into_owned(), parsed.unwrap_or_else(|| json!(value)));
    }
}

fn answer(status: u16, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (code(status), headers, body.to_string()).into_response()
}

/// An answer that breaks off before it began.
fn cut() -> Response {
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Response::new(axum::body::Body::from_stream(broken))
}

fn limited(seconds: u64) -> Response {
    let mut response = answer(429, &json!({"ok": false, "error": "ratelimited"}));
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}
