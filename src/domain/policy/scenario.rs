//! Owns a request to try a policy on, as `policy explain` and test cases are given it, read from JSON.
//!
//! Never guesses: a member it does not know is a mistake, so that a misspelt one is not judged as absent.

use super::facts::{ClientFacts, Facts, History, PersonFacts};
use crate::domain::field_error::{FieldError, push_pointer};
use crate::domain::time::Timestamp;
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// Members of `POST /v1/requests` that no rule looks at.
const UNSEEN: [&str; 12] = [
    "summary",
    "justification",
    "links",
    "agent",
    "allowed_decisions",
    "edit_schema",
    "deny_options",
    "sensitive",
    "expires_in",
    "callback",
    "grant",
    "state",
];
/// A request to try a policy on, with all that surrounds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    action: String,
    resource: Option<Map<String, Value>>,
    parameters: Map<String, Value>,
    context: Option<Map<String, Value>>,
    client: (String, String, Option<String>),
    on_behalf_of: Option<(String, Value)>,
    history: History,
    now: Option<Timestamp>,
}

impl Scenario {
    /// Reads the body of `POST /v1/requests`, of which it needs `action`, and beside it `client` (a name, or `{id, name, owner}`),
    /// `on_behalf_of` (an e-mail address, or a person record with one), `history` and `now`. All mistakes are found at once.
    pub fn from_json(value: &Value) -> Result<Self, Vec<FieldError>> {
        let Value::Object(members) = value else { return Err(vec![FieldError::new("", "must be an object")]) };
        let mut errors = Vec::new();
        let known = ["action", "resource", "parameters", "context", "client", "on_behalf_of", "history", "now"];
        for name in members.keys().filter(|name| !known.contains(&name.as_str()) && !UNSEEN.contains(&name.as_str())) {
            errors.push(FieldError::new(push_pointer("", name), "is not a member of a request"));
        }
        let mut object = |name: &str| match members.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map.clone()),
            Some(_) => {
                errors.push(FieldError::new(format!("/{name}"), "must be an object"));
                None
            }
        };
        let (resource, parameters, context) = (object("resource"), object("parameters").unwrap_or_default(), object("context"));
        let action = members.get("action").and_then(Value::as_str).unwrap_or_default().to_owned();
        if action.is_empty() {
            errors.push(FieldError::new("/action", "must be a string, and is required"));
        }
        let client = client(members.get("client")).unwrap_or_else(|| {
            errors.push(FieldError::new("/client", "must be a name, or an object of strings: id, name, owner"));
            Default::default()
        });
        let on_behalf_of = match members.get("on_behalf_of") {
            None | Some(Value::Null) => None,
            Some(Value::String(email)) => Some((email.clone(), serde_json::json!({ "email": email }))),
            Some(record) => {
                let email = record.get("email").and_then(Value::as_str);
                if email.is_none() {
                    errors.push(FieldError::new("/on_behalf_of", "must be an e-mail address, or a person record with an \"email\""));
                }
                email.map(|email| (email.to_owned(), record.clone()))
            }
        };
        let history = members.get("history").map_or(Ok(History::default()), History::deserialize).unwrap_or_else(|_| {
            errors.push(FieldError::new("/history", "must be an object of counts: approved_24h, denied_24h, expired_24h"));
            History::default()
        });
        let now = members.get("now").and_then(|value| {
            let now = value.as_str().and_then(Timestamp::parse);
            if now.is_none() {
                errors.push(FieldError::new("/now", "must be a time such as \"2026-11-20T09:00:00Z\""));
            }
            now
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { action, resource, parameters, context, client, on_behalf_of, history, now })
    }

    /// The facts, at `now` unless the scenario says when.
    pub fn facts(&self, now: Timestamp) -> Facts<'_> {
        let (id, name, owner) = &self.client;
        Facts {
            action: &self.action,
            resource: self.resource.as_ref(),
            parameters: &self.parameters,
            context: self.context.as_ref(),
            client: ClientFacts { id, name, owner: owner.as_deref() },
            on_behalf_of: self.on_behalf_of.as_ref().map(|(email, record)| PersonFacts { email, record }),
            history: self.history,
            now: self.now.unwrap_or(now),
        }
    }
}

/// Id, name and owner.
fn client(value: Option<&Value>) -> Option<(String, String, Option<String>)> {
    let id = || "cli_00000000000000000000000000".to_owned();
    match value {
        None => Some((id(), "example".to_owned(), None)),
        Some(Value::String(name)) => Some((id(), name.clone(), None)),
        Some(Value::Object(map)) if map.iter().all(|(key, value)| ["id", "name", "owner"].contains(&key.as_str()) && value.is_string()) => {
            let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
            Some((text("id").unwrap_or_else(id), text("name").unwrap_or_else(|| "example".to_owned()), text("owner")))
        }
        Some(_) => None,
    }
}
