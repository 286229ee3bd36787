//! Owns the question "who is this, are they active, which groups": the [`Directory`] trait and the person [`Record`] that every source is mapped to.
//!
//! Never answers when it does not know, never keeps a "yes" beyond its freshness, never matches by display name. It reports; whether the person may
//! approve is the domain's to judge.
//!
//! # Adding a source
//! 1. `src/directory/<name>.rs` with a type that implements [`Directory`]. Map every source attribute to a [`Record`] field; what the source does not
//!    know stays empty, and an unreadable "active" means `active: false`. [`Record::key`] begins with the source's name and a colon and never changes
//!    for the same person (use the source's immutable id, not an e-mail address).
//! 2. Freshness. A live source asks at each [`Directory::lookup`]; it may keep a record for at most 60 s and an absence not at all. A source that is
//!    pushed to compares its last contact with `max_staleness`. When it cannot ask: [`Answer::fresh`] is false with the last valid record (good for a
//!    denial only), or [`DirectoryError::Unavailable`] when it never knew the person.
//! 3. Identity. Match immutable ids first; by e-mail only what [`Identity`] says was confirmed, and only if exactly one active person has it. More than
//!    one match is no match.
//! 4. A word in `config::directory` (it moves from "not supported" to a source), its keys, and the example file.
//! 5. The tests of `file.rs` tell what every source must do: unknown, inactive, ambiguous, unreachable, reachable again.

pub mod file;
pub mod record;

pub use file::FileDirectory;
pub use record::{Record, SlackAccount, SlackHome};

use crate::domain::ids::PersonId;
use crate::domain::time::Timestamp;
use std::future::Future;
use std::pin::Pin;

/// A future that can cross threads; it keeps the trait usable as `dyn Directory`.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of people.
pub trait Directory: Send + Sync {
    /// Who `who` is, as known at `now`. No such person, or more than one: an answer without a record.
    fn lookup<'a>(&'a self, who: &'a Identity, now: Timestamp) -> Asked<'a, Result<Answer, DirectoryError>>;

    /// Everybody, inactive people included, sorted by key; an error when the source cannot say it freshly. For counts of eligible people and `check`,
    /// never to let somebody approve.
    fn people(&self, now: Timestamp) -> Asked<'_, Result<Vec<Record>, DirectoryError>>;

    /// How the source is, asked now.
    fn health(&self, now: Timestamp) -> Asked<'_, Health>;
}

/// How a person is named by whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// An account of Slack, from a callback whose signature was verified.
    Slack {
        /// The workspace (`T…`).
        team_id: Option<String>,
        /// The organisation (`E…`) on Enterprise Grid.
        enterprise_id: Option<String>,
        /// The user (`U…` or `W…`).
        user_id: String,
        /// The account's address, only when `[slack] match_email` allows it and Slack says that it is confirmed.
        confirmed_email: Option<String>,
    },
    /// An e-mail address from our own configuration or from a client that may act for it; never one that a person could choose for themselves.
    Email(String),
    /// The key of a record that a source gave before.
    Key(String),
    /// The id, for people whose record carries one.
    Person(PersonId),
}

/// What a source knows about an [`Identity`].
#[derive(Debug, Clone)]
pub struct Answer {
    /// The person; none: unknown or ambiguous.
    pub record: Option<Record>,
    /// The source, e.g. `file`; kept as evidence.
    pub source: &'static str,
    /// When this was true for certain.
    pub as_of: Timestamp,
    /// False: the last valid answer of a source that cannot be asked now; good for a denial, never for an approval.
    pub fresh: bool,
}

/// How a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The source, e.g. `file`.
    pub source: &'static str,
    /// Whether an approval could be answered now.
    pub fresh: bool,
    /// When the source was last valid; none: never since the start.
    pub as_of: Option<Timestamp>,
    /// What is wrong, for the operator's log; none when fresh.
    pub problem: Option<String>,
}

/// Why there is no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The source cannot be asked and never could: nobody can be verified.
    #[error("the directory ({source_name}) cannot be asked: {problem}")]
    Unavailable {
        /// The source, e.g. `file`.
        source_name: &'static str,
        /// What is wrong, for the operator's log.
        problem: String,
    },
}
