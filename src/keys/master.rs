//! Owns the master key: subkeys for one purpose each, and sealing small texts under one.
//!
//! Never encrypts with the master key itself, and never lets two purposes share a subkey.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox, SecretString};

/// Separates our subkeys from those of any other program that was given the same key.
const SALT: &[u8] = b"countersign/v1";
/// The first byte of everything sealed: a later format gets another one.
const FORMAT: u8 = 1;

/// What a subkey is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signs session cookies.
    Session,
    /// Keys the commitments (HMAC) that stand in the audit log for texts.
    Commitment,
    /// Seals data keys and stored tokens.
    Data,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"session",
            Self::Commitment => b"commitment",
            Self::Data => b"data",
        }
    }
}

/// 32 secret random bytes.
#[derive(Debug)]
pub struct MasterKey(SecretBox<[u8; 32]>);

/// A key for one purpose.
#[derive(Debug)]
pub struct Subkey(SecretBox<[u8; 32]>);

/// A text could not be sealed, or what was given is not what was sealed under this key for this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The cryptographic library refused; nothing was sealed.
    #[error("the text could not be sealed")]
    Seal,
    /// Cut, changed, moved from another place, or sealed under another key.
    #[error("the stored text cannot be opened: it was changed, or sealed under another master key")]
    Open,
}

impl MasterKey {
    /// From base64 of exactly 32 bytes; space around it does not count. The error says what is wrong with the form.
    pub fn from_text(text: &SecretString) -> Result<Self, &'static str> {
        let text = text.expose_secret().trim();
        if text.is_empty() {
            return Err("it is empty");
        }
        let bytes = SecretBox::new(Box::new(STANDARD.decode(text).map_err(|_| "it is not base64")?));
        let bytes: [u8; 32] = bytes.expose_secret().as_slice().try_into().map_err(|_| "it does not hold exactly 32 bytes")?;
        if bytes == [0; 32] {
            return Err("it is all zeros");
        }
        Ok(Self(SecretBox::new(Box::new(bytes))))
    }

    /// The subkey for `purpose`: HKDF-SHA256 (RFC 5869). Always the same for the same master key.
    ///
    /// # Panics
    /// Never: HKDF refuses only outputs beyond 255 blocks.
    #[expect(clippy::expect_used, reason = "HKDF refuses only outputs beyond 255 blocks; this is one")]
    pub fn derive(&self, purpose: Purpose) -> Subkey {
        let info = [purpose.label()];
        let mut key = [0; 32];
        Salt::new(HKDF_SHA256, SALT)
            .extract(self.0.expose_secret())
            .expand(&info, ThirtyTwo)
            .and_then(|output| output.fill(&mut key))
            .expect("32 bytes of HKDF-SHA256");
        Subkey(SecretBox::new(Box::new(key)))
    }
}

impl Subkey {
    /// A keyed digest of bytes: equal for equal bytes, and nothing to those without the key.
    pub fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.expose());
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&key, bytes).as_ref());
        digest
    }

    /// The bytes, for HMAC. Its only way out.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// Seals `text` with AES-256-GCM under a random nonce. `place` (e.g. `grant:<jti>`) must be given again to open: what was sealed for one place
    /// does not open in another. The result is format byte, nonce, ciphertext, tag.
    pub fn seal(&self, place: &str, text: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, self.expose()).map_err(|_| SealError::Seal)?;
        let mut body = text.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut body).map_err(|_| SealError::Seal)?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`Subkey::seal`] made for the same `place`.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (format, rest) = sealed.split_first().ok_or(SealError::Open)?;
        if *format != FORMAT || rest.len() < NONCE_LEN {
            return Err(SealError::Open);
        }
        let (nonce, body) = rest.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Open)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, self.expose()).map_err(|_| SealError::Open)?;
        let mut body = body.to_vec();
        let length = key.open_in_place(nonce, Aad::from(place.as_bytes()), &mut body).map_err(|_| SealError::Open)?.len();
        body.truncate(length);
        Ok(body)
    }
}

/// A new key as text, with a line end; none when the system gives no randomness.
pub(super) fn generate() -> Option<SecretString> {
    let mut bytes = SecretBox::new(Box::new([0_u8; 32]));
    SystemRandom::new().fill(secrecy::ExposeSecretMut::expose_secret_mut(&mut bytes)).ok()?;
    Some(SecretString::from(STANDARD.encode(bytes.expose_secret()) + "\n"))
}

/// The length of our subkeys, as HKDF wants it told.
struct ThirtyTwo;

impl KeyType for ThirtyTwo {
    fn len(&self) -> usize {
        32
    }
}
