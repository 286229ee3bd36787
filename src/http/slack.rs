//! Owns `/slack/*`: callbacks are verified over their raw bytes, stored, and only then acknowledged.
//!
//! Never parses before the signature is verified (`chat::slack::callback` does both, in that order), and never waits for
//! Slack or the directory before the acknowledgement.

use super::App;
use super::body;
use super::problem::Problem;
use crate::chat::Tap;
use crate::chat::slack::callback::{Inbound, SlackInbound, Verified};
use crate::store::ReceivedTap;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// A tap on a card, or a submitted dialog.
#[utoipa::path(post, path = "/slack/interactions", tag = "chat", request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses((status = 200, description = "Stored"), (status = 400), (status = 401), (status = 403), (status = 413), (status = 503)))]
pub async fn interactions(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    receive(app, headers, body).await
}

/// A slash command. None is offered yet; only Slack's own check is answered.
#[utoipa::path(post, path = "/slack/commands", tag = "chat", request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses((status = 200), (status = 400), (status = 401), (status = 403), (status = 413)))]
pub async fn commands(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    receive(app, headers, body).await
}

/// An event. Only the URL verification has a meaning yet.
#[utoipa::path(post, path = "/slack/events", tag = "chat", request_body(content = String, content_type = "application/json"), responses((status = 200), (status = 400), (status = 401), (status = 403), (status = 413)))]
pub async fn events(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    receive(app, headers, body).await
}

async fn receive(app: App, headers: HeaderMap, body: Body) -> Response {
    let Some(slack) = app.slack.clone() else { return Problem::no_such_path().into_response() };
    let bytes = match body::read(body, body::LIMIT).await {
        Ok(bytes) => bytes,
        Err(problem) => {
            slack.refused_unread();
            return bare(problem.status());
        }
    };
    match authenticate(&slack, &headers, &bytes, &app) {
        Ok(Inbound::Nothing) => bare(StatusCode::OK),
        Ok(Inbound::Challenge(text)) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        Ok(Inbound::Tap(tap)) if tap.choice.opens_dialog() => {
            // Nothing is decided: the trigger is good for three seconds, so the dialog opens beside the acknowledgement.
            let engine = Arc::clone(&app.engine);
            tokio::spawn(async move {
                if let Some(platform) = engine.platform("slack") {
                    engine.open_dialog(&*platform, &tap).await;
                }
            });
            bare(StatusCode::OK)
        }
        Ok(Inbound::Tap(mut tap)) => {
            // Looked up before the tap is stored: afterwards it may itself be what decided.
            let decided = if tap.choice.is_submit() { decided_dialog(&app, &tap).await } else { None };
            tap.reply.answered = decided.is_some();
            match app.engine.receive("slack", &tap).await {
                Ok(ReceivedTap::New(_)) => decided.unwrap_or_else(|| bare(StatusCode::OK)),
                // The first copy has its answer already; this one must not say that it came too late for itself.
                Ok(ReceivedTap::Duplicate) => bare(StatusCode::OK),
                // Not stored, so not acknowledged: Slack tells the person that it did not work.
                Err(_) => bare(StatusCode::SERVICE_UNAVAILABLE),
            }
        }
        Err(status) => bare(status),
    }
}

/// What a submitted dialog turns into when the request was decided meanwhile: it says by whom. Otherwise it closes.
async fn decided_dialog(app: &App, tap: &Tap) -> Option<Response> {
    let request = app.engine.store.request(&tap.request).await.ok().flatten().filter(|request| request.status().is_terminal())?;
    let platform = app.engine.platform("slack")?;
    let card = app.engine.card(&request).await.ok()?;
    let view = platform.decided_dialog(&card)?;
    Some(axum::Json(json!({"response_action": "update", "view": view})).into_response())
}

fn authenticate(slack: &SlackInbound, headers: &HeaderMap, body: &[u8], app: &App) -> Result<Inbound, StatusCode> {
    slack
        .authenticate(headers, body, app.engine.clock.now())
        .map(Verified::into_inner)
        .map_err(|rejection| StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::FORBIDDEN))
}

/// Strangers get a status and nothing else; Slack wants an empty body.
fn bare(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert("x-slack-no-retry", axum::http::HeaderValue::from_static("1"));
    response
}
