//! Owns the OpenAPI 3.1 document and the page that shows it; both come from the code.
//!
//! Never describes an endpoint that is not built.

use super::{App, audit, clients, grants, health, policy, requests, slack};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The API.
#[derive(OpenApi)]
#[openapi(
    info(title = "Countersign", description = "An automated action waits for a person who may say yes."),
    paths(
        requests::create, requests::read, requests::list, requests::cancel, requests::revoke, requests::review, requests::outcome, requests::evaluate,
        grants::redeem, grants::introspect, grants::jwks,
        clients::list, clients::create, clients::disable, clients::add_key, clients::freeze, clients::unfreeze,
        policy::read, policy::replace, policy::check,
        audit::events,
        health::alive, health::ready,
        slack::interactions, slack::commands, slack::events,
    ),
    modifiers(&ApiKey),
    tags(
        (name = "requests", description = "Ask, wait, review, tell how it ended"),
        (name = "grants", description = "The credential of an approval"),
        (name = "policy", description = "Which actions pass, which are refused, which need whom"),
        (name = "clients", description = "Who may call"),
        (name = "audit", description = "The log"),
        (name = "chat", description = "Callbacks of chat platforms"),
        (name = "health", description = "For operators"),
    )
)]
struct Document;

struct ApiKey;

impl Modify for ApiKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(utoipa::openapi::Components::new);
        components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        document.security = Some(vec![utoipa::openapi::security::SecurityRequirement::new::<_, [String; 0], String>("api_key", [])]);
    }
}

/// The document, indented, with a newline at its end.
#[must_use]
pub fn document() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// `/openapi.json`.
pub(super) async fn json() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")], document()).into_response()
}

/// `/docs`: the same document for people, without a script.
pub(super) async fn page(axum::extract::State(app): axum::extract::State<App>) -> Response {
    let document: serde_json::Value = serde_json::from_str(&document()).unwrap_or_default();
    let page = app.pages.render("docs.html", &serde_json::json!({"api": document}));
    ([(header::CACHE_CONTROL, "public, max-age=300")], Html(page)).into_response()
}
