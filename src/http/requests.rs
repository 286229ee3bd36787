//! Owns `/v1/requests`: create, read and wait, list, cancel, revoke, review, outcome.
//!
//! Never holds a rule: each handler reads its input, calls one use case, and shows the result.

use super::App;
use super::auth::{Authenticated, Requester, Signed};
use super::body::{OptionalJson, StrictJson};
use super::extract::{Path, Query};
use super::problem::{Problem, ProblemDocument};
use super::wait::WaitQuery;
use crate::directory::Identity;
use crate::domain::ask::{self, Ask};
use crate::domain::bodies::{CancelBody, OutcomeBody, ReviewBody, RevokeBody};
use crate::domain::ids::{ClientId, RequestId};
use crate::domain::json;
use crate::domain::request::{Outcome, Request, Status};
use crate::engine::caller::{Caller, Client, Scope};
use crate::engine::review::Wish;
use crate::engine::view::{RequestPage, RequestView};
use crate::engine::{Engine, Failure, open};
use crate::store::RequestFilter;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const DEFAULT_LIMIT: u32 = 50;
const LARGEST_LIMIT: u32 = 200;

/// Ask for an action. Policy decides: allowed (with its grant), denied, or people are asked.
#[utoipa::path(
    post, path = "/v1/requests", tag = "requests",
    params(WaitQuery, ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 printable ASCII characters; the same key and body replay the same request"), ("Prefer" = Option<String>, Header, description = "wait=N, as the query parameter")),
    request_body = super::documents::AskDocument,
    responses(
        (status = 201, description = "Created, whatever the status", body = RequestView),
        (status = 200, description = "The same request again (Idempotent-Replayed: true)", body = RequestView),
        (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 413, body = ProblemDocument), (status = 415, body = ProblemDocument), (status = 422, body = ProblemDocument), (status = 503, body = ProblemDocument),
    )
)]
pub async fn create(
    State(app): State<App>,
    Requester(client): Requester,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
    StrictJson(body): StrictJson,
) -> Result<Response, Problem> {
    let asked = query.read(&headers)?;
    let key = idempotency(&app, &headers, &body)?;
    let ask = Ask::from_value(&body)?;
    drop((body, headers, query));
    // Boxed, here and below: whoever waits should not hold room for what comes before and after the wait.
    let opened = Box::pin(app.engine.open(&client, ask, key)).await?;
    let request = app.engine.follow(opened.request, asked.wait).await?;
    let mut caller = Caller::Client(client);
    if asked.wait.is_some() {
        caller = Box::pin(app.engine.renewed(caller)).await?;
    }
    let location = format!("{}/v1/requests/{}", app.engine.settings.public_url, request.id());
    let view = Box::pin(show(&app.engine, request, &caller)).await?;
    let status = if opened.replayed { StatusCode::OK } else { StatusCode::CREATED };
    let mut response = (status, Json(view)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if opened.replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(with_preference(response, asked.preference))
}

/// Read a request, or wait for it.
#[utoipa::path(
    get, path = "/v1/requests/{id}", tag = "requests",
    params(("id" = String, Path), WaitQuery, ("Prefer" = Option<String>, Header, description = "wait=N")),
    responses((status = 200, body = RequestView), (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 404, body = ProblemDocument))
)]
pub async fn read(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    Query(query): Query<WaitQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = query.read(&headers)?;
    let id = request_id(&id)?;
    drop((headers, query));
    let request = Box::pin(app.engine.visible(&caller, &id)).await?;
    let request = app.engine.follow(request, asked.wait).await?;
    let caller = if asked.wait.is_some() { Box::pin(app.engine.renewed(caller)).await? } else { caller };
    let view = Box::pin(show(&app.engine, request, &caller)).await?;
    Ok(with_preference(Json(view).into_response(), asked.preference))
}

/// The query of a list.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Comma-separated: `pending,approved,denied,expired,cancelled`.
    pub status: Option<String>,
    /// Exact action.
    pub action: Option<String>,
    /// Client id or name.
    pub client: Option<String>,
    /// `me`: what the signed-in person may decide now.
    pub reviewer: Option<String>,
    /// Part of action, resource id, summary or requester.
    pub q: Option<String>,
    /// At most so many (default 50, clamped to 200).
    pub limit: Option<String>,
    /// From the page before.
    pub cursor: Option<String>,
}

