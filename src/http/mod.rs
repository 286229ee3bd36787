//! Owns the edge to HTTP: routes, capabilities, problem documents, OpenAPI, pages.
//!
//! Never holds a rule or SQL. A handler is a few lines: read the input, call one use case, show the result.
//!
//! # Adding an endpoint
//! 1. The use case in `engine`, the handler here with its `#[utoipa::path]`, and a capability of `auth` in its signature.
//! 2. A line in [`router`] and one in `openapi`; a test compares the two.
//! 3. A row in `tests/it/authorization.rs`, without which CI fails.

mod address;
pub mod audit;
pub mod auth;
pub mod body;
pub mod clients;
pub mod demo;
pub mod documents;
pub mod events;
mod extract;
pub mod grants;
pub mod health;
pub mod listen;
pub mod metrics;
mod middleware;
mod openapi;
pub mod pages;
pub mod policy;
pub mod problem;
pub mod requests;
pub mod sessions;
pub mod slack;
pub mod strangers;
pub mod wait;

pub use openapi::document as openapi;

use crate::chat::slack::callback::SlackInbound;
use crate::engine::Engine;
use axum::Router;
use axum::routing::{delete, get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use pages::Pages;
use problem::Problem;
use sessions::Sessions;
use std::sync::Arc;
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;

/// What every handler can reach. Cheap to clone: each layer of a call does.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The parts of an [`App`].
pub struct Parts {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// Signed-in people.
    pub sessions: Arc<Sessions>,
    /// Server-rendered pages.
    pub pages: Arc<Pages>,
    /// Proxies that are believed about the address of a client.
    pub trusted_proxies: Arc<[ipnet::IpNet]>,
    /// Lines about strangers.
    pub strangers: Arc<strangers::Strangers>,
    /// Metrics of the process.
    pub metrics: PrometheusHandle,
    /// The way in from Slack; `None` when it is not configured.
    pub slack: Option<Arc<SlackInbound>>,
    /// How long a stream is silent before it says that it is alive.
    pub ping: Duration,
    /// The demo's page; `None` in `serve`, which cannot reach it.
    pub demo: Option<Arc<demo::Demo>>,
}

/// Every public route.
pub fn router(app: App) -> Router {
    let mut routes = Router::new()
        .route("/v1/requests", post(requests::create).get(requests::list))
        .route("/v1/requests/{id}", get(requests::read))
        .route("/v1/requests/{id}/events", get(events::of_request))
        .route("/v1/events", get(events::of_requests))
        .route("/v1/requests/{id}/cancel", post(requests::cancel))
        .route("/v1/requests/{id}/revoke", post(requests::revoke))
        .route("/v1/requests/{id}/reviews", post(requests::review))
        .route("/v1/requests/{id}/outcome", post(requests::outcome))
        .route("/v1/evaluate", post(requests::evaluate))
        .route("/v1/grants/redeem", post(grants::redeem))
        .route("/v1/grants/introspect", post(grants::introspect))
        .route("/.well-known/jwks.json", get(grants::jwks))
        .route("/v1/clients", get(clients::list).post(clients::create))
        .route("/v1/clients/{id}", delete(clients::disable))
        .route("/v1/clients/{id}/keys", post(clients::add_key))
        .route("/v1/clients/{id}/freeze", post(clients::freeze))
        .route("/v1/clients/{id}/unfreeze", post(clients::unfreeze))
        .route("/v1/policy", get(policy::read).put(policy::replace))
        .route("/v1/policy/check", post(policy::check))
        .route("/v1/audit/events", get(audit::events))
        .route("/v1/audit/stream", get(events::of_log))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", get(openapi::json))
        .route("/docs", get(openapi::page));
    if app.slack.is_some() {
        routes = routes
            .route("/slack/interactions", post(slack::interactions))
            .route("/slack/commands", post(slack::commands))
            .route("/slack/events", post(slack::events));
    }
    if app.demo.is_some() {
        routes = routes.merge(demo::routes());
    }
    routes
        .fallback(async || Problem::no_such_path())
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(app.clone(), middleware::every_answer))
        .with_state(app)
}

/// The routes of `[server] metrics_listen`.
pub fn metrics_router(app: App) -> Router {
    Router::new().route("/metrics", get(metrics::render)).with_state(app)
}

fn panicked(_panic: Box<dyn std::any::Any + Send + 'static>) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    tracing::error!("a handler panicked");
    ::metrics::counter!("countersign_panics_total").increment(1);
    Problem::from(crate::engine::Failure::Internal).into_response()
}
