//! Owns who is asking: an authenticated client with its scopes, or a signed-in person.
//!
//! Never authenticates: the edges do, and hand over one of these.

use crate::domain::audit::Actor;
use crate::domain::ids::PersonId;
use crate::domain::request::Request;

pub use crate::domain::client::{Client, Scope};

/// A signed-in person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The pseudonym.
    pub id: PersonId,
    /// The directory's key of the person; asked again at every act.
    pub key: String,
    /// Where they signed in.
    pub via: crate::domain::person::Via,
}

/// Whoever is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A client.
    Client(Client),
    /// A person.
    Person(SignedIn),
}

impl Caller {
    /// As the log names them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        match self {
            Self::Client(client) => Actor::Client(client.id.clone()),
            Self::Person(person) => Actor::Person(person.id.clone()),
        }
    }

    /// The client that made the request.
    #[must_use]
    pub fn is_requester(&self, request: &Request) -> bool {
        matches!(self, Self::Client(client) if client.id == request.asked().client.id)
    }
}
