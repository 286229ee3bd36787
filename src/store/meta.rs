//! Owns facts about the database itself: which keys it was used with, whether it was used at all, whether it takes a write.
//!
//! Never holds a key, only fingerprints of it.

use super::error::StoreError;
use super::work::Work;
use super::{Store, read};

/// A fact that the database remembers about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Fingerprint of the key that signs grants.
    GrantKey,
    /// Fingerprint of the key that signs audit heads.
    AuditKey,
    /// Fingerprint of the master key.
    MasterKey,
}

impl Fact {
    fn as_str(self) -> &'static str {
        match self {
            Self::GrantKey => "grant_key",
            Self::AuditKey => "audit_key",
            Self::MasterKey => "master_key",
        }
    }
}

impl Store {
    /// A remembered fact.
    pub async fn fact(&self, fact: Fact) -> Result<Option<String>, StoreError> {
        read!(self, sql, pool => sql::meta::get(pool, fact.as_str()))
    }

    /// Remembers a fact.
    pub async fn remember(&self, fact: Fact, value: &str) -> Result<(), StoreError> {
        self.submit(Work::PutMeta { key: fact.as_str(), value: value.to_owned() }).await.map(drop)
    }

    /// Nothing was ever written: no event, client, request or fact.
    pub async fn is_empty_database(&self) -> Result<bool, StoreError> {
        Ok(!read!(self, sql, pool => sql::meta::is_used(pool))?)
    }

    /// Writes a row as every other write is written, through the queue and with a durable commit: the database works.
    pub async fn write_probe(&self) -> Result<(), StoreError> {
        let value = super::hex_random(self.random()?);
        self.submit(Work::PutMeta { key: "probe", value }).await.map(drop)
    }
}
