//! Owns the policy's texts: every version that was ever active, and which one is.
//!
//! Never parses them. A request keeps the version it was judged by, so old texts stay.

use super::error::StoreError;
use super::work::{Answer, Work};
use super::{Store, read};
use crate::domain::audit::Entry;
use crate::domain::time::Timestamp;

impl Store {
    /// Makes a policy the active one; `version` is `sha256:` and the hash of the text. Nothing happens, and no event is
    /// written, when it is already.
    pub async fn put_policy(&self, version: &str, text: &str, entry: Option<Entry>, now: Timestamp) -> Result<(), StoreError> {
        let event = entry.map(|entry| self.prepare(&entry, now)).transpose()?;
        self.submit(Work::PutPolicy { version: version.to_owned(), text: text.to_owned(), instead_of: None, at: now, event })
            .await
            .map(drop)
    }

    /// As [`Self::put_policy`], but only while `instead_of` is the active version; false, and nothing written, when another one is.
    pub async fn replace_policy(
        &self,
        version: &str,
        text: &str,
        instead_of: &str,
        entry: &Entry,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let event = Some(self.prepare(entry, now)?);
        let work =
            Work::PutPolicy { version: version.to_owned(), text: text.to_owned(), instead_of: Some(instead_of.to_owned()), at: now, event };
        Ok(!matches!(self.submit(work).await?, Answer::Conflict))
    }

    /// Version and text of the active policy.
    pub async fn active_policy(&self) -> Result<Option<(String, String)>, StoreError> {
        read!(self, sql, pool => sql::meta::active_policy(pool))
    }

    /// The text of a version that was active at some time.
    pub async fn policy_text(&self, version: &str) -> Result<Option<String>, StoreError> {
        read!(self, sql, pool => sql::meta::policy_text(pool, version))
    }
}
