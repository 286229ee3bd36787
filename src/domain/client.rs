//! Owns a client as the rules see one: who it is, who answers for it, and what it may do.
//!
//! Never authenticates and never knows a key.

use crate::domain::ids::ClientId;
use crate::domain::request::ClientRef;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Create and follow its own requests.
    #[serde(rename = "requests:write")]
    RequestsWrite,
    /// Read all requests, masked.
    #[serde(rename = "requests:read")]
    RequestsRead,
    /// Redeem and introspect grants where it is the audience.
    #[serde(rename = "grants:redeem")]
    GrantsRedeem,
    /// Read the policy.
    #[serde(rename = "policy:read")]
    PolicyRead,
    /// Replace the policy.
    #[serde(rename = "policy:write")]
    PolicyWrite,
    /// Manage clients; revoke and freeze.
    #[serde(rename = "clients:write")]
    ClientsWrite,
    /// Read the audit log.
    #[serde(rename = "audit:read")]
    AuditRead,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 7] = [
        Self::RequestsWrite,
        Self::RequestsRead,
        Self::GrantsRedeem,
        Self::PolicyRead,
        Self::PolicyWrite,
        Self::ClientsWrite,
        Self::AuditRead,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestsWrite => "requests:write",
            Self::RequestsRead => "requests:read",
            Self::GrantsRedeem => "grants:redeem",
            Self::PolicyRead => "policy:read",
            Self::PolicyWrite => "policy:write",
            Self::ClientsWrite => "clients:write",
            Self::AuditRead => "audit:read",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// An authenticated client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The id.
    pub id: ClientId,
    /// The name.
    pub name: String,
    /// E-mail or id of the person answerable for it.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// For whom it may ask: globs over e-mails.
    pub may_act_for: Vec<String>,
    /// Frozen since.
    pub frozen_at: Option<Timestamp>,
    /// Approvals decided up to then yield no grant.
    pub void_before: Option<Timestamp>,
    /// Disabled clients cannot authenticate and cannot be an audience.
    pub enabled: bool,
}

impl Client {
    /// Has the scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// As a request remembers it.
    #[must_use]
    pub fn reference(&self) -> ClientRef {
        ClientRef { id: self.id.clone(), name: self.name.clone() }
    }
}
