//! Owns `[[clients]]`: who may call, with which key and which scopes, and who answers for them.
//!
//! Never keeps a key: only its hash leaves this file. A client that writes requests without an owner does not load.

use crate::config::api_key::{self, ClientKey};
use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use crate::config::suggest;
use crate::config::webhooks::WebhookSecret;
pub use crate::domain::client::Scope;
use crate::domain::ids::PersonId;
use secrecy::ExposeSecret;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no scope of this version; the sentence says which would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        if let Some(scope) = Self::ALL.into_iter().find(|scope| scope.as_str() == text) {
            return Ok(scope);
        }
        if text == "scim" {
            return Err(UnknownScope("scope \"scim\" is not supported by this version; remove it".to_owned()));
        }
        let known = Self::ALL.map(Self::as_str);
        let hint = match suggest::hint(text, known) {
            hint if hint.is_empty() => format!("; known are {}", known.join(", ")),
            hint => hint,
        };
        Err(UnknownScope(format!("unknown scope \"{}\"{hint}", text.escape_debug())))
    }
}

/// One `[[clients]]`.
#[derive(Debug, Clone)]
pub struct Client {
    /// `[a-z0-9][a-z0-9._-]{0,63}`; the same name is the same client for ever.
    pub name: String,
    /// What is known of its key.
    pub key: ClientKey,
    /// What it may do; empty: nothing.
    pub scopes: BTreeSet<Scope>,
    /// E-mail address or `per_…` of the person answerable for it, who never approves what it asks.
    pub owner: Option<String>,
    /// Globs over e-mail addresses and person ids for which it may act; empty: nobody.
    pub may_act_for: Vec<String>,
    /// Signs its callbacks; none: it can ask for none.
    pub webhook_secret: Option<WebhookSecret>,
}

impl Section for Client {
    const NAME: &'static str = "clients";
    const HEADING: &'static str = "[[clients]]";
    const KEYS: &'static [Key] = &[
        Key::new(
            "clients",
            "name",
            Kind::Text,
            Preset::Required,
            "Lower case; the same name is the same client for ever, and the audience of its grants.",
        ),
        Key::new(
            "clients",
            "key",
            Kind::Secret,
            Preset::Absent,
            "The API key, cs_<id>_<secret>. Exactly one of key, key_file and key_sha256.",
        ),
        Key::new(
            "clients",
            "key_sha256",
            Kind::Text,
            Preset::Absent,
            "SHA-256 of the whole key in lower hex, so that the file holds no secret: printf %s \"$KEY\" | sha256sum",
        ),
        Key::new("clients", "scopes", Kind::List, Preset::Value("[]"), "What it may do. Empty: nothing."),
        Key::new(
            "clients",
            "owner",
            Kind::Text,
            Preset::Absent,
            "E-mail address or person id of who answers for it; required with requests:write. The owner never approves what it asks.",
        ),
        Key::new(
            "clients",
            "may_act_for",
            Kind::List,
            Preset::Value("[]"),
            "People in whose name it may ask: globs over e-mail addresses or person ids. Empty: nobody.",
        ),
        Key::new(
            "clients",
            "webhook_secret",
            Kind::Secret,
            Preset::Absent,
            "whsec_…: signs the callbacks that this client asks for. Absent: it can ask for none.",
        ),
    ];

    fn read(fields: &mut Fields<'_>) -> Self {
        let name = fields.parsed("name", name).unwrap_or_default();
        let key = read_key(fields);
        let scopes = fields.list("scopes", |text| text.parse().map_err(|UnknownScope(message)| message)).unwrap_or_default();
        let owner = fields.parsed("owner", person);
        let may_act_for = fields.list("may_act_for", glob).unwrap_or_default();
        let webhook_secret = fields.secret("webhook_secret").and_then(|text| {
            WebhookSecret::parse(text.expose_secret())
                .map_err(|problem| fields.fail("webhook_secret", format!("webhook_secret: {problem}")))
                .ok()
        });
        Self { name, key, scopes: scopes.into_iter().collect(), owner, may_act_for, webhook_secret }
    }

    fn validate(&self) -> Vec<Invalid> {
        let mut found = Vec::new();
        if self.name.is_empty() {
            found.push(Invalid::new("name", "name is required in [[clients]]"));
        }
        if self.scopes.contains(&Scope::RequestsWrite) && self.owner.is_none() {
            found
                .push(Invalid::new("owner", "owner is required with the scope requests:write; name the person answerable for this client"));
        }
        found
    }
}

