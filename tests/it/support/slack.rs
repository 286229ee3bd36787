//! Owns FakeSlack: a Slack workspace in memory, served over HTTP on loopback, with Slack's rules, limits and failures.
//!
//! Never sleeps: what Slack would make wait is held until the test lets it go, and time is the test's clock. Slack's own
//! clients for Node and Python work against it unmodified (`tests/oracles`), so it answers as Slack does.

pub(crate) mod api;
pub(crate) mod blocks;
pub(crate) mod model;
pub(crate) mod person;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use countersign::domain::time::{Clock, Timestamp};
use model::{Message, Model, View};
use person::{Acknowledged, Oddity, Person, sign};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

/// The signing secret of the app.
pub(crate) const SECRET: &str = "fake-signing-secret";
/// Longest real time that a test waits for something to happen; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A failure that a call meets instead of, or besides, its effect.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// 429 with `Retry-After`.
    RateLimited(u64),
    /// This HTTP status, with a page that is not JSON.
    Status(u16),
    /// `{"ok":false,"error":…}`.
    Error(&'static str),
    /// The call takes effect, but its answer is a 502: whoever called cannot know.
    LostAnswer,
}

/// Calls that wait until the test lets them go.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Gate {
    /// Lets everything through, now and later.
    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    /// Waits until that many calls wait.
    pub(crate) async fn holds(&self, calls: usize) {
        let mut waiting = self.waiting.subscribe();
        let held = waiting.wait_for(|held| *held >= calls);
        tokio::time::timeout(PATIENCE, held).await.expect("too few calls came").expect("the gate is gone");
    }
}

/// A call that came in.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) args: Map<String, Value>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    model: Mutex<Model>,
    changed: Notify,
    calls: Mutex<Vec<Call>>,
    faults: Mutex<BTreeMap<String, VecDeque<Fault>>>,
    gates: Mutex<BTreeMap<String, Gate>>,
    origin: String,
    app: Mutex<Option<String>>,
    http: reqwest::Client,
}

/// The workspace and its server. Clones are the same workspace.
#[derive(Clone)]
pub(crate) struct FakeSlack(Arc<Inner>);

impl std::fmt::Debug for FakeSlack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FakeSlack({})", self.0.origin)
    }
}

impl FakeSlack {
    /// Serves a workspace on a free port of loopback.
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let slack = Self(Arc::new(Inner {
            clock,
            model: Mutex::new(Model::new()),
            changed: Notify::new(),
            calls: Mutex::default(),
            faults: Mutex::default(),
            gates: Mutex::default(),
            origin,
            app: Mutex::default(),
            http,
        }));
        let router =
            Router::new().route("/api/{method}", any(serve_method)).route("/hook/{id}", post(serve_hook)).with_state(slack.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        slack
    }

    /// `slack.api_url` of the configuration.
    pub(crate) fn api_url(&self) -> String {
        format!("{}/api/", self.0.origin)
    }

    pub(crate) fn origin(&self) -> &str {
        &self.0.origin
    }

    /// Where the app under test listens; callbacks go to `/slack/interactions` there.
    pub(crate) fn app_is_at(&self, url: &str) {
        *self.0.app.lock().unwrap() = Some(url.trim_end_matches('/').to_owned());
    }

