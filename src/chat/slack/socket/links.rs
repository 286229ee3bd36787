//! Owns what is known of the connections of Socket Mode: how many are up, why none is, and which envelopes were taken.
//!
//! Never holds what a restart needs: an envelope that comes again after one is told apart by the tap's own key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};

/// Envelopes remembered.
const REMEMBERED: usize = 4_096;

/// The connections, as others see them.
#[derive(Debug)]
pub struct Links {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    up: usize,
    disabled: bool,
    failed: Option<String>,
}

impl Default for Links {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::default()) }
    }
}

impl Links {
    /// Why nothing comes in, in words for operators; `None` while a connection is up.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let state = self.state.borrow();
        if state.disabled {
            return Some("Socket Mode is switched off in the app's settings: switch it on, then restart".to_owned());
        }
        match (state.up, &state.failed) {
            (1.., _) => None,
            (0, None) => Some("no connection to Slack is up yet".to_owned()),
            (0, Some(code)) => Some(format!("no connection to Slack is up: {code}")),
        }
    }

    /// Connections that are up.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.borrow().up
    }

    /// Counts a connection until the guard is dropped.
    pub(super) fn up(links: &Arc<Self>) -> Up {
        links.change(|state| {
            state.up += 1;
            state.failed = None;
        });
        Up(Arc::clone(links))
    }

    pub(super) fn failed(&self, code: &str) {
        self.change(|state| state.failed = Some(code.to_owned()));
    }

    pub(super) fn disable(&self) {
        self.change(|state| state.disabled = true);
    }

    /// Waits until Socket Mode was switched off.
    pub(super) async fn disabled(&self) {
        // The sender lives as long as this does.
        let _ = self.state.subscribe().wait_for(|state| state.disabled).await;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
        metrics::gauge!("countersign_slack_connections").set(f64::from(u32::try_from(self.count()).unwrap_or(u32::MAX)));
    }
}

/// A connection that is up.
#[derive(Debug)]
pub(super) struct Up(Arc<Links>);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.change(|state| state.up -= 1);
    }
}

/// Envelopes that came in, over whichever connection.
#[derive(Debug, Default)]
pub(super) struct Seen {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether it was taken; otherwise somebody is at it.
    taken: HashMap<String, bool>,
    order: VecDeque<String>,
}

impl Seen {
    /// Whether it was taken before; `false`: it is the caller's to take. Waits while somebody else is at it, who may fail.
    pub(super) async fn taken_before(&self, id: &str) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the look, so that no change falls between.
            changed.as_mut().enable();
            match self.before(id) {
                None => return false,
                Some(true) => return true,
                Some(false) => changed.await,
            }
        }
    }

    /// Whether it was taken, when it came before; notes it otherwise.
    fn before(&self, id: &str) -> Option<bool> {
        let mut known = self.lock();
        if let Some(taken) = known.taken.get(id) {
            return Some(*taken);
        }
        known.taken.insert(id.to_owned(), false);
        known.order.push_back(id.to_owned());
        if known.order.len() > REMEMBERED
            && let Some(oldest) = known.order.pop_front()
        {
            known.taken.remove(&oldest);
        }
        None
    }

    /// What became of it: taken, or to be delivered again.
    pub(super) fn done(&self, id: &str, taken: bool) {
        let mut known = self.lock();
        if taken {
            known.taken.insert(id.to_owned(), true);
        } else {
            known.taken.remove(id);
            known.order.retain(|other| other != id);
        }
        drop(known);
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_taken_once_and_again_when_it_was_not() {
        let seen = Seen::default();
        assert_eq!(seen.before("a"), None);
        assert_eq!(seen.before("a"), Some(false), "somebody is at it");
        seen.done("a", false);
        assert_eq!(seen.before("a"), None);
        seen.done("a", true);
        assert_eq!(seen.before("a"), Some(true));
        for number in 0..REMEMBERED {
            assert_eq!(seen.before(&number.to_string()), None);
        }
        assert_eq!(seen.before("a"), None, "what is long ago is forgotten");
    }

    #[test]
    fn trouble_is_told_while_nothing_can_come_in() {
        let links = Arc::new(Links::default());
        assert_eq!(links.trouble().unwrap(), "no connection to Slack is up yet");
        let up = Links::up(&links);
        assert_eq!((links.trouble(), links.count()), (None, 1));
        drop(up);
        links.failed("invalid_auth");
        assert_eq!(links.trouble().unwrap(), "no connection to Slack is up: invalid_auth");
        links.disable();
        assert_eq!(links.trouble().unwrap(), "Socket Mode is switched off in the app's settings: switch it on, then restart");
    }
}
