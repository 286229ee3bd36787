//! Owns the streams of server-sent events (HTML, section 9.2): one request, all requests, the audit log.
//!
//! Never shows a grant, a nonce, a state or an unmasked parameter, and never goes on for a caller whose credential ended:
//! it is asked again before every event and at every ping. Nothing is kept for a reader: the body makes the next piece when
//! the connection takes it, from the database, so a slow reader misses intermediate states and holds up nobody. An idle
//! stream costs its place in the register and one timer; it never asks whether something changed.

use super::App;
use super::audit;
use super::auth::{Auditor, Authenticated, Credential};
use super::extract::Path;
use super::problem::{Problem, ProblemDocument};
use super::requests::{only_own, request_id};
use crate::domain::ids::RequestId;
use crate::domain::request::{GrantReason, Request, Status};
use crate::domain::time::Timestamp;
use crate::engine::Failure;
use crate::engine::caller::{Caller, Scope};
use crate::engine::view::RequestView;
use crate::engine::waiters::{Waiting, Woken};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;

/// How long a stream is silent before it says that it is alive: below the usual patience of proxies.
pub const PING: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const REQUEST_UPDATED: &str = "request.updated";
/// Events of the log sent at once.
const BATCH: u32 = 64;
/// A busy log is read at most so often by one stream.
const BREATH: Duration = Duration::from_millis(50);

/// Follow one request: its present state first, then every change. `id` is the version.
#[utoipa::path(
    get, path = "/v1/requests/{id}/events", tag = "requests",
    params(("id" = String, Path), ("Last-Event-ID" = Option<String>, Header, description = "The version seen last: the stream goes on after it")),
    responses(
        (status = 200, description = "Server-sent events `request.updated`; ends once the request can change no more", body = RequestView, content_type = "text/event-stream"),
        (status = 204, description = "The request can change no more, and this state was seen: do not connect again"),
        (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 404, body = ProblemDocument),
    )
)]
pub async fn of_request(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    credential: Credential,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = last_event_id(&headers)?;
    let id = request_id(&id)?;
    let place = app.engine.waiters.register(&id);
    let request = app.engine.visible(&caller, &id).await?;
    // A version from the future is of another history, such as before a restore: the present state is news then.
    let known = last.filter(|last| *last <= request.version());
    let line = Line::new(app, credential, place);
    let mut stream = OneRequest { line, id, seen: known.unwrap_or(0), ends_at: None, over: false, look: true };
    if known == Some(request.version()) && stream.note(&request) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(answer(futures::stream::unfold(stream, OneRequest::next)))
}

/// Follow every request that the caller may see. `id` is a place in the audit log.
#[utoipa::path(
    get, path = "/v1/events", tag = "requests",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last place seen: the stream goes on after it; without it, from now on")),
    responses(
        (status = 200, description = "Server-sent events `request.updated`: each the present state of a request that changed", body = RequestView, content_type = "text/event-stream"),
        (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument),
    )
)]
pub async fn of_requests(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    credential: Credential,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    only_own(&caller)?;
    log(app, credential, &headers, Show::Requests).await
}

/// Follow the audit log. `id` is the place in it, the event's name its type.
#[utoipa::path(
    get, path = "/v1/audit/stream", tag = "audit",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last place seen: the stream goes on after it (0: from the beginning); without it, from now on")),
    responses(
        (status = 200, description = "Server-sent events: each an event of the log, as `/v1/audit/events` shows it", body = super::documents::AuditEventDocument, content_type = "text/event-stream"),
        (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument),
    )
)]
pub async fn of_log(
    State(app): State<App>,
    Auditor(_auditor): Auditor,
    credential: Credential,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    log(app, credential, &headers, Show::Events).await
}

