//! Owns FakeSlack's opinion of blocks: what Slack refuses with `invalid_blocks`, `invalid_arguments` or `msg_blocks_too_long`.
//!
//! Written from Slack's documentation, independently of what the product checks before it sends.

use serde_json::Value;
use std::collections::BTreeSet;

/// Characters of all texts of a message, above which Slack refuses it (seen by others, not documented).
pub(super) const TOTAL: usize = 13_200;

const MESSAGE_TYPES: [&str; 12] =
    ["actions", "context", "context_actions", "divider", "file", "header", "image", "markdown", "rich_text", "section", "table", "video"];
const MODAL_TYPES: [&str; 9] = ["actions", "context", "divider", "header", "image", "input", "rich_text", "section", "video"];

/// What is wrong with the blocks of a message; empty: nothing.
pub(super) fn message_faults(blocks: &Value) -> Vec<String> {
    faults(blocks, 50, &MESSAGE_TYPES)
}

/// What is wrong with a modal; empty: nothing.
pub(super) fn modal_faults(view: &Value) -> Vec<String> {
    let mut found = faults(&view["blocks"], 100, &MODAL_TYPES);
    if view["type"] != "modal" {
        found.push("type must be modal".to_owned());
    }
    longer(&view["title"]["text"], 24, "title", &mut found);
    if !view["title"]["text"].is_string() {
        found.push("missing required field: title".to_owned());
    }
    for part in ["submit", "close"] {
        longer(&view[part]["text"], 24, part, &mut found);
    }
    longer(&view["private_metadata"], 3_000, "private_metadata", &mut found);
    for part in ["callback_id", "external_id"] {
        longer(&view[part], 255, part, &mut found);
    }
    let has_input = view["blocks"].as_array().is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "input"));
    if has_input && view["submit"].is_null() {
        found.push("a modal with an input block needs submit".to_owned());
    }
    found
}

/// What is wrong with the page of an app; empty: nothing.
pub(super) fn home_faults(view: &Value) -> Vec<String> {
    let mut found = faults(&view["blocks"], 100, &MODAL_TYPES);
    if view["type"] != "home" {
        found.push("type must be home".to_owned());
    }
    found
}

/// The characters that Slack adds up.
pub(super) fn total(value: &Value) -> usize {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("text" | "value" | "url" | "alt_text", Value::String(text)) => text.chars().count(),
                (_, other) => total(other),
            })
            .sum(),
        Value::Array(items) => items.iter().map(total).sum(),
        _ => 0,
    }
}

fn faults(blocks: &Value, most: usize, types: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let Some(blocks) = blocks.as_array() else { return vec!["blocks must be an array".to_owned()] };
    if blocks.len() > most {
        found.push(format!("no more than {most} items allowed [json-pointer:/blocks]"));
    }
    let (mut names, mut actions) = (BTreeSet::new(), BTreeSet::new());
    for block in blocks {
        let kind = block["type"].as_str().unwrap_or_default();
        if !types.contains(&kind) {
            found.push(format!("unsupported type: {kind}"));
        }
        if let Some(name) = block["block_id"].as_str() {
            longer(&block["block_id"], 255, "block_id", &mut found);
            if !names.insert(name) {
                found.push(format!("block_id `{name}` already exists"));
            }
        }
        match kind {
            "header" => {
                text(&block["text"], 150, "header", &mut found);
                if block["text"]["type"] != "plain_text" {
                    found.push("a header must be plain_text".to_owned());
                }
            }
            "section" => section(block, &mut found),
            "context" => {
                let elements = list(&block["elements"]);
                if elements.is_empty() || elements.len() > 10 {
                    found.push("context: 1 to 10 elements".to_owned());
                }
            }
            "actions" => {
                let elements = list(&block["elements"]);
                if elements.is_empty() || elements.len() > 25 {
                    found.push("actions: 1 to 25 elements".to_owned());
                }
                for element in elements {
                    control(element, &mut actions, &mut found);
                }
            }
            "input" => {
                text(&block["label"], 2_000, "label", &mut found);
                control(&block["element"], &mut actions, &mut found);
            }
            "rich_text" => list(&block["elements"]).iter().for_each(|element| rich(element, &mut found)),
            _ => {}
        }
    }
    found
}

