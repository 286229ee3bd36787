//! Owns what the tests want of FakeSlack beyond what it is: waits that end, odd deliveries, and acts that must be possible.

pub(crate) mod person;

pub(crate) use countersign::fake_slack::{Fault, SECRET, model};

use countersign::domain::time::{Clock, Timestamp};
use countersign::fake_slack;
use person::{Acknowledged, Oddity, Person};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Longest real time that a test waits for something to happen; reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// The workspace of a test.
#[derive(Debug, Clone)]
pub(crate) struct FakeSlack(fake_slack::FakeSlack);

impl std::ops::Deref for FakeSlack {
    type Target = fake_slack::FakeSlack;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FakeSlack {
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> Self {
        Self(fake_slack::FakeSlack::start(clock).await.unwrap())
    }

    pub(crate) fn user(&self, id: &str) -> Person {
        Person { slack: self.clone(), person: self.0.user(id) }
    }

    /// Sets a flag of a user's record.
    pub(crate) fn set_user(&self, id: &str, flag: &str, value: Value) {
        self.change(|model| model.users.get_mut(id).expect("no such user")[flag] = value);
    }

    /// Sets a flag of a channel.
    pub(crate) fn set_channel(&self, id: &str, flag: &str, value: Value) {
        self.change(|model| model.channels.get_mut(id).expect("no such channel").record[flag] = value);
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(&self, what: &str, look: impl FnMut(&model::Model) -> Option<T>) -> T {
        tokio::time::timeout(PATIENCE, self.0.until(look)).await.unwrap_or_else(|_| panic!("{what}: did not happen"))
    }

    /// Calls of a method wait from now on, until the gate is released.
    pub(crate) fn holds(&self, method: &str) -> Gate {
        Gate(self.0.holds(method))
    }

    /// Sends an interaction to the app, oddly perhaps.
    pub(crate) async fn deliver(&self, payload: &Value, oddity: &Oddity) -> Acknowledged {
        let mut payload = payload.clone();
        for (pointer, value) in &oddity.changes {
            *payload.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in the payload")) = value.clone();
        }
        let at = Timestamp::from_millis(self.now().as_millis() - oddity.age * 1_000);
        self.send(&payload, oddity.secret.as_deref().unwrap_or(SECRET), at).await.unwrap()
    }
}

/// Calls that wait until the test lets them go.
#[derive(Debug)]
pub(crate) struct Gate(fake_slack::Gate);

impl Gate {
    /// Lets everything through, now and later.
    pub(crate) fn release(&self) {
        self.0.release();
    }

    /// Waits until that many calls wait.
    pub(crate) async fn holds(&self, calls: usize) {
        tokio::time::timeout(PATIENCE, self.0.holds(calls)).await.expect("too few calls came");
    }
}
