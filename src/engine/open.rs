//! Owns "an agent asks": from a validated body to a committed request, in whatever state policy lets it start.
//!
//! Never waits and never reviews. Asks the directory for one thing only: the person the action is for.

use super::caller::{Client, Scope};
use super::{Engine, Failure};
use crate::domain::ask::Ask;
use crate::domain::digest::Nonce;
use crate::domain::field_error::FieldError;
use crate::domain::ids::RequestId;
use crate::domain::person::Person;
use crate::domain::policy::{self, Effect, Evaluation, Facts, PersonFacts, Policy, Require};
use crate::domain::request::{OnBehalfOf, Opening, Request};
use crate::store::{Commit, CommitError, Idempotency};
use std::sync::Arc;
use std::time::Duration;

/// The answer to a create.
#[derive(Debug)]
pub struct Opened {
    /// The request as it stands.
    pub request: Request,
    /// It existed before: the same client sent the same body under the same key.
    pub replayed: bool,
}

/// An idempotency key and a keyed digest of the body it came with.
#[derive(Debug, Clone)]
pub struct Key {
    /// As sent.
    pub key: String,
    /// HMAC-SHA-256 over the canonical body.
    pub body: [u8; 32],
}

impl Engine {
    /// Creates a request.
    ///
    /// # Errors
    /// Why nothing was created.
    pub async fn open(&self, client: &Client, ask: Ask, key: Option<Key>) -> Result<Opened, Failure> {
        if let Some(replayed) = self.replay(client, key.as_ref()).await? {
            return Ok(Opened { request: replayed, replayed: true });
        }
        Self::not_frozen(client)?;
        let on_behalf_of = self.on_behalf_of(client, &ask).await?;
        self.check_audience(client, &ask).await?;
        self.check_callback(client, &ask)?;
        let policy = self.policy();
        let evaluation = self.evaluate_ask(&policy, client, &ask, on_behalf_of.as_ref()).await?;
        demand(&evaluation, &ask)?;
        let now = self.clock.now();
        let opening = Opening {
            id: RequestId::new(now, self.random.bytes()),
            client: client.reference(),
            on_behalf_of: on_behalf_of.map(|person| OnBehalfOf { id: person.id, email: person.email, name: person.name }),
            ask,
            nonce: Nonce::new(self.random.bytes()),
            commitment_key: self.random.bytes(),
            evaluation,
            policy_version: policy.version().to_owned(),
        };
        let mut transition = Request::open(opening, now);
        if transition.after().approved().is_some() {
            let minted = self.mint_for(transition.after(), now)?;
            transition = transition.then(|request| request.apply(crate::domain::request::Event::Mint(minted), now))?;
        }
        let request = transition.after().clone();
        let mut commit = Commit::new(transition);
        if let Some(key) = &key {
            commit = commit.idempotency(Idempotency { client: client.id.clone(), key: key.key.clone(), body_hash: key.body });
        }
        match self.commit(commit).await {
            Ok(()) => {
                self.eligibility.ask(&request);
                Ok(Opened { request, replayed: false })
            }
            Err(CommitError::IdempotencyTaken) => {
                let request = self.replay(client, key.as_ref()).await?.ok_or(Failure::Internal)?;
                Ok(Opened { request, replayed: true })
            }
            Err(CommitError::Conflict) => Err(Failure::Internal),
            Err(CommitError::Store(error)) => Err(error.into()),
        }
    }

    /// A frozen client asks for nothing, and takes nothing back: its pending requests can only be denied.
    pub(super) fn not_frozen(client: &Client) -> Result<(), Failure> {
        match client.frozen_at {
            None => Ok(()),
            Some(_) => {
                Err(Failure::forbidden("client_frozen", "This client is frozen: it cannot ask for anything until an admin unfreezes it."))
            }
        }
    }

    /// What policy would say, without any effect.
    ///
    /// # Errors
    /// As for a create.
    pub async fn evaluate(&self, client: &Client, ask: &Ask) -> Result<(Arc<Policy>, Evaluation), Failure> {
        Self::not_frozen(client)?;
        let policy = self.policy();
        let on_behalf_of = self.on_behalf_of(client, ask).await?;
        let evaluation = self.evaluate_ask(&policy, client, ask, on_behalf_of.as_ref()).await?;
        Ok((policy, evaluation))
    }

    async fn replay(&self, client: &Client, key: Option<&Key>) -> Result<Option<Request>, Failure> {
        let Some(key) = key else { return Ok(None) };
        let Some((body, id)) = self.store.request_by_idempotency(&client.id, &key.key).await? else { return Ok(None) };
        if body != key.body {
            return Err(Failure::Invalid {
                code: "idempotency_key_reused",
                detail: "This Idempotency-Key was used with another body. Use a new key for a new request.".to_owned(),
                errors: Vec::new(),
            });
        }
        self.store.request(&id).await?.map(Some).ok_or(Failure::Internal)
    }

