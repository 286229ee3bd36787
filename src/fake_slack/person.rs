//! Owns what a person does in FakeSlack: taps buttons, fills dialogs, and what Slack sends to the app because of it,
//! signed as Slack signs.
//!
//! Never does what Slack's client would not let a person do: that is `Impossible`.

use super::FakeSlack;
use super::model::{Ephemeral, Message, Model, View};
use crate::domain::time::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;

/// A person of the workspace, or whoever pretends to be one.
#[derive(Debug, Clone)]
pub struct Person {
    pub(super) slack: FakeSlack,
    pub(super) id: String,
}

/// What the app answered to a callback.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledged {
    /// HTTP status.
    pub status: u16,
    /// Empty, or what Slack is to do with the dialog.
    pub body: String,
}

/// What Slack's client would not let a person do, or what Slack would not accept as an answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Impossible(String);

impl Impossible {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Something that was filled into an input.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filled {
    /// The words of a text input.
    Words(String),
    /// The value of the chosen option.
    Option(String),
}

impl Person {
    /// Taps a button of a message as it is now.
    ///
    /// # Errors
    /// When the message has no such button any more: nobody could tap it.
    pub async fn taps(&self, message: &Message, action: &str) -> Result<Acknowledged, Impossible> {
        self.slack.deliver(&self.tap_payload(message, action)?).await
    }

    /// The payload of a tap, with a fresh trigger and `response_url`.
    ///
    /// # Errors
    /// As for `taps`.
    pub fn tap_payload(&self, message: &Message, action: &str) -> Result<Value, Impossible> {
        let now = self.slack.now();
        let mut model = self.slack.lock();
        let current = model.message(&message.channel, &message.ts).ok_or_else(|| Impossible::new("the message was deleted"))?.clone();
        let blocks = current.blocks.as_array().cloned().unwrap_or_default();
        let (block_id, button) = button(&blocks, action)?;
        let trigger = model.issue_trigger(&self.id, None, now);
        let hook = model.issue_hook(&self.id, &current.channel, Some(&current.ts), now);
        let action_ts = model.ts(now);
        let mut payload = self.common(&model, "block_actions");
        payload["trigger_id"] = json!(trigger);
        payload["container"] = json!({"type": "message", "message_ts": current.ts, "channel_id": current.channel, "is_ephemeral": false});
        payload["channel"] = json!({"id": current.channel, "name": "channel"});
        payload["message"] = json!({"type": "message", "ts": current.ts, "text": current.text, "blocks": current.blocks});
        payload["state"] = json!({"values": {}});
        payload["response_url"] = json!(format!("{}/hook/{hook}", self.slack.origin()));
        payload["actions"] = json!([{
            "type": "button", "action_id": action, "block_id": block_id, "value": button["value"], "text": button["text"], "action_ts": action_ts,
        }]);
        Ok(payload)
    }

    /// Taps a button of a dialog that is open.
    ///
    /// # Errors
    /// When the dialog has no such button.
    pub async fn taps_in(&self, view: &View, action: &str) -> Result<Acknowledged, Impossible> {
        self.slack.deliver(&self.tap_in_payload(view, action)?).await
    }

    /// The payload of a tap in a dialog: it names no channel, and its trigger can lay another dialog on top.
    ///
    /// # Errors
    /// As for `taps_in`.
    pub fn tap_in_payload(&self, view: &View, action: &str) -> Result<Value, Impossible> {
        let now = self.slack.now();
        let mut model = self.slack.lock();
        let blocks = view.content["blocks"].as_array().cloned().unwrap_or_default();
        let (block_id, button) = button(&blocks, action)?;
        let modal = view.content["type"] == "modal";
        let trigger = model.issue_trigger(&self.id, modal.then_some(view.id.as_str()), now);
        let action_ts = model.ts(now);
        let mut payload = self.common(&model, "block_actions");
        payload["trigger_id"] = json!(trigger);
        payload["container"] = json!({"type": "view", "view_id": view.id});
        payload["view"] = model.view_json(view);
        payload["actions"] = json!([{
            "type": "button", "action_id": action, "block_id": block_id, "value": button["value"], "text": button["text"], "action_ts": action_ts,
        }]);
        Ok(payload)
    }

