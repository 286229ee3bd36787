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
    /// The key that checks it.
    pub public_key: Vec<u8>,
}

/// A row of `audit_head`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct HeadRow {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) chain_hash: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) public_key: Vec<u8>,
}

impl From<&SignedHead> for HeadRow {
    fn from(signed: &SignedHead) -> Self {
        Self {
            seq: signed.head.seq.cast_signed(),
            at: signed.at.as_millis(),
            chain_hash: signed.head.chain.to_vec(),
            signature: signed.signature.clone(),
            public_key: signed.public_key.clone(),
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
            public_key: row.public_key,
        })
    }
}

impl Store {
    /// Keeps a signed head.
    pub async fn put_signed_head(&self, head: SignedHead) -> Result<(), StoreError> {
        self.submit(Work::PutHead(Box::new(head))).await.map(drop)
    }

    /// Every signed head, in order.
    pub async fn signed_heads(&self) -> Result<Vec<SignedHead>, StoreError> {
        read!(self, sql, pool => sql::audit::heads(pool))?.into_iter().map(TryInto::try_into).collect()
    }

    /// The latest signed head.
    pub async fn last_signed_head(&self) -> Result<Option<SignedHead>, StoreError> {
        read!(self, sql, pool => sql::audit::last_head(pool))?.map(TryInto::try_into).transpose()
    }
}
