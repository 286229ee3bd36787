//! Owns a small fake of the REST API, as a caller meets it: it keeps its rules (keys, long-polling, one redemption for exactly the parameters), and loses,
//! delays or refuses answers on demand.
//!
//! Never decides by itself: the test is policy, reviewer and fault.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;

/// The key that the fake knows.
pub(crate) const TOKEN: &str = "cs_test0001_0123456789abcdefghijklmnopqrstuvwxyz";
/// The id of the only request.
pub(crate) const ID: &str = "req_00000000000000000000000001";

/// What becomes of the next call of a kind.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// A status with a problem and headers, nothing done.
    Status(u16, &'static str, Vec<(&'static str, &'static str)>),
    /// It is done, and the answer is cut off.
    LostAnswer,
    /// Nothing is done, and the answer is cut off.
    LostCall,
}

#[derive(Default)]
struct Inner {
    calls: Vec<(String, Value)>,
    keys: Vec<String>,
    request: Option<Value>,
    asked: Value,
    at_once: Option<Value>,
    token: u32,
    redeemed: bool,
    swapped: Option<Value>,
    faults: HashMap<&'static str, VecDeque<Fault>>,
}

/// The server.
#[derive(Clone)]
pub(crate) struct FakeApi {
    inner: Arc<Mutex<Inner>>,
    changes: Arc<watch::Sender<u64>>,
    /// Where it listens.
    pub(crate) url: String,
}

impl FakeApi {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let api = Self { inner: Arc::default(), changes: Arc::new(watch::Sender::new(0)), url };
        let router = Router::new()
            .route("/v1/requests", post(create))
            .route("/v1/requests/{id}", get(read))
            .route("/v1/requests/{id}/cancel", post(cancel))
            .route("/v1/requests/{id}/revoke", post(revoke))
            .route("/v1/requests/{id}/outcome", post(outcome))
            .route("/v1/grants/redeem", post(redeem))
            .with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        api
    }

    /// The next call of `kind` (`create read cancel revoke outcome redeem`) goes wrong.
    pub(crate) fn fail(&self, kind: &'static str, fault: Fault) -> &Self {
        self.inner().faults.entry(kind).or_default().push_back(fault);
        self
    }

    /// What policy says at once.
    pub(crate) fn answer_at_once(&self, change: Value) -> &Self {
        self.inner().at_once = Some(change);
        self
    }

    /// The redeem answers about something else.
    pub(crate) fn swap_redeemed(&self, parameters: Value) -> &Self {
        self.inner().swapped = Some(parameters);
        self
    }

    /// Changes the request, once it is there; the grant is the fake's to give: `"grant": true`.
    pub(crate) async fn change(&self, change: Value) {
        self.called("read").await;
        self.apply(&change);
    }

    fn apply(&self, change: &Value) {
        let mut inner = self.inner();
        let token = inner.token;
        let request = inner.request.as_mut().unwrap().as_object_mut().unwrap();
        for (name, value) in change.as_object().unwrap() {
            let value = if name == "grant" && *value == json!(true) { grant(token) } else { value.clone() };
            request.insert(name.clone(), value);
        }
        let version = request["version"].as_u64().unwrap() + 1;
        request.insert("version".to_owned(), version.into());
        drop(inner);
        self.changes.send_modify(|count| *count += 1);
    }

    /// Waits until a call of this kind came in.
    pub(crate) async fn called(&self, kind: &str) {
        let mut changes = self.changes.subscribe();
        while self.calls(kind).is_empty() {
            changes.changed().await.unwrap();
        }
    }

    /// The bodies of all calls of a kind.
    pub(crate) fn calls(&self, kind: &str) -> Vec<Value> {
        self.inner().calls.iter().filter(|(of, _)| of == kind).map(|(_, body)| body.clone()).collect()
    }

    /// The idempotency keys that came in.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.inner().keys.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    #[expect(clippy::result_large_err, reason = "the refusal is the answer itself")]
    /// Notes the call; an answer when it is refused or lost before anything is done, else whether its answer is lost.
    fn begin(&self, kind: &'static str, headers: &HeaderMap, body: Value) -> Result<bool, Response> {
        let mut inner = self.inner();
        inner.calls.push((kind.to_owned(), body));
        let fault = inner.faults.get_mut(kind).and_then(VecDeque::pop_front);
        drop(inner);
        self.changes.send_modify(|count| *count += 1);
        if headers.get("authorization").is_none_or(|value| value != format!("Bearer {TOKEN}").as_str()) {
            return Err(problem(401, "unauthorized", "A valid credential is required."));
        }
        match fault {
            None => Ok(false),
            Some(Fault::LostAnswer) => Ok(true),
            Some(Fault::LostCall) => Err(cut_off()),
            Some(Fault::Status(status, slug, extra)) => {
                let mut response = problem(status, slug, &format!("The fake says {slug}."));
                for (name, value) in extra {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                Err(response)
            }
        }
    }
}

fn grant(token: u32) -> Value {
    json!({"token": format!("secret-grant-{token}"), "jti": "gr_00000000000000000000000001", "expires_at": "2026-11-20T11:42:00.000Z"})
}