    /// Types `/countersign` and these words in a channel.
    ///
    /// # Errors
    /// When the app cannot be reached.
    pub async fn commands(&self, channel: &str, words: &str) -> Result<Acknowledged, Impossible> {
        let fields = {
            let now = self.slack.now();
            let mut model = self.slack.lock();
            let trigger = model.issue_trigger(&self.id, None, now);
            let hook = model.issue_hook(&self.id, channel, None, now);
            let name = model.users.get(&self.id).and_then(|user| user["name"].as_str()).unwrap_or("somebody").to_owned();
            json!({
                "token": "legacy", "api_app_id": model.app, "team_id": model.team, "team_domain": "acme", "channel_id": channel,
                "channel_name": "channel", "user_id": self.id, "user_name": name, "command": "/countersign", "text": words,
                "response_url": format!("{}/hook/{hook}", self.slack.origin()), "trigger_id": trigger, "is_enterprise_install": "false",
            })
        };
        self.slack.command(&fields).await
    }

    /// Opens the app's own page; Slack tells the app, which may publish it.
    ///
    /// # Errors
    /// When the app cannot be reached.
    pub async fn opens_home(&self) -> Result<Acknowledged, Impossible> {
        self.slack
            .event(&json!({"type": "app_home_opened", "user": self.id, "channel": format!("D{}", &self.id[1..]), "tab": "home"}))
            .await
    }

    /// The app's own page, as the person sees it.
    pub fn home(&self) -> Option<View> {
        self.slack.lock().homes.get(&self.id).cloned()
    }

    /// The dialog on top of the person's screen.
    pub fn view(&self) -> Option<View> {
        let model = self.slack.lock();
        model.stacks.get(&self.id).and_then(|stack| stack.last()).and_then(|id| model.views.get(id)).cloned()
    }

    /// Fills a dialog's inputs, by `action_id`, and submits it. Slack then closes, replaces or corrects the dialog as the app answered.
    ///
    /// # Errors
    /// When a mandatory input is empty or an input is not there: Slack's client would not let it through.
    pub async fn submits(&self, view: &View, filled: &[(&str, Filled)]) -> Result<Acknowledged, Impossible> {
        let answer = self.slack.deliver(&self.submit_payload(view, filled)?).await?;
        self.slack.settle(view, &answer)?;
        Ok(answer)
    }

    /// Closes the dialog on top, or all of them. Nobody is told: that is no decision.
    pub fn closes(&self, all: bool) {
        self.slack.change(|model| {
            let stack = model.stacks.entry(self.id.clone()).or_default();
            if all { stack.clear() } else { drop(stack.pop()) }
        });
    }

    /// The payload of a submit.
    ///
    /// # Errors
    /// As for `submits`.
    pub fn submit_payload(&self, view: &View, filled: &[(&str, Filled)]) -> Result<Value, Impossible> {
        let now = self.slack.now();
        let mut model = self.slack.lock();
        let filled: BTreeMap<&str, &Filled> = filled.iter().map(|(name, value)| (*name, value)).collect();
        let mut values = json!({});
        let mut known = 0;
        if view.content["submit"].is_null() {
            return Err(Impossible::new("the dialog has no submit"));
        }
        for block in view.content["blocks"].as_array().into_iter().flatten().filter(|block| block["type"] == "input") {
            let (element, name) = (&block["element"], block["element"]["action_id"].as_str().unwrap_or_default());
            let state = input_state(element, filled.get(name).copied())?;
            let empty = ["value", "selected_option"].into_iter().all(|part| state[part].is_null());
            if empty && block["optional"] != true {
                return Err(Impossible::new(format!("the input {name} is mandatory")));
            }
            known += usize::from(filled.contains_key(name));
            values[block["block_id"].as_str().unwrap_or_default()] = json!({ name: state });
        }
        if known != filled.len() {
            return Err(Impossible::new("the dialog has not all of these inputs"));
        }
        let trigger = model.issue_trigger(&self.id, Some(&view.id), now);
        let mut payload = self.common(&model, "view_submission");
        let mut shown = model.view_json(view);
        shown["state"] = json!({ "values": values });
        payload["trigger_id"] = json!(trigger);
        payload["view"] = shown;
        payload["response_urls"] = json!([]);
        Ok(payload)
    }

