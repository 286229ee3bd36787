//! Owns reading what stands in the path, the query and a form, so that their mistakes are problem documents like all others.
//!
//! Never lets a NUL through: no id, name or word has one, and PostgreSQL would refuse the statement that carries it.

use super::problem::Problem;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// The query of a call. A parameter that is given twice is a mistake; an unknown one is ignored.
#[derive(Debug)]
pub struct Query<T>(pub T);

/// The variable segments of the path.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// A form of our own pages.
#[derive(Debug)]
pub(super) struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::extract::Form::from_request(request, state).await {
            Ok(axum::extract::Form(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::malformed("The form cannot be read: is a field missing?")),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        if url::form_urlencoded::parse(query.as_bytes()).any(|(_, value)| value.contains('\0')) {
            return Err(Problem::malformed("The query holds the NUL character."));
        }
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|_| Problem::malformed("The query cannot be read: is a parameter given twice?"))
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::malformed("The path is not UTF-8 once it is decoded.")),
        }
    }
}
