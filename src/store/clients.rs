//! Owns the authenticated callers as they are kept: names, scopes, keys by hash, freezes.
//!
//! Never authenticates anybody and never sees a key: it finds the client whose key has a given SHA-256.

use super::error::{CommitError, StoreError};
use super::work::{Answer, Work};
use super::{Store, read};
use crate::domain::audit::Entry;
use crate::domain::client::{Client, Scope};
use crate::domain::ids::ClientId;
use crate::domain::time::Timestamp;
use std::collections::BTreeSet;

/// Who manages a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientSource {
    /// `[[clients]]` of the configuration.
    File,
    /// The API or the command line.
    Api,
}

impl ClientSource {
    /// As it is stored.
    pub(super) fn as_str(self) -> &'static str {
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
    pub scopes: BTreeSet<Scope>,
    /// Globs over e-mail addresses.
    pub may_act_for: Vec<String>,
    /// The readable part of its key, when it has one.
    pub key_id: Option<String>,
    /// SHA-256 of its whole key.
    pub key_hash: [u8; 32],
}

/// A key, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewKey {
    /// The readable part of it.
    pub(super) key_id: String,
    /// SHA-256 of the whole key.
    pub(super) hash: [u8; 32],
    /// When it stops working; configured keys may not.
    pub(super) expires_at: Option<Timestamp>,
}

/// A key with the enabled client that it belongs to.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct KeyRow {
    pub(super) hash: Vec<u8>,
    expires_at: Option<i64>,
    #[sqlx(flatten)]
    client: ClientRow,
}

/// A row of `client`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct ClientRow {
    pub(super) id: String,
    pub(super) name: String,
    owner: Option<String>,
    scopes: String,
    may_act_for: String,
    enabled: i64,
    pub(super) source: String,
    frozen_at: Option<i64>,
    void_before: Option<i64>,
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;

    fn try_from(row: ClientRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "client", column, id: row.id.clone() };
        Ok(Self {
            // A scope that this version does not know gives nothing.
            scopes: serde_json::from_str::<Vec<String>>(&row.scopes)
                .map_err(|_| corrupt("scopes"))?
                .iter()
                .filter_map(|word| Scope::parse(word))
                .collect(),
            may_act_for: serde_json::from_str(&row.may_act_for).map_err(|_| corrupt("may_act_for"))?,
            enabled: row.enabled == 1,
            frozen_at: row.frozen_at.map(Timestamp::from_millis),
            void_before: row.void_before.map(Timestamp::from_millis),
            id: row.id.parse().map_err(|_| corrupt("id"))?,
            name: row.name,
            owner: row.owner,
        })
    }
}

impl Store {
    /// Brings the stored clients in line with the configuration: same name = same id for ever, gone = disabled.
    /// Clients made through the API are left alone, unless the file names them. `fresh_id` makes the id of a new one.
    pub async fn sync_clients(
        &self,
        clients: Vec<ConfiguredClient>,
        now: Timestamp,
        fresh_id: &(dyn Fn() -> ClientId + Send + Sync),
    ) -> Result<(), StoreError> {
        let configured = clients.into_iter().map(|client| (client, fresh_id())).collect();
        self.submit(Work::SyncClients { configured, at: now }).await.map(drop)
    }

    /// Makes a client with a key. `Conflict` when the name is taken.
    pub async fn create_client(
        &self,
        client: Client,
        key_id: &str,
        key_hash: [u8; 32],
        key_expires: Option<Timestamp>,
        entry: Entry,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let key = NewKey { key_id: key_id.to_owned(), hash: key_hash, expires_at: key_expires };
        let event = self.prepare(&entry, now)?;
        match self.submit(Work::CreateClient { client: Box::new(client), key, at: now, event }).await? {
            Answer::Conflict => Err(CommitError::Conflict),
            _ => Ok(()),
        }
    }

    /// Adds a key to an enabled client; nothing happens when there is none.
    pub async fn add_key(
        &self,
        client: &ClientId,
        key_id: &str,
        key_hash: [u8; 32],
        expires: Option<Timestamp>,
        entry: Entry,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = NewKey { key_id: key_id.to_owned(), hash: key_hash, expires_at: expires };
        self.submit(Work::AddKey { client: client.clone(), key, at: now, event: self.prepare(&entry, now)? }).await.map(drop)
    }

    /// Disables a client and forgets its keys; nothing happens when it is disabled already.
    pub async fn disable_client(&self, client: &ClientId, entry: Entry, now: Timestamp) -> Result<(), StoreError> {
        self.submit(Work::DisableClient { client: client.clone(), event: self.prepare(&entry, now)? }).await.map(drop)
    }

    /// Freezes a client: no redeem that has not committed yet goes through, and its open cards are redrawn. Or ends the
    /// freeze; grants that it killed stay dead. Nothing happens, and no event is written, when it is so already.
    pub async fn freeze_client(&self, client: &ClientId, frozen: bool, entry: Entry, now: Timestamp) -> Result<(), StoreError> {
        let event = self.prepare(&entry, now)?;
        self.submit(Work::Freeze { client: client.clone(), frozen, at: now, event }).await.map(drop)
    }

    /// The enabled client whose unexpired key has this SHA-256.
    pub async fn client_by_key_hash(&self, hash: &[u8; 32], now: Timestamp) -> Result<Option<Client>, StoreError> {
        let key = self.shared_reads().keys.get(*hash).await?;
        let valid = key.filter(|key| key.expires_at.is_none_or(|expires_at| expires_at > now.as_millis()));
        valid.map(|key| key.client.try_into()).transpose()
    }

    /// The client of this id, enabled or not.
    pub async fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        self.shared_reads().clients.get(id.clone()).await?.map(TryInto::try_into).transpose()
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
