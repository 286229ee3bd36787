//! Owns reading a body: its media type, its size, and strict JSON.
//!
//! Never lets more than the limit into memory, and never guesses: what is not JSON is refused before anything looks at it.

use super::problem::Problem;
use crate::domain::json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use futures::StreamExt as _;
use serde_json::Value;
use std::time::Duration;

/// Limit of every body but a policy's.
pub const LIMIT: usize = 256 * 1024;
/// Limit of a policy.
pub const POLICY_LIMIT: usize = 8 * 1024 * 1024;

/// What is read and thrown away beyond the limit: a connection that is closed on unread bytes is reset, and the caller
/// would see that instead of the answer.
const DRAIN: usize = 4 * 1024 * 1024;
/// How long the rest may take to come: whoever sends no more is answered all the same.
const DRAIN_FOR: Duration = Duration::from_secs(1);

/// How long a body may take to come: whoever trickles it must not hold a connection for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// A strictly parsed JSON body.
#[derive(Debug)]
pub struct StrictJson(pub Value);

/// A strictly parsed JSON body, or `{}` when there is none.
#[derive(Debug)]
pub struct OptionalJson(pub Value);

/// A text body of at most [`POLICY_LIMIT`] bytes.
#[derive(Debug)]
pub struct PolicyText(pub String);

impl<S: Send + Sync> FromRequest<S> for StrictJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(media_type) {
            return Err(unsupported("Send the body as application/json."));
        }
        let bytes = read(body, LIMIT).await?;
        Ok(Self(json::parse(&bytes)?))
    }
}

impl<S: Send + Sync> FromRequest<S> for OptionalJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, LIMIT).await?;
        if bytes.is_empty() {
            return Ok(Self(Value::Object(serde_json::Map::new())));
        }
        let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(media_type) {
            return Err(unsupported("Send the body as application/json."));
        }
        Ok(Self(json::parse(&bytes)?))
    }
}

impl<S: Send + Sync> FromRequest<S> for PolicyText {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = read(request.into_body(), POLICY_LIMIT).await?;
        String::from_utf8(bytes.into()).map(Self).map_err(|_| Problem::malformed("The policy is not UTF-8."))
    }
}

/// Reads a whole body, or refuses it once it is larger than `limit`.
///
/// # Errors
/// 413 when too large, 400 when the connection broke, 408 when it takes longer than 30 s.
pub async fn read(body: Body, limit: usize) -> Result<axum::body::Bytes, Problem> {
    let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", format!("The body did not come within {} s.", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, read_all(body, limit)).await.unwrap_or_else(|_| Err(late()))
}

async fn read_all(body: Body, limit: usize) -> Result<axum::body::Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut kept = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::malformed("The body could not be read to its end."))?;
        if kept.len().saturating_add(chunk.len()) > limit {
            // Whether the rest comes, and how it ends, changes nothing.
            let _ = tokio::time::timeout(DRAIN_FOR, drain(chunks)).await;
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", format!("The body is larger than {} KiB.", limit / 1024)));
        }
        kept.extend_from_slice(&chunk);
    }
    Ok(kept.into())
}

/// Throws away what still comes, up to [`DRAIN`] bytes.
async fn drain(mut chunks: BodyDataStream) {
    let mut length = 0_usize;
    while let Some(Ok(chunk)) = chunks.next().await {
        length = length.saturating_add(chunk.len());
        if length > DRAIN {
            return;
        }
    }
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
}

fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
