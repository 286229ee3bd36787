//! Owns the frames of Socket Mode: what Slack writes, and how an envelope is acknowledged.
//!
//! Never reads a payload: that is the intake's business, as over HTTP.

use serde::Deserialize;
use serde_json::{Value, json};

/// What Slack writes.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    /// A greeting.
    Hello { app_id: Option<String> },
    /// The connection goes: `warning`, `refresh_requested`, `link_disabled`, `too_many_websockets`.
    Disconnect { reason: String },
    /// A callback.
    Envelope(Box<Envelope>),
}

/// A callback on its way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Envelope {
    /// Acknowledged by it.
    pub(super) id: String,
    /// `interactive`, `slash_commands`, `events_api`.
    pub(super) kind: String,
    /// What would have come over HTTP, as JSON.
    pub(super) payload: String,
    /// The acknowledgement may carry an answer.
    pub(super) accepts_answer: bool,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type", default)]
    kind: String,
    envelope_id: Option<String>,
    payload: Option<Value>,
    #[serde(default)]
    accepts_response_payload: bool,
    reason: Option<String>,
    connection_info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    app_id: Option<String>,
}

/// Reads a frame; `None` when it is none that we know. Whatever has an envelope's id is one: it must be acknowledged.
pub(super) fn read(text: &str) -> Option<Frame> {
    let wire: Wire = serde_json::from_str(text).ok()?;
    match (wire.envelope_id, wire.kind.as_str()) {
        (Some(id), _) => {
            let payload = wire.payload.map(|payload| payload.to_string()).unwrap_or_default();
            Some(Frame::Envelope(Box::new(Envelope { id, kind: wire.kind, payload, accepts_answer: wire.accepts_response_payload })))
        }
        (None, "hello") => Some(Frame::Hello { app_id: wire.connection_info.and_then(|info| info.app_id).filter(|id| !id.is_empty()) }),
        (None, "disconnect") => Some(Frame::Disconnect { reason: wire.reason.unwrap_or_default() }),
        _ => None,
    }
}

/// The word by which an envelope is acknowledged.
pub(super) fn acknowledgement(id: &str, answer: Option<Value>) -> String {
    match answer {
        Some(answer) => json!({"envelope_id": id, "payload": answer}).to_string(),
        None => json!({ "envelope_id": id }).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_tolerantly_and_envelopes_whatever_they_hold() {
        let hello =
            r#"{"type":"hello","num_connections":1,"debug_info":{"approximate_connection_time":18060},"connection_info":{"app_id":"A1"}}"#;
        assert_eq!(read(hello), Some(Frame::Hello { app_id: Some("A1".to_owned()) }));
        assert_eq!(read(r#"{"type":"hello"}"#), Some(Frame::Hello { app_id: None }));
        assert_eq!(read(r#"{"type":"disconnect","reason":"warning"}"#), Some(Frame::Disconnect { reason: "warning".to_owned() }));
        let Some(Frame::Envelope(odd)) = read(r#"{"envelope_id":"e1","type":"new_thing"}"#) else { panic!("no envelope") };
        assert_eq!((odd.kind.as_str(), odd.payload.as_str(), odd.accepts_answer), ("new_thing", "", false));
        for foreign in ["", "[]", "{}", r#"{"type":"new_thing"}"#, "\u{0}"] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
        assert_eq!(acknowledgement("e1", None), r#"{"envelope_id":"e1"}"#);
    }
}
