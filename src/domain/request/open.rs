//! Owns the birth of a request: what is fixed for ever, and the state in which policy lets it start.
//!
//! Never evaluates policy: the evaluation is an argument.

use super::{Approval, DecidedBy, Effect, Grant, Live, Request, State, Transition, feedback};
use crate::domain::ask::Ask;
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::digest::{self, Digest, Nonce};
use crate::domain::ids::{ClientId, PersonId, RequestId};
use crate::domain::mask::Mask;
use crate::domain::policy::{Effect as PolicyEffect, Evaluation};
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A client as a request remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRef {
    /// The id.
    pub id: ClientId,
    /// The name; also the default audience of a grant.
    pub name: String,
}

/// What was asked; fixed when the request is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The id.
    pub id: RequestId,
    /// Who asks.
    pub client: ClientRef,
    /// The person it is for, who never approves it.
    pub on_behalf_of: Option<OnBehalfOf>,
    /// The body, validated.
    pub ask: Ask,
    /// 128 random bits that salt the digest.
    pub nonce: Nonce,
    /// Digest of the original parameters.
    pub digest: Digest,
    /// What policy said.
    pub policy: PolicyOutcome,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops being answerable.
    pub expires_at: Timestamp,
    /// Key of the commitments to this request's texts; erased with them.
    pub commitment_key: String,
}

/// The person a request is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnBehalfOf {
    /// The pseudonym.
    pub id: PersonId,
    /// E-mail at that moment.
    pub email: String,
    /// Name at that moment.
    pub name: String,
}

/// Policy's answer, pinned to the request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyOutcome {
    /// `allow`, `review` or `deny`.
    pub effect: PolicyEffect,
    /// Ids of the rules that matched.
    pub rules: Vec<String>,
    /// `sha256:` and the hash of the policy's bytes.
    pub version: String,
    /// One or two sentences for people.
    pub explanation: String,
    /// What its `[[mask]]` entries say about this action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mask>,
}

/// Everything that opening a request needs.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The id.
    pub id: RequestId,
    /// Who asks.
    pub client: ClientRef,
    /// For whom.
    pub on_behalf_of: Option<OnBehalfOf>,
    /// The validated body.
    pub ask: Ask,
    /// Random salt of the digest.
    pub nonce: Nonce,
    /// Random key of the commitments.
    pub commitment_key: [u8; 16],
    /// What policy says.
    pub evaluation: Evaluation,
    /// Version of that policy.
    pub policy_version: String,
}

impl Request {
    /// Opens a request in the state that policy's effect asks for.
    pub fn open(opening: Opening, now: Timestamp) -> Transition {
        let Opening { id, client, on_behalf_of, ask, nonce, commitment_key, evaluation, policy_version } = opening;
        let requirements = evaluation.requirements;
        let digest = digest::digest(&ask.action, &client.id, nonce, &ask.parameters, ask.resource.as_ref());
        let lifetime = ask.expires_in.map_or(requirements.expires_in, |asked| asked.min(requirements.expires_in));
        let asked = Asked {
            digest,
            policy: PolicyOutcome {
                effect: evaluation.effect,
                rules: evaluation.rules.clone(),
                version: policy_version,
                explanation: evaluation.explanation,
                masks: evaluation.masks,
            },
            created_at: now,
            expires_at: now.plus(Duration::from_secs(lifetime)),
            commitment_key: crate::domain::audit::hex(&commitment_key),
            id,
            client,
            on_behalf_of,
            ask,
            nonce,
        };
        let decided_by = DecidedBy::Policy { rules: evaluation.rules };
        let (state, mut effects) = match evaluation.effect {
            PolicyEffect::Review => (State::Pending, vec![Effect::Post(requirements.destinations.clone())]),
            PolicyEffect::Allow => (
                State::Approved(Approval {
                    at: now,
                    by: decided_by,
                    valid_until: now.plus(Duration::from_secs(requirements.approval_valid)),
                    grant: Grant::Unminted,
                    outcome: None,
                }),
                Vec::new(),
            ),
            PolicyEffect::Deny => {
                let feedback = feedback::denied_by_policy(&asked.policy);
                (State::Denied { at: now, by: decided_by, feedback, reason: None }, Vec::new())
            }
        };
        effects.retain(|effect| !matches!(effect, Effect::Post(destinations) if destinations.is_empty()));
        let mut events = vec![created_event(&asked)];
        events.extend(evaluation.errors.iter().map(|error| {
            Entry::new(Kind::PolicyError, Actor::System, Some(&asked.id))
                .with("rule", error.rule.clone())
                .with("policy_version", asked.policy.version.clone())
        }));
        match &state {
            State::Approved(_) => events.push(
                Entry::new(Kind::RequestApproved, Actor::System, Some(&asked.id))
                    .with("by", "policy")
                    .with("digest", digest.to_string())
                    .with("rules", asked.policy.rules.clone()),
            ),
            State::Denied { .. } => events.push(
                Entry::new(Kind::RequestDenied, Actor::System, Some(&asked.id))
                    .with("by", "policy")
                    .with("rules", asked.policy.rules.clone()),
            ),
            State::Pending | State::Expired { .. } | State::Cancelled { .. } => {}
        }
        let live =
            Live { requirements, final_parameters: None, digest, past_digests: Vec::new(), reviews: Vec::new(), state, reminded_at: None };
        let after = Self { asked: Arc::new(asked), version: 1, live };
        if after.status().is_terminal() {
            effects.extend(after.notice(true));
        }
        Transition { after, from_version: 0, events, effects, at: now }
    }
}

fn created_event(asked: &Asked) -> Entry {
    let ask = &asked.ask;
    let mut event = Entry::new(Kind::RequestCreated, Actor::Client(asked.client.id.clone()), Some(&asked.id))
        .with("action", ask.action.as_str())
        .with("digest", asked.digest.to_string())
        .with("effect", asked.policy.effect.as_str())
        .with("policy_version", asked.policy.version.clone())
        .with("rules", asked.policy.rules.clone())
        .with("expires_at", asked.expires_at.to_string());
    if let Some(environment) = ask.environment() {
        event = event.with("environment", environment);
    }
    if let Some(kind) = ask.resource_type() {
        event = event.with("resource_type", kind);
    }
    if let Some(person) = &asked.on_behalf_of {
        event = event.with("on_behalf_of", person.id.as_str());
    }
    let key = asked.commitment_key.as_bytes();
    let mut commitments = serde_json::Map::new();
    for (name, text) in [("summary", &ask.summary), ("justification", &ask.justification)] {
        if let Some(text) = text {
            commitments.insert(name.to_owned(), Value::from(digest::commitment(key, text)));
        }
    }
    if !commitments.is_empty() {
        event = event.with("commitments", Value::Object(commitments));
    }
    event
}