/// List requests, newest first. Without `requests:read` a client sees its own.
#[utoipa::path(
    get, path = "/v1/requests", tag = "requests", params(ListQuery),
    responses((status = 200, body = RequestPage), (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument))
)]
pub async fn list(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Query(query): Query<ListQuery>,
) -> Result<Json<RequestPage>, Problem> {
    let engine = &app.engine;
    let limit = limit(query.limit.as_deref())?;
    let mut filter =
        RequestFilter { action: query.action.clone(), q: query.q.clone().filter(|q| !q.is_empty()), ..RequestFilter::default() };
    if let Some(statuses) = query.status.as_deref().filter(|text| !text.is_empty()) {
        filter.statuses = statuses
            .split(',')
            .map(|word| Status::parse(word.trim()).ok_or_else(|| Problem::malformed(format!("status: \"{}\" is no status.", word.trim()))))
            .collect::<Result<_, _>>()?;
    }
    if let Some(client) = &query.client {
        filter.client = Some(match client.parse::<ClientId>() {
            Ok(id) => id,
            Err(_) => match engine.store.client_by_name(client).await.map_err(Failure::from)? {
                Some(client) => client.id,
                None => return Ok(Json(RequestPage { items: Vec::new(), next_cursor: None })),
            },
        });
    }
    let cursor = query.cursor.as_deref().map(request_id_cursor).transpose()?;
    filter.visible_to_client = only_own(&caller)?;
    let reviewer_me = match query.reviewer.as_deref() {
        None => false,
        Some("me") if matches!(caller, Caller::Person(_)) => true,
        Some("me") => return Err(Problem::malformed("reviewer=me is for signed-in persons.")),
        Some(_) => return Err(Problem::malformed("reviewer can only be \"me\".")),
    };
    let page = engine.list(&caller, filter, reviewer_me, cursor, limit).await?;
    let mut items = Vec::with_capacity(page.requests.len());
    for request in page.requests {
        items.push(engine.view(&request, &caller, None).await?);
    }
    Ok(Json(RequestPage { items, next_cursor: page.next.map(|id| id.to_string()) }))
}

/// Take a pending request back.
#[utoipa::path(
    post, path = "/v1/requests/{id}/cancel", tag = "requests", params(("id" = String, Path)),
    request_body = super::documents::ReasonDocument,
    responses((status = 200, body = RequestView), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument))
)]
pub async fn cancel(
    State(app): State<App>,
    Requester(client): Requester,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson,
) -> Result<Json<RequestView>, Problem> {
    let body = CancelBody::from_value(&body)?;
    let request = app.engine.cancel(&client, &request_id(&id)?, body.reason).await?;
    Ok(Json(show(&app.engine, request, &Caller::Client(client)).await?))
}

/// Take an approval back while its grant is unused.
#[utoipa::path(
    post, path = "/v1/requests/{id}/revoke", tag = "requests", params(("id" = String, Path)),
    request_body = super::documents::ReasonDocument,
    responses((status = 200, body = RequestView), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument))
)]
pub async fn revoke(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson,
) -> Result<Json<RequestView>, Problem> {
    let body = RevokeBody::from_value(&body)?;
    let request = app.engine.revoke(&caller, &request_id(&id)?, body.reason).await?;
    Ok(Json(show(&app.engine, request, &caller).await?))
}

/// Review a request: approve, deny, edit or comment. People only.
#[utoipa::path(
    post, path = "/v1/requests/{id}/reviews", tag = "requests", params(("id" = String, Path)),
    request_body = super::documents::ReviewDocument,
    responses((status = 201, body = RequestView), (status = 200, description = "The same review again", body = RequestView), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument), (status = 503, body = ProblemDocument))
)]
pub async fn review(
    State(app): State<App>,
    Signed(person): Signed,
    Path(id): Path<String>,
    StrictJson(body): StrictJson,
) -> Result<Response, Problem> {
    let body = ReviewBody::from_value(&body)?;
    let caller = Caller::Person(person.clone());
    let id = request_id(&id)?;
    app.engine.visible(&caller, &id).await?;
    let wish =
        Wish { decision: body.decision, comment: body.comment, option: body.option, parameters: body.parameters, digest: body.digest };
    let reviewed = app
        .engine
        .review(&id, &Identity::Key(person.key.clone()), &wish, person.via, None)
        .await
        .map_err(|failure| Problem::from(failure).noted())?;
    let status = if reviewed.repeated { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(show(&app.engine, reviewed.request, &caller).await?)).into_response())
}

