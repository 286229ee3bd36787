//! Owns the OpenAPI 3.1 document and the page that shows it; both come from the code.
//!
//! Never describes an endpoint that is not built.

use super::{App, audit, clients, events, grants, health, policy, requests, slack};
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::RefOr;
use utoipa::openapi::path::Operation;
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
        events::of_request, events::of_requests, events::of_log,
        health::alive, health::ready,
        slack::interactions, slack::commands, slack::events,
    ),
    modifiers(&ApiKey, &Calls),
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

/// What is the same for every call, so that no handler has to say it.
struct Calls;

impl Modify for Calls {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let calls = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            for call in calls.into_iter().flatten() {
                describe(path, call);
            }
        }
    }
}

fn describe(path: &str, call: &mut Operation) {
    // Handlers of two modules may share a name; the ids of two calls must not be the same.
    if let (Some(tag), Some(name)) = (call.tags.as_ref().and_then(|tags| tags.first()), &call.operation_id) {
        call.operation_id = Some(format!("{tag}_{name}"));
    }
    if path.starts_with("/v1/") {
        let mut common = vec!["400", "503"];
        if call.request_body.is_some() {
            common.push("413");
        }
        if call.request_body.is_some() && !path.starts_with("/v1/policy") {
            common.push("415");
        }
        for status in common {
            call.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem()));
        }
    } else {
        // Public, or signed by the platform that calls.
        call.security = Some(Vec::new());
    }
    for (status, response) in &mut call.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            response.description = meaning(status).to_owned();
        }
        if (status.starts_with('4') || status.starts_with('5'))
            && path != "/readyz"
            && let Some(content) = response.content.swap_remove("application/json")
        {
            response.content.insert(PROBLEM.to_owned(), content);
        }
    }
}

const PROBLEM: &str = "application/problem+json";

fn problem() -> utoipa::openapi::Response {
    let schema = utoipa::openapi::Ref::from_schema_name("ProblemDocument");
    let content = utoipa::openapi::ContentBuilder::new().schema(Some(schema)).build();
    utoipa::openapi::ResponseBuilder::new().content(PROBLEM, content).build()
}

/// What a status means here.
fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "Done",
        "201" => "Created",
        "204" => "Done; no content",
        "400" => "Malformed",
        "401" => "No credential, or none that is known",
        "403" => "Not allowed",
        "404" => "Unknown, or not yours",
        "409" => "In conflict with the present state",
        "410" => "Gone",
        "412" => "Another version is the present one",
        "413" => "Too large",
        "415" => "Not this media type",
        "422" => "Well-formed, but refused; see errors",
        "428" => "A precondition is required",
        "503" => "Not now; see Retry-After",
        _ => "See the problem document",
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
