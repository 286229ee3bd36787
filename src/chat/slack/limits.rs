//! Owns Slack's limits and our own rules for what is sent: a card that breaks one is not sent at all.
//!
//! Never repairs: the face cuts texts, the templates lay them out, and this is the proof that both did.
//! Source: docs.slack.dev, Block Kit reference; the total of a message is undocumented and was measured by others at 13 200.

use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Most blocks of a message.
pub const MESSAGE_BLOCKS: usize = 50;
/// Most blocks of a modal.
pub const MODAL_BLOCKS: usize = 100;
/// Most characters of a message's blocks, written as JSON.
pub const MESSAGE_TOTAL: usize = 10_000;
/// Most bytes of a modal, written as JSON. Slack documents none; what is far above ordinary use is not tried.
pub const MODAL_TOTAL: usize = 200_000;
/// Most characters of a message's text.
const TEXT: usize = 4_000;

/// A rule that the rendered JSON breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rendered JSON breaks a limit: {0}")]
pub struct Broken(pub &'static str);

/// Who and what a message beside a card may reach: accounts that the directory named, and addresses that Slack gave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached<'a> {
    /// Accounts that may be mentioned.
    pub accounts: &'a [String],
    /// The address that may be linked.
    pub address: Option<&'a str>,
}

/// Checks a card: `{"text", "blocks"}`. It mentions nobody and links nowhere.
pub fn card(message: &Value) -> Result<(), Broken> {
    self::message(message, Reached::default())
}

/// Checks a message: `{"text", "blocks"}`.
pub fn message(message: &Value, reached: Reached<'_>) -> Result<(), Broken> {
    let text = message.get("text").and_then(Value::as_str).unwrap_or_default();
    at_most(text, TEXT, "text is longer than 4 000")?;
    ensure(!text.is_empty(), "text is empty")?;
    let blocks = message.get("blocks").ok_or(Broken("blocks are missing"))?;
    ensure(blocks.to_string().chars().count() <= MESSAGE_TOTAL, "the blocks are longer than 10 000 in all")?;
    all(blocks, MESSAGE_BLOCKS, reached)
}

/// Checks a modal.
pub fn modal(view: &Value) -> Result<(), Broken> {
    for part in ["title", "submit", "close"] {
        if let Some(text) = view.pointer(&format!("/{part}/text")).and_then(Value::as_str) {
            at_most(text, 24, "title, submit or close is longer than 24")?;
        }
    }
    let metadata = view.get("private_metadata").and_then(Value::as_str).unwrap_or_default();
    ensure(metadata.len() <= 3_000, "private_metadata is longer than 3 000")?;
    ensure(view.to_string().len() <= MODAL_TOTAL, "the modal is longer than 200 000 bytes")?;
    all(view.get("blocks").ok_or(Broken("blocks are missing"))?, MODAL_BLOCKS, Reached::default())
}

fn all(blocks: &Value, most: usize, reached: Reached<'_>) -> Result<(), Broken> {
    let blocks = blocks.as_array().ok_or(Broken("blocks are not a list"))?;
    ensure(!blocks.is_empty() && blocks.len() <= most, "too many blocks, or none")?;
    let mut names = BTreeSet::new();
    let mut actions = BTreeSet::new();
    for block in blocks {
        let name = string(block, "block_id");
        ensure(!name.is_empty() && names.insert(name), "a block_id is missing or double")?;
        at_most(name, 255, "a block_id is longer than 255")?;
        match string(block, "type") {
            "header" => at_most(string(&block["text"], "text"), 150, "a header is longer than 150")?,
            "section" => {
                at_most(string(&block["text"], "text"), 3_000, "a section is longer than 3 000")?;
                let fields = items(block, "fields");
                ensure(fields.len() <= 10, "a section has more than 10 fields")?;
                for field in fields {
                    at_most(string(field, "text"), 2_000, "a field is longer than 2 000")?;
                }
            }
            "context" => ensure(items(block, "elements").len() <= 10, "a context has more than 10 elements")?,
            "actions" => {
                ensure((1..=25).contains(&items(block, "elements").len()), "actions have no element, or more than 25")?;
                for element in items(block, "elements") {
                    interactive(element, &mut actions)?;
                }
            }
            "input" => {
                at_most(string(&block["label"], "text"), 2_000, "a label is longer than 2 000")?;
                at_most(string(&block["hint"], "text"), 2_000, "a hint is longer than 2 000")?;
                interactive(&block["element"], &mut actions)?;
            }
            "rich_text" => ensure(!items(block, "elements").is_empty(), "a rich_text is empty")?,
            _ => return Err(Broken("a block of a type that is not used here")),
        }
    }
    texts(&Value::Array(blocks.clone()), reached)
}

fn interactive<'a>(element: &'a Value, actions: &mut BTreeSet<&'a str>) -> Result<(), Broken> {
    let action = string(element, "action_id");
    ensure(!action.is_empty() && actions.insert(action), "an action_id is missing or double")?;
    at_most(action, 255, "an action_id is longer than 255")?;
    match string(element, "type") {
        "button" => {
            at_most(string(&element["text"], "text"), 75, "a button is longer than 75")?;
            at_most(string(element, "value"), 2_000, "a value is longer than 2 000")?;
            at_most(string(element, "accessibility_label"), 75, "an accessibility_label is longer than 75")?;
            ensure(element.get("url").is_none(), "a button must not lead to an address")
        }
        kind @ ("radio_buttons" | "static_select") => {
            let options = items(element, "options");
            let most = if kind == "radio_buttons" { 10 } else { 100 };
            ensure((1..=most).contains(&options.len()), "no options, or more than 10 radio buttons or 100 in a list")?;
            options.iter().try_for_each(|option| {
                at_most(string(&option["text"], "text"), 75, "an option is longer than 75")?;
                at_most(string(option, "value"), 75, "an option's value is longer than 75")
            })
        }
        "plain_text_input" | "number_input" => at_most(string(element, "initial_value"), 3_000, "an initial value is longer than 3 000"),
        _ => Err(Broken("an element of a type that is not used here")),
    }
}