    /// Private sentences that this person was told in channels.
    pub fn told(&self) -> Vec<Ephemeral> {
        self.slack.lock().ephemerals.iter().filter(|told| told.user == self.id).cloned().collect()
    }

    /// Direct messages from the app.
    pub fn direct_messages(&self) -> Vec<Message> {
        self.slack.lock().channels.get(&format!("D{}", &self.id[1..])).map(|channel| channel.messages.clone()).unwrap_or_default()
    }

    fn common(&self, model: &Model, kind: &str) -> Value {
        let user = model.users.get(&self.id);
        let name = user.and_then(|user| user["name"].as_str()).unwrap_or("somebody");
        let home = user.and_then(|user| user["team_id"].as_str()).unwrap_or(&model.team);
        let enterprise = model.enterprise.as_ref().map(|id| json!({"id": id, "name": "Acme"}));
        let team = json!({"id": model.team, "domain": "acme", "enterprise_id": model.enterprise, "enterprise_name": "Acme"});
        json!({
            "type": kind, "api_app_id": model.app, "token": "legacy",
            "user": {"id": self.id, "username": name, "name": name, "team_id": home},
            // An org-wide install has no team of its own.
            "team": if model.org_wide { Value::Null } else { team },
            "enterprise": enterprise, "is_enterprise_install": model.org_wide,
        })
    }
}

fn button(blocks: &[Value], action: &str) -> Result<(Value, Value), Impossible> {
    let elements = |block: &Value| block["elements"].as_array().cloned().unwrap_or_default();
    blocks
        .iter()
        .flat_map(|block| elements(block).into_iter().map(|element| (block["block_id"].clone(), element)))
        .find(|(_, element)| element["action_id"] == action)
        .ok_or_else(|| Impossible::new(format!("no button {action} on {blocks:?}")))
}

/// What Slack tells of an input: what was filled in, else what the app put there.
fn input_state(element: &Value, filled: Option<&Filled>) -> Result<Value, Impossible> {
    let kind = &element["type"];
    let chosen = |value: &str| {
        let option = element["options"].as_array().into_iter().flatten().find(|option| option["value"] == value);
        option.cloned().ok_or_else(|| Impossible::new(format!("no option {value}")))
    };
    Ok(match (kind.as_str().unwrap_or_default(), filled) {
        ("radio_buttons" | "static_select", Some(Filled::Option(value))) => json!({"type": kind, "selected_option": chosen(value)?}),
        ("radio_buttons" | "static_select", None) => json!({"type": kind, "selected_option": element["initial_option"]}),
        ("number_input", Some(Filled::Words(words))) if !words.is_empty() && words.parse::<f64>().is_err() => {
            return Err(Impossible::new(format!("{words} is no number")));
        }
        ("plain_text_input" | "number_input", Some(Filled::Words(words))) => {
            json!({"type": kind, "value": Some(words).filter(|words| !words.is_empty())})
        }
        ("plain_text_input" | "number_input", None) => json!({"type": kind, "value": element["initial_value"]}),
        (kind, _) => return Err(Impossible::new(format!("{kind} cannot be filled so"))),
    })
}

/// The two headers that Slack signs with.
///
/// # Panics
/// Never: HMAC takes a key of any length.
pub fn sign(secret: &str, body: &str, at: Timestamp) -> [(&'static str, String); 2] {
    let seconds = at.as_seconds();
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("v0:{seconds}:{body}").as_bytes());
    let hex = mac.finalize().into_bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    [("x-slack-signature", format!("v0={hex}")), ("x-slack-request-timestamp", seconds.to_string())]
}
