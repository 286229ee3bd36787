//! Owns the one thing a store may write about a request: the next state with its evidence and its effects.
//!
//! Never built outside this module's parents, so there is no way to write a state that no rule produced:
//! ```compile_fail,E0451
//! use countersign::domain::request::Transition;
//! fn forge(transition: Transition) -> Transition {
//!     Transition { from_version: 7, ..transition }
//! }
//! ```
//! ```compile_fail,E0616
//! use countersign::domain::request::{Request, Transition};
//! fn forge(mut transition: Transition, request: Request) {
//!     transition.after = request;
//! }
//! ```
//! while reading it compiles, so that the two above fail for their own reason:
//! ```
//! use countersign::domain::request::{Request, Transition};
//! fn read(transition: Transition) -> (u64, Request) {
//!     (transition.from_version(), transition.into_after())
//! }
//! ```

use super::{Request, Review};
use crate::domain::ask::Notice;
use crate::domain::audit::Entry;
use crate::domain::ids::PersonId;
use crate::domain::notice::Occasion;
use crate::domain::policy::Destination;
use crate::domain::time::Timestamp;

/// The outcome of one or more events: commit it whole or not at all.
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a transition that is not committed did not happen"]
pub struct Transition {
    pub(super) after: Request,
    /// Version the events were applied to; 0 for a new request.
    pub(super) from_version: u64,
    pub(super) events: Vec<Entry>,
    pub(super) effects: Vec<Effect>,
    pub(super) at: Timestamp,
}

/// What must happen because of a transition; written in the same transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Post a card to each destination.
    Post(Vec<Destination>),
    /// Redraw every card of the request.
    Redraw,
    /// Redraw every card at that time, because the request looks different from then on without any event.
    RedrawAt(Timestamp),
    /// Tell the caller, who asked for it.
    Tell(Notice),
    /// Tell of it in the thread of every card.
    Thread(Occasion),
    /// Tell the person directly, once, how it was decided.
    TellPerson(PersonId),
    /// Index a review by its person.
    Reviewed(Review),
}

impl Transition {
    /// The request as it is once committed.
    #[must_use]
    pub fn after(&self) -> &Request {
        &self.after
    }

    /// The version that must still be the stored one.
    #[must_use]
    pub fn from_version(&self) -> u64 {
        self.from_version
    }

    /// The evidence.
    #[must_use]
    pub fn events(&self) -> &[Entry] {
        &self.events
    }

    /// What must follow.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The request, once the store has it.
    #[must_use]
    pub fn into_after(self) -> Request {
        self.after
    }

    /// Adds an id or a code to the evidence of this transition.
    pub fn with_fact(mut self, name: &str, value: &str) -> Self {
        if let Some(event) = self.events.last_mut() {
            event.data.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Applies another event on top, to be committed together.
    pub fn then<E>(self, next: impl FnOnce(Request) -> Result<Self, E>) -> Result<Self, E> {
        let Self { after, from_version, mut events, mut effects, .. } = self;
        let second = next(after)?;
        events.extend(second.events);
        effects.extend(second.effects);
        // Readers never see the version in between, so it is not spent.
        let mut after = second.after;
        after.version = from_version + 1;
        Ok(Self { after, from_version, events, effects, at: second.at })
    }
}
