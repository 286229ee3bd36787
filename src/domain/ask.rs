//! Owns what a caller may ask: the body of `POST /v1/requests`, read strictly and kept exactly as it was sent.
//!
//! Never decides anything: whether the ask is allowed, who must agree and for how long is policy's business.
//! Limits stand in api.md §1; those that it leaves open (resource, links, names) are the constants here.

mod callback;

pub use callback::{Callback, Notice};

use crate::domain::edit::EditSchema;
use crate::domain::field_error::FieldError;
use crate::domain::reader::{Errors, Reader, Text, kind, nearest};
use serde_json::{Map, Value};

/// Most characters of `action`.
pub const MAX_ACTION: usize = 128;
/// Most characters of `summary`.
pub const MAX_SUMMARY: usize = 300;
/// Most characters of `justification` and of every comment.
pub const MAX_PROSE: usize = 4_000;
/// Largest `parameters`, in canonical bytes.
pub const MAX_PARAMETERS: usize = 64 * 1024;
/// Largest `context` (and `resource`), in canonical bytes.
pub const MAX_CONTEXT: usize = 16 * 1024;
const MAX_AGENT: usize = 4 * 1024;
const MAX_STATE_BYTES: usize = 64 * 1024;
const MAX_ITEMS: usize = 10;
const MAX_SENSITIVE: usize = 100;
const MAX_RESOURCE_ID: usize = 1_000;
const MAX_TITLE: usize = 150;
const MAX_URL: usize = 2_048;
const MAX_NAME: usize = 128;
/// The longest e-mail address (RFC 5321 §4.5.3.1: 64 + 1 + 255).
const MAX_PERSON: usize = 320;
const EXPIRES_IN: std::ops::RangeInclusive<i64> = 10..=2_592_000;

/// What a reviewer may do besides commenting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allowed {
    /// Say yes.
    Approve,
    /// Say no. Always among the allowed.
    Deny,
    /// Say yes to changed parameters.
    Edit,
}

/// A link that the caller wants people to see; shown as text, never as a button.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Link {
    /// What it leads to, in a few words.
    pub title: String,
    /// An `https` address without credentials in it.
    pub url: String,
}

/// A reason for denial that the caller can act upon.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DenyOption {
    /// What the caller's program tests: `[A-Za-z0-9._-]`, unique in the ask.
    pub name: String,
    /// What the reviewer reads.
    pub title: String,
}

/// What the caller wants of the grant.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct GrantWish {
    /// Name of the client that will redeem; absent: the requester itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub audience: Option<String>,
    /// Wished life of a token in seconds, at least 1; clamped to 10 … 120 when minted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ttl: Option<u64>,
}

/// A validated ask. Serialises to the JSON that the store keeps; what the caller left out stays out.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Ask {
    /// Lower-case words joined by dots.
    pub action: String,
    /// What is acted upon: a free object with `type`, `id`, `environment` when given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource: Option<Map<String, Value>>,
    /// The exact arguments of the action; empty when none were given.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// One line for people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub summary: Option<String>,
    /// Why, in the caller's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub justification: Option<String>,
    /// Anything else that helps to decide.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context: Option<Map<String, Value>>,
    /// Links to look at.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub links: Vec<Link>,
    /// What the agent says about itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub agent: Option<Map<String, Value>>,
    /// Person id or e-mail of the person it is for, as claimed; the client's `may_act_for` judges it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_behalf_of: Option<String>,
    /// What reviewers may do; contains `Deny`, each at most once.
    pub allowed_decisions: Vec<Allowed>,
    /// What an edit may change; there whenever `Edit` is allowed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub edit_schema: Option<EditSchema>,
    /// Ready-made reasons for a denial.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub deny_options: Vec<DenyOption>,
    /// JSON pointers into `parameters` whose values never leave unmasked; each exists.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sensitive: Vec<String>,
    /// Wished time to decide, in seconds (10 s … 30 d).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_in: Option<u64>,
    /// Where the caller wants to be told of changes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub callback: Option<Callback>,
    /// What is wished of the grant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub grant: Option<GrantWish>,
    /// Opaque text, returned verbatim to the requester only. May hold any character, NUL included.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub state: Option<String>,
}

impl Ask {
    /// Reads the body of `POST /v1/requests` and of `POST /v1/evaluate`. All mistakes are collected.
    pub fn from_value(value: &Value) -> Result<Self, Vec<FieldError>> {
        let errors = Errors::default();
        let ask = Reader::open(value, "", &errors).and_then(|reader| read(&reader, &errors));
        errors.finish(ask)
    }

    /// `resource.type`, when given.
    pub fn resource_type(&self) -> Option<&str> {
        self.resource_text("type")
    }

    /// `resource.id`, when given.
    pub fn resource_id(&self) -> Option<&str> {
        self.resource_text("id")
    }

    /// `resource.environment`, when given.
    pub fn environment(&self) -> Option<&str> {
        self.resource_text("environment")
    }

