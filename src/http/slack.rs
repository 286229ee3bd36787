//! Owns `/slack/*`: callbacks are verified over their raw bytes, stored, and only then acknowledged.
//!
//! Never parses before the signature is verified (`chat::slack::callback` does both, in that order), and never waits for
//! Slack or the directory before the acknowledgement.

use super::App;
use super::body;
use super::problem::Problem;
use crate::chat::slack::callback::{Received, SlackInbound, Verified};
use crate::chat::{Inbox as _, NotTaken};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A tap on a card, or a submitted dialog.
#[utoipa::path(post, path = "/slack/interactions", tag = "chat", request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses((status = 200, description = "Stored"), (status = 400), (status = 401), (status = 403), (status = 413), (status = 503)))]
pub async fn interactions(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    receive(app, headers, body).await
}

/// A slash command; its answer goes to the person alone, after the acknowledgement.
#[utoipa::path(post, path = "/slack/commands", tag = "chat", request_body(content = String, content_type = "application/x-www-form-urlencoded"), responses((status = 200), (status = 400), (status = 401), (status = 403), (status = 413)))]
pub async fn commands(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    receive(app, headers, body).await
}

/// An event: the app's own page was opened, the app was uninstalled, its tokens were revoked.
#[utoipa::path(post, path = "/slack/events", tag = "chat", request_body(content = String, content_type = "application/json"), responses((status = 200), (status = 400), (status = 401), (status = 403), (status = 413)))]
pub async fn events(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    receive(app, headers, body).await
}

async fn receive(app: App, headers: HeaderMap, body: Body) -> Response {
    let Some(slack) = app.slack.clone() else { return Problem::no_such_path().into_response() };
    let bytes = match body::read(body, body::LIMIT).await {
        Ok(bytes) => bytes,
        Err(problem) => {
            slack.refused_unread(app.engine.clock.now());
            return bare(problem.status());
        }
    };
    match authenticate(&slack, &headers, &bytes, &app) {
        Ok(Received::Challenge(text)) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        Ok(Received::In(inbound)) => match app.engine.take("slack", inbound).await {
            Ok(None) => bare(StatusCode::OK),
            Ok(Some(answer)) => axum::Json(answer).into_response(),
            // Not stored, so not acknowledged: Slack tells the person that it did not work.
            Err(NotTaken) => bare(StatusCode::SERVICE_UNAVAILABLE),
        },
        Err(status) => bare(status),
    }
}

fn authenticate(slack: &SlackInbound, headers: &HeaderMap, body: &[u8], app: &App) -> Result<Received, StatusCode> {
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
