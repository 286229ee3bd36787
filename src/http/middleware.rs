//! Owns what every answer has: an id, its log line, its metrics, `no-store`, and the record of a refusal.
//!
//! Never logs a header, a body or a query: credentials and callers' texts travel there.

use super::auth::WhoAsked;
use super::problem::RefusedWith;
use super::{App, address};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::ids::RequestId;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use std::net::SocketAddr;
use std::time::Instant;
use tracing::Instrument as _;

/// Whatever is refused there is the refusal of a grant.
const REDEEM: &str = "/v1/grants/redeem";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps every route.
pub(super) async fn every_answer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let call: [u8; 16] = app.engine.random.bytes();
    let call = uuid::Builder::from_random_bytes(call).into_uuid().simple().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let about = about(request.uri().path());
    let trace = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).and_then(trace_id).map(str::to_owned);
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let address = peer.map(|peer| address::of_client(peer, request.headers(), &app.trusted_proxies).to_string()).unwrap_or_default();
    let who = WhoAsked::default();
    request.extensions_mut().insert(who.clone());
    let span = tracing::info_span!("http", call.id = %call, http.method = %method, http.route = %route, trace.id = trace.as_deref());
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    if let (Some(refused), Some(actor)) = (response.extensions().get::<RefusedWith>().copied(), who.0.get())
        && (status.is_client_error() || refused.code == "directory_unavailable")
        && !refused.noted
    {
        Box::pin(note(&app, actor, about.as_ref(), refused.code, &route)).instrument(span.clone()).await;
    }
    if status == StatusCode::UNAUTHORIZED
        && who.0.get().is_none()
        && let Some(unlogged) = app.strangers.line(app.engine.clock.now())
    {
        span.in_scope(|| tracing::warn!(client.address = address, unlogged, "a stranger was refused"));
    }
    let elapsed = started.elapsed();
    metrics::histogram!("countersign_http_seconds", "method" => method.to_string(), "route" => route, "status" => status.as_u16().to_string())
        .record(elapsed.as_secs_f64());
    span.in_scope(|| {
        let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if status.is_server_error() {
            tracing::warn!(client.address = address, http.status = status.as_u16(), duration_ms, "answered");
        } else {
            tracing::debug!(client.address = address, http.status = status.as_u16(), duration_ms, "answered");
        }
    });
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&call) {
        headers.insert(REQUEST_ID, value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Every refusal of a known caller is evidence; what strangers do is a metric.
async fn note(app: &App, actor: &Actor, request: Option<&RequestId>, code: &'static str, route: &str) {
    let kind = match actor {
        Actor::Person(_) => Kind::ReviewRefused,
        Actor::Client(_) | Actor::System if route == REDEEM => Kind::GrantRefused,
        Actor::Client(_) | Actor::System => Kind::ClientRefused,
    };
    app.engine.note_refusal(Entry::new(kind, actor.clone(), request).with("reason", code).with("route", route)).await;
}

/// The request that a path is about.
fn about(path: &str) -> Option<RequestId> {
    path.strip_prefix("/v1/requests/")?.split('/').next()?.parse().ok()
}

/// The trace id of a W3C `traceparent`: version, 32 hex, 16 hex, flags.
fn trace_id(value: &str) -> Option<&str> {
    let mut parts = value.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    (trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(trace)
}