async fn log(app: App, credential: Credential, headers: &HeaderMap, show: Show) -> Result<Response, Problem> {
    let last = last_event_id(headers)?;
    let place = app.engine.waiters.register_log();
    let head = app.engine.store.audit_head().await.map_err(Failure::from)?.seq;
    if last.is_some_and(|last| last > head) {
        return Err(Problem::malformed("Last-Event-ID lies beyond the end of the log."));
    }
    let line = Line::new(app, credential, place);
    let stream = Log { line, show, after: last.unwrap_or(head), opening: true, look: true, read_at: Instant::now() };
    Ok(answer(futures::stream::unfold(stream, Log::next)))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    // Both counts end at 63 bits.
    let number =
        value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse::<i64>().ok());
    match (number, values.next()) {
        (Some(number), None) => Ok(Some(number.unsigned_abs())),
        _ => Err(Problem::malformed("Last-Event-ID is not an id that this stream gave.")),
    }
}

fn answer(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx holds answers back unless it is told not to.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(pieces.map(Ok::<_, Infallible>))).into_response()
}

/// One event. JSON has no line break of its own, so one `data` line holds it.
fn event(name: &str, id: u64, data: &impl Serialize) -> Result<String, Failure> {
    let data = serde_json::to_string(data).map_err(|_| Failure::Internal)?;
    Ok(format!("event: {name}\nid: {id}\ndata: {data}\n\n"))
}

/// What a rest ended with.
enum Rest {
    Hint,
    Ping,
    Closing,
}

/// What every stream has: whose it is, where it is woken, and when it last said something.
struct Line {
    app: App,
    credential: Credential,
    place: Waiting,
    said: Instant,
}

impl Line {
    fn new(app: App, credential: Credential, place: Waiting) -> Self {
        metrics::gauge!("countersign_streams").increment(1.0);
        Self { app, credential, place, said: Instant::now() }
    }

    /// Until something may have changed, or the reader must hear that the stream is alive: hints that are about nothing for
    /// this reader do not put that off.
    async fn rest(&mut self) -> Rest {
        tokio::select! {
            woken = self.place.woken() => match woken {
                Woken::Hint => Rest::Hint,
                Woken::Closing => Rest::Closing,
            },
            () = tokio::time::sleep_until(self.said + self.app.ping) => Rest::Ping,
        }
    }

    /// The credential is worth nothing any more. When nobody can tell, there is nothing to show either: the stream rests on.
    async fn has_ended(&self) -> bool {
        self.credential.caller(&self.app).await.is_err_and(|problem| problem.status() == StatusCode::UNAUTHORIZED)
    }

    fn say(&mut self, text: String) -> Bytes {
        self.said = Instant::now();
        text.into()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        metrics::gauge!("countersign_streams").decrement(1.0);
    }
}

/// A piece of a body, and the stream that makes the next.
type Piece<S> = Option<(Bytes, S)>;

/// The stream of one request.
struct OneRequest {
    line: Line,
    id: RequestId,
    /// The version that the reader has.
    seen: u64,
    /// When it can change no more, though nothing happens then.
    ends_at: Option<Timestamp>,
    over: bool,
    /// Something may have changed.
    look: bool,
}

impl OneRequest {
    async fn next(mut self) -> Piece<Self> {
        loop {
            if self.over {
                return None;
            }
            if std::mem::take(&mut self.look)
                // Boxed: what a look needs is not kept while the stream rests.
                && let Some(piece) = Box::pin(self.changed()).await.ok()?
            {
                return Some((self.line.say(piece), self));
            }
            match self.line.rest().await {
                Rest::Hint => self.look = true,
                Rest::Closing => return None,
                Rest::Ping => {
                    let ended = self.ends_at.is_some_and(|end| self.line.app.engine.clock.now() >= end);
                    if ended || Box::pin(self.line.has_ended()).await {
                        return None;
                    }
                    return Some((self.line.say(": ping\n\n".to_owned()), self));
                }
            }
        }
    }

    /// The event, when there is a version that the reader does not have.
    async fn changed(&mut self) -> Result<Option<String>, Problem> {
        let caller = self.line.credential.caller(&self.line.app).await?;
        let request = self.line.app.engine.visible(&caller, &self.id).await?;
        self.over = self.note(&request);
        if request.version() <= self.seen {
            return Ok(None);
        }
        self.seen = request.version();
        let view = self.line.app.engine.view_for_readers(&request).await?;
        Ok(Some(event(REQUEST_UPDATED, self.seen, &view)?))
    }

