//! Owns the sessions of signed-in people. A server that offers no way to sign in has none, whatever cookie is sent.
//!
//! Never takes a cookie across sites: it is `SameSite=Strict`, and a changing request must come from our own origin.

use crate::engine::caller::SignedIn;
use axum::http::{HeaderMap, Method, header};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Name of the cookie.
pub const COOKIE: &str = "countersign_session";

/// The sessions of this process.
#[derive(Debug, Default)]
pub struct Sessions {
    /// `None`: nobody can sign in here.
    open: Option<Demo>,
}

#[derive(Debug)]
struct Demo {
    origin: String,
    people: RwLock<HashMap<String, SignedIn>>,
}

impl Sessions {
    /// Sessions of `countersign demo`, whose page lets anybody at this machine be one of the sample people.
    #[must_use]
    pub fn demo(origin: &str) -> Self {
        Self { open: Some(Demo { origin: origin.to_owned(), people: RwLock::default() }) }
    }

    /// Opens a session under an unguessable token. Does nothing where nobody can sign in.
    pub fn open(&self, token: String, person: SignedIn) {
        if let Some(demo) = &self.open {
            demo.people.write().unwrap_or_else(PoisonError::into_inner).insert(token, person);
        }
    }

    /// Who sent this, by the cookie.
    #[must_use]
    pub fn signed_in(&self, headers: &HeaderMap, method: &Method) -> Option<SignedIn> {
        let demo = self.open.as_ref()?;
        if !method.is_safe() && !same_origin(headers, &demo.origin) {
            return None;
        }
        self.of(token(headers)?)
    }

    /// Whose session that is now.
    #[must_use]
    pub fn of(&self, token: &str) -> Option<SignedIn> {
        self.open.as_ref()?.people.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// The token in the cookie.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Browsers send `Origin` with every changing request; one that is missing or foreign is a no.
fn same_origin(headers: &HeaderMap, origin: &str) -> bool {
    headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()).is_some_and(|sent| sent == origin)
}
