//! Owns the people of a test: what they do must be possible in Slack, and arrives oddly where a test wants that.

pub(crate) use countersign::fake_slack::person::{Acknowledged, Filled, sign};

use super::FakeSlack;
use super::model::{Message, View};
use countersign::fake_slack::person;
use serde_json::Value;

/// A person of the workspace, or whoever pretends to be one.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(super) slack: FakeSlack,
    pub(super) person: person::Person,
}

impl std::ops::Deref for Person {
    type Target = person::Person;

    fn deref(&self) -> &Self::Target {
        &self.person
    }
}

/// How a delivery differs from an honest one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oddity {
    /// Signed with this secret instead.
    pub(crate) secret: Option<String>,
    /// Signed that many seconds ago (or ahead, when negative).
    pub(crate) age: i64,
    /// Members of the payload that are different: JSON pointer and value.
    pub(crate) changes: Vec<(&'static str, Value)>,
}

impl Person {
    /// Taps a button of a message as it is now.
    pub(crate) async fn taps(&self, message: &Message, action: &str) -> Acknowledged {
        self.person.taps(message, action).await.unwrap()
    }

    /// The same tap, delivered oddly.
    pub(crate) async fn taps_oddly(&self, message: &Message, action: &str, oddity: &Oddity) -> Acknowledged {
        self.slack.deliver(&self.tap_payload(message, action), oddity).await
    }

    /// One tap that Slack delivers several times.
    pub(crate) async fn taps_delivered(&self, message: &Message, action: &str, times: usize) -> Vec<Acknowledged> {
        let payload = self.tap_payload(message, action);
        let mut answers = Vec::new();
        for _ in 0..times {
            answers.push(self.slack.deliver(&payload, &Oddity::default()).await);
        }
        answers
    }

    /// The payload of a tap, with a fresh trigger and `response_url`.
    pub(crate) fn tap_payload(&self, message: &Message, action: &str) -> Value {
        self.person.tap_payload(message, action).unwrap()
    }

    /// Fills a dialog's inputs, by `action_id`, and submits it.
    pub(crate) async fn submits(&self, view: &View, filled: &[(&str, Filled)]) -> Acknowledged {
        self.person.submits(view, filled).await.unwrap()
    }

    /// The payload of a submit.
    pub(crate) fn submit_payload(&self, view: &View, filled: &[(&str, Filled)]) -> Value {
        self.person.submit_payload(view, filled).unwrap()
    }
}