    /// The workspace, to set it up or to look at it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Model> {
        self.0.model.lock().unwrap()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Changes the workspace, and wakes whoever waits for that.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let result = change(&mut self.lock());
        self.0.changed.notify_waiters();
        result
    }

    pub(crate) fn user(&self, id: &str) -> Person {
        Person { slack: self.clone(), id: id.to_owned() }
    }

    /// Sets a flag of a user's record.
    pub(crate) fn set_user(&self, id: &str, flag: &str, value: Value) {
        self.change(|model| model.users.get_mut(id).expect("no such user")[flag] = value);
    }

    /// Sets a flag of a channel.
    pub(crate) fn set_channel(&self, id: &str, flag: &str, value: Value) {
        self.change(|model| model.channels.get_mut(id).expect("no such channel").record[flag] = value);
    }

    /// The messages of a channel, the oldest first.
    pub(crate) fn messages(&self, channel: &str) -> Vec<Message> {
        self.lock().channels.get(channel).map(|channel| channel.messages.clone()).unwrap_or_default()
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl FnMut(&Model) -> Option<T>) -> T {
        let found = async {
            loop {
                let changed = self.0.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = look(&self.lock()) {
                    return found;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}: did not happen"))
    }

    /// The next call of a method meets this fault; several are met in order.
    pub(crate) fn fails(&self, method: &str, fault: Fault) {
        self.0.faults.lock().unwrap().entry(method.to_owned()).or_default().push_back(fault);
    }

    /// Calls of a method wait from now on, until the gate is released.
    pub(crate) fn holds(&self, method: &str) -> Gate {
        let gate = Gate { open: watch::Sender::new(false), waiting: watch::Sender::new(0) };
        self.0.gates.lock().unwrap().insert(method.to_owned(), gate.clone());
        gate
    }

    /// Every call of a method so far.
    pub(crate) fn calls(&self, method: &str) -> Vec<Call> {
        self.0.calls.lock().unwrap().iter().filter(|call| call.method == method).cloned().collect()
    }

    /// Sends an interaction to the app as Slack does.
    pub(crate) async fn deliver(&self, payload: &Value, oddity: &Oddity) -> Acknowledged {
        let mut payload = payload.clone();
        for (pointer, value) in &oddity.changes {
            *payload.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in the payload")) = value.clone();
        }
        let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish();
        let at = Timestamp::from_millis(self.now().as_millis() - oddity.age * 1_000);
        let headers = sign(oddity.secret.as_deref().unwrap_or(SECRET), &body, at);
        let app = self.0.app.lock().unwrap().clone().expect("app_is_at was not called");
        let request =
            self.0.http.post(format!("{app}/slack/interactions")).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let response = request.body(body).send().await.expect("the app does not answer");
        Acknowledged { status: response.status().as_u16(), body: response.text().await.unwrap() }
    }

    /// What Slack's client does with a dialog once the app has answered its submit.
    fn settle(&self, view: &View, answer: &Acknowledged) {
        if answer.status != 200 {
            return;
        }
        let told: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        self.change(|model| match told["response_action"].as_str() {
            Some("errors" | "push") => {}
            Some("update") => {
                let faults = blocks::modal_faults(&told["view"]);
                assert!(faults.is_empty(), "Slack would refuse the new dialog: {faults:?}");
                api::replace(model, &mut view.clone(), told["view"].clone());
            }
            Some("clear") => model.stacks.entry(view.user.clone()).or_default().clear(),
            Some(other) => panic!("Slack does not know response_action {other}"),
            None => {
                assert!(answer.body.is_empty(), "Slack wants an empty body to close a dialog");
                model.stacks.entry(view.user.clone()).or_default().retain(|id| *id != view.id);
            }
        });
    }

    async fn pass_gate(&self, method: &str) {
        let gate = self.0.gates.lock().unwrap().get(method).cloned();
        if let Some(gate) = gate {
            gate.waiting.send_modify(|waiting| *waiting += 1);
            // An error means that the test is over.
            let _ = gate.open.subscribe().wait_for(|open| *open).await;
        }
    }

    fn fault(&self, method: &str) -> Option<Fault> {
        self.0.faults.lock().unwrap().get_mut(method).and_then(VecDeque::pop_front)
    }
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
    slack.0.calls.lock().unwrap().push(Call { method: method.clone(), args: args.clone() });
    slack.pass_gate(&method).await;
    let fault = slack.fault(&method);
    match fault {
        Some(Fault::RateLimited(seconds)) => return limited(seconds),
        Some(Fault::Status(status)) => return (StatusCode::from_u16(status).unwrap(), "<html>busy</html>").into_response(),
        Some(Fault::Error(code)) => return answer(200, &json!({"ok": false, "error": code})),
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
            let scopes = slack.lock().scopes.iter().cloned().collect::<Vec<_>>().join(",");
            let mut response = answer(200, &body);
            response.headers_mut().insert("x-oauth-scopes", scopes.parse().unwrap());
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
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return (StatusCode::BAD_REQUEST, "invalid_payload").into_response() };
    let now = slack.now();
    let (status, text) = slack.change(|model| api::hook(model, &id, &body, now));
    (StatusCode::from_u16(status).unwrap(), text).into_response()
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
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string()).into_response()
}

fn limited(seconds: u64) -> Response {
    let mut response = answer(429, &json!({"ok": false, "error": "ratelimited"}));
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}
