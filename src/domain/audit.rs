//! Owns the audit events: their types, their canonical bytes and the hash chain over them.
//!
//! Never holds what a person wrote or is called: an event carries ids, pseudonyms (`per_…`), digests, group and
//! rule names, reason codes, times and keyed commitments, so that erasing a person or a text never touches the log.
//!
//! Leaf hash: `SHA-256(0x00 ‖ event bytes)`, the leaf of RFC 6962 §2.1. Chain hash:
//! `SHA-256(0x02 ‖ chain hash of seq − 1 ‖ leaf hash)`, 32 zero bytes before `seq` 1.

mod canonical;
pub mod verify;

use crate::domain::ids::{ClientId, EventId, PersonId, RequestId};
use crate::domain::time::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// The chain hash before the first event.
pub const GENESIS: Hash = [0; 32];

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $name),+ }

        impl Kind {
            /// Every kind, for documentation and search.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name as it stands in the log.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

kinds! {
    /// A request was created.
    RequestCreated = "request.created",
    /// A request was approved, by people or by policy.
    RequestApproved = "request.approved",
    /// A request was denied.
    RequestDenied = "request.denied",
    /// A request's time ran out.
    RequestExpired = "request.expired",
    /// The caller took its request back.
    RequestCancelled = "request.cancelled",
    /// An approval was taken back before its grant was used.
    RequestRevoked = "request.revoked",
    /// The people of a request's open seats were reminded.
    RequestReminded = "request.reminded",
    /// More people see a request, or may fill its open seats, because nobody decided.
    RequestEscalated = "request.escalated",
    /// A reviewer changed the parameters.
    RequestEdited = "request.edited",
    /// The caller told how the action ended.
    RequestOutcome = "request.outcome",
    /// A review was accepted.
    ReviewRecorded = "review.recorded",
    /// A known person's review was refused.
    ReviewRefused = "review.refused",
    /// A grant was minted.
    GrantMinted = "grant.minted",
    /// A grant was redeemed.
    GrantRedeemed = "grant.redeemed",
    /// A redeem, or another act of a known caller, was refused.
    GrantRefused = "grant.refused",
    /// A card reached its channel.
    DeliveryPosted = "delivery.posted",
    /// A card was redrawn.
    DeliveryUpdated = "delivery.updated",
    /// A card cannot be delivered.
    DeliveryFailed = "delivery.failed",
    /// Another policy became active.
    PolicyChanged = "policy.changed",
    /// A rule could not be evaluated.
    PolicyError = "policy.error",
    /// A client was created.
    ClientCreated = "client.created",
    /// A client's scopes, owner or keys changed.
    ClientChanged = "client.changed",
    /// A client was frozen or unfrozen.
    ClientFrozen = "client.frozen",
    /// A known caller was refused: missing scope, foreign request, frozen.
    ClientRefused = "client.refused",
    /// What the directory says of a person's identifiers changed.
    PersonChanged = "person.changed",
    /// The configuration changed in a way that matters to evidence.
    ConfigChanged = "config.changed",
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// An authenticated caller.
    Client(ClientId),
    /// A person of the directory.
    Person(PersonId),
    /// The server itself: policy, expiry, delivery, an operator at the command line.
    System,
}

impl Actor {
    /// `client`, `person` or `system`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "client",
            Self::Person(_) => "person",
            Self::System => "system",
        }
    }

    /// The id, where there is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Client(id) => Some(id.as_str()),
            Self::Person(id) => Some(id.as_str()),
            Self::System => None,
        }
    }
}

/// An event that has no place in the log yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// Who did it.
    pub actor: Actor,
    /// The request it belongs to.
    pub request: Option<RequestId>,
    /// Facts: ids, digests, codes, commitments. No free text.
    pub data: Map<String, Value>,
}

