//! Owns reading and waiting: one request, a list of them, and a caller that holds the line until something changes.
//!
//! Never polls per waiter: a waiter registers, reads, and sleeps until a hint or its time is over.

use super::caller::{Caller, Client, Scope};
use super::waiters::Woken;
use super::{Engine, Failure};
use crate::directory::Identity;
use crate::domain::ids::RequestId;
use crate::domain::person::Person;
use crate::domain::policy::Effect;
use crate::domain::request::Request;
use crate::domain::seats;
use crate::domain::time::Timestamp;
use crate::store::{DeliveryLine, RequestFilter};
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
                || seats::can_fill_any(&request.requirements().open_seats(), &person.candidate()))
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

    /// The caller as it is now: somebody who waited may have been frozen or disabled meanwhile.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn renewed(&self, caller: Caller) -> Result<Caller, Failure> {
        match caller {
            Caller::Client(client) => match self.store.client(&client.id).await? {
                Some(client) if client.enabled => Ok(Caller::Client(client)),
                Some(_) | None => Err(Failure::NotFound("request")),
            },
            person @ Caller::Person(_) => Ok(person),
        }
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

/// A page of requests.
#[derive(Debug)]
pub struct Page {
    /// Newest first.
    pub requests: Vec<Request>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<RequestId>,
}

/// Rows read at once while looking for those that a person may see.
const SCAN: u32 = 200;
/// Rows looked at for one page at most; a person with a long tail of foreign requests turns the page more often.
const SCAN_LIMIT: usize = 2_000;

impl Engine {
    /// Requests that the caller may see, newest first.
    ///
    /// # Errors
    /// When the store or the directory fails.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: RequestFilter,
        mine_to_decide: bool,
        before: Option<RequestId>,
        limit: u32,
    ) -> Result<Page, Failure> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let Caller::Person(signed_in) = caller else {
            let mut requests = self.store.requests(&filter, before.as_ref(), limit + 1).await?;
            let next = (requests.len() > wanted).then(|| {
                requests.truncate(wanted);
                requests.last().map(|request| request.id().clone())
            });
            return Ok(Page { requests, next: next.flatten() });
        };
        let person = self
            .present(&Identity::Key(signed_in.key.clone()))
            .await?
            .ok_or_else(|| Failure::forbidden("unknown_person", "The company directory does not know you any more."))?;
        let (mut found, mut position, mut seen) = (Vec::new(), before, 0);
        loop {
            let rows = self.store.requests(&filter, position.as_ref(), SCAN).await?;
            let last_page = rows.len() < usize::try_from(SCAN).unwrap_or(usize::MAX);
            for request in rows {
                seen += 1;
                position = Some(request.id().clone());
                if self.concerns(&person, &request, mine_to_decide).await? {
                    found.push(request);
                    if found.len() == wanted {
                        return Ok(Page { requests: found, next: position });
                    }
                }
            }
            if last_page {
                return Ok(Page { requests: found, next: None });
            }
            if seen >= SCAN_LIMIT {
                return Ok(Page { requests: found, next: position });
            }
        }
    }

    pub(super) async fn concerns(&self, person: &Person, request: &Request, mine_to_decide: bool) -> Result<bool, Failure> {
        let owner = self.store.client(&request.asked().client.id).await?.and_then(|client| client.owner);
        if !mine_to_decide {
            return Ok(self.person_sees(person, owner.as_deref(), request));
        }
        let excluded = owner.as_deref().is_some_and(|owner| person.is_named_by(owner))
            || request.asked().on_behalf_of.as_ref().is_some_and(|behalf| behalf.id == person.id);
        let seated: Vec<_> = request.approvals().map(|review| review.candidate.clone()).collect();
        Ok(person.active
            && person.human
            && !excluded
            && !request.status().is_terminal()
            && self.clock.now() < request.expires_at()
            && seats::can_fill_open(&request.requirements().open_seats(), &seated, &person.candidate()))
    }

    /// Where the cards of a request are. A request that asked nobody has none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delivery_lines(&self, request: &Request) -> Result<Vec<DeliveryLine>, Failure> {
        if request.asked().policy.effect != Effect::Review || request.requirements().destinations.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.store.delivery_lines(request.id()).await?)
    }

    /// When the grants of the request's client were last killed by a freeze.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn void_before(&self, request: &Request, caller: &Caller) -> Result<Option<Timestamp>, Failure> {
        if let Some(client) = Self::requester(caller, request) {
            return Ok(client.void_before);
        }
        Ok(self.store.client(&request.asked().client.id).await?.and_then(|client| client.void_before))
    }
}