/// Tell how the action ended, once, after approval.
#[utoipa::path(
    post, path = "/v1/requests/{id}/outcome", tag = "requests", params(("id" = String, Path)),
    request_body = super::documents::OutcomeDocument,
    responses((status = 200, body = RequestView), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument))
)]
pub async fn outcome(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    Path(id): Path<String>,
    StrictJson(body): StrictJson,
) -> Result<Json<RequestView>, Problem> {
    let client = outcome_client(&caller)?;
    let body = OutcomeBody::from_value(&body)?;
    let by = client.id.clone();
    let request = app
        .engine
        .outcome(&request_id(&id)?, client, |at| Outcome {
            status: body.status,
            detail: body.detail.clone(),
            touched: body.touched.clone(),
            at,
            by: by.clone(),
        })
        .await?;
    Ok(Json(show(&app.engine, request, &caller).await?))
}

fn outcome_client(caller: &Caller) -> Result<&Client, Problem> {
    match caller {
        Caller::Client(client) if client.may(Scope::RequestsWrite) || client.may(Scope::GrantsRedeem) => Ok(client),
        Caller::Client(_) | Caller::Person(_) => Err(Problem::missing_scope(Scope::RequestsWrite.as_str())),
    }
}

/// What policy would say. Nothing is created.
#[utoipa::path(
    post, path = "/v1/evaluate", tag = "requests", request_body = super::documents::AskDocument,
    responses((status = 200, body = super::documents::EvaluationDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument))
)]
pub async fn evaluate(
    State(app): State<App>,
    Requester(client): Requester,
    StrictJson(body): StrictJson,
) -> Result<Json<serde_json::Value>, Problem> {
    let ask = Ask::from_value(&body)?;
    let (policy, evaluation) = app.engine.evaluate(&client, &ask).await?;
    Ok(Json(serde_json::json!({
        "effect": evaluation.effect.as_str(),
        "rules": evaluation.rules,
        "version": policy.version(),
        "explanation": evaluation.explanation,
        "seats": evaluation.requirements.seats,
        "require": evaluation.requirements.require,
        "expires_in": evaluation.requirements.expires_in,
    })))
}

/// The client that sees only its own requests; `None` for whoever may see others' as well.
pub(super) fn only_own(caller: &Caller) -> Result<Option<ClientId>, Problem> {
    match caller {
        Caller::Client(client) if client.may(Scope::RequestsRead) => Ok(None),
        Caller::Client(client) if client.may(Scope::RequestsWrite) => Ok(Some(client.id.clone())),
        Caller::Client(_) => Err(Problem::missing_scope(Scope::RequestsRead.as_str())),
        Caller::Person(_) => Ok(None),
    }
}

/// An id in a path; a text that is none is an unknown request.
pub(super) fn request_id(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|_| Failure::NotFound("request").into())
}

fn request_id_cursor(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|_| Problem::malformed("cursor is not one that this server gave."))
}

pub(super) fn limit(text: Option<&str>) -> Result<u32, Problem> {
    match text {
        None => Ok(DEFAULT_LIMIT),
        Some(text) if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) || text.bytes().all(|byte| byte == b'0') => {
            Err(Problem::malformed("limit is not a whole number above zero."))
        }
        // More digits than fit are simply a large limit.
        Some(text) => Ok(text.parse().unwrap_or(LARGEST_LIMIT).min(LARGEST_LIMIT)),
    }
}

fn idempotency(app: &App, headers: &HeaderMap, body: &serde_json::Value) -> Result<Option<open::Key>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| ask::is_idempotency_key(key) && values.next().is_none());
    let key = key.ok_or_else(|| Problem::malformed("Idempotency-Key must be one value of 1 to 255 printable ASCII characters."))?;
    Ok(Some(open::Key { key: key.to_owned(), body: app.engine.data_key.fingerprint(&json::canonical(body)) }))
}

fn with_preference(mut response: Response, preference: Option<u64>) -> Response {
    if let Some(value) = preference.and_then(|seconds| HeaderValue::from_str(&format!("wait={seconds}")).ok()) {
        response.headers_mut().insert(PREFERENCE_APPLIED, value);
    }
    response
}

/// The request as this caller sees it, with the grant for its requester.
pub(super) async fn show(engine: &Engine, request: Request, caller: &Caller) -> Result<RequestView, Problem> {
    let (request, grant) = match Engine::requester(caller, &request) {
        Some(client) => engine.grant(request, client).await?,
        None => (request, None),
    };
    Ok(engine.view(&request, caller, grant).await?)
}
