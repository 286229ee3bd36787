//! Owns the pace of outgoing messages: when the next call to a conversation may go.
//!
//! Never sleeps and never reads a clock: it answers with an instant, and the caller waits for it. What it knows is
//! a courtesy to the platform, not a promise to anybody, so a restart may forget it.

use crate::domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Conversations remembered before those that are free again are forgotten.
const REMEMBERED: usize = 4_096;

/// Spaces the calls to each conversation, and holds them all when the platform asks for it.
#[derive(Debug)]
pub struct Pacer {
    spacing: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: HashMap<String, Timestamp>,
    all: Timestamp,
}

impl State {
    fn next(&mut self, channel: &str, now: Timestamp) -> Timestamp {
        if self.free.len() >= REMEMBERED {
            self.free.retain(|_, free| *free > now);
        }
        self.free.get(channel).copied().unwrap_or(now).max(self.all).max(now)
    }
}

impl Pacer {
    /// One call per `spacing` and conversation.
    #[must_use]
    pub fn new(spacing: Duration) -> Self {
        Self { spacing, state: Mutex::new(State { free: HashMap::new(), all: Timestamp::from_millis(i64::MIN) }) }
    }

    /// When the next call to `channel` may go, at `now` or later. Books that place: ask once per call.
    #[must_use]
    pub fn reserve(&self, channel: &str, now: Timestamp) -> Timestamp {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.next(channel, now);
        state.free.insert(channel.to_owned(), at.plus(self.spacing));
        at
    }

    /// Books the next place for `channel` when it is now; otherwise says when it will be, and books nothing.
    pub fn take(&self, channel: &str, now: Timestamp) -> Result<(), Timestamp> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.next(channel, now);
        if at > now {
            return Err(at);
        }
        state.free.insert(channel.to_owned(), at.plus(self.spacing));
        Ok(())
    }

    /// The platform asked to wait before the next call to `channel`.
    pub fn hold(&self, channel: &str, until: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let free = state.free.entry(channel.to_owned()).or_insert(until);
        *free = (*free).max(until);
    }

    /// The platform asked to wait before any call.
    pub fn hold_all(&self, until: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.all = state.all.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn calls_to_one_conversation_are_a_second_apart_and_others_do_not_wait() {
        let pacer = Pacer::new(Duration::from_secs(1));
        assert_eq!(pacer.reserve("C1", at(0)), at(0));
        assert_eq!(pacer.reserve("C1", at(10)), at(1_000));
        assert_eq!(pacer.reserve("C1", at(20)), at(2_000));
        assert_eq!(pacer.reserve("C2", at(20)), at(20));
        assert_eq!(pacer.reserve("C1", at(9_000)), at(9_000));
    }

    #[test]
    fn the_platforms_wish_holds_one_conversation_or_all() {
        let pacer = Pacer::new(Duration::from_secs(1));
        pacer.hold("C1", at(30_000));
        assert_eq!(pacer.reserve("C1", at(0)), at(30_000));
        assert_eq!(pacer.reserve("C2", at(0)), at(0));
        pacer.hold_all(at(60_000));
        assert_eq!(pacer.reserve("C2", at(5_000)), at(60_000));
        pacer.hold("C2", at(1_000));
        assert_eq!(pacer.reserve("C2", at(5_000)), at(61_000), "a shorter wish does not shorten what is booked");
    }

    #[test]
    fn a_place_is_taken_only_when_it_is_free() {
        let pacer = Pacer::new(Duration::from_secs(1));
        assert_eq!(pacer.take("C1", at(0)), Ok(()));
        assert_eq!(pacer.take("C1", at(400)), Err(at(1_000)));
        assert_eq!(pacer.take("C1", at(400)), Err(at(1_000)), "asking books nothing");
        assert_eq!(pacer.take("C1", at(1_000)), Ok(()));
    }

    #[test]
    fn conversations_that_are_free_are_forgotten() {
        let pacer = Pacer::new(Duration::from_secs(1));
        for number in 0..REMEMBERED {
            let _ = pacer.reserve(&format!("C{number}"), at(0));
        }
        let _ = pacer.reserve("C", at(5_000));
        assert_eq!(pacer.state.lock().unwrap().free.len(), 1);
    }
}
