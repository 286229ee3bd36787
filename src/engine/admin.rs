//! Owns what admins do: clients and their keys, freezing, the policy, and the head of the log.
//!
//! Never shows a key again after it was made, and never changes anything without an event.

use super::caller::{Client, Scope};
use super::{Engine, Failure};
use crate::config::api_key;
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::ids::ClientId;
use crate::domain::policy::{Finding, Policy};
use crate::domain::time::Timestamp;
use crate::runtime::Random;
use crate::store::{CommitError, SignedHead, Store};
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Life of a key that we make, unless less is asked for.
pub const KEY_LIFE: Duration = Duration::from_hours(2160);

/// How long finished taps, dead callbacks and superseded heads are kept. A platform repeats a tap for an hour at most; the rest is for people who ask what became of theirs.
pub const KEPT: Duration = Duration::from_hours(7 * 24);

/// What a new client shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// The name; the same name is the same client for ever.
    pub name: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Who answers for it; required with `requests:write`.
    pub owner: Option<String>,
    /// For whom it may ask.
    pub may_act_for: Vec<String>,
}

/// A key that was just made; shown once.
#[derive(Debug)]
pub struct NewKey {
    /// The client.
    pub client: Client,
    /// The key.
    pub key: SecretString,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Engine {
    /// Creates a client with its first key.
    ///
    /// # Errors
    /// When the name is taken or not acceptable, or an owner is missing.
    pub async fn create_client(&self, new: NewClient, by: Actor) -> Result<NewKey, Failure> {
        create_client(&self.store, self.clock.now(), self.random.as_ref(), new, by).await
    }

    /// Makes another key for a client, for rotation.
    ///
    /// # Errors
    /// When there is no such client.
    pub async fn create_key(&self, id: &ClientId, by: Actor) -> Result<NewKey, Failure> {
        let client = self.store.client(id).await?.ok_or(Failure::NotFound("client"))?;
        let now = self.clock.now();
        let (key, key_id, hash, expires_at) = new_key(now, self.random.as_ref())?;
        let entry =
            Entry::new(Kind::ClientChanged, by, None).with("client", id.as_str()).with("change", "key_added").with("key", key_id.as_str());
        self.store.add_key(id, &key_id, hash, Some(expires_at), entry, now).await?;
        Ok(NewKey { client, key, expires_at })
    }

    /// Disables a client for good; its keys stop working, its requests stay.
    ///
    /// # Errors
    /// When there is no such client.
    pub async fn disable_client(&self, id: &ClientId, by: Actor) -> Result<(), Failure> {
        self.store.client(id).await?.ok_or(Failure::NotFound("client"))?;
        let entry = Entry::new(Kind::ClientChanged, by, None).with("client", id.as_str()).with("change", "disabled");
        Ok(self.store.disable_client(id, entry, self.clock.now()).await?)
    }

    /// Freezes a client: it can ask for nothing, its pending requests can only be denied, its grants die. Or ends that.
    ///
    /// # Errors
    /// When there is no such client.
    pub async fn freeze(&self, id: &ClientId, frozen: bool, by: Actor) -> Result<Client, Failure> {
        let client = self.store.client(id).await?.ok_or(Failure::NotFound("client"))?;
        if client.frozen_at.is_some() == frozen {
            return Ok(client);
        }
        let entry = Entry::new(Kind::ClientFrozen, by, None).with("client", id.as_str()).with("frozen", frozen);
        self.store.freeze_client(id, frozen, entry, self.clock.now()).await?;
        self.cards.notify_one();
        self.store.client(id).await?.ok_or(Failure::NotFound("client"))
    }

    /// Replaces the policy through the API.
    ///
    /// # Errors
    /// When the file is the source, the version is stale, or the policy has mistakes.
    pub async fn replace_policy(&self, text: &str, expected: &str, by: Actor) -> Result<Arc<Policy>, PolicyRefused> {
        if self.settings.policy_is_file_managed {
            return Err(PolicyRefused::Failure(Failure::Conflict {
                code: "policy_is_file_managed",
                detail: "The policy comes from a file ([policy] source = \"file\"); change it there.".to_owned(),
            }));
        }
        let active = self.policy();
        if active.version() != expected {
            return Err(PolicyRefused::Failure(Failure::PreconditionFailed(active.version().to_owned())));
        }
        let policy = Policy::parse(text).map_err(PolicyRefused::Findings)?;
        let policy = Arc::new(policy);
        let entry = Entry::new(Kind::PolicyChanged, by, None).with("policy_version", policy.version()).with("before", expected);
        let failed = |error| PolicyRefused::Failure(Failure::from(error));
        // Two who replace the same version at once: the database lets one through.
        if !self.store.replace_policy(policy.version(), text, expected, &entry, self.clock.now()).await.map_err(failed)? {
            let active = self.store.active_policy().await.map_err(failed)?.map_or_else(String::new, |(version, _)| version);
            return Err(PolicyRefused::Failure(Failure::PreconditionFailed(active)));
        }
        self.activate(Arc::clone(&policy));
        Ok(policy)
    }

    /// Stores a policy and makes it the active one.
    ///
    /// # Errors
    /// When the store fails: then the old policy stays.
    pub async fn install_policy(&self, text: &str, policy: Policy, by: Actor) -> Result<Arc<Policy>, Failure> {
        let policy = Arc::new(policy);
        let entry =
            Entry::new(Kind::PolicyChanged, by, None).with("policy_version", policy.version()).with("before", self.policy().version());
        self.store.put_policy(policy.version(), text, Some(entry), self.clock.now()).await?;
        self.activate(Arc::clone(&policy));
        Ok(policy)
    }

    /// Signs the head of the log when it moved since the last time; answers 0, so that the worker rests.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sign_head(&self) -> Result<usize, Failure> {
        let head = self.store.audit_head().await?;
        if head.seq == 0 || self.store.last_signed_head().await?.is_some_and(|signed| signed.head == head) {
            return Ok(0);
        }
        let at = self.clock.now();
        let Some(signature) = self.audit_key.sign(&head.signed_bytes(at)) else {
            tracing::error!("the head of the audit log could not be signed");
            return Err(Failure::Internal);
        };
        let signed = SignedHead { head, at, signature: signature.to_vec(), public_key: self.audit_key.public_key().to_vec() };
        self.store.put_signed_head(signed).await?;
        Ok(0)
    }

