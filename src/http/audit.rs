//! Owns `/v1/audit/events`: the log, as it stands.
//!
//! Never adds names or texts to an event: what is returned is what was hashed.

use super::App;
use super::auth::Auditor;
use super::extract::Query;
use super::problem::{Problem, ProblemDocument};
use super::requests::limit;
use crate::domain::audit::hex;
use crate::domain::ids::RequestId;
use crate::domain::time::Timestamp;
use crate::engine::Failure;
use crate::store::{AuditFilter, AuditRow};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// The query of the log.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Events after this `seq`.
    pub after: Option<String>,
    /// At most so many (default 50, clamped to 200).
    pub limit: Option<String>,
    /// The same as `after`, for clients that page by cursor.
    pub cursor: Option<String>,
    /// Of one request.
    pub request: Option<String>,
    /// By one person (`per_…`).
    pub person: Option<String>,
    /// By one client (`cli_…`).
    pub client: Option<String>,
    /// Of requests for one action.
    pub action: Option<String>,
    /// Of requests for one resource (`resource.id`).
    pub resource: Option<String>,
    /// Of requests in one environment.
    pub environment: Option<String>,
    /// Of requests with this text in action, resource id, summary or requester.
    pub q: Option<String>,
    /// Of one type.
    pub r#type: Option<String>,
    /// Not earlier than this (RFC 3339).
    pub from: Option<String>,
    /// Earlier than this (RFC 3339).
    pub to: Option<String>,
}

/// Read the audit log, oldest first.
#[utoipa::path(get, path = "/v1/audit/events", tag = "audit", params(AuditQuery), responses((status = 200, body = super::documents::AuditPage), (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument)))]
pub async fn events(State(app): State<App>, Auditor(_auditor): Auditor, Query(query): Query<AuditQuery>) -> Result<Json<Value>, Problem> {
    let limit = limit(query.limit.as_deref())?;
    let filter = AuditFilter {
        after: number(query.after.as_deref().or(query.cursor.as_deref()))?,
        request: query.request.as_deref().map(request).transpose()?,
        actor: match (query.person, query.client) {
            // Nothing is done by a person and a client at once.
            (Some(_), Some(_)) => return Ok(Json(json!({"items": [], "next_cursor": null}))),
            (person, client) => person.or(client),
        },
        kind: query.r#type,
        action: query.action,
        resource: query.resource,
        environment: query.environment,
        q: query.q.filter(|q| !q.is_empty()),
        from: time(query.from.as_deref(), "from")?,
        to: time(query.to.as_deref(), "to")?,
    };
    let mut rows = app.engine.store.audit_events(&filter, limit + 1).await.map_err(Failure::from)?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = more.then(|| rows.last().map(|row| row.seq.to_string())).flatten();
    let items = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(json!({"items": items, "next_cursor": next})))
}

pub(super) fn event(row: &AuditRow) -> Result<Value, Problem> {
    let mut event: Value = serde_json::from_str(&row.event).map_err(|_| {
        tracing::error!(seq = row.seq, "an audit event is not JSON; run: countersign audit verify");
        Failure::Internal
    })?;
    if let Some(event) = event.as_object_mut() {
        event.insert("leaf_hash".to_owned(), Value::from(hex(&row.leaf_hash)));
        event.insert("chain_hash".to_owned(), Value::from(hex(&row.chain_hash)));
    }
    Ok(event)
}

fn number(text: Option<&str>) -> Result<u64, Problem> {
    // The log counts in 63 bits.
    let number = |text: &str| text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    text.map_or(Ok(0), |text| number(text).ok_or_else(|| Problem::malformed("after is not a whole number that a log can reach.")))
}

fn request(text: &str) -> Result<RequestId, Problem> {
    text.parse().map_err(|_| Problem::malformed("request is not the id of a request (req_…)."))
}

fn time(text: Option<&str>, name: &str) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| Timestamp::parse(text).ok_or_else(|| Problem::malformed(format!("{name} is not an RFC 3339 time.")))).transpose()
}
