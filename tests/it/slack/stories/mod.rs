//! The stories of Slack: the whole server on both databases, a fake Slack, and people who tap.
//!
//! Time is the test's: cards are paced and tried again on its clock, so the helpers move it where something waits for it.

mod acknowledgement;
mod dialogs;
mod edits;
mod hostile;
mod lifecycle;
mod masks;
mod outages;
mod outbox;
mod questions;
mod refusals;
mod socket;
mod taps;
mod threads;
mod waiting;

use crate::support::app::{ApiClient, CHANNEL, TestApp};
use crate::support::slack::model::{Message, Model, View};
use countersign::domain::time::Clock as _;
use serde_json::{Value, json};
use std::time::Duration;

/// The texts of a card, one per line, without the names of its parts.
fn shown(message: &Message) -> String {
    fn gather(value: &Value, lines: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                if let Some(text) = object.get("text").and_then(Value::as_str) {
                    lines.push(text.trim().to_owned());
                }
                object.values().for_each(|value| gather(value, lines));
            }
            Value::Array(items) => items.iter().for_each(|value| gather(value, lines)),
            _ => {}
        }
    }
    let mut lines = Vec::new();
    gather(&message.blocks, &mut lines);
    lines.join("\n")
}

/// The buttons of a card, by their `action_id`.
fn buttons(message: &Message) -> Vec<String> {
    let blocks = message.blocks.as_array().cloned().unwrap_or_default();
    let actions = blocks.iter().filter(|block| block["type"] == "actions");
    actions.flat_map(|block| block["elements"].as_array().cloned().unwrap_or_default()).map(|button| text(&button["action_id"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn messages<'a>(model: &'a Model, request: &Value) -> Vec<&'a Message> {
    let id = request["id"].as_str().unwrap();
    model
        .channels
        .get(CHANNEL)
        .into_iter()
        .flat_map(|channel| &channel.messages)
        .filter(|message| message.thread_ts.is_none() && message.blocks.to_string().contains(id))
        .collect()
}

/// What the thread of a card was told, one message per entry: its lines, joined by ` / `.
fn thread(app: &TestApp, card: &Message) -> Vec<String> {
    let messages = app.slack.messages(&card.channel);
    messages
        .iter()
        .filter(|message| message.thread_ts.as_ref() == Some(&card.ts))
        .map(|message| shown(message).lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / "))
        .collect()
}

/// The thread of a card, once it has that many messages. Moves the clock, by which messages are paced.
async fn thread_of(app: &TestApp, card: &Message, messages: usize) -> Vec<String> {
    app.eventually(&format!("{messages} messages in the thread"), async || {
        app.clock.advance(Duration::from_secs(1));
        thread(app, card).len() >= messages
    })
    .await;
    thread(app, card)
}

/// The card of a request, once it stands in the channel and looks as wanted. Moves the clock, by which cards are paced.
async fn card_when(app: &TestApp, request: &Value, what: &str, wanted: impl Fn(&Message) -> bool) -> Message {
    let look = || messages(&app.slack.lock(), request).into_iter().find(|message| wanted(message)).cloned();
    app.eventually(what, async || {
        if look().is_some() {
            return true;
        }
        app.clock.advance(Duration::from_secs(1));
        false
    })
    .await;
    look().unwrap()
}

/// The card of a request, as soon as it stands in the channel.
async fn card(app: &TestApp, request: &Value) -> Message {
    card_when(app, request, "a card", |_| true).await
}

/// Asks, and waits for the card.
async fn asked(app: &TestApp, ask: &Value) -> (Value, Message) {
    let request = app.client("agent").asks(ask).await;
    let card = card(app, &request).await;
    (request, card)
}

/// Waits until every tap was judged.
async fn judged(app: &TestApp) {
    let store = &app.running.app.engine.store;
    app.eventually("every tap is judged", async || store.unfinished_taps().await.unwrap() == 0).await;
}

/// What a person was told privately, once there are that many sentences.
async fn told(app: &TestApp, user: &str, count: usize) -> Vec<String> {
    app.slack
        .until(&format!("{user} is told {count} sentences"), |model| {
            let told: Vec<String> = model.ephemerals.iter().filter(|told| told.user == user).map(|told| told.text.clone()).collect();
            (told.len() >= count).then_some(told)
        })
        .await
}

/// The dialog on a person's screen, once there is one.
async fn dialog(app: &TestApp, user: &str) -> View {
    app.slack
        .until(&format!("a dialog of {user}"), |model| model.stacks.get(user)?.last().and_then(|id| model.views.get(id)).cloned())
        .await
}

/// The refused reviews of a request in the log: reason and how often.
async fn refusals(app: &TestApp, request: &Value) -> Vec<(String, u64)> {
    let events = app.events().await;
    let refused = events.iter().filter(|event| event["request"] == request["id"] && event["type"] == "review.refused");
    refused.map(|event| (text(&event["data"]["reason"]), event["data"]["repeats"].as_u64().unwrap_or(1))).collect()
}

/// How often something stands in the story of a request.
async fn count(app: &TestApp, request: &Value, kind: &str) -> usize {
    app.story(request["id"].as_str().unwrap()).await.iter().filter(|event| *event == kind).count()
}

async fn comments(person: &ApiClient<'_>, request: &Value, words: &str) -> Value {
    let path = format!("/v1/requests/{}/reviews", text(&request["id"]));
    person.post(&path, &json!({"decision": "comment", "comment": words})).await.expect(201).body
}

/// Nothing of the outbox is due.
async fn is_quiet(app: &TestApp) -> bool {
    app.running.app.engine.store.outbox_state(app.clock.now()).await.unwrap().waiting == 0
}
