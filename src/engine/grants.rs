//! Owns the grant of an approval: minted at the first read, the same until it expires, redeemed exactly once.
//!
//! Never returns a token to anybody but the requesting client, and consumes nothing when it refuses.

use super::caller::Client;
use super::signer::Claims;
use super::{Engine, Failure};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::digest::{self, Digest};
use crate::domain::ids::GrantId;
use crate::domain::request::{Event, Grant, GrantReason, Minted, Refused, Request};
use crate::domain::time::Timestamp;
use crate::store::{Commit, CommitError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};
use std::time::Duration;

/// Bounds of a grant's life, in seconds.
const SHORTEST: u64 = 10;
const LONGEST: u64 = 120;
const ATTEMPTS: usize = 40;

/// A token, for the requesting client only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The JWT.
    pub token: String,
    /// Its id.
    pub jti: GrantId,
    /// Its `exp`.
    pub expires_at: Timestamp,
}

/// What the executor says it is about to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// The parameters themselves.
    Parameters(Map<String, Value>),
    /// The digest that the executor computed.
    Digest(Digest),
}

/// A redeemed grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Redeemed {
    /// The request.
    pub request: Request,
    /// The token's id.
    pub jti: GrantId,
    /// When.
    pub at: Timestamp,
}

/// What introspection tells (RFC 7662 §2.2).
#[derive(Debug, Clone, PartialEq)]
pub enum Introspection {
    /// Nothing, beyond that it cannot be used.
    Inactive,
    /// It can be redeemed now.
    Active(Box<Claims>),
}