    async fn on_behalf_of(&self, client: &Client, ask: &Ask) -> Result<Option<Person>, Failure> {
        let Some(named) = &ask.on_behalf_of else { return Ok(None) };
        let not_allowed = || {
            Failure::forbidden(
                "on_behalf_of_not_allowed",
                "This client may not ask on behalf of that person; its may_act_for does not cover them.",
            )
        };
        let covers =
            |email: &str| client.may_act_for.iter().any(|pattern| policy::glob_matches(&pattern.to_lowercase(), &email.to_lowercase()));
        let identity = self.identity_named(named).await?;
        if matches!(&identity, crate::directory::Identity::Email(email) if !covers(email)) || client.may_act_for.is_empty() {
            return Err(not_allowed());
        }
        let unknown = || Failure::invalid("on_behalf_of_unknown", "/on_behalf_of", "is not an active person of the company directory");
        let person = self.present(&identity).await?.ok_or_else(unknown)?;
        if !person.proof.fresh {
            return Err(Failure::DirectoryUnavailable);
        }
        if !covers(&person.email) {
            return Err(not_allowed());
        }
        if !person.active || !person.human {
            return Err(unknown());
        }
        Ok(Some(person))
    }

    async fn check_audience(&self, client: &Client, ask: &Ask) -> Result<(), Failure> {
        let Some(audience) = ask.grant.as_ref().and_then(|grant| grant.audience.as_deref()).filter(|audience| *audience != client.name)
        else {
            return Ok(());
        };
        let known = self.store.client_by_name(audience).await?;
        if known.is_some_and(|audience| audience.enabled && audience.may(Scope::GrantsRedeem)) {
            return Ok(());
        }
        Err(Failure::invalid("unknown_audience", "/grant/audience", "is not the name of an enabled client with the scope grants:redeem"))
    }

    fn check_callback(&self, client: &Client, ask: &Ask) -> Result<(), Failure> {
        let Some(callback) = &ask.callback else { return Ok(()) };
        if !self.webhooks.signs_for(&client.name) {
            let why = "cannot be used: this client has no webhook_secret in the server's configuration, so nothing could be signed";
            return Err(Failure::invalid("callback_refused", "/callback", why));
        }
        self.webhooks.check(&callback.url).map_err(|why| Failure::invalid("callback_refused", "/callback/url", why.to_string()))
    }

    async fn evaluate_ask(&self, policy: &Arc<Policy>, client: &Client, ask: &Ask, behalf: Option<&Person>) -> Result<Evaluation, Failure> {
        let history = if policy.uses_history() { self.history(&client.id, &ask.action).await? } else { policy::History::default() };
        let facts = Facts {
            action: &ask.action,
            resource: ask.resource.as_ref(),
            parameters: &ask.parameters,
            context: ask.context.as_ref(),
            client: policy::ClientFacts { id: client.id.as_str(), name: &client.name, owner: client.owner.as_deref() },
            on_behalf_of: behalf.map(|person| PersonFacts { email: &person.email, record: &person.record }),
            history,
            now: self.clock.now(),
        };
        // A condition over long lists must not hold up the callers that share this thread.
        Ok(if policy.is_cheap(&facts) { policy.evaluate(&facts) } else { tokio::task::block_in_place(|| policy.evaluate(&facts)) })
    }

    /// Decisions about this client and action in the last 24 hours.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn history(&self, client: &crate::domain::ids::ClientId, action: &str) -> Result<policy::History, Failure> {
        let since = self.clock.now().minus(Duration::from_hours(24));
        Ok(self.store.history(client, action, since).await?)
    }
}

pub(super) fn demand(evaluation: &Evaluation, ask: &Ask) -> Result<(), Failure> {
    if evaluation.effect == Effect::Deny {
        return Ok(());
    }
    let missing: Vec<FieldError> = evaluation
        .requirements
        .require
        .iter()
        .filter_map(|require| {
            let (absent, name) = match require {
                Require::Justification => (!ask.has_justification(), "justification"),
                Require::Resource => (ask.resource.is_none(), "resource"),
                Require::OnBehalfOf => (ask.on_behalf_of.is_none(), "on_behalf_of"),
                Require::Comment => return None,
            };
            absent.then(|| FieldError::new(format!("/{name}"), "is required by the policy for this action"))
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::Invalid {
        code: "requirement_missing",
        detail: "The policy requires more for this action; see errors.".to_owned(),
        errors: missing,
    })
}