    /// Forgets what only grows, as far as it is older than [`KEPT`]; answers with how many rows went. Requests, reviews, the
    /// audit log and idempotency keys are never forgotten here.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune(&self) -> Result<usize, Failure> {
        let gone = self.store.prune(self.clock.now().minus(KEPT)).await?;
        Ok(usize::try_from(gone).unwrap_or(usize::MAX))
    }

    /// Writes the counted repeats of refusals whose minute is over; answers 0, so that the worker rests.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn flush_refusals(&self) -> Result<usize, Failure> {
        self.store.flush_refusals(self.clock.now()).await?;
        Ok(0)
    }
}

/// Creates a client with its first key. Apart from [`Engine`], because the command line does it without one: no key file, policy or directory is needed.
///
/// # Errors
/// When the name is taken or not acceptable, or an owner is missing.
pub async fn create_client(
    store: &Store,
    now: Timestamp,
    random: &(dyn Random + 'static),
    new: NewClient,
    by: Actor,
) -> Result<NewKey, Failure> {
    if !is_client_name(&new.name) {
        return Err(Failure::invalid("invalid_request", "/name", "must match [a-z0-9][a-z0-9._-]{0,63}"));
    }
    if new.scopes.contains(&Scope::RequestsWrite) && new.owner.as_deref().is_none_or(|owner| owner.trim().is_empty()) {
        return Err(Failure::invalid(
            "owner_required",
            "/owner",
            "is required with the scope requests:write: the person who answers for this client",
        ));
    }
    let client = Client {
        id: ClientId::new(now, random.bytes()),
        name: new.name,
        owner: new.owner,
        scopes: new.scopes,
        may_act_for: new.may_act_for,
        frozen_at: None,
        void_before: None,
        enabled: true,
    };
    let (key, key_id, hash, expires_at) = new_key(now, random)?;
    let entry = Entry::new(Kind::ClientCreated, by, None)
        .with("client", client.id.as_str())
        .with("scopes", client.scopes.iter().map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>());
    match store.create_client(client.clone(), &key_id, hash, Some(expires_at), entry, now).await {
        Ok(()) => Ok(NewKey { client, key, expires_at }),
        Err(CommitError::Conflict | CommitError::IdempotencyTaken) => {
            Err(Failure::Conflict { code: "name_taken", detail: "There is a client of this name already.".to_owned() })
        }
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

fn new_key(now: Timestamp, random: &(dyn Random + 'static)) -> Result<(SecretString, String, [u8; 32], Timestamp), Failure> {
    let key = api_key::generate(&random.bytes());
    let parsed = api_key::parse(key.expose_secret()).map_err(|_| Failure::Internal)?;
    let key_id = parsed.id.ok_or(Failure::Internal)?;
    Ok((key, key_id, parsed.hash, now.plus(KEY_LIFE)))
}

impl Engine {
    /// Records that a new policy file was not taken; the old policy stays.
    pub async fn note_policy_error(&self, code: &str) {
        let entry = Entry::new(Kind::PolicyError, Actor::System, None).with("reason", code).with("policy_version", self.policy().version());
        if let Err(error) = self.store.record(vec![entry], self.clock.now()).await {
            tracing::error!(error = %error, "a policy error could not be recorded");
        }
    }
}

/// Why a policy was not taken.
#[derive(Debug)]
pub enum PolicyRefused {
    /// It has mistakes.
    Findings(Vec<Finding>),
    /// Anything else.
    Failure(Failure),
}

fn is_client_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-'))
        && (bytes[0].is_ascii_lowercase() || bytes[0].is_ascii_digit())
}
