//! Owns the signed ends of the log, kept beside it.
//!
//! Never signs or checks a signature: it keeps what the audit key signed.

use super::error::StoreError;
use super::work::Work;
use super::{Store, read};
use crate::domain::audit::Head;
use crate::domain::time::Timestamp;

/// An end of the log, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// Size and chain hash.
    pub head: Head,
    /// When it was signed.
    pub at: Timestamp,
    /// Over `head.signed_bytes(at)`.
    pub signature: Vec<u8>,
    /// Which key.
    pub key_id: String,
}

/// A row of `audit_head`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct HeadRow {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) chain_hash: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) key_id: String,
}

impl From<&SignedHead> for HeadRow {
    fn from(signed: &SignedHead) -> Self {
        Self {
            seq: signed.head.seq.cast_signed(),
            at: signed.at.as_millis(),
            chain_hash: signed.head.chain.to_vec(),
            signature: signed.signature.clone(),
            key_id: signed.key_id.clone(),
        }
    }
}

impl TryFrom<HeadRow> for SignedHead {
    type Error = StoreError;

    fn try_from(row: HeadRow) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "audit_head", column, id: row.seq.to_string() };
        Ok(Self {
            head: Head {
                seq: u64::try_from(row.seq).map_err(|_| corrupt("seq"))?,
                chain: row.chain_hash.as_slice().try_into().map_err(|_| corrupt("chain_hash"))?,
            },
            at: Timestamp::from_millis(row.at),
            signature: row.signature,
            key_id: row.key_id,
        })
    }
}

impl Store {
    /// Keeps a signed head.
    pub async fn put_head(&self, head: SignedHead) -> Result<(), StoreError> {
        self.submit(Work::PutHead(Box::new(head))).await.map(drop)
    }

    /// Signed heads of at least `from` events, in order.
    pub async fn heads(&self, from: u64, limit: u32) -> Result<Vec<SignedHead>, StoreError> {
        read!(self, sql, pool => sql::audit::heads(pool, from, limit))?.into_iter().map(TryInto::try_into).collect()
    }

    /// The latest signed head.
    pub async fn last_head(&self) -> Result<Option<SignedHead>, StoreError> {
        read!(self, sql, pool => sql::audit::last_head(pool))?.map(TryInto::try_into).transpose()
    }
}