fn section(block: &Value, found: &mut Vec<String>) {
    if !block["text"].is_null() {
        text(&block["text"], 3_000, "section", found);
    } else if list(&block["fields"]).is_empty() {
        found.push("a section needs text or fields".to_owned());
    }
    if list(&block["fields"]).len() > 10 {
        found.push("no more than 10 fields".to_owned());
    }
    for field in list(&block["fields"]) {
        text(field, 2_000, "field", found);
    }
}

fn control<'a>(element: &'a Value, actions: &mut BTreeSet<&'a str>, found: &mut Vec<String>) {
    let action = element["action_id"].as_str().unwrap_or_default();
    if !action.is_empty() && !actions.insert(action) {
        found.push(format!("action_id `{action}` already exists"));
    }
    longer(&element["action_id"], 255, "action_id", found);
    match element["type"].as_str().unwrap_or_default() {
        "button" => {
            text(&element["text"], 75, "button", found);
            longer(&element["value"], 2_000, "value", found);
            longer(&element["url"], 3_000, "url", found);
            longer(&element["accessibility_label"], 75, "accessibility_label", found);
            if !matches!(element["style"].as_str(), None | Some("primary" | "danger")) {
                found.push("style must be primary or danger".to_owned());
            }
            let confirm = &element["confirm"];
            if confirm.is_object() {
                for (part, most) in [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)] {
                    longer(&confirm[part]["text"], most, part, found);
                }
            }
        }
        kind @ ("radio_buttons" | "checkboxes" | "static_select") => {
            let most = if kind == "static_select" { 100 } else { 10 };
            let options = list(&element["options"]);
            if options.is_empty() || options.len() > most {
                found.push(format!("1 to {most} options"));
            }
            let mut values = BTreeSet::new();
            for option in options {
                text(&option["text"], 75, "option", found);
                longer(&option["value"], 150, "option value", found);
                if !values.insert(option["value"].as_str()) {
                    found.push("option values must differ".to_owned());
                }
            }
            let initial = &element["initial_option"];
            if !initial.is_null() && !options.contains(initial) {
                found.push("initial_option must be one of the options".to_owned());
            }
        }
        "plain_text_input" => {
            longer(&element["initial_value"], 3_000, "initial_value", found);
            if element["max_length"].as_u64().is_some_and(|most| most > 3_000) {
                found.push("max_length is at most 3000".to_owned());
            }
        }
        "number_input" => {
            let initial = &element["initial_value"];
            if !element["is_decimal_allowed"].is_boolean() || initial.as_str().is_some_and(|text| text.parse::<f64>().is_err()) {
                found.push("number_input: is_decimal_allowed is required, and initial_value is a number".to_owned());
            }
        }
        "overflow" | "datepicker" | "users_select" => {}
        other => found.push(format!("unsupported type: {other}")),
    }
}

fn rich(element: &Value, found: &mut Vec<String>) {
    match element["type"].as_str().unwrap_or_default() {
        "rich_text_section" | "rich_text_quote" | "rich_text_preformatted" => {
            for inline in list(&element["elements"]) {
                match inline["type"].as_str().unwrap_or_default() {
                    "text" if inline["text"].as_str().is_none_or(str::is_empty) => found.push("must be more than 0 characters".to_owned()),
                    "text" | "link" | "user" | "usergroup" | "channel" | "broadcast" | "emoji" | "date" | "color" => {}
                    other => found.push(format!("unsupported type: {other}")),
                }
            }
        }
        "rich_text_list" => list(&element["elements"]).iter().for_each(|item| rich(item, found)),
        other => found.push(format!("unsupported type: {other}")),
    }
}

fn text(object: &Value, most: usize, what: &str, found: &mut Vec<String>) {
    if !matches!(object["type"].as_str(), Some("plain_text" | "mrkdwn")) || object["text"].as_str().is_none_or(str::is_empty) {
        found.push(format!("{what}: missing or empty text"));
    }
    if object["type"] == "mrkdwn" && !object["emoji"].is_null() {
        found.push(format!("{what}: emoji belongs to plain_text"));
    }
    if object["type"] == "plain_text" && !object["verbatim"].is_null() {
        found.push(format!("{what}: verbatim belongs to mrkdwn"));
    }
    longer(&object["text"], most, what, found);
}

fn longer(text: &Value, most: usize, what: &str, found: &mut Vec<String>) {
    if text.as_str().is_some_and(|text| text.chars().count() > most) {
        found.push(format!("{what}: must be less than {} characters", most + 1));
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
