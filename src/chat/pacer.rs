//! Owns the pace of outgoing messages: when the next call to a conversation may go, and whose turn it is.
//!
//! Never sleeps and never reads a clock: it answers with an instant, and the caller waits for it. Whoever must wait gets a
//! place of their own, so a backlog is put in order once and not again with every message. What it knows is a courtesy to
//! the platform, not a promise to anybody, so a restart may forget it.

use crate::domain::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Conversations remembered before those that nobody waits for are forgotten.
const REMEMBERED: usize = 4_096;
/// Places kept after their time: whoever held one may have been served by another replica, or have nothing to send any more.
const KEPT: Duration = Duration::from_mins(1);

/// Spaces the calls to each conversation.
#[derive(Debug)]
pub struct Pacer {
    spacing: Duration,
    lanes: Mutex<HashMap<String, Lane>>,
}

/// One conversation.
#[derive(Debug, Clone)]
struct Lane {
    /// The last call.
    last: Option<Timestamp>,
    /// Behind every place that is booked.
    end: Timestamp,
    /// Until when the platform asked to wait.
    held: Timestamp,
    /// Who waits, and until when.
    booked: HashMap<String, Timestamp>,
}

impl Lane {
    fn new(now: Timestamp) -> Self {
        Self { last: None, end: now, held: now, booked: HashMap::new() }
    }

    fn book(&mut self, who: &str, now: Timestamp, spacing: Duration) -> Timestamp {
        let at = self.end.max(self.held).max(now);
        self.end = at.plus(spacing);
        self.booked.insert(who.to_owned(), at);
        at
    }
}

impl Pacer {
    /// One call per `spacing` and conversation.
    #[must_use]
    pub fn new(spacing: Duration) -> Self {
        Self { spacing, lanes: Mutex::default() }
    }

    /// Takes the place of `who` in `channel` when it has come; otherwise says when it comes. Who comes too early, or so
    /// late that the place of another has come, waits again: for the same place, or for a new one.
    pub fn take(&self, channel: &str, who: &str, now: Timestamp) -> Result<(), Timestamp> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= REMEMBERED {
            lanes.retain(|_, lane| lane.end > now || lane.held > now);
        }
        let lane = lanes.entry(channel.to_owned()).or_insert_with(|| Lane::new(now));
        lane.booked.retain(|_, at| at.plus(KEPT) > now);
        let at = match lane.booked.get(who) {
            Some(at) if *at > now => return Err(*at),
            // The worker may have been late for the one before: half the spacing is what is left to it.
            Some(_) if lane.held <= now && lane.last.is_none_or(|last| last.plus(self.spacing / 2) <= now) => now,
            Some(_) | None => lane.book(who, now, self.spacing),
        };
        if at > now {
            return Err(at);
        }
        lane.booked.remove(who);
        lane.last = Some(now);
        lane.end = lane.end.max(now.plus(self.spacing));
        Ok(())
    }

    /// The platform asked to wait until then before the next call to `channel`: `who` met that and comes first, everybody
    /// else keeps their turn.
    pub fn hold(&self, channel: &str, who: &str, until: Timestamp, now: Timestamp) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(channel.to_owned()).or_insert_with(|| Lane::new(now));
        let later = until.since(lane.held.max(now));
        if later > Duration::ZERO {
            lane.booked.values_mut().for_each(|at| *at = at.plus(later));
            lane.end = lane.end.plus(later);
            lane.held = until;
        }
        lane.booked.insert(who.to_owned(), until);
        lane.end = lane.end.max(until.plus(self.spacing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn calls_to_one_conversation_are_a_second_apart_and_others_do_not_wait() {
        let pacer = Pacer::new(SECOND);
        assert_eq!(pacer.take("C1", "a", at(0)), Ok(()));
        assert_eq!(pacer.take("C1", "b", at(10)), Err(at(1_000)));
        assert_eq!(pacer.take("C1", "c", at(20)), Err(at(2_000)));
        assert_eq!(pacer.take("C2", "d", at(20)), Ok(()));
        assert_eq!(pacer.take("C1", "b", at(30)), Err(at(1_000)), "asking again books nothing");
        assert_eq!(pacer.take("C1", "e", at(1_000)), Err(at(3_000)), "a newcomer does not overtake");
        assert_eq!(pacer.take("C1", "b", at(1_000)), Ok(()));
        assert_eq!(pacer.take("C1", "c", at(2_300)), Ok(()));
        assert_eq!(pacer.take("C1", "e", at(3_000)), Ok(()), "the worker was late for the one before");
        assert_eq!(pacer.take("C1", "f", at(9_000)), Ok(()));
    }

    #[test]
    fn who_is_much_too_late_gets_a_new_place_instead_of_a_crowd() {
        let pacer = Pacer::new(SECOND);
        assert_eq!(pacer.take("C1", "a", at(0)), Ok(()));
        for (who, place) in [("b", 1_000), ("c", 2_000), ("d", 3_000)] {
            assert_eq!(pacer.take("C1", who, at(0)), Err(at(place)));
        }
        assert_eq!(pacer.take("C1", "b", at(30_000)), Ok(()));
        assert_eq!(pacer.take("C1", "c", at(30_000)), Err(at(31_000)));
        assert_eq!(pacer.take("C1", "d", at(30_000)), Err(at(32_000)));
        assert_eq!(pacer.take("C1", "c", at(31_000)), Ok(()));
    }

    #[test]
    fn the_platforms_wish_moves_everybody_and_changes_no_turn() {
        let pacer = Pacer::new(SECOND);
        assert_eq!(pacer.take("C1", "a", at(0)), Ok(()));
        assert_eq!(pacer.take("C1", "b", at(0)), Err(at(1_000)));
        pacer.hold("C1", "a", at(30_000), at(0));
        pacer.hold("C1", "x", at(30_000), at(500));
        assert_eq!(pacer.take("C1", "b", at(1_000)), Err(at(31_000)));
        assert_eq!(pacer.take("C1", "c", at(1_000)), Err(at(32_000)));
        assert_eq!(pacer.take("C2", "d", at(1_000)), Ok(()), "other conversations go on");
        assert_eq!(pacer.take("C1", "a", at(29_999)), Err(at(30_000)));
        assert_eq!(pacer.take("C1", "a", at(30_000)), Ok(()));
        assert_eq!(pacer.take("C1", "b", at(31_000)), Ok(()));
    }

    #[test]
    fn places_and_conversations_that_nobody_waits_for_are_forgotten() {
        let pacer = Pacer::new(SECOND);
        for number in 0..REMEMBERED {
            assert_eq!(pacer.take(&format!("C{number}"), "a", at(0)), Ok(()));
        }
        assert_eq!(pacer.take("C", "a", at(5_000)), Ok(()));
        assert_eq!(pacer.take("C", "gone", at(5_000)), Err(at(6_000)));
        assert_eq!(pacer.take("C", "b", at(120_000)), Ok(()));
        let lanes = pacer.lanes.lock().unwrap();
        assert_eq!((lanes.len(), lanes["C"].booked.len()), (1, 0));
    }
}
