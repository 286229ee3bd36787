//! Owns the person record (api.md §5): what every source is mapped to, and what `reviewer_when` sees.
//!
//! Never judges: `active` and `kind` are reported as the source says them.

use crate::domain::ids::PersonId;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// A person as a source knows them.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Stable within the source and unique across sources: `file:` and the id, or the lower-case e-mail address when there is no id.
    pub key: String,
    /// The pseudonym of the log, when the source carries it.
    pub id: Option<PersonId>,
    /// Display name; never matched.
    pub name: String,
    /// As the source writes it; compared without case.
    pub email: String,
    /// Whether the person works here now.
    pub active: bool,
    /// `human`, or what else the source says, e.g. `service`.
    pub kind: String,
    /// Names of groups.
    pub groups: BTreeSet<String>,
    /// Accounts of Slack that were linked explicitly.
    pub slack: Vec<SlackAccount>,
    /// Entra object id, a lower-case GUID.
    pub entra_object_id: Option<String>,
    /// Subject at the OIDC issuer that people sign in with.
    pub oidc_subject: Option<String>,
    /// As the source says, usually an e-mail address.
    pub manager: Option<String>,
    /// As the source says.
    pub department: Option<String>,
    /// Anything else, for `reviewer_when`.
    pub attributes: Map<String, Value>,
}

/// An account of Slack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlackAccount {
    /// Where the account lives.
    pub home: SlackHome,
    /// `U…` or `W…`.
    pub user_id: String,
}

/// Where an account of Slack lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlackHome {
    /// A workspace, `T…`.
    Team(String),
    /// An organisation on Enterprise Grid, `E…`.
    Enterprise(String),
}

impl SlackHome {
    /// Whether a callback from this workspace and organisation comes from here.
    pub fn contains(&self, team_id: Option<&str>, enterprise_id: Option<&str>) -> bool {
        match self {
            Self::Team(id) => team_id == Some(id),
            Self::Enterprise(id) => enterprise_id == Some(id),
        }
    }
}

impl Record {
    /// Whether this is a person and not a machine's account. Anything but exactly `human` is not.
    pub fn is_human(&self) -> bool {
        self.kind == "human"
    }

    /// The record as CEL sees it. Every field is there; what is unknown is null, so that a condition on it is false rather than an error. `slack` is a
    /// list, also of one.
    pub fn as_value(&self) -> Value {
        let slack: Vec<Value> = self
            .slack
            .iter()
            .map(|account| match &account.home {
                SlackHome::Team(id) => json!({"team_id": id, "user_id": account.user_id}),
                SlackHome::Enterprise(id) => json!({"enterprise_id": id, "user_id": account.user_id}),
            })
            .collect();
        json!({
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "active": self.active,
            "kind": self.kind,
            "groups": self.groups,
            "slack": slack,
            "entra_object_id": self.entra_object_id,
            "oidc_subject": self.oidc_subject,
            "manager": self.manager,
            "department": self.department,
            "attributes": self.attributes,
        })
    }
}
