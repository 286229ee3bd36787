//! Owns a human as the rules see one: a pseudonym, what the directory said, and when it said so.
//!
//! Never asks a directory and never decides who may approve: see `reviewer`.

use crate::domain::ids::PersonId;
use crate::domain::seats::Candidate;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// A person, with the directory's present answer about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The pseudonym.
    pub id: PersonId,
    /// Display name; shown, never compared.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// The directory says that the account is active.
    pub active: bool,
    /// The directory says that this is a human, not a service, bot or agent.
    pub human: bool,
    /// Groups, as the directory answered now.
    pub groups: BTreeSet<String>,
    /// The whole record, for `reviewer_when`.
    pub record: Value,
    /// How the directory knows.
    pub proof: Proof,
}

impl Person {
    /// The person as a candidate for seats.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        Candidate { person: self.id.clone(), email: self.email.clone(), groups: self.groups.clone() }
    }

    /// Whether a text of configuration (`per_…` or an e-mail) names this person.
    #[must_use]
    pub fn is_named_by(&self, text: &str) -> bool {
        text == self.id.as_str() || text.eq_ignore_ascii_case(&self.email)
    }
}

/// What was asked of the directory and what it answered, kept as evidence with the review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The source, e.g. `file`.
    pub source: String,
    /// When the source's knowledge was valid.
    pub as_of: Timestamp,
    /// False when the source could not answer now and this is the last it said: good for a denial, never for an approval.
    pub fresh: bool,
}

/// Where a review came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A tap in Slack.
    Slack,
    /// The reviewer's web page.
    Web,
    /// The REST API, by a person's credential.
    Api,
}

impl Via {
    /// As it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Web => "web",
            Self::Api => "api",
        }
    }
}
