//! Owns the reasons for which a use case does not do what it was asked, in the terms of the product.
//!
//! Never knows a status code of HTTP, and never carries an internal message outwards.

use crate::domain::field_error::FieldError;
use crate::domain::request::Refused;
use crate::store::StoreError;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no such thing, or it is not the caller's.
    #[error("There is no such {0}, or it is not yours.")]
    NotFound(&'static str),
    /// The caller may not.
    #[error("{detail}")]
    Forbidden {
        /// Stable code.
        code: &'static str,
        /// Why, and what to do.
        detail: String,
    },
    /// The input is well-formed but not acceptable.
    #[error("{detail}")]
    Invalid {
        /// Stable code.
        code: &'static str,
        /// What is wrong.
        detail: String,
        /// Where.
        errors: Vec<FieldError>,
    },
    /// The request does not move.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The token is not one of ours.
    #[error("The token is not a valid grant of this server.")]
    BadToken,
    /// The token was good once.
    #[error("The grant expired.")]
    GrantExpired,
    /// The state of something else stands in the way.
    #[error("{detail}")]
    Conflict {
        /// Stable code.
        code: &'static str,
        /// What.
        detail: String,
    },
    /// A precondition header does not hold.
    #[error("The policy changed since you read it: its version is {0}.")]
    PreconditionFailed(String),
    /// The directory did not answer.
    #[error("The company directory cannot be asked right now. Nothing was changed; try again.")]
    DirectoryUnavailable,
    /// More work is queued than can be taken.
    #[error("The server is busy. Nothing was changed; try again.")]
    Busy,
    /// The database does not answer.
    #[error("The database is not available. Nothing was acknowledged; try again.")]
    Unavailable,
    /// A defect; the log has the cause.
    #[error("Something went wrong on the server. Its log tells what.")]
    Internal,
}

impl Failure {
    /// A refusal with a sentence.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Forbidden { code, detail: detail.into() }
    }

    /// An unacceptable input at one place.
    pub fn invalid(code: &'static str, pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Invalid { code, errors: vec![FieldError::new(pointer, detail.clone())], detail }
    }

    /// An unacceptable input at several places.
    #[must_use]
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Self::Invalid { code: "invalid_request", detail: "The body is not acceptable; see errors.".to_owned(), errors }
    }

    /// Stable code, for the log and for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Forbidden { code, .. } | Self::Invalid { code, .. } | Self::Conflict { code, .. } => code,
            Self::Refused(refused) => refused.code(),
            Self::BadToken => "bad_token",
            Self::GrantExpired => "grant_expired",
            Self::PreconditionFailed(_) => "precondition_failed",
            Self::DirectoryUnavailable => "directory_unavailable",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Unavailable { .. } => {
                tracing::error!(error = %error, "the database is not available");
                Self::Unavailable
            }
            other => {
                tracing::error!(error = %other, "the store failed");
                Self::Internal
            }
        }
    }
}
