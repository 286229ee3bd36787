//! Owns who is asking: extractors that are capabilities. A handler's signature says what its caller must be able to do,
//! and a handler that takes none of them serves strangers.
//!
//! Never tells a stranger why a credential is not good, and never compares secrets but by their SHA-256.

use super::problem::Problem;
use super::{App, sessions};
use crate::config::api_key;
use crate::domain::audit::Actor;
use crate::engine::caller::{Caller, Client, Scope, SignedIn};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::{Arc, OnceLock};

/// Filled in once it is known who asks, so that a refusal can be recorded.
#[derive(Debug, Clone, Default)]
pub struct WhoAsked(pub Arc<OnceLock<Actor>>);

/// Any authenticated caller.
#[derive(Debug)]
pub struct Authenticated(pub Caller);

/// What a caller proved itself with, kept by those who answer for a long time: it may end while they do.
#[derive(Debug)]
pub enum Credential {
    /// SHA-256 of the API key.
    Key([u8; 32]),
    /// The session's token.
    Session(SecretString),
}

impl Credential {
    fn sent(headers: &HeaderMap) -> Option<Self> {
        match headers.get(header::AUTHORIZATION) {
            Some(value) => value.to_str().ok().and_then(bearer).map(|token| Self::Key(api_key::hash(token))),
            None => sessions::token(headers).map(|token| Self::Session(SecretString::from(token))),
        }
    }

    /// Whose it is now.
    ///
    /// # Errors
    /// 401 once it is worth nothing.
    pub async fn caller(&self, app: &App) -> Result<Caller, Problem> {
        match self {
            Self::Key(hash) => Ok(Caller::Client(client(app, hash).await?)),
            Self::Session(token) => app.sessions.of(token.expose_secret()).map(Caller::Person).ok_or_else(Problem::unauthorized),
        }
    }
}

impl FromRequestParts<App> for Credential {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Problem> {
        Self::sent(&parts.headers).ok_or_else(Problem::unauthorized)
    }
}

/// A signed-in person.
#[derive(Debug)]
pub struct Signed(pub SignedIn);

impl FromRequestParts<App> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => {
                let token = value.to_str().ok().and_then(bearer).ok_or_else(Problem::unauthorized)?;
                Caller::Client(client(app, &api_key::hash(token)).await?)
            }
            None => Caller::Person(app.sessions.signed_in(&parts.headers, &parts.method).ok_or_else(Problem::unauthorized)?),
        };
        if let Some(WhoAsked(who)) = parts.extensions.get() {
            let _ = who.set(caller.actor());
        }
        Ok(Self(caller))
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn client(app: &App, hash: &[u8; 32]) -> Result<Client, Problem> {
    let known = app
        .engine
        .store
        .client_by_key_hash(hash, app.engine.clock.now())
        .await
        .map_err(|error| Problem::from(crate::engine::Failure::from(error)))?;
    match known {
        Some(client) if client.enabled => Ok(client),
        Some(_) | None => {
            metrics::counter!("countersign_unauthenticated_total").increment(1);
            Err(Problem::unauthorized())
        }
    }
}

impl FromRequestParts<App> for Signed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Authenticated::from_request_parts(parts, app).await?.0 {
            Caller::Person(person) => Ok(Self(person)),
            Caller::Client(_) => {
                Err(Problem::new(StatusCode::FORBIDDEN, "people_only", "Only a signed-in person may review; an API key never does."))
            }
        }
    }
}

macro_rules! capability {
    ($(#[$doc:meta])* $name:ident, $scope:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(pub Client);

        impl $name {
            /// The scope that the client must have.
            pub const SCOPE: Scope = Scope::$scope;
        }

        impl FromRequestParts<App> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
                match Authenticated::from_request_parts(parts, app).await?.0 {
                    Caller::Client(client) if client.may(Self::SCOPE) => Ok(Self(client)),
                    Caller::Client(_) | Caller::Person(_) => Err(Problem::missing_scope(Self::SCOPE.as_str())),
                }
            }
        }
    };
}

capability!(
    /// May create requests and act on its own.
    Requester, RequestsWrite
);
capability!(
    /// May redeem and introspect grants.
    Redeemer, GrantsRedeem
);
capability!(
    /// May read the policy.
    PolicyReader, PolicyRead
);
capability!(
    /// May replace the policy.
    PolicyWriter, PolicyWrite
);
capability!(
    /// May manage clients.
    ClientAdmin, ClientsWrite
);
capability!(
    /// May read the audit log.
    Auditor, AuditRead
);
