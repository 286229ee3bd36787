//! Owns `/v1/clients`: who may call, their keys, and the freeze.
//!
//! Never shows a key but in the answer that made it.

use super::App;
use super::auth::ClientAdmin;
use super::body::{OptionalJson, StrictJson};
use super::extract::{Path, Query};
use super::problem::{Problem, ProblemDocument};
use super::requests::limit;
use crate::domain::audit::Actor;
use crate::domain::field_error::FieldError;
use crate::domain::ids::ClientId;
use crate::domain::reader::{Errors, Reader, Text};
use crate::engine::Failure;
use crate::engine::admin::{NewClient, NewKey};
use crate::engine::caller::{Client, Scope};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The query of a list of clients.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many (default 50, clamped to 200).
    pub limit: Option<String>,
    /// From the page before.
    pub cursor: Option<String>,
}

/// List clients.
#[utoipa::path(get, path = "/v1/clients", tag = "clients", params(PageQuery), responses((status = 200, body = super::documents::ClientPage), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument)))]
pub async fn list(
    State(app): State<App>,
    ClientAdmin(_admin): ClientAdmin,
    Query(query): Query<PageQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(query.limit.as_deref())?;
    let after = match query.cursor.as_deref() {
        None => None,
        Some(cursor) => Some(cursor.parse::<ClientId>().map_err(|_| Problem::malformed("cursor is not one that this server gave."))?),
    };
    let mut clients = app.engine.store.clients(after.as_ref(), limit + 1).await.map_err(Failure::from)?;
    let more = clients.len() > limit as usize;
    clients.truncate(limit as usize);
    let next = more.then(|| clients.last().map(|client| client.id.to_string())).flatten();
    Ok(Json(json!({"items": clients.iter().map(view).collect::<Vec<_>>(), "next_cursor": next})))
}

/// Create a client with its first key, which is shown once.
#[utoipa::path(post, path = "/v1/clients", tag = "clients", request_body = super::documents::NewClientDocument, responses((status = 201, body = super::documents::NewKeyDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 422, body = ProblemDocument)))]
pub async fn create(State(app): State<App>, ClientAdmin(admin): ClientAdmin, StrictJson(body): StrictJson) -> Result<Response, Problem> {
    let new = new_client(&body)?;
    let made = app.engine.create_client(new, Actor::Client(admin.id)).await?;
    Ok((StatusCode::CREATED, Json(with_key(&made))).into_response())
}

/// Disable a client. Its keys stop working; its requests stay.
#[utoipa::path(delete, path = "/v1/clients/{id}", tag = "clients", params(("id" = String, Path)), responses((status = 204), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
pub async fn disable(State(app): State<App>, ClientAdmin(admin): ClientAdmin, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.engine.disable_client(&client_id(&id)?, Actor::Client(admin.id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make another key for a client, for rotation.
#[utoipa::path(post, path = "/v1/clients/{id}/keys", tag = "clients", params(("id" = String, Path)), responses((status = 201, body = super::documents::NewKeyDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
pub async fn add_key(
    State(app): State<App>,
    ClientAdmin(admin): ClientAdmin,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson,
) -> Result<Response, Problem> {
    empty(&body)?;
    let made = app.engine.create_key(&client_id(&id)?, Actor::Client(admin.id)).await?;
    Ok((StatusCode::CREATED, Json(with_key(&made))).into_response())
}

/// Freeze a client: it can ask for nothing, its pending requests can only be denied, its grants die.
#[utoipa::path(post, path = "/v1/clients/{id}/freeze", tag = "clients", params(("id" = String, Path)), responses((status = 200, body = super::documents::ClientDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
pub async fn freeze(
    State(app): State<App>,
    ClientAdmin(admin): ClientAdmin,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson,
) -> Result<Json<Value>, Problem> {
    empty(&body)?;
    let client = app.engine.freeze(&client_id(&id)?, true, Actor::Client(admin.id)).await?;
    Ok(Json(view(&client)))
}

/// End a freeze. Grants that died stay dead.
#[utoipa::path(post, path = "/v1/clients/{id}/unfreeze", tag = "clients", params(("id" = String, Path)), responses((status = 200, body = super::documents::ClientDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 404, body = ProblemDocument)))]
pub async fn unfreeze(
    State(app): State<App>,
    ClientAdmin(admin): ClientAdmin,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson,
) -> Result<Json<Value>, Problem> {
    empty(&body)?;
    let client = app.engine.freeze(&client_id(&id)?, false, Actor::Client(admin.id)).await?;
    Ok(Json(view(&client)))
}

fn client_id(text: &str) -> Result<ClientId, Problem> {
    text.parse().map_err(|_| Failure::NotFound("client").into())
}

fn empty(body: &Value) -> Result<(), Problem> {
    let errors = Errors::default();
    if let Some(reader) = Reader::open(body, "", &errors) {
        reader.close();
    }
    Ok(errors.finish(Some(()))?)
}

fn new_client(body: &Value) -> Result<NewClient, Problem> {
    let errors = Errors::default();
    let new = Reader::open(body, "", &errors).and_then(|reader| {
        let name = reader.required_text("name", Text::line(64));
        let owner = reader.text("owner", Text::line(320));
        let scopes = reader.list("scopes", Scope::ALL.len()).map(|items| {
            items
                .into_iter()
                .filter_map(|(pointer, item)| {
                    let scope = item.as_str().and_then(Scope::parse);
                    if scope.is_none() {
                        errors.push(pointer, "is not a scope of this version");
                    }
                    scope
                })
                .collect::<BTreeSet<_>>()
        });
        let may_act_for = reader.list("may_act_for", 100).map(|items| {
            items
                .into_iter()
                .filter_map(|(pointer, item)| {
                    let text = item.as_str().map(str::to_owned);
                    if text.is_none() {
                        errors.push(pointer, "must be a string: a glob over e-mail addresses");
                    }
                    text
                })
                .collect::<Vec<_>>()
        });
        reader.close();
        Some(NewClient { name: name?, owner, scopes: scopes.unwrap_or_default(), may_act_for: may_act_for.unwrap_or_default() })
    });
    errors.finish(new).map_err(|errors: Vec<FieldError>| errors.into())
}

fn view(client: &Client) -> Value {
    json!({
        "id": client.id,
        "name": client.name,
        "owner": client.owner,
        "scopes": client.scopes,
        "may_act_for": client.may_act_for,
        "enabled": client.enabled,
        "frozen_at": client.frozen_at,
    })
}

fn with_key(made: &NewKey) -> Value {
    let mut answer = view(&made.client);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("key".to_owned(), Value::from(made.key.expose_secret()));
        answer.insert("key_expires_at".to_owned(), json!(made.expires_at));
    }
    answer
}