/// Stands for a key that was found wrong. Loading fails then, so it never counts; and no text has this hash.
const NO_KEY: [u8; 32] = [0; 32];

/// What clients may not share: `(index of the later client, what is wrong)`.
pub(crate) fn shared(clients: &[Client]) -> Vec<(usize, Invalid)> {
    let mut found = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        let key = if client.key.id.is_some() { "key" } else { "key_sha256" };
        for other in &clients[..index] {
            if !client.name.is_empty() && client.name == other.name {
                found.push((index, Invalid::new("name", format!("the name \"{}\" is used twice", client.name))));
            }
            if client.key.hash == NO_KEY {
                continue;
            }
            if client.key.hash == other.key.hash {
                found.push((
                    index,
                    Invalid::new(key, format!("this key is also the key of \"{}\"; every client needs its own", other.name)),
                ));
            } else if client.key.id.is_some() && client.key.id == other.key.id {
                found.push((
                    index,
                    Invalid::new(key, format!("this key has the same id as the key of \"{}\"; every key needs its own", other.name)),
                ));
            }
        }
    }
    found
}

fn read_key(fields: &mut Fields<'_>) -> ClientKey {
    let nothing = ClientKey { id: None, hash: NO_KEY };
    let whole = fields.given("key") || fields.given("key_file");
    let hashed = fields.parsed("key_sha256", sha256);
    if whole && fields.given("key_sha256") {
        fields.fail("key", "key and key_sha256 are both given; keep one");
        return nothing;
    }
    if let Some(hash) = hashed {
        return ClientKey { id: None, hash };
    }
    let Some(key) = fields.secret("key") else {
        if !whole && !fields.given("key_sha256") {
            fields.fail("key", "key is required in [[clients]] (or key_file, or key_sha256)");
        }
        return nothing;
    };
    api_key::parse(key.expose_secret()).unwrap_or_else(|problem| {
        fields.fail("key", format!("key: {problem}"));
        nothing
    })
}

fn sha256(text: &str) -> Result<[u8; 32], String> {
    let wrong = || "must be 64 characters of 0-9 and a-f: the SHA-256 of the whole key in lower hex".to_owned();
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).map_err(|_| wrong())?;
    }
    Ok(hash)
}

/// A client's name: `[a-z0-9][a-z0-9._-]{0,63}`.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = (1..=64).contains(&text.len())
        && text.bytes().next().is_some_and(lower)
        && text.bytes().all(|byte| lower(byte) || matches!(byte, b'.' | b'_' | b'-'));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("must begin with a-z or 0-9 and hold only a-z, 0-9, \".\", \"_\" and \"-\", at most 64 characters".to_owned())
    }
}

fn person(text: &str) -> Result<String, String> {
    if text.parse::<PersonId>().is_ok() || crate::config::email::is_address(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("\"{}\" is neither an e-mail address nor a person id (per_…)", text.escape_debug()))
    }
}

fn glob(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("\"{}\" is not a glob over e-mail addresses; write for example \"*@example.com\"", text.escape_debug()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_they_are_read() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
        let message = |text: &str| text.parse::<Scope>().unwrap_err().to_string();
        assert_eq!(message("request:write"), "unknown scope \"request:write\"; did you mean \"requests:write\"?");
        assert_eq!(message("scim"), "scope \"scim\" is not supported by this version; remove it");
        assert_eq!(
            message("root"),
            "unknown scope \"root\"; known are requests:write, requests:read, grants:redeem, policy:read, policy:write, clients:write, audit:read"
        );
    }

    #[test]
    fn names_are_lower_case_words() {
        for text in ["a", "0", "exporter-bot", "a.b_c-d", &"a".repeat(64)] {
            assert!(name(text).is_ok(), "{text}");
        }
        for text in ["", "-a", ".a", "A", "ä", "a b", &"a".repeat(65)] {
            assert!(name(text).is_err(), "{text}");
        }
    }
}