/// Our own rules for every text, however deep: plain text without emoji, mrkdwn verbatim, no element that reaches people but those it should.
fn texts(value: &Value, reached: Reached<'_>) -> Result<(), Broken> {
    match value {
        Value::Object(object) => {
            match object.get("type").and_then(Value::as_str) {
                Some("plain_text") => {
                    ensure(object.get("emoji") == Some(&Value::Bool(false)), "plain_text must switch emoji off")?;
                    ensure(object.get("text").and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "an empty plain_text")?;
                }
                Some("mrkdwn") => ensure(object.get("verbatim") == Some(&Value::Bool(true)), "mrkdwn must be verbatim")?,
                Some("user")
                    if reached.accounts.iter().any(|account| is_account(account) && object.get("user_id") == Some(&json!(account))) => {}
                Some("link") if reached.address.is_some_and(|address| object.get("url") == Some(&json!(address))) => {}
                Some("user" | "usergroup" | "channel" | "broadcast" | "link" | "emoji" | "markdown") => {
                    return Err(Broken("an element that mentions, links or decorates"));
                }
                Some("text") => ensure(object.get("text").and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "an empty text")?,
                _ => {}
            }
            object.values().try_for_each(|value| texts(value, reached))
        }
        Value::Array(items) => items.iter().try_for_each(|value| texts(value, reached)),
        _ => Ok(()),
    }
}

/// An account's id, and nothing that could end the mention it stands in.
#[must_use]
pub fn is_account(text: &str) -> bool {
    text.starts_with(['U', 'W']) && text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn string<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn at_most(text: &str, most: usize, otherwise: &'static str) -> Result<(), Broken> {
    ensure(text.chars().count() <= most, otherwise)
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(otherwise)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(block: &Value) -> Value {
        json!({"text": "x", "blocks": [block]})
    }

    #[test]
    fn a_message_reaches_whom_it_should_and_nobody_else() {
        let block = |element: &Value| {
            with(&json!({"type": "rich_text", "block_id": "a", "elements": [{"type": "rich_text_section", "elements": [element]}]}))
        };
        let (accounts, address) = (["U1".to_owned(), "U2> <!channel".to_owned()], "https://acme.slack.com/archives/C1/p1");
        let reached = Reached { accounts: &accounts, address: Some(address) };
        for good in [json!({"type": "user", "user_id": "U1"}), json!({"type": "link", "url": address, "text": "x"})] {
            assert_eq!(message(&block(&good), reached), Ok(()));
            assert!(card(&block(&good)).is_err(), "{good}");
        }
        for bad in [
            json!({"type": "user", "user_id": "U3"}),
            json!({"type": "user", "user_id": "U2> <!channel"}),
            json!({"type": "link", "url": "https://evil.example.com", "text": "x"}),
            json!({"type": "broadcast", "range": "channel"}),
        ] {
            assert!(message(&block(&bad), reached).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_limit_is_noticed() {
        let plain = |text: &str| json!({"type": "plain_text", "text": text, "emoji": false});
        let button = |text: &str, action: &str| json!({"type": "button", "action_id": action, "value": "v", "text": plain(text)});
        let good = json!({"type": "header", "block_id": "a", "text": plain("x")});
        assert_eq!(card(&with(&good)), Ok(()));
        for bad in [
            json!({"type": "header", "block_id": "a", "text": plain(&"x".repeat(151))}),
            json!({"type": "header", "block_id": "a", "text": {"type": "plain_text", "text": "x"}}),
            json!({"type": "header", "text": plain("x")}),
            json!({"type": "section", "block_id": "a", "text": {"type": "mrkdwn", "text": "x"}}),
            json!({"type": "section", "block_id": "a", "fields": vec![plain("x"); 11]}),
            json!({"type": "section", "block_id": "a", "fields": [plain(&"x".repeat(2_001))]}),
            json!({"type": "section", "block_id": "a", "text": plain(&"x".repeat(3_001))}),
            json!({"type": "actions", "block_id": "a", "elements": []}),
            json!({"type": "actions", "block_id": "a", "elements": [button("x", "1"), button("x", "1")]}),
            json!({"type": "actions", "block_id": "a", "elements": [button(&"x".repeat(76), "1")]}),
            json!({"type": "rich_text", "block_id": "a", "elements": [{"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U1"}]}]}),
            json!({"type": "markdown", "block_id": "a", "text": "x"}),
            json!({"type": "rich_text", "block_id": "a", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x".repeat(10_000)}]}]}),
        ] {
            assert!(card(&with(&bad)).is_err(), "{bad}");
        }
        assert!(card(&json!({"text": "x", "blocks": [good, good]})).is_err(), "a double block_id");
        assert!(card(&json!({"text": "", "blocks": [good]})).is_err());
        assert!(modal(&json!({"blocks": [good], "title": plain(&"x".repeat(25))})).is_err());
        assert!(modal(&json!({"blocks": [good], "private_metadata": "x".repeat(3_001)})).is_err());
    }
}
