//! Owns facts about the database itself: which keys it was used with, whether it was used at all, whether it takes a write.
//!
//! Never holds a key, only fingerprints of it.

use super::error::StoreError;
use super::work::Work;
use super::{Store, read};
use crate::domain::time::Timestamp;

impl Store {
    /// A remembered fact, e.g. the fingerprint of a key.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        read!(self, sql, pool => sql::meta::get(pool, key))
    }

    /// Remembers a fact.
    pub async fn put_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.submit(Work::PutMeta { key: key.to_owned(), value: value.to_owned() }).await.map(drop)
    }

    /// Nothing was ever written: no event, client, request or fact.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(!read!(self, sql, pool => sql::meta::is_used(pool))?)
    }

    /// Writes a row as every other write is written, through the queue and with a durable commit: the database works.
    pub async fn write_probe(&self, now: Timestamp) -> Result<(), StoreError> {
        self.put_meta("probe", &now.to_string()).await
    }
}
