//! Owns the signing keys: their PEM form (PKCS#8, RFC 5958 and RFC 7468) and what the rest needs of them.
//!
//! Never mixes the two: an Ed25519 key cannot sign grants, a P-256 key cannot sign the log.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::fmt;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// EC P-256: signs grants (ES256).
pub struct GrantKey {
    pem: SecretString,
    public: [u8; 65],
}

/// Ed25519: signs heads of the audit log.
pub struct AuditKey {
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GrantKey(..)")
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(..)")
    }
}

impl GrantKey {
    /// From PEM. The error says what is wrong with the form.
    pub fn from_pem(pem: &SecretString) -> Result<Self, &'static str> {
        let der = decode(pem)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.expose_secret())
            .map_err(|_| "it is not an EC P-256 key in PKCS#8")?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| "its public key has an unknown form")?;
        Ok(Self { pem: pem.clone(), public })
    }

    /// The PEM, for the JOSE library.
    pub fn pem(&self) -> &SecretString {
        &self.pem
    }

    /// The public point: `04`, then x and y of 32 bytes each (SEC 1 §2.3.3).
    pub fn public_point(&self) -> &[u8; 65] {
        &self.public
    }
}

impl AuditKey {
    /// From PEM. The error says what is wrong with the form.
    pub fn from_pem(pem: &SecretString) -> Result<Self, &'static str> {
        let der = decode(pem)?;
        let pair = Ed25519KeyPair::from_pkcs8(der.expose_secret()).map_err(|_| "it is not an Ed25519 key in PKCS#8")?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| "its public key has an unknown form")?;
        Ok(Self { pair, public })
    }

    /// The signature of `message` (RFC 8032), 64 bytes; none when the library refuses.
    pub fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        self.pair.try_sign(message).ok()?.as_ref().try_into().ok()
    }

    /// The public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }
}

/// Whether `signature` is that of `message` by the Ed25519 key `public` (RFC 8032). Anything malformed is not.
pub fn is_signed_by(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

pub(super) fn generate_grant() -> Option<SecretString> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok()?;
    Some(encode(document.as_ref()))
}

pub(super) fn generate_audit() -> Option<SecretString> {
    // Version 1, without the public key: the form that every OpenSSL reads.
    let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).ok()?;
    Some(encode(document.as_ref()))
}

fn encode(der: &[u8]) -> SecretString {
    let body = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}\n");
    for (index, character) in body.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push('\n');
    pem.push_str(END);
    pem.push('\n');
    SecretString::from(pem)
}

fn decode(pem: &SecretString) -> Result<SecretBox<Vec<u8>>, &'static str> {
    let text = pem.expose_secret().trim();
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.contains("BEGIN EC PRIVATE KEY") {
        return Err("it is in the SEC 1 form; convert it with: openssl pkcs8 -topk8 -nocrypt");
    }
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Err("it is encrypted; decrypt it with: openssl pkcs8 -nocrypt");
    }
    let body = text.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or("it is not one PEM block \"PRIVATE KEY\"")?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| "its PEM block is not base64")?;
    Ok(SecretBox::new(Box::new(der)))
}