    fn resource_text(&self, name: &str) -> Option<&str> {
        self.resource.as_ref()?.get(name)?.as_str()
    }

    /// Whether a reviewer may do this.
    pub fn allows(&self, decision: Allowed) -> bool {
        self.allowed_decisions.contains(&decision)
    }

    /// Whether a justification with words in it was given; blanks do not satisfy a policy that demands one.
    pub fn has_justification(&self) -> bool {
        self.justification.as_deref().is_some_and(|text| !text.trim().is_empty())
    }
}

/// Whether a text may be an `Idempotency-Key`: 1 to 255 printable ASCII characters.
#[must_use]
pub fn is_idempotency_key(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// Whether a text is an action: `[a-z0-9_-]+(\.[a-z0-9_-]+)*`, at most 128 characters.
#[must_use]
pub fn is_action(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    text.len() <= MAX_ACTION && text.split('.').all(word)
}

/// `[a-z0-9][a-z0-9._-]{0,63}`: resource types and environments.
fn is_label(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with(['.', '_', '-'])
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

fn read(reader: &Reader<'_>, errors: &Errors) -> Option<Ask> {
    // Every member is read before anything is given up, so that all mistakes are told at once.
    let action = read_action(reader);
    let resource = read_resource(reader);
    let parameters = reader.free_object("parameters", MAX_PARAMETERS);
    let summary = reader.text("summary", Text::line(MAX_SUMMARY));
    let justification = reader.text("justification", Text::prose(MAX_PROSE));
    let context = reader.free_object("context", MAX_CONTEXT);
    let links = read_links(reader, errors);
    let agent = reader.free_object("agent", MAX_AGENT);
    let on_behalf_of = reader.text("on_behalf_of", Text::name(MAX_PERSON));
    let allowed_decisions = read_allowed(reader);
    let edit_schema = read_edit_schema(reader, errors, &allowed_decisions);
    let deny_options = read_deny_options(reader, errors);
    let parameters = parameters.unwrap_or_default();
    let sensitive = read_sensitive(reader, errors, &parameters);
    let expires_in = read_expires_in(reader);
    let callback = callback::read(reader, errors);
    let grant = read_grant(reader, errors);
    let state = read_state(reader);
    reader.close();
    Some(Ask {
        action: action?,
        resource,
        parameters,
        summary,
        justification,
        context,
        links,
        agent,
        on_behalf_of,
        allowed_decisions,
        edit_schema,
        deny_options,
        sensitive,
        expires_in,
        callback,
        grant,
        state,
    })
}

fn read_action(reader: &Reader<'_>) -> Option<String> {
    let action = reader.required_text("action", Text::name(MAX_ACTION))?;
    if !is_action(&action) {
        reader.wrong("action", "must be lower-case words joined by dots, such as db.export (letters, digits, _ and -)");
        return None;
    }
    Some(action)
}

fn read_resource(reader: &Reader<'_>) -> Option<Map<String, Value>> {
    let resource = reader.free_object("resource", MAX_CONTEXT)?;
    for name in ["type", "id", "environment"] {
        let Some(value) = resource.get(name) else { continue };
        let complaint = match value.as_str() {
            None => Some(format!("must be a string, not {}", kind(value))),
            Some(id) if name == "id" => Text::name(MAX_RESOURCE_ID).complaint(id),
            Some(label) if !is_label(label) => Some("must match [a-z0-9][a-z0-9._-]{0,63}".to_owned()),
            Some(_) => None,
        };
        if let Some(complaint) = complaint {
            reader.wrong_at(&format!("/resource/{name}"), complaint);
        }
    }
    Some(resource)
}

fn read_links(reader: &Reader<'_>, errors: &Errors) -> Vec<Link> {
    let items = reader.list("links", MAX_ITEMS).unwrap_or_default();
    items.into_iter().filter_map(|(at, item)| read_link(&Reader::open(item, at, errors)?)).collect()
}

fn read_link(link: &Reader<'_>) -> Option<Link> {
    let title = link.required_text("title", Text::name(MAX_TITLE));
    let url = link.required_text("url", Text::name(MAX_URL));
    link.close();
    let url = url?;
    let complaint = match url::Url::parse(&url) {
        Err(_) => Some("is not a URL"),
        Ok(parsed) if parsed.scheme() != "https" => Some("must be an https URL"),
        Ok(parsed) if !parsed.username().is_empty() || parsed.password().is_some() => Some("must not carry credentials"),
        Ok(_) => None,
    };
    if let Some(complaint) = complaint {
        link.wrong("url", complaint);
    }
    Some(Link { title: title?, url })
}

fn read_allowed(reader: &Reader<'_>) -> Vec<Allowed> {
    let Some(items) = reader.list("allowed_decisions", MAX_ITEMS) else { return vec![Allowed::Approve, Allowed::Deny] };
    let mut allowed = Vec::new();
    for (at, item) in items {
        let decision = match item.as_str() {
            Some("approve") => Allowed::Approve,
            Some("deny") => Allowed::Deny,
            Some("edit") => Allowed::Edit,
            Some(other) => {
                let guess = nearest(other, &["approve", "deny", "edit"]).map(|guess| format!("; did you mean \"{guess}\"?"));
                reader.wrong_at(&at, format!("must be one of approve, deny, edit{}", guess.unwrap_or_default()));
                continue;
            }
            None => {
                reader.wrong_at(&at, format!("must be a string, not {}", kind(item)));
                continue;
            }
        };
        if allowed.contains(&decision) {
            reader.wrong_at(&at, "is named twice");
        } else {
            allowed.push(decision);
        }
    }
    if !allowed.contains(&Allowed::Deny) {
        reader.wrong("allowed_decisions", "must contain \"deny\": a person can always say no");
    }
    allowed
}

fn read_edit_schema(reader: &Reader<'_>, errors: &Errors, allowed: &[Allowed]) -> Option<EditSchema> {
    let Some(value) = reader.optional("edit_schema") else {
        if allowed.contains(&Allowed::Edit) {
            reader.wrong("edit_schema", "is needed when edit is allowed: it names what may be changed");
        }
        return None;
    };
    match EditSchema::parse(value) {
        Ok(schema) => Some(schema),
        Err(found) => {
            errors.extend(found.into_iter().map(|error| FieldError::new(format!("/edit_schema{}", error.pointer), error.detail)));
            None
        }
    }
}

fn read_deny_options(reader: &Reader<'_>, errors: &Errors) -> Vec<DenyOption> {
    let mut options: Vec<DenyOption> = Vec::new();
    for (at, item) in reader.list("deny_options", MAX_ITEMS).unwrap_or_default() {
        let Some(option) = Reader::open(item, at, errors) else { continue };
        let name = option.required_text("name", Text::name(64));
        let title = option.required_text("title", Text::name(MAX_TITLE));
        option.close();
        let (Some(name), Some(title)) = (name, title) else { continue };
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            option.wrong("name", "may hold letters, digits, dot, _ and - only");
        } else if options.iter().any(|other| other.name == name) {
            option.wrong("name", "is the name of an earlier option; names must differ");
        } else {
            options.push(DenyOption { name, title });
        }
    }
    options
}

fn read_sensitive(reader: &Reader<'_>, errors: &Errors, parameters: &Map<String, Value>) -> Vec<String> {
    let mut pointers: Vec<String> = Vec::new();
    let items = reader.list("sensitive", MAX_SENSITIVE).unwrap_or_default();
    for (at, item) in items {
        let Some(pointer) = item.as_str() else {
            errors.push(at, format!("must be a string, not {}", kind(item)));
            continue;
        };
        let escaped = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if !escaped || (!pointer.is_empty() && !pointer.starts_with('/')) {
            errors.push(at, "is not a JSON pointer (RFC 6901), such as /destination");
        } else if !points_into(parameters, pointer) {
            errors.push(at, "points at nothing in parameters");
        } else if !pointers.iter().any(|known| known == pointer) {
            pointers.push(pointer.to_owned());
        }
    }
    pointers
}

/// Whether a pointer leads to a value; the empty one is the whole of the parameters.
fn points_into(parameters: &Map<String, Value>, pointer: &str) -> bool {
    let Some(rest) = pointer.strip_prefix('/') else { return pointer.is_empty() };
    let (first, deeper) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let name = first.replace("~1", "/").replace("~0", "~");
    parameters.get(&name).is_some_and(|value| value.pointer(deeper).is_some())
}

fn read_expires_in(reader: &Reader<'_>) -> Option<u64> {
    let seconds = reader.integer("expires_in")?;
    if !EXPIRES_IN.contains(&seconds) {
        reader.wrong("expires_in", "must be 10 … 2592000 seconds (10 s to 30 days)");
    }
    u64::try_from(seconds).ok()
}

fn read_grant(reader: &Reader<'_>, errors: &Errors) -> Option<GrantWish> {
    let value = reader.optional("grant")?;
    let grant = Reader::open(value, reader.at("grant"), errors)?;
    let audience = grant.text("audience", Text::name(MAX_NAME));
    let ttl = grant.integer("ttl");
    grant.close();
    if ttl.is_some_and(|ttl| ttl < 1) {
        grant.wrong("ttl", "must be a positive number of seconds");
    }
    Some(GrantWish { audience, ttl: ttl.and_then(|ttl| u64::try_from(ttl).ok()) })
}

fn read_state(reader: &Reader<'_>) -> Option<String> {
    let value = reader.optional("state")?;
    match value.as_str() {
        None => reader.wrong("state", format!("must be a string, not {}", kind(value))),
        Some(text) if text.len() > MAX_STATE_BYTES => {
            reader.wrong("state", format!("is {} bytes long; at most {MAX_STATE_BYTES} are allowed", text.len()));
        }
        Some(text) => return Some(text.to_owned()),
    }
    None
}

#[cfg(test)]
mod tests;
