//! Owns what a policy is asked about: the request as it stands, who asks, for whom, and when.
//!
//! Never fetches anything: whoever asks has gathered it, the time included.

use crate::domain::time::Timestamp;
use serde_json::{Map, Value};

/// One question to a policy. `parameters` are the final ones: those of an edit when an edit is judged.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The action's name.
    pub action: &'a str,
    /// The resource, when the caller named one.
    pub resource: Option<&'a Map<String, Value>>,
    /// The parameters; an empty object when the caller gave none.
    pub parameters: &'a Map<String, Value>,
    /// The caller's context, when given.
    pub context: Option<&'a Map<String, Value>>,
    /// The client that asks.
    pub client: ClientFacts<'a>,
    /// The person the client asks for.
    pub on_behalf_of: Option<PersonFacts<'a>>,
    /// What became of this client's recent requests for this action.
    pub history: History,
    /// The present.
    pub now: Timestamp,
}

/// The client: `client` in CEL.
#[derive(Debug, Clone, Copy)]
pub struct ClientFacts<'a> {
    /// `cli_…`
    pub id: &'a str,
    /// The name that `match.client` is compared with.
    pub name: &'a str,
    /// The owner's e-mail address; `null` in CEL when the client has none.
    pub owner: Option<&'a str>,
}

/// A person: their record is what CEL sees, the address is what `match.on_behalf_of` is compared with.
#[derive(Debug, Clone, Copy)]
pub struct PersonFacts<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The person's record as the directory has it.
    pub record: &'a Value,
}

/// Counts of one client and one action over the last 24 hours: `history` in CEL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Requests that were approved.
    pub approved_24h: u32,
    /// Requests that were denied.
    pub denied_24h: u32,
    /// Requests that expired.
    pub expired_24h: u32,
}

/// The number as an integer when it is one, however it was spelled: RFC 8785 writes `1000`, `1000.0` and `1e3` alike,
/// so two requests with one digest must be judged alike.
pub(super) fn integral(number: &serde_json::Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_991.0)?;
        // `-0.0` is written `-0`, which reads back as 0.
        format!("{float:.0}").parse().ok()
    })
}

/// The canonical JSON text (RFC 8785) of a string's contents, a number or a boolean; nothing for anything else.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => match integral(number) {
            Some(integer) => Some(integer.to_string()),
            None => serde_json_canonicalizer::to_string(value).ok(),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_number_has_one_text_however_it_was_spelled() {
        for (text, canonical) in [
            ("1000", "1000"),
            ("1000.0", "1000"),
            ("1e3", "1000"),
            ("-0.0", "0"),
            ("-5", "-5"),
            ("0.5", "0.5"),
            ("5e-1", "0.5"),
            ("0.000001", "0.000001"),
            ("9007199254740991", "9007199254740991"),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(scalar_text(&value).unwrap(), canonical, "{text}");
        }
        assert_eq!(scalar_text(&json!(true)).unwrap(), "true");
        assert_eq!(scalar_text(&json!("a\"b")).unwrap(), "a\"b");
        for value in [json!(null), json!([1]), json!({})] {
            assert_eq!(scalar_text(&value), None);
        }
    }
}
