//! Owns reading and waiting: one request, a list of them, and a caller that holds the line until something changes.
//!
//! Never polls per waiter: a waiter registers, reads, and sleeps until a hint or its time is over.

use super::caller::{Caller, Client, Scope};
use super::waiters::Woken;
use super::{Engine, Failure};
use crate::directory::Identity;
use crate::domain::ids::RequestId;
use crate::domain::person::Person;
use crate::domain::request::Request;
use crate::domain::seats;
use std::time::Duration;

/// What ends a wait besides its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// A terminal status.
    Decided,
    /// A version greater than this one.
    Changed(u64),
}

/// How long and for what a caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// At most this long.
    pub patience: Duration,
    /// For what.
    pub until: Until,
}

impl Until {
    fn reached(self, request: &Request) -> bool {
        match self {
            Self::Decided => request.status().is_terminal(),
            Self::Changed(version) => request.version() > version,
        }
    }
}

impl Engine {
    /// A request that the caller may see.
    ///
    /// # Errors
    /// `NotFound` when there is none, or it is not the caller's to see.
    pub async fn visible(&self, caller: &Caller, id: &RequestId) -> Result<Request, Failure> {
        let request = self.store.request(id).await?.ok_or(Failure::NotFound("request"))?;
        self.check_visible(caller, &request).await?;
        Ok(request)
    }

    async fn check_visible(&self, caller: &Caller, request: &Request) -> Result<(), Failure> {
        let visible = match caller {
            Caller::Client(client) => client.id == request.asked().client.id || client.may(Scope::RequestsRead),
            Caller::Person(signed_in) => {
                let person = self.present(&Identity::Key(signed_in.key.clone())).await?.ok_or(Failure::NotFound("request"))?;
                let owner = self.store.client(&request.asked().client.id).await?.and_then(|client| client.owner);
                self.person_sees(&person, owner.as_deref(), request)
            }
        };
        if visible { Ok(()) } else { Err(Failure::NotFound("request")) }
    }

    /// Persons see what they may decide, started, own or administer.
    #[must_use]
    pub fn person_sees(&self, person: &Person, owner: Option<&str>, request: &Request) -> bool {
        person.active
            && (self.administers(person)
                || owner.is_some_and(|owner| person.is_named_by(owner))
                || request.asked().on_behalf_of.as_ref().is_some_and(|behalf| behalf.id == person.id)
                || request.reviews().iter().any(|review| *review.person() == person.id)
                || seats::can_fill_any(&request.requirements().seats, &person.candidate()))
    }

    /// The person is in one of the admin groups. An empty list means nobody.
    #[must_use]
    pub fn administers(&self, person: &Person) -> bool {
        person.active && person.human && self.settings.admin_groups.iter().any(|group| person.groups.contains(group))
    }

    /// Waits until the request is what the caller waits for, its time is over, or the server stops; answers with the present state.
    ///
    /// # Errors
    /// When the request vanished or the store fails.
    pub async fn follow(&self, request: Request, wait: Option<Wait>) -> Result<Request, Failure> {
        let Some(wait) = wait else { return Ok(request) };
        if wait.until.reached(&request) {
            return Ok(request);
        }
        let id: RequestId = request.id().clone();
        drop(request);
        let mut place = self.waiters.register(&id);
        let patience = tokio::time::sleep(wait.patience);
        tokio::pin!(patience);
        loop {
            let request = self.store.request(&id).await?.ok_or(Failure::NotFound("request"))?;
            if wait.until.reached(&request) {
                return Ok(request);
            }
            drop(request);
            tokio::select! {
                woken = place.woken() => if woken == Woken::Closing { break },
                () = &mut patience => break,
            }
        }
        self.store.request(&id).await?.ok_or(Failure::NotFound("request"))
    }

    /// Whether the caller is the requester of this request.
    #[must_use]
    pub fn requester<'a>(caller: &'a Caller, request: &Request) -> Option<&'a Client> {
        match caller {
            Caller::Client(client) if client.id == request.asked().client.id => Some(client),
            Caller::Client(_) | Caller::Person(_) => None,
        }
    }
}
