//! Owns the policy's texts: every version that was ever active, and which one is.
//!
//! Never parses them. A request keeps the version it was judged by, so old texts stay.

use super::changes::Changed;
use super::error::StoreError;
use super::work::{Answer, Work};
use super::{Store, read};
use crate::domain::audit::Entry;
use crate::domain::time::Timestamp;

/// A policy's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPolicy {
    /// `sha256:` and the hash of the text.
    pub version: String,
    /// The file's bytes.
    pub text: String,
    /// When it became the active one.
    pub activated_at: Timestamp,
}

impl Store {
    /// Makes a policy the active one. False, and no event, when it is already.
    pub async fn put_policy(&self, version: &str, text: &str, at: Timestamp, event: &Entry) -> Result<bool, StoreError> {
        let work = Work::PutPolicy { version: version.to_owned(), text: text.to_owned(), at, event: self.prepare(event, at)? };
        match self.submit(work).await? {
            Answer::Changed(changed) => {
                if changed {
                    self.tell(Changed::Policy);
                }
                Ok(changed)
            }
            _ => Err(StoreError::Unavailable("writer")),
        }
    }

    /// The active policy.
    pub async fn active_policy(&self) -> Result<Option<StoredPolicy>, StoreError> {
        read!(self, sql, pool => sql::meta::active_policy(pool))
    }

    /// The text of a version that was active at some time.
    pub async fn policy_text(&self, version: &str) -> Result<Option<String>, StoreError> {
        read!(self, sql, pool => sql::meta::policy_text(pool, version))
    }
}