    /// Notes how long it can go on; answers whether the request can change no more.
    fn note(&mut self, request: &Request) -> bool {
        let Some(approval) = request.approved() else { return request.status() != Status::Pending };
        let left = request.grant_reason(self.line.app.engine.clock.now(), None);
        self.ends_at = left.is_none().then_some(approval.valid_until);
        approval.outcome.is_some() || matches!(left, Some(GrantReason::Revoked | GrantReason::Lapsed))
    }
}

/// What a stream shows of the log.
#[derive(Debug, Clone, Copy)]
enum Show {
    /// The requests that changed.
    Requests,
    /// The events themselves.
    Events,
}

/// A stream along the log.
struct Log {
    line: Line,
    show: Show,
    /// Up to where the reader has it.
    after: u64,
    opening: bool,
    /// There is more to read, or may be.
    look: bool,
    read_at: Instant,
}

impl Log {
    async fn next(mut self) -> Piece<Self> {
        if std::mem::take(&mut self.opening) {
            return Some((self.position(), self));
        }
        loop {
            while std::mem::take(&mut self.look) {
                let piece = Box::pin(self.read()).await.ok()?;
                if !piece.is_empty() {
                    return Some((self.line.say(piece), self));
                }
                // A long way through events that are nothing for this reader.
                if self.line.place.is_closing() {
                    return None;
                }
                if self.line.said.elapsed() >= self.line.app.ping {
                    return Some((self.position(), self));
                }
            }
            match self.line.rest().await {
                Rest::Hint => {
                    tokio::time::sleep_until(self.read_at + BREATH).await;
                    self.look = true;
                }
                Rest::Closing => return None,
                Rest::Ping => {
                    if Box::pin(self.line.has_ended()).await {
                        return None;
                    }
                    return Some((self.position(), self));
                }
            }
        }
    }

    /// A comment with the place up to which there was nothing for this reader: whoever is cut off goes on from here.
    fn position(&mut self) -> Bytes {
        let text = format!(": ping\nid: {}\n\n", self.after);
        self.line.say(text)
    }

    /// The next events; none when there is nothing for this reader.
    async fn read(&mut self) -> Result<String, Problem> {
        self.read_at = Instant::now();
        let caller = self.line.credential.caller(&self.line.app).await?;
        match self.show {
            Show::Requests => self.requests(&caller).await,
            Show::Events => self.events(&caller).await,
        }
    }

    async fn requests(&mut self, caller: &Caller) -> Result<String, Problem> {
        only_own(caller)?;
        let engine = &self.line.app.engine;
        let batch = engine.changed_after(caller, self.after).await?;
        let mut text = String::new();
        for (seq, request) in &batch.changed {
            text.push_str(&event(REQUEST_UPDATED, *seq, &engine.view_for_readers(request).await?)?);
        }
        (self.after, self.look) = (batch.after, batch.more);
        Ok(text)
    }

    async fn events(&mut self, caller: &Caller) -> Result<String, Problem> {
        if !matches!(caller, Caller::Client(client) if client.may(Scope::AuditRead)) {
            return Err(Problem::missing_scope(Scope::AuditRead.as_str()));
        }
        let rows = self.line.app.engine.store.audit_rows(self.after, BATCH).await.map_err(Failure::from)?;
        let mut text = String::new();
        for row in &rows {
            let shown = audit::event(row)?;
            text.push_str(&event(shown["type"].as_str().unwrap_or_default(), row.seq, &shown)?);
        }
        self.after = rows.last().map_or(self.after, |row| row.seq);
        self.look = rows.len() == BATCH as usize;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<S, F>(_: impl Fn(S) -> F) -> usize {
        size_of::<S>() + size_of::<F>()
    }

    /// Ten thousand callers may have one each; what a look at the database needs is allocated while it lasts.
    #[test]
    fn an_idle_stream_is_small() {
        let (one, log) = (size_of_future(OneRequest::next), size_of_future(Log::next));
        assert!(one <= 2_048 && log <= 2_048, "{one} and {log} bytes");
    }
}
