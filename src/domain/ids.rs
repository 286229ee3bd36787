//! Owns the identifiers of the product: a prefix and 26 characters of Crockford base32.
//!
//! Never generates anything by itself: time and randomness are arguments, so the same inputs
//! give the same id. Request, review, event, client and grant ids are UUIDv7 (RFC 9562 §5.7) and sort by time;
//! a person id is wholly random, because it is the pseudonym that stands in the audit log for ever.

use crate::domain::time::Timestamp;
use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters after the prefix: 26 × 5 bits hold 128 bits.
const LENGTH: usize = 26;

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid id: expected {prefix} followed by 26 characters of Crockford base32")]
pub struct InvalidId {
    /// The prefix that was expected, e.g. `req_`.
    pub prefix: &'static str,
}

fn encode(prefix: &str, value: u128) -> String {
    let mut text = String::with_capacity(prefix.len() + LENGTH);
    text.push_str(prefix);
    for position in (0..LENGTH).rev() {
        let index = usize::try_from((value >> (position * 5)) & 31).unwrap_or(0);
        text.push(char::from(ALPHABET[index]));
    }
    text
}

fn is_valid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == LENGTH
            && rest.bytes().all(|byte| ALPHABET.contains(&byte))
            // 26 × 5 = 130 bits: the first character may only carry three.
            && rest.as_bytes()[0] <= b'7'
    })
}

/// The 128 bits of a UUIDv7 made from a time and 80 random bits.
fn uuid_v7(at: Timestamp, random: [u8; 10]) -> u128 {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The prefix of every id of this kind.
            pub const PREFIX: &'static str = $prefix;

            id!(@constructor $kind);

            /// The id as it is written everywhere.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                if is_valid(Self::PREFIX, text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { prefix: Self::PREFIX })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
    (@constructor time_ordered) => {
        /// Makes the id of something that happens at `at`.
        #[must_use]
        pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
            Self(encode(Self::PREFIX, uuid_v7(at, random)))
        }
    };
    (@constructor random) => {
        /// Makes the id from 128 random bits; nothing about the subject can be read from it.
        #[must_use]
        pub fn new(random: [u8; 16]) -> Self {
            Self(encode(Self::PREFIX, u128::from_be_bytes(random)))
        }
    };
}

id!(
    /// A request: what a caller asks for.
    RequestId, "req_", time_ordered
);
id!(
    /// A review: one person's act on a request.
    ReviewId, "rev_", time_ordered
);
id!(
    /// An audit event.
    EventId, "evt_", time_ordered
);
id!(
    /// A client: an authenticated caller.
    ClientId, "cli_", time_ordered
);
id!(
    /// A grant: the `jti` of its token.
    GrantId, "gr_", time_ordered
);
id!(
    /// A person: the random pseudonym that stands in the log.
    PersonId, "per_", random
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ordered_ids_sort_by_time_and_parse_back() {
        let early = RequestId::new(Timestamp::from_millis(1_000), [255; 10]);
        let late = RequestId::new(Timestamp::from_millis(2_000), [0; 10]);
        assert!(early < late);
        assert_eq!(early.as_str().len(), 30);
        assert_eq!(early.as_str().parse::<RequestId>().unwrap(), early);
    }

    #[test]
    fn a_person_id_is_exactly_its_random_bits() {
        assert_eq!(PersonId::new([0; 16]).as_str(), "per_00000000000000000000000000");
        assert_eq!(PersonId::new([255; 16]).as_str(), "per_7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn foreign_texts_are_refused() {
        for text in [
            "",
            "req_",
            "req_0000000000000000000000000",
            "per_00000000000000000000000000",
            "req_8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "req_0000000000000000000000000I",
            "req_0000000000000000000000000a",
        ] {
            assert!(text.parse::<RequestId>().is_err(), "{text}");
        }
    }
}
