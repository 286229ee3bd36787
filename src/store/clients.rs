//! Owns the authenticated callers as they are kept: names, scopes, keys by hash, freezes.
//!
//! Never authenticates anybody and never sees a key: it finds the client whose key has a given SHA-256.

use super::changes::Changed;
use super::error::StoreError;
use super::work::{Answer, Work};
use super::{Store, read};
use crate::domain::audit::Entry;
use crate::domain::ids::ClientId;
use crate::domain::time::Timestamp;

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The id.
    pub id: ClientId,
    /// The name; unique, and the same for ever.
    pub name: String,
    /// E-mail or `per_…` of the person answerable for it.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Globs over e-mail addresses.
    pub may_act_for: Vec<String>,
    /// False: it cannot authenticate, and no grant may name it.
    pub enabled: bool,
    /// Who manages it.
    pub source: ClientSource,
    /// When it was frozen, while it is.
    pub frozen_at: Option<Timestamp>,
    /// Grants of approvals up to and with this instant are dead.
    pub void_before: Option<Timestamp>,
    /// When it was first seen.
    pub created_at: Timestamp,
}

/// Who manages a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSource {
    /// `[[clients]]` of the configuration.
    File,
    /// The API or the command line.
    Api,
}

impl ClientSource {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

/// A client as the configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredClient {
    /// The name.
    pub name: String,
    /// The owner.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Globs over e-mail addresses.
    pub may_act_for: Vec<String>,
    /// Its key; absent for one that signs in otherwise.
    pub key: Option<NewKey>,
}

/// A key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The readable part of it.
    pub key_id: String,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// When it stops working; configured keys may not.
    pub expires_at: Option<Timestamp>,
}

/// A row of `client`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ClientRow {
    pub(super) id: String,
    pub(super) name: String,
    owner: Option<String>,
    scopes: String,
    may_act_for: String,
    enabled: i64,
    source: String,
    frozen_at: Option<i64>,
    void_before: Option<i64>,
    created_at: i64,
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;

    fn try_from(row: ClientRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "client", column, id: row.id.clone() };
        Ok(Self {
            scopes: serde_json::from_str(&row.scopes).map_err(|_| corrupt("scopes"))?,
            may_act_for: serde_json::from_str(&row.may_act_for).map_err(|_| corrupt("may_act_for"))?,
            source: match row.source.as_str() {
                "file" => ClientSource::File,
                "api" => ClientSource::Api,
                _ => return Err(corrupt("source")),
            },
            enabled: row.enabled == 1,
            frozen_at: row.frozen_at.map(Timestamp::from_millis),
            void_before: row.void_before.map(Timestamp::from_millis),
            created_at: Timestamp::from_millis(row.created_at),
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            name: row.name,
            owner: row.owner,
        })
    }
}

impl Store {
    /// Brings the stored clients in line with the configuration: same name = same id for ever, gone = disabled.
    /// Clients made through the API are left alone, unless the file names them. Answers with the number that changed.
    pub async fn sync_clients(&self, configured: Vec<ConfiguredClient>, at: Timestamp) -> Result<u64, StoreError> {
        let configured = configured.into_iter().map(|client| Ok((client, ClientId::new(at, self.random()?)))).collect::<Result<_, StoreError>>()?;
        match self.submit(Work::SyncClients { configured, at }).await? {
            Answer::Count(count) => {
                if count > 0 {
                    self.tell(Changed::Clients);
                }
                Ok(count)
            }
            _ => Err(StoreError::Unavailable("writer")),
        }
    }

    /// Makes a client. `Driver` with a constraint's code when the name or the key is taken.
    pub async fn create_client(&self, client: Client, key: Option<NewKey>, event: &Entry) -> Result<(), StoreError> {
        let event = self.prepare(event, client.created_at)?;
        self.changed(Work::CreateClient { client: Box::new(client), key, event }).await.map(drop)
    }

    /// Adds a key to an enabled client; false when there is no such client.
    pub async fn add_key(&self, client: &ClientId, key: NewKey, at: Timestamp, event: &Entry) -> Result<bool, StoreError> {
        let event = self.prepare(event, at)?;
        self.changed(Work::AddKey { client: client.clone(), key, at, event }).await
    }

    /// Disables a client and forgets its keys; false when it was not enabled.
    pub async fn disable_client(&self, client: &ClientId, at: Timestamp, event: &Entry) -> Result<bool, StoreError> {
        let event = self.prepare(event, at)?;
        self.changed(Work::DisableClient { client: client.clone(), event }).await
    }

    /// Freezes a client: no redeem that has not committed yet goes through, and its open cards are redrawn. False when it is frozen already.
    pub async fn freeze_client(&self, client: &ClientId, at: Timestamp, event: &Entry) -> Result<bool, StoreError> {
        let event = self.prepare(event, at)?;
        self.changed(Work::Freeze { client: client.clone(), at, event }).await
    }

    /// Ends a freeze; grants that it killed stay dead. False when the client is not frozen.
    pub async fn unfreeze_client(&self, client: &ClientId, at: Timestamp, event: &Entry) -> Result<bool, StoreError> {
        let event = self.prepare(event, at)?;
        self.changed(Work::Unfreeze { client: client.clone(), event }).await
    }

    async fn changed(&self, work: Work) -> Result<bool, StoreError> {
        match self.submit(work).await? {
            Answer::Changed(changed) => {
                if changed {
                    self.tell(Changed::Clients);
                }
                Ok(changed)
            }
            _ => Err(StoreError::Unavailable("writer")),
        }
    }

    /// The enabled client whose unexpired key has this SHA-256.
    pub async fn client_by_key_hash(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Client>, StoreError> {
        read!(self, sql, pool => sql::clients::by_key(pool, hash, now))?.map(TryInto::try_into).transpose()
    }

    /// The client of this id, enabled or not.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        read!(self, sql, pool => sql::clients::by_id(pool, id))?.map(TryInto::try_into).transpose()
    }

    /// The client of this name, enabled or not.
    pub async fn client_by_name(&self, name: &str) -> Result<Option<Client>, StoreError> {
        read!(self, sql, pool => sql::clients::by_name(pool, name))?.map(TryInto::try_into).transpose()
    }

    /// Clients in the order of their ids, after `after`.
    pub async fn clients(&self, after: Option<&ClientId>, limit: u32) -> Result<Vec<Client>, StoreError> {
        let after = after.map_or("", ClientId::as_str);
        read!(self, sql, pool => sql::clients::page(pool, after, limit))?.into_iter().map(TryInto::try_into).collect()
    }
}
