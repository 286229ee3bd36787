//! Owns `/v1/grants` and the public keys.
//!
//! Never logs a token, and tells a client that is not the audience nothing about a grant.

use super::App;
use super::auth::Redeemer;
use super::body::{self, StrictJson};
use super::problem::{Problem, ProblemDocument};
use crate::domain::bodies::{RedeemBody, RedeemProof};
use crate::domain::json;
use crate::engine::Failure;
use crate::engine::grants::{Bound, Introspection};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

/// How long others may keep our public keys, in seconds.
const JWKS_CACHE: &str = "public, max-age=300";

/// Use a grant, exactly once. A refusal consumes nothing.
#[utoipa::path(
    post, path = "/v1/grants/redeem", tag = "grants", request_body = super::documents::RedeemDocument,
    responses((status = 200, body = super::documents::RedeemedDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 410, body = ProblemDocument), (status = 422, body = ProblemDocument))
)]
pub async fn redeem(State(app): State<App>, Redeemer(client): Redeemer, StrictJson(body): StrictJson) -> Result<Json<Value>, Problem> {
    let body = RedeemBody::from_value(&body)?;
    let bound = match body.proof {
        RedeemProof::Parameters(parameters) => Bound::Parameters(parameters),
        RedeemProof::Digest(digest) => Bound::Digest(digest),
        RedeemProof::Missing => {
            return Err(Failure::invalid(
                "parameters_required",
                "/parameters",
                "Give the parameters that are about to be used, or their digest.",
            )
            .into());
        }
    };
    let redeemed = app.engine.redeem(&client, body.token.expose_secret(), bound).await.map_err(|failure| Problem::from(failure).noted())?;
    let asked = redeemed.request.asked();
    Ok(Json(json!({
        "request_id": redeemed.request.id(),
        "action": asked.ask.action,
        "resource": asked.ask.resource,
        "parameters": redeemed.request.parameters(),
        "jti": redeemed.jti,
        "redeemed_at": redeemed.at,
    })))
}

/// Ask whether a grant could be redeemed now (RFC 7662). Consumes nothing.
#[utoipa::path(
    post, path = "/v1/grants/introspect", tag = "grants",
    request_body(content = super::documents::IntrospectDocument, description = "As a form (token=…) or as JSON"),
    responses((status = 200, body = super::documents::IntrospectionDocument), (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 422, body = ProblemDocument))
)]
pub async fn introspect(State(app): State<App>, Redeemer(client): Redeemer, request: Request) -> Result<Json<Value>, Problem> {
    let token = token(request).await?;
    Ok(Json(match app.engine.introspect(&client, &token).await? {
        Introspection::Inactive => json!({"active": false}),
        Introspection::Active(claims) => {
            let mut answer = serde_json::to_value(*claims).unwrap_or_default();
            if let Some(answer) = answer.as_object_mut() {
                answer.insert("active".to_owned(), Value::Bool(true));
                answer.insert("token_type".to_owned(), Value::from("cs-grant+jwt"));
            }
            answer
        }
    }))
}

async fn token(request: Request) -> Result<String, Problem> {
    let (parts, content) = request.into_parts();
    let media_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let bytes = body::read(content, body::LIMIT).await?;
    let missing = || Problem::malformed("token is missing.");
    match essence.as_str() {
        "application/x-www-form-urlencoded" => {
            url::form_urlencoded::parse(&bytes).find(|(name, _)| name == "token").map(|(_, token)| token.into_owned()).ok_or_else(missing)
        }
        "application/json" => json::parse(&bytes)?.get("token").and_then(Value::as_str).map(str::to_owned).ok_or_else(missing),
        _ => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Send a form or JSON with the member token.")),
    }
}

/// The public keys that verify grants (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "grants", responses((status = 200, description = "A JSON Web Key Set", body = Object)))]
pub async fn jwks(State(app): State<App>) -> Response {
    let cache = (HeaderName::from_static("cache-control"), HeaderValue::from_static(JWKS_CACHE));
    ([cache], Json(app.engine.signer.jwks())).into_response()
}
