//! Owns what can go wrong between a use case and the database, as the use case sees it.
//!
//! Never shows SQL text or a value in `Display`: both may hold what people wrote. The driver's own words are reachable
//! through `source()` only, for a log line at the boundary.

use crate::domain::audit::NotCanonical;

/// Why the store did not do what it was asked to. Nothing of the job was written, except as `Unavailable` says.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The write queue is full: come back later.
    #[error("too many writes are waiting")]
    Busy,
    /// The database cannot be used now, with a code for logs and metrics. When the connection broke during a commit
    /// (`connection_lost`, `io`, `timed_out`), the commit may have happened: the version guard and the idempotency key make a repeat safe.
    #[error("the database is unavailable ({code})")]
    Unavailable {
        /// What is wrong with it.
        code: &'static str,
    },
    /// A row that no code of ours writes.
    #[error("row {id} of {table} holds an impossible value in {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id, which is never a secret.
        id: String,
    },
    /// The address is neither `sqlite://` nor `postgres://`, or a part of it is wrong.
    #[error("[database] url is not usable: {0}")]
    Url(&'static str),
    /// A migration failed, or the database was migrated by a later version.
    #[error("the schema of the database could not be brought up to date")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
    /// An event that the log cannot hold: a mistake in this program, and nothing was written.
    #[error(transparent)]
    Event(#[from] NotCanonical),
    /// Anything else that the driver reports.
    #[error("the database refused a statement ({code})")]
    Driver {
        /// SQLSTATE or SQLite's extended result code.
        code: String,
        /// The driver's words; they may name tables and constraints.
        source: sqlx::Error,
    },
}

impl StoreError {
    /// The writer answered another question than was asked: a mistake in this module.
    pub(super) const MISMATCH: Self = Self::Unavailable { code: "writer_mismatch" };

    /// Short stable code for metrics and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Unavailable { code } => code,
            Self::Corrupt { .. } => "corrupt",
            Self::Url(_) => "url",
            Self::Migrate(_) => "migrate",
            Self::Event(_) => "event",
            Self::Driver { .. } => "driver",
        }
    }
}

/// Why a commit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The row is no longer at the version that the change was made for, or its client was frozen: reload, apply again.
    #[error("the stored version has moved on; reload and apply again")]
    Conflict,
    /// Another request of this client holds the idempotency key: read that one.
    #[error("the idempotency key is taken; read the request that holds it")]
    IdempotencyTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Code of `Unavailable` when another transaction was in the way.
pub(super) const COLLISION: &str = "collision";

/// What a driver's error means for a batch of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The database is gone, full or broken: every job of the batch fails.
    Database(&'static str),
    /// Another transaction was in the way: the same job can succeed when tried again.
    Collision,
    /// Some statement was refused: the fault is in a job.
    Job,
}

/// Sorts a driver's error.
pub(super) fn trouble(error: &sqlx::Error) -> Trouble {
    let sqlx::Error::Database(database) = error else {
        return match error {
            sqlx::Error::PoolTimedOut => Trouble::Database("pool_timed_out"),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::PoolClosed
            | sqlx::Error::BeginFailed => Trouble::Database("connection_lost"),
            _ => Trouble::Job,
        };
    };
    let code = database.code().unwrap_or_default();
    // PostgreSQL: https://www.postgresql.org/docs/15/errcodes-appendix.html, five characters.
    if code.len() == 5 {
        return match &code[..2] {
            "08" | "57" | "58" => Trouble::Database("connection_lost"),
            "28" | "3D" => Trouble::Database("connection_refused"),
            "53" => Trouble::Database("out_of_space"),
            "40" => Trouble::Collision,
            "55" => Trouble::Database("locked"),
            "25" => Trouble::Database("read_only"),
            _ => Trouble::Job,
        };
    }
    // SQLite: https://www.sqlite.org/rescode.html; the low byte is the primary code.
    match code.parse::<u32>().unwrap_or_default() & 0xff {
        5 | 6 => Trouble::Database("locked"),
        8 => Trouble::Database("read_only"),
        10 => Trouble::Database("io"),
        13 => Trouble::Database("out_of_space"),
        11 | 26 => Trouble::Database("corrupt"),
        14 => Trouble::Database("cannot_open"),
        7 => Trouble::Database("out_of_memory"),
        _ => Trouble::Job,
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        match trouble(&source) {
            Trouble::Database(code) => Self::Unavailable { code },
            Trouble::Collision => Self::Unavailable { code: COLLISION },
            Trouble::Job => {
                let code = match &source {
                    sqlx::Error::Database(database) => database.code().unwrap_or_default().into_owned(),
                    sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => "decode".to_owned(),
                    _ => "other".to_owned(),
                };
                Self::Driver { code, source }
            }
        }
    }
}