fn problem(status: u16, slug: &str, detail: &str) -> Response {
    let body = json!({"type": format!("urn:countersign:problem:{slug}"), "title": slug, "status": status, "detail": detail, "errors": []});
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/problem+json")], body.to_string()).into_response()
}

fn cut_off() -> Response {
    let broken = futures::stream::iter([Ok(bytes::Bytes::from_static(b"{")), Err(std::io::Error::other("cut off"))]);
    Response::new(Body::from_stream(broken))
}

fn answer(lost: bool, status: u16, body: Value) -> Response {
    if lost { cut_off() } else { (StatusCode::from_u16(status).unwrap(), Json(body)).into_response() }
}

async fn create(State(api): State<FakeApi>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let lost = match api.begin("create", &headers, body.clone()) {
        Ok(lost) => lost,
        Err(response) => return response,
    };
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned()).unwrap_or_default();
    let mut inner = api.inner();
    let replay = inner.request.is_some() && inner.keys.contains(&key);
    inner.keys.push(key);
    if replay {
        let request = inner.request.clone().unwrap();
        return answer(lost, 200, request);
    }
    assert!(inner.request.is_none(), "a second request was created");
    inner.request = Some(json!({
        "id": ID, "status": "pending", "usable": false, "version": 1, "edited": false, "grant": null, "grant_reason": null, "feedback": null, "reason": null,
        "created_at": "2026-11-20T11:40:00.000Z", "expires_at": "2026-11-20T12:40:00.000Z", "parameters": body["parameters"],
        "approval": {"seats": [{"group": "security", "count": 1, "filled_by": []}], "required": 1, "granted": 0, "eligible": 2},
        "deliveries": [{"channel": "slack:C0SEC", "status": "waiting", "permalink": null}],
    }));
    inner.asked = body;
    let at_once = inner.at_once.clone();
    drop(inner);
    if let Some(change) = at_once {
        api.apply(&change);
    }
    let request = api.inner().request.clone().unwrap();
    answer(lost, 201, request)
}

async fn read(
    State(api): State<FakeApi>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut changes = api.changes.subscribe();
    let lost = match api.begin("read", &headers, json!(query)) {
        Ok(lost) => lost,
        Err(response) => return response,
    };
    if id != ID {
        return problem(404, "not_found", "There is no such request.");
    }
    let number = |name: &str| query.get(name).and_then(|value| value.parse::<u64>().ok());
    let newer = || {
        let request = api.inner().request.clone().unwrap();
        (request["status"] != "pending" || number("after_version").is_some_and(|after| request["version"].as_u64().unwrap() > after))
            .then_some(request)
    };
    let changed = async {
        loop {
            if let Some(request) = newer() {
                return request;
            }
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(number("wait").unwrap_or(0)), changed).await.ok();
    let request = waited.unwrap_or_else(|| api.inner().request.clone().unwrap());
    answer(lost, 200, request)
}

async fn cancel(State(api): State<FakeApi>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    end(&api, "cancel", &headers, body, "pending", json!({"status": "cancelled"}))
}

async fn revoke(State(api): State<FakeApi>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    end(&api, "revoke", &headers, body, "approved", json!({"grant": null, "grant_reason": "revoked"}))
}

#[expect(clippy::needless_pass_by_value, reason = "every caller makes the change for this call")]
fn end(api: &FakeApi, kind: &'static str, headers: &HeaderMap, body: Value, from: &str, change: Value) -> Response {
    let lost = match api.begin(kind, headers, body) {
        Ok(lost) => lost,
        Err(response) => return response,
    };
    if api.inner().request.as_ref().unwrap()["status"] != from {
        return problem(409, "already_decided", "The request is decided.");
    }
    api.apply(&change);
    let request = api.inner().request.clone().unwrap();
    answer(lost, 200, request)
}

async fn outcome(State(api): State<FakeApi>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    match api.begin("outcome", &headers, body) {
        Ok(lost) => answer(lost, 200, api.inner().request.clone().unwrap()),
        Err(response) => response,
    }
}

async fn redeem(State(api): State<FakeApi>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let lost = match api.begin("redeem", &headers, body.clone()) {
        Ok(lost) => lost,
        Err(response) => {
            if response.status() == StatusCode::GONE {
                // The approval still holds: the next read has another token.
                api.inner().token += 1;
                api.apply(&json!({"grant": true}));
            }
            return response;
        }
    };
    let mut inner = api.inner();
    if body["token"] != grant(inner.token)["token"] {
        return problem(401, "bad_token", "The token is not a valid grant of this server.");
    }
    if inner.redeemed {
        return problem(409, "grant_already_redeemed", "The grant was redeemed already.");
    }
    if body["parameters"] != inner.asked["parameters"] {
        return problem(422, "parameters_mismatch", "These are not the parameters that were approved.");
    }
    inner.redeemed = true;
    let parameters = inner.swapped.clone().unwrap_or_else(|| body["parameters"].clone());
    answer(
        lost,
        200,
        json!({"request_id": ID, "action": inner.asked["action"], "resource": null, "parameters": parameters, "jti": "gr_00000000000000000000000001", "redeemed_at": "2026-11-20T11:41:00.000Z"}),
    )
}