impl Engine {
    /// The grant of an approved request for its requester: the present token, or a new one. `None` when there is none any more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn grant(&self, request: Request, client: &Client) -> Result<(Request, Option<Token>), Failure> {
        let mut request = request;
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            if request.asked().client.id != client.id || !request.is_usable(now, client.void_before) || client.frozen_at.is_some() {
                return Ok((request, None));
            }
            if let Some(token) = self.present_token(&request, now) {
                return Ok((request, Some(token)));
            }
            let minted = self.mint_for(&request, now)?;
            let transition = match request.clone().apply(Event::Mint(minted), now) {
                Ok(transition) => transition,
                Err(Refused::NoGrant(_) | Refused::NotApproved) => return Ok((request, None)),
                Err(_) => {
                    request = self.reload(&request).await?;
                    continue;
                }
            };
            let after = transition.after().clone();
            match self.commit(Commit::new(transition)).await {
                Ok(()) => request = after,
                Err(CommitError::Conflict) => request = self.reload(&request).await?,
                Err(CommitError::IdempotencyTaken) => return Err(Failure::Internal),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Failure::Busy)
    }

    async fn reload(&self, request: &Request) -> Result<Request, Failure> {
        self.store.request(request.id()).await?.ok_or(Failure::NotFound("request"))
    }

    /// The token that exists and has not expired.
    #[must_use]
    pub fn present_token(&self, request: &Request, now: Timestamp) -> Option<Token> {
        match &request.approved()?.grant {
            Grant::Minted(minted) if minted.expires_at > now => {
                let sealed = BASE64.decode(&minted.sealed).ok()?;
                let token = self
                    .data_key
                    .open(minted.jti.as_str(), &sealed)
                    .inspect_err(|_| tracing::error!(jti = %minted.jti, "a kept grant cannot be decrypted; is this the right master key?"))
                    .ok()?;
                Some(Token { token: String::from_utf8(token).ok()?, jti: minted.jti.clone(), expires_at: minted.expires_at })
            }
            Grant::Unminted | Grant::Minted(_) | Grant::Redeemed { .. } | Grant::Revoked { .. } => None,
        }
    }

    /// Signs a token for an approved request; its life is the shortest of what caller, rule and configuration say.
    pub(super) fn mint_for(&self, request: &Request, now: Timestamp) -> Result<Minted, Failure> {
        let approval = request.approved().ok_or(Failure::Internal)?;
        let asked = request.asked().ask.grant.as_ref().and_then(|grant| grant.ttl).unwrap_or(self.settings.grant_ttl.as_secs());
        let ttl = request.requirements().grant_ttl.map_or(asked, |rule| rule.min(asked)).clamp(SHORTEST, LONGEST);
        // `exp` has whole seconds: round down, so that the token never outlives what the server remembers of it.
        let until = now.plus(Duration::from_secs(ttl)).min(approval.valid_until);
        let expires_at = Timestamp::from_millis(until.as_seconds() * 1_000);
        let jti = GrantId::new(now, self.random.bytes());
        let token = self.signer.sign(request, &jti, now, expires_at).ok_or(Failure::Internal)?;
        let sealed = self.data_key.seal(jti.as_str(), token.as_bytes()).map_err(|_| Failure::Internal)?;
        Ok(Minted { jti, expires_at, sealed: BASE64.encode(sealed) })
    }

    /// Uses a grant, once. A refusal consumes nothing and is an audit event.
    ///
    /// # Errors
    /// In this order: bad token, wrong audience, revoked or frozen, already redeemed, expired, mismatch.
    pub async fn redeem(&self, client: &Client, token: &str, bound: Bound) -> Result<Redeemed, Failure> {
        let Some(claims) = self.signer.recognise(token) else {
            self.note_refused_grant(client, None, &Failure::BadToken).await;
            return Err(Failure::BadToken);
        };
        let result = self.redeem_claims(client, &claims, &bound).await;
        if let Err(failure) = &result {
            self.note_refused_grant(client, Some(&claims), failure).await;
        }
        result
    }

    async fn redeem_claims(&self, client: &Client, claims: &Claims, bound: &Bound) -> Result<Redeemed, Failure> {
        if claims.aud != client.name {
            return Err(Failure::forbidden("wrong_audience", "This grant is for another client; only its audience can redeem it."));
        }
        if client.frozen_at.is_some() {
            return Err(Refused::NoGrant(GrantReason::Frozen).into());
        }
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let request = self.store.request(&claims.request_id).await?.ok_or(Failure::BadToken)?;
            let requester = self.store.client(&request.asked().client.id).await?.ok_or(Failure::BadToken)?;
            judge(&request, &requester, claims, now)?;
            if !matches_bound(&request, bound) {
                return Err(Failure::Invalid {
                    code: "parameters_mismatch",
                    detail: "These are not the parameters that were approved. Nothing was consumed.".to_owned(),
                    errors: Vec::new(),
                });
            }
            let event = Event::Redeem { jti: claims.jti.clone(), by: client.id.clone(), void_before: requester.void_before };
            let transition = request.apply(event, now)?;
            let after = transition.after().clone();
            match self.commit(Commit::new(transition).unless_frozen()).await {
                Ok(()) => return Ok(Redeemed { request: after, jti: claims.jti.clone(), at: now }),
                Err(CommitError::Conflict) => {}
                Err(CommitError::IdempotencyTaken) => return Err(Failure::Internal),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Failure::Busy)
    }

    /// Whether a token could be redeemed now by its audience. Consumes nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn introspect(&self, client: &Client, token: &str) -> Result<Introspection, Failure> {
        let Some(claims) = self.signer.recognise(token) else { return Ok(Introspection::Inactive) };
        if claims.aud != client.name {
            return Ok(Introspection::Inactive);
        }
        let Some(request) = self.store.request(&claims.request_id).await? else { return Ok(Introspection::Inactive) };
        let Some(requester) = self.store.client(&request.asked().client.id).await? else { return Ok(Introspection::Inactive) };
        match judge(&request, &requester, &claims, self.clock.now()) {
            Ok(()) => Ok(Introspection::Active(Box::new(claims))),
            Err(_) => Ok(Introspection::Inactive),
        }
    }

    async fn note_refused_grant(&self, client: &Client, claims: Option<&Claims>, failure: &Failure) {
        let mut entry = Entry::new(Kind::GrantRefused, Actor::Client(client.id.clone()), claims.map(|claims| &claims.request_id))
            .with("reason", failure.code());
        if let Some(claims) = claims {
            entry = entry.with("jti", claims.jti.as_str());
        }
        self.note_refusal(entry).await;
    }
}

/// The refusals that depend on the token and the request, in the order of the contract.
fn judge(request: &Request, requester: &Client, claims: &Claims, now: Timestamp) -> Result<(), Failure> {
    let approval = request.approved().ok_or(Failure::BadToken)?;
    if matches!(approval.grant, Grant::Revoked { .. }) {
        return Err(Refused::NoGrant(GrantReason::Revoked).into());
    }
    let redeemed = matches!(approval.grant, Grant::Redeemed { .. });
    if requester.frozen_at.is_some() || (!redeemed && request.grant_reason(now, requester.void_before) == Some(GrantReason::Frozen)) {
        return Err(Refused::NoGrant(GrantReason::Frozen).into());
    }
    if redeemed {
        return Err(Refused::NoGrant(GrantReason::Redeemed).into());
    }
    let current = matches!(&approval.grant, Grant::Minted(minted) if minted.jti == claims.jti);
    if !current || now.as_millis() >= claims.exp.saturating_mul(1_000) || now >= approval.valid_until {
        return Err(Failure::GrantExpired);
    }
    Ok(())
}

fn matches_bound(request: &Request, bound: &Bound) -> bool {
    let asked = request.asked();
    match bound {
        Bound::Digest(digest) => digest == request.digest(),
        Bound::Parameters(parameters) => {
            digest::digest(&asked.ask.action, &asked.client.id, asked.nonce, parameters, asked.ask.resource.as_ref()) == *request.digest()
        }
    }
}