impl Entry {
    /// An event of `kind` by `actor`, without facts yet.
    #[must_use]
    pub fn new(kind: Kind, actor: Actor, request: Option<&RequestId>) -> Self {
        Self { kind, actor, request: request.cloned(), data: Map::new() }
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    /// Everything but the place in the log, serialised once by whoever asks for the write.
    ///
    /// # Errors
    /// When a fact has no canonical form: an event that lost a fact must not enter the log.
    pub fn prepare(&self, id: &EventId, at: Timestamp) -> Result<Prepared, NotCanonical> {
        let actor = match self.actor.id() {
            Some(id) => format!(r#"{{"id":"{id}","kind":"{}"}}"#, self.actor.kind()),
            None => format!(r#"{{"id":null,"kind":"{}"}}"#, self.actor.kind()),
        };
        let data = serde_json_canonicalizer::to_string(&self.data).map_err(|_| NotCanonical)?;
        let request = self.request.as_ref().map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
        Ok(Prepared {
            // RFC 8785 orders members by name: actor, at, data, id, request, seq, type.
            before_seq: format!(r#"{{"actor":{actor},"at":"{at}","data":{data},"id":"{id}","request":{request},"seq":"#),
            after_seq: format!(r#","type":"{}"}}"#, self.kind.as_str()),
            kind: self.kind,
            at,
            actor: self.actor.clone(),
            request: self.request.clone(),
        })
    }
}

/// A fact that RFC 8785 has no form for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fact of an event has no canonical form")]
pub struct NotCanonical;

/// An event whose bytes lack only the sequence number, which the writer knows.
#[derive(Debug, Clone)]
pub struct Prepared {
    before_seq: String,
    after_seq: String,
    /// What happened.
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// The request it belongs to.
    pub request: Option<RequestId>,
}

impl Prepared {
    /// Gives the event its place: its final bytes and both hashes.
    #[must_use]
    pub fn seal(&self, head: &Head) -> Sealed {
        let seq = head.seq + 1;
        let event = format!("{}{seq}{}", self.before_seq, self.after_seq);
        let leaf = leaf_hash(event.as_bytes());
        Sealed { seq, chain: chain_hash(&head.chain, &leaf), leaf, event }
    }
}

/// An event in its final form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its place, from 1, without gaps.
    pub seq: u64,
    /// RFC 8785 bytes.
    pub event: String,
    /// Leaf hash of the bytes.
    pub leaf: Hash,
    /// Chain hash up to and with this event.
    pub chain: Hash,
}

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of events.
    pub seq: u64,
    /// Chain hash of the last one.
    pub chain: Hash,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { seq: 0, chain: GENESIS };

    /// The head after `event`.
    #[must_use]
    pub fn after(event: &Sealed) -> Self {
        Self { seq: event.seq, chain: event.chain }
    }

    /// What the audit key signs: a fixed first line, the size, the chain hash and the time.
    #[must_use]
    pub fn signed_bytes(&self, at: Timestamp) -> Vec<u8> {
        format!("countersign-audit-head/v1\n{}\n{}\n{at}\n", self.seq, hex(&self.chain)).into_bytes()
    }
}

/// `SHA-256(0x00 ‖ event)`.
#[must_use]
pub fn leaf_hash(event: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(event).finalize().into()
}

/// `SHA-256(0x02 ‖ before ‖ leaf)`.
#[must_use]
pub fn chain_hash(before: &Hash, leaf: &Hash) -> Hash {
    Sha256::new().chain_update([0x02]).chain_update(before).chain_update(leaf).finalize().into()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // A table instead of a format string: this runs a dozen times per request.
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).fold(String::with_capacity(bytes.len() * 2), |mut text, nibble| {
        text.push(char::from(DIGITS[usize::from(nibble)]));
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Prepared {
        Entry::new(Kind::RequestCreated, Actor::System, None)
            .with("zulu", "z")
            .with("alpha", 1)
            .prepare(&EventId::new(Timestamp::from_millis(0), [0; 10]), Timestamp::from_millis(0))
            .unwrap()
    }

    #[test]
    fn bytes_are_canonical_json() {
        let sealed = entry().seal(&Head::EMPTY);
        let value: Value = serde_json::from_str(&sealed.event).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), sealed.event);
        assert_eq!(value["seq"], 1);
        assert_eq!(value["type"], "request.created");
    }

    #[test]
    fn the_chain_covers_everything_before() {
        let first = entry().seal(&Head::EMPTY);
        let second = entry().seal(&Head::after(&first));
        assert_eq!(second.seq, 2);
        assert_eq!(second.chain, chain_hash(&first.chain, &second.leaf));
        assert_ne!(first.leaf, second.leaf, "seq stands inside the bytes");
    }
}
