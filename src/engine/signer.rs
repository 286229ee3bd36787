//! Owns the grant token: making it, recognising it, and the public key that lets others do the latter.
//!
//! Never decides whether a grant may exist; never logs or prints a token.
//!
//! JWS ES256 (RFC 7518 §3.4), `typ` `cs-grant+jwt`, `kid` the RFC 7638 thumbprint of the key.

use crate::domain::digest::Digest;
use crate::domain::ids::{GrantId, RequestId};
use crate::domain::request::{DecidedBy, Request};
use crate::domain::time::Timestamp;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The `typ` of our tokens; a token of another kind signed with the same key is no grant.
const TYPE: &str = "cs-grant+jwt";

/// The claims of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `public_url` of this server.
    pub iss: String,
    /// Name of the client that may redeem it.
    pub aud: String,
    /// Id of the client that asked.
    pub sub: String,
    /// Its id.
    pub jti: GrantId,
    /// Seconds since the epoch.
    pub iat: i64,
    /// Seconds since the epoch.
    pub nbf: i64,
    /// Seconds since the epoch.
    pub exp: i64,
    /// The request.
    pub request_id: RequestId,
    /// What was approved.
    pub digest: Digest,
    /// The salt of the digest, so that an executor can recompute it.
    pub nonce: String,
    /// Pseudonyms of those whose approval counted.
    pub approvers: Vec<String>,
    /// Version of the policy that asked for them.
    pub policy_version: String,
    /// RFC 9396.
    pub authorization_details: Value,
}

/// The key of the grants.
pub struct GrantSigner {
    /// Read once: reading a key checks that its halves belong together, which costs more than a signature.
    pair: EcdsaKeyPair,
    /// The encoded header, the same in every token.
    header: String,
    decoding: DecodingKey,
    kid: String,
    jwk: Jwk,
    issuer: String,
}

impl std::fmt::Debug for GrantSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrantSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The key is not an EC P-256 key in PKCS #8 PEM.
#[derive(Debug, thiserror::Error)]
#[error(
    "the grant key is not a P-256 private key in PKCS#8 PEM; make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"
)]
pub struct BadKey;

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
enum SealError {
    #[error("the claims cannot be written as JSON")]
    Claims(#[from] serde_json::Error),
    #[error("the key does not sign")]
    Signature,
}

impl GrantSigner {
    /// Reads the key.
    ///
    /// # Errors
    /// When it is no P-256 key.
    pub fn new(pem: &SecretString, issuer: &str) -> Result<Self, BadKey> {
        let encoding = EncodingKey::from_ec_pem(pem.expose_secret().as_bytes()).map_err(|_| BadKey)?;
        let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::ES256).map_err(|_| BadKey)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| BadKey)?;
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| BadKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, encoding.as_bytes()).map_err(|_| BadKey)?;
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(kid.clone()), ..Header::new(Algorithm::ES256) };
        let header = BASE64URL.encode(serde_json::to_vec(&header).map_err(|_| BadKey)?);
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { pair, header, decoding, kid, jwk, issuer: issuer.to_owned() })
    }

    /// The thumbprint.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key set as served under `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.jwk]})
    }

    /// Who the tokens are from.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs the grant of an approved request. `None` when it is not approved or the signature fails.
    #[must_use]
    pub fn sign(&self, request: &Request, jti: &GrantId, now: Timestamp, expires_at: Timestamp) -> Option<String> {
        let approval = request.approved()?;
        let asked = request.asked();
        let approvers = match &approval.by {
            DecidedBy::People { people } => people.iter().map(ToString::to_string).collect(),
            DecidedBy::Policy { .. } | DecidedBy::Expiry | DecidedBy::Caller { .. } => Vec::new(),
        };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: asked.ask.grant.as_ref().and_then(|grant| grant.audience.as_deref()).unwrap_or(&asked.client.name).to_owned(),
            sub: asked.client.id.to_string(),
            jti: jti.clone(),
            iat: now.as_seconds(),
            nbf: now.as_seconds(),
            exp: expires_at.as_seconds(),
            request_id: request.id().clone(),
            digest: *request.digest(),
            nonce: asked.nonce.to_string(),
            approvers,
            policy_version: asked.policy.version.clone(),
            authorization_details: json!([{"type": "urn:countersign:action", "action": asked.ask.action, "resource": asked.ask.resource}]),
        };
        self.seal(&claims).inspect_err(|error| tracing::error!(error = %error, "a grant could not be signed")).ok()
    }

    /// The compact serialisation (RFC 7515 §3.1); the signature is r and s of 32 bytes each (RFC 7518 §3.4).
    fn seal(&self, claims: &Claims) -> Result<String, SealError> {
        let mut token = String::with_capacity(1_024);
        token.push_str(&self.header);
        token.push('.');
        BASE64URL.encode_string(serde_json::to_vec(claims)?, &mut token);
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| SealError::Signature)?;
        token.push('.');
        BASE64URL.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Recognises one of our tokens. `exp` is not judged here: the order of refusals is the use case's.
    #[must_use]
    pub fn recognise(&self, token: &str) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) || header.kid.as_deref() != Some(self.kid.as_str()) {
            return None;
        }
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).ok().map(|token| token.claims)
    }
}
