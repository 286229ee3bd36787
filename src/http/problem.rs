//! Owns how a failure looks on the wire: `application/problem+json` (RFC 9457), and the only place that knows status codes.
//!
//! Never carries an internal message, SQL or a secret: the text is the failure's own sentence.

use crate::domain::field_error::FieldError;
use crate::domain::json::JsonError;
use crate::domain::request::{GrantReason, Refused};
use crate::domain::reviewer::Ineligible;
use crate::engine::Failure;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

/// Seconds after which a busy or unavailable server may be asked again.
const RETRY_AFTER: &str = "1";

/// A problem document.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    /// The use case has recorded the refusal already.
    noted: bool,
}

/// Put on a refused response, so that the refusal can be recorded with whoever was refused.
#[derive(Debug, Clone, Copy)]
pub struct RefusedWith {
    /// Stable code.
    pub code: &'static str,
    /// The use case has recorded it already.
    pub noted: bool,
}

/// The document as OpenAPI describes it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// `urn:countersign:problem:<slug>`.
    pub r#type: String,
    /// Short, the same for every problem of the type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do.
    pub detail: String,
    /// Where, when it is about the body.
    pub errors: Vec<FieldErrorDocument>,
}

/// One wrong place.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FieldErrorDocument {
    /// RFC 6901 pointer into the body.
    pub pointer: String,
    /// What is wrong.
    pub detail: String,
}

impl Problem {
    /// A problem with a sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), noted: false }
    }

    /// 401: no credential, or none that is known. No detail for strangers.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid credential is required: Authorization: Bearer <API key>.")
    }

    /// 403: the credential lacks the scope.
    #[must_use]
    pub fn missing_scope(scope: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "missing_scope", format!("This credential lacks the scope {scope}."))
    }

    /// 404 for a path that does not exist.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such path. The API is described at /docs.")
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This path does not take that method.")
    }

    /// 400 with a sentence.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// The use case has recorded the refusal already.
    #[must_use]
    pub fn noted(mut self) -> Self {
        self.noted = true;
        self
    }

    /// Adds places.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn title(&self) -> String {
        let words = self.code.replace('_', " ");
        let mut letters = words.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let status = match &failure {
            Failure::NotFound(_) => StatusCode::NOT_FOUND,
            Failure::Forbidden { .. } => StatusCode::FORBIDDEN,
            Failure::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Failure::Refused(refused) => refused_status(refused),
            Failure::BadToken => StatusCode::UNAUTHORIZED,
            Failure::GrantExpired => StatusCode::GONE,
            Failure::Conflict { .. } => StatusCode::CONFLICT,
            Failure::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Failure::DirectoryUnavailable | Failure::Busy | Failure::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let errors = match &failure {
            Failure::Invalid { errors, .. } => errors.clone(),
            Failure::Refused(Refused::EditOutOfBounds(errors)) => errors.iter().map(in_parameters).collect(),
            Failure::Refused(refused @ Refused::UnknownOption) => vec![FieldError::new("/option", refused.to_string())],
            Failure::Refused(refused @ Refused::CommentRequired) => vec![FieldError::new("/comment", refused.to_string())],
            Failure::Refused(refused @ Refused::NotOffered(_)) => vec![FieldError::new("/decision", refused.to_string())],
            Failure::Refused(refused @ (Refused::EditRepeats | Refused::EditDeniedByPolicy(_))) => {
                vec![FieldError::new("/parameters", refused.to_string())]
            }
            _ => Vec::new(),
        };
        Self { status, code: code(&failure), detail: failure.to_string(), errors, noted: false }
    }
}

/// The domain points into the parameters; the caller's body has them in a member.
fn in_parameters(error: &FieldError) -> FieldError {
    FieldError::new(format!("/parameters{}", error.pointer), error.detail.clone())
}

/// The slug: the failure's own code, in the words of the contract where several codes share one.
fn code(failure: &Failure) -> &'static str {
    match failure {
        Failure::Refused(Refused::Expired) => "already_decided",
        Failure::Refused(Refused::Ineligible(reason)) => match reason {
            Ineligible::Owner | Ineligible::OnBehalfOf => "self_approval",
            Ineligible::DirectoryUnavailable => "directory_unavailable",
            Ineligible::ClientFrozen => "client_frozen",
            Ineligible::NotActive
            | Ineligible::NotHuman
            | Ineligible::NoSeat(_)
            | Ineligible::SeatTaken(_)
            | Ineligible::ReviewerCondition
            | Ineligible::OwnerUnknown => "not_eligible",
        },
        other => other.code(),
    }
}

fn refused_status(refused: &Refused) -> StatusCode {
    match refused {
        Refused::Ineligible(Ineligible::DirectoryUnavailable) => StatusCode::SERVICE_UNAVAILABLE,
        Refused::Ineligible(_) | Refused::NotRequester | Refused::NoGrant(GrantReason::Revoked | GrantReason::Frozen) => {
            StatusCode::FORBIDDEN
        }
        Refused::EditRepeats
        | Refused::EditOutOfBounds(_)
        | Refused::EditDeniedByPolicy(_)
        | Refused::NotOffered(_)
        | Refused::CommentRequired
        | Refused::UnknownOption => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::NoGrant(GrantReason::Lapsed) | Refused::Superseded => StatusCode::GONE,
        Refused::AlreadyDecided(..)
        | Refused::Expired
        | Refused::DigestChanged
        | Refused::SameReview(_)
        | Refused::RecheckNeeded(_)
        | Refused::Stale
        | Refused::NothingDue
        | Refused::NotApproved
        | Refused::NoGrant(GrantReason::Redeemed)
        | Refused::OutcomeReported => StatusCode::CONFLICT,
    }
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Refused(errors) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", "The body is not acceptable; see errors.")
                    .with_errors(errors)
            }
            malformed @ JsonError::Malformed { .. } => Self::malformed(malformed.to_string()),
        }
    }
}

impl From<Vec<FieldError>> for Problem {
    fn from(errors: Vec<FieldError>) -> Self {
        Failure::invalid_fields(errors).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:countersign:problem:{}", self.code),
            "title": self.title(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "errors": self.errors,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"countersign\""));
        }
        response.extensions_mut().insert(RefusedWith { code: self.code, noted: self.noted });
        response
    }
}
