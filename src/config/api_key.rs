//! Owns the form of an API key: `cs_<key id>_<secret>`, its hash, and how ours are made.
//!
//! Never stores a key and never shows one: what is kept is the SHA-256 of the whole key. The secret has at least 190 random bits, so a slow hash would add nothing.

use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::fmt;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Characters of a generated key id.
const ID_LENGTH: usize = 8;
/// 256 bits in base62.
const SECRET_LENGTH: usize = 43;
/// 32 bits in base62.
const CHECKSUM_LENGTH: usize = 6;

/// What is known of a client's key: its hash, and its id unless only the hash was given.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// The part between the underscores; `None` when the configuration gives `key_sha256`: then the hash alone identifies the key.
    pub id: Option<String>,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A text that is no API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an API key is cs_<id>_<secret>: the id 4 to 16 of a-z and 0-9, the secret at least 32 of A-Z, a-z and 0-9")]
pub struct InvalidApiKey;

/// SHA-256 of the whole key, as it is stored and compared.
pub fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Lower hex, as `key_sha256` is written.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(BASE36[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Takes a presented or configured key apart.
pub fn parse(key: &str) -> Result<ClientKey, InvalidApiKey> {
    let (id, secret) = key.strip_prefix("cs_").and_then(|rest| rest.split_once('_')).ok_or(InvalidApiKey)?;
    let id_fits = (4..=16).contains(&id.len()) && id.bytes().all(|byte| BASE36.contains(&byte));
    let secret_fits = secret.len() >= 32 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if id_fits && secret_fits { Ok(ClientKey { id: Some(id.to_owned()), hash: hash(key) }) } else { Err(InvalidApiKey) }
}

/// Makes a key from 40 random bytes: 8 for the id, 32 for the secret. It ends in a checksum, so that a secret scanner can tell a key of ours from a
/// look-alike without asking us.
pub fn generate(random: &[u8; 40]) -> SecretString {
    let (for_id, for_secret) = random.split_at(8);
    let mut key = String::from("cs_");
    key.push_str(&digits(for_id, BASE36, ID_LENGTH));
    key.push('_');
    key.push_str(&digits(for_secret, BASE62, SECRET_LENGTH));
    let checksum = checksum(&key);
    key.push_str(&checksum);
    SecretString::from(key)
}

/// Whether the key ends in the checksum that ours have. Configured keys need not.
pub fn has_checksum(key: &str) -> bool {
    key.is_ascii()
        && key.len() > CHECKSUM_LENGTH
        && key.split_at(key.len() - CHECKSUM_LENGTH).1 == checksum(&key[..key.len() - CHECKSUM_LENGTH])
}

fn checksum(text: &str) -> String {
    digits(&crc32(text.as_bytes()).to_be_bytes(), BASE62, CHECKSUM_LENGTH)
}

/// The last `length` digits of a big-endian number. For a secret that is all of them: 62^43 > 2^256, so no entropy is lost.
fn digits(number: &[u8], alphabet: &[u8], length: usize) -> String {
    let base = u32::try_from(alphabet.len()).unwrap_or(u32::MAX);
    let mut number = number.to_vec();
    let mut text = vec![0_u8; length];
    for digit in text.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / base).unwrap_or(u8::MAX);
            remainder = value % base;
        }
        *digit = alphabet[remainder as usize];
    }
    text.into_iter().map(char::from).collect()
}

/// CRC-32 of IEEE 802.3 (reflected polynomial EDB88320), bit by bit: keys are short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_checksum_is_the_standard_one() {
        // The check value that catalogues of CRCs give for "123456789".
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn generated_keys_parse_and_differ() {
        let mut random = [7_u8; 40];
        let first = generate(&random);
        random[39] = 8;
        let second = generate(&random);
        assert_ne!(first.expose_secret(), second.expose_secret());
        let parsed = parse(first.expose_secret()).unwrap();
        assert_eq!(parsed.id.as_deref().map(str::len), Some(8));
        assert_eq!(parsed.hash, hash(first.expose_secret()));
        assert_eq!(first.expose_secret().len(), 3 + 8 + 1 + 43 + 6);
        assert!(has_checksum(first.expose_secret()));
        assert!(!has_checksum(&first.expose_secret().replace("cs_", "ct_")));
        assert!(!has_checksum("cs_") && !has_checksum("äöüäöü1"));
    }

    #[test]
    fn the_extremes_of_randomness_stay_keys() {
        let low = generate(&[0; 40]);
        let high = generate(&[255; 40]);
        assert!(low.expose_secret().starts_with("cs_00000000_0000000000000000000000000000000000000000000"));
        assert!(parse(high.expose_secret()).is_ok());
        // No digit is lost at the top: the largest number does not begin with the digit zero.
        assert_ne!(high.expose_secret().as_bytes()[12], b'0');
    }

    #[test]
    fn hashes_are_of_the_whole_key() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(hex(&hash("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn look_alikes_are_refused() {
        let secret = "A".repeat(32);
        assert!(parse(&format!("cs_abcd_{secret}")).is_ok());
        for key in [
            String::new(),
            format!("abcd_{secret}"),
            format!("cs_abc_{secret}"),
            format!("cs_{}_{secret}", "a".repeat(17)),
            format!("cs_ABCD_{secret}"),
            format!("cs_abcd_{}", "A".repeat(31)),
            format!("cs_abcd_{secret}_"),
            format!("cs_abcd_{secret} "),
            format!("CS_abcd_{secret}"),
        ] {
            assert_eq!(parse(&key), Err(InvalidApiKey), "{key}");
        }
    }

    #[test]
    fn debug_shows_no_hash() {
        let shown = format!("{:?}", parse(&format!("cs_abcd_{}", "A".repeat(32))).unwrap());
        assert_eq!(shown, "ClientKey { id: Some(\"abcd\"), .. }");
    }
}
