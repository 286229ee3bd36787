//! Owns what an approval is bound to: the nonce, the digest over the action's exact content, and keyed commitments.
//!
//! Never makes randomness: the nonce's 128 bits are an argument. Nothing else may hash parameters.

use crate::domain::audit::hex;
use crate::domain::ids::ClientId;
use crate::domain::json::{canonical, canonical_of};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// A text that is not a digest or a nonce.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidHex {
    /// What would have been right.
    pub expected: &'static str,
}

/// 128 random bits of one request: with them its digest cannot be guessed from masked values, and without them
/// (erased) it means nothing. Written as 32 lower hex characters, also inside the digest's input.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; 16]);

/// SHA-256 over the RFC 8785 form of what was asked; written `sha256:` and 64 lower hex characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Nonce {
    /// From random bits.
    #[must_use]
    pub const fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bits.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Digest {
    /// What stands before the hex characters.
    pub const PREFIX: &'static str = "sha256:";

    /// From the 32 bytes of a SHA-256.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex characters without the prefix, as button values carry them.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first 12 hex characters: what people see on a card. Never compared.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }
}

/// Exactly what the digest covers (api.md §2); the field names are the canonical members.
#[derive(serde::Serialize)]
struct Covered<'a> {
    action: &'a str,
    client: &'a ClientId,
    nonce: Nonce,
    parameters: &'a Map<String, Value>,
    resource: Option<&'a Map<String, Value>>,
}

/// The digest of an action: SHA-256 over the RFC 8785 bytes of
/// `{"action","client","nonce","parameters","resource"}`; an absent resource is `null`, absent parameters are `{}`.
#[must_use]
pub fn digest(
    action: &str,
    client: &ClientId,
    nonce: Nonce,
    parameters: &Map<String, Value>,
    resource: Option<&Map<String, Value>>,
) -> Digest {
    Digest(Sha256::digest(canonical_of(&Covered { action, client, nonce, parameters, resource })).into())
}

/// A commitment to a text under a key that can be erased: `hmac-sha256:` and 64 lower hex characters.
/// This is how free text enters the audit log.
#[must_use]
pub fn commitment(key: &[u8], text: &str) -> String {
    format!("hmac-sha256:{}", hex(&keyed(key, text.as_bytes())))
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104 §3)")]
fn keyed(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// A short hash of a value, 12 hex characters, that cannot be guessed without the request's nonce.
#[must_use]
pub fn fingerprint(nonce: Nonce, value: &Value) -> String {
    hex(&keyed(nonce.as_bytes(), &canonical(value))[..6])
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

macro_rules! text_form {
    ($name:ident, $prefix:expr, $expected:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidHex;

            fn from_str(text: &str) -> Result<Self, InvalidHex> {
                text.strip_prefix($prefix).and_then(unhex).map(Self).ok_or(InvalidHex { expected: $expected })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

text_form!(Nonce, "", "32 lower hex characters");
text_form!(Digest, Digest::PREFIX, "sha256: followed by 64 lower hex characters");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json;
    use proptest::prelude::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        action: String,
        client: ClientId,
        nonce: Nonce,
        parameters: Map<String, Value>,
        resource: Option<Map<String, Value>>,
        canonical: String,
        digest: Digest,
    }

    #[test]
    fn the_published_vectors_hold() {
        let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../tests/fixtures/digest-vectors.json")).unwrap();
        assert!(vectors.len() >= 3);
        for vector in vectors {
            let Vector { name, action, client, nonce, parameters, resource, canonical, digest: expected } = vector;
            let covered = Covered { action: &action, client: &client, nonce, parameters: &parameters, resource: resource.as_ref() };
            assert_eq!(String::from_utf8(canonical_of(&covered)).unwrap(), canonical, "{name}");
            assert_eq!(digest(&action, &client, nonce, &parameters, resource.as_ref()), expected, "{name}");
        }
    }

    #[test]
    fn every_covered_part_changes_the_digest() {
        let client: ClientId = "cli_00000000000000000000000001".parse().unwrap();
        let other: ClientId = "cli_00000000000000000000000002".parse().unwrap();
        let (nonce, parameters) = (Nonce::new([7; 16]), Map::from_iter([("a".to_owned(), Value::from(1))]));
        let (empty, resource) = (Map::new(), Map::from_iter([("id".to_owned(), Value::from("x"))]));
        let digests = [
            digest("a.b", &client, nonce, &parameters, Some(&resource)),
            digest("a.c", &client, nonce, &parameters, Some(&resource)),
            digest("a.b", &other, nonce, &parameters, Some(&resource)),
            digest("a.b", &client, Nonce::new([8; 16]), &parameters, Some(&resource)),
            digest("a.b", &client, nonce, &empty, Some(&resource)),
            digest("a.b", &client, nonce, &parameters, Some(&empty)),
            digest("a.b", &client, nonce, &parameters, None),
        ];
        let distinct: std::collections::BTreeSet<_> = digests.iter().collect();
        assert_eq!(distinct.len(), digests.len());
    }

    #[test]
    fn texts_are_strict() {
        let text = format!("sha256:{}", "0f".repeat(32));
        let parsed: Digest = text.parse().unwrap();
        assert_eq!(parsed.to_string(), text);
        assert_eq!(parsed.short(), "0f0f0f0f0f0f");
        assert_eq!(parsed.hex(), "0f".repeat(32));
        for wrong in ["", "sha256:", &"0f".repeat(32), &text.to_uppercase(), &text[..70], &format!("{text}0"), &text.replace("0f", "é")] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
        assert_eq!("000102030405060708090a0b0c0d0e0f".parse::<Nonce>().unwrap().as_bytes()[15], 15);
        assert!("000102030405060708090A0b0c0d0e0f".parse::<Nonce>().is_err());
    }

    #[test]
    fn a_commitment_is_hmac_sha_256() {
        // RFC 4231 test case 2.
        assert_eq!(
            commitment(b"Jefe", "what do ya want for nothing?"),
            "hmac-sha256:5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    proptest! {
        #[test]
        fn the_spelling_of_a_document_does_not_change_its_digest(numbers in proptest::collection::vec(-1_000_000i64..1_000_000, 0..6)) {
            let client: ClientId = "cli_00000000000000000000000001".parse().unwrap();
            let plain = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            let spaced = numbers.iter().rev().fold(String::new(), |list, n| if list.is_empty() { format!("{n}.0e0") } else { format!("{n}.0e0 , {list}") });
            let read = |text: String| match json::parse(text.as_bytes()) { Ok(Value::Object(map)) => map, other => panic!("{other:?}") };
            let one = read(format!(r#"{{"b":[{plain}],"a":1}}"#));
            let two = read(format!(r#"{{ "a" : 1.0, "\u0062" : [ {spaced} ] }}"#));
            prop_assert_eq!(digest("x", &client, Nonce::new([0; 16]), &one, None), digest("x", &client, Nonce::new([0; 16]), &two, None));
        }

        #[test]
        fn bytes_survive_their_text(bytes in any::<[u8; 32]>()) {
            prop_assert_eq!(Digest::from_bytes(bytes).to_string().parse::<Digest>().unwrap(), Digest::from_bytes(bytes));
        }
    }
}
