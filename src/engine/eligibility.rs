//! Owns the number of people who can decide a request: counted in the background, because a directory may be slow.
//!
//! Never lets anybody decide: it is information on a card, and who may is judged at the tap.

use super::{Engine, Failure};
use crate::domain::ids::RequestId;
use crate::domain::policy::Effect;
use crate::domain::request::Request;
use crate::domain::seats;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// Requests remembered; the count of a forgotten one is taken again when somebody asks.
const REMEMBERED: usize = 10_000;

/// Counts taken in one step, so that a flood of requests does not spend the server on a courtesy.
const AT_ONCE: usize = 100;

/// What was counted, and what is still to be.
#[derive(Debug, Default)]
pub struct Eligibility {
    state: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    known: HashMap<RequestId, u32>,
    asked: BTreeSet<RequestId>,
}

impl Eligibility {
    /// The count, when it is known.
    pub fn known(&self, request: &RequestId) -> Option<u32> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).known.get(request).copied()
    }

    /// Asks for a count. Only requests that people are asked about have one.
    pub fn ask(&self, request: &Request) {
        if request.asked().policy.effect != Effect::Review || request.status().is_terminal() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.asked.len() < REMEMBERED {
            state.asked.insert(request.id().clone());
        }
    }

    fn next(&self) -> Option<RequestId> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).asked.pop_first()
    }

    fn put(&self, request: &RequestId, count: u32) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.known.len() >= REMEMBERED {
            state.known.clear();
        }
        state.known.insert(request.clone(), count);
    }
}

impl Engine {
    /// The count for a read: what is known now; an unknown one is asked for.
    pub fn eligible_known(&self, request: &Request) -> Option<u32> {
        let known = self.eligibility.known(request.id());
        if known.is_none() {
            self.eligibility.ask(request);
        }
        known
    }

    /// Counts for the requests that somebody asked about; answers 0, so that the worker rests.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_eligible(&self) -> Result<usize, Failure> {
        for _ in 0..AT_ONCE {
            let Some(id) = self.eligibility.next() else { break };
            if let Some(request) = self.store.request(&id).await? {
                self.eligible(&request).await;
            }
        }
        Ok(0)
    }

    /// How many people can fill a seat of this request, as far as the directory knows; `None` when it has no answer.
    pub async fn eligible(&self, request: &Request) -> Option<u32> {
        let people = self.directory.people(self.clock.now()).await.ok()?;
        let owner = self.store.client(&request.asked().client.id).await.ok().flatten().and_then(|client| client.owner);
        let behalf = request.asked().on_behalf_of.as_ref();
        let open = request.requirements().open_seats();
        let mut count = 0;
        for record in people {
            if !record.active || !record.is_human() {
                continue;
            }
            let excluded = |text: &str| record.email.eq_ignore_ascii_case(text) || record.id.as_ref().is_some_and(|id| id.as_str() == text);
            if owner.as_deref().is_some_and(excluded)
                || behalf.is_some_and(|person| excluded(&person.email) || excluded(person.id.as_str()))
            {
                continue;
            }
            let id = self.pseudonym(&record).await.ok()?;
            let candidate = seats::Candidate { person: id, email: record.email, groups: record.groups };
            if seats::can_fill_any(&open, &candidate) {
                count += 1;
            }
        }
        self.eligibility.put(request.id(), count);
        Some(count)
    }
}
