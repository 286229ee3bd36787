//! Owns `/v1/policy`: reading the active policy, checking another one, and replacing it.
//!
//! Never replaces a policy that somebody else changed in between: the version must be named.

use super::App;
use super::auth::{PolicyReader, PolicyWriter};
use super::body::PolicyText;
use super::problem::{Problem, ProblemDocument};
use crate::domain::audit::Actor;
use crate::domain::field_error::FieldError;
use crate::domain::policy::{Finding, Policy};
use crate::engine::Failure;
use crate::engine::admin::PolicyRefused;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Read the active policy, as TOML. The ETag is its version.
#[utoipa::path(get, path = "/v1/policy", tag = "policy", responses((status = 200, description = "The policy", body = String, content_type = "application/toml"), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument)))]
pub async fn read(State(app): State<App>, PolicyReader(_reader): PolicyReader) -> Result<Response, Problem> {
    let policy = app.engine.policy();
    let text = app.engine.store.policy_text(policy.version()).await.map_err(Failure::from)?.ok_or(Failure::Internal)?;
    Ok(with_etag((StatusCode::OK, text).into_response(), policy.version()))
}

/// Replace the policy. `If-Match` names the version that is replaced.
#[utoipa::path(put, path = "/v1/policy", tag = "policy", params(("If-Match" = String, Header)), request_body(content = String, content_type = "application/toml"), responses((status = 200, body = super::documents::PolicyVersionDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument), (status = 409, body = ProblemDocument), (status = 412, body = ProblemDocument), (status = 422, body = ProblemDocument), (status = 428, body = ProblemDocument)))]
pub async fn replace(
    State(app): State<App>,
    PolicyWriter(client): PolicyWriter,
    headers: HeaderMap,
    PolicyText(text): PolicyText,
) -> Result<Response, Problem> {
    if app.engine.settings.policy_is_file_managed {
        return Err(app
            .engine
            .replace_policy(&text, "", Actor::Client(client.id))
            .await
            .map_or_else(refused, |_| Failure::Internal.into()));
    }
    let Some(expected) = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "precondition_required",
            "Name the version that you replace: If-Match: \"<ETag of GET /v1/policy>\".",
        ));
    };
    let expected = expected.trim().trim_matches('"').to_owned();
    let policy = app.engine.replace_policy(&text, &expected, Actor::Client(client.id)).await.map_err(refused)?;
    let answer = Json(json!({"version": policy.version(), "warnings": policy.warnings().iter().map(finding).collect::<Vec<_>>()}));
    Ok(with_etag(answer.into_response(), policy.version()))
}

/// Check a policy without making it the active one.
#[utoipa::path(post, path = "/v1/policy/check", tag = "policy", request_body(content = String, content_type = "application/toml"), responses((status = 200, body = super::documents::PolicyCheckDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument)))]
pub async fn check(PolicyReader(_reader): PolicyReader, PolicyText(text): PolicyText) -> Json<Value> {
    let answer = match Policy::parse(&text) {
        Ok(policy) => {
            json!({"ok": true, "version": policy.version(), "findings": policy.warnings().iter().map(finding).collect::<Vec<_>>()})
        }
        Err(findings) => json!({"ok": false, "version": null, "findings": findings.iter().map(finding).collect::<Vec<_>>()}),
    };
    Json(answer)
}

fn with_etag(mut response: Response, version: &str) -> Response {
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn finding(finding: &Finding) -> Value {
    json!({
        "line": finding.line,
        "column": finding.column,
        "severity": finding.severity,
        "rule": finding.rule,
        "message": finding.message,
    })
}

fn refused(refused: PolicyRefused) -> Problem {
    match refused {
        PolicyRefused::Failure(failure) => failure.into(),
        PolicyRefused::Findings(findings) => {
            let errors = findings
                .iter()
                .map(|finding| FieldError::new("", format!("line {}, column {}: {}", finding.line, finding.column, finding.message)))
                .collect();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_policy", "The policy has mistakes; see errors.").with_errors(errors)
        }
    }
}
