//! Owns the database: every row that is written or read, on SQLite or PostgreSQL.
//!
//! Never decides anything, and lets no row type out. `Store::commit` of a `Transition` is the only way in which a request
//! is written; it is one transaction with its audit events, its reviews and its cards.
//!
//! ```text
//! caller ── job ──▶ bounded queue ──▶ writer (one task, one connection) ── one COMMIT per batch ──▶ answers, then hints
//! caller ── read ─▶ pool of read-only connections
//! ```
//!
//! The SQL stands once, in `sql/`, and is compiled against both drivers (`sqlite.rs` and `postgres.rs` load it). To add a
//! query: a constant and a function in `sql/<table>.rs`, its name in that file's `TEXTS`, a method in `<table>.rs` here, and
//! a test under `both_databases!`. A write is a variant of `work::Work`, so that it goes through the queue.

mod audit;
mod backup;
mod callbacks;
mod changes;
mod clients;
mod deliveries;
mod error;
mod gather;
mod heads;
mod meta;
mod people;
mod policies;
mod postgres;
mod refusals;
mod requests;
mod schema;

mod sqlite;
mod taps;
mod work;

pub use audit::{AuditFilter, AuditRow, RawEvent};
pub use callbacks::Callback;
pub use changes::{Changed, Changes};
pub use clients::ConfiguredClient;
pub use deliveries::{Delivery, DeliveryId, DeliveryKind, DeliveryLine, Instead, Message, MessageId, OutboxState};
pub use error::{CommitError, StoreError};
pub use heads::SignedHead;
pub use people::KnownPerson;
pub use requests::{Commit, Idempotency, RequestFilter};
pub use schema::Schema;
pub use taps::{Lease, ReceivedTap, StoredTap, TapId};

use crate::domain::audit::{Entry, Prepared, hex};
use crate::domain::ids::{ClientId, EventId, RequestId};
use crate::domain::time::Timestamp;
use crate::runtime::{Random, SystemRandom};
use changes::Bell;
use clients::{ClientRow, KeyRow};
use error::trouble;
use gather::Gather;
use postgres::sql as postgres_sql;
use sqlite::sql as sqlite_sql;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use work::{Answer, Job, StoredRequest, Work};

/// Bytes that a notification may have (PostgreSQL 15, NOTIFY: less than 8000).
const PAYLOAD_LIMIT: usize = 7_900;

/// How long a database may be silent, in a read or in a batch of writes, before it counts as gone. Longer than any lock is
/// waited for; without it a network that drops packets holds callers until the kernel gives up, many minutes later.
const SILENCE: Duration = Duration::from_secs(15);

/// So late does a caller who waits on one replica learn what another one decided, should notifications be lost.
const CHECK_HINTS_EVERY: Duration = Duration::from_secs(5);

/// A database that does not answer is as gone as one that refuses.
async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(SILENCE, work).await.unwrap_or(Err(StoreError::Unavailable { code: "timed_out" }))
}

/// How the databases differ in words.
struct Dialect {
    /// Begins a transaction that writes, and waits for those before it.
    begin: &'static str,
    /// `$1` in long lists of rows; else `?`.
    numbered_placeholders: bool,
    /// The type of bytes.
    bytes: &'static str,
    /// Lets two workers take different rows.
    skip_locked: &'static str,
    /// Tells other replicas.
    notify: Option<&'static str>,
}

/// Runs a query on the reading pool of whichever backend there is.
macro_rules! read {
    ($store:expr, $sql:ident, $pool:ident => $query:expr) => {
        $crate::store::in_time(async {
            match &$store.shared.backend {
                $crate::store::Backend::Sqlite($pool) => {
                    use $crate::store::sqlite::sql as $sql;
                    $query.await
                }
                $crate::store::Backend::Postgres($pool) => {
                    use $crate::store::postgres::sql as $sql;
                    $query.await
                }
            }
        })
        .await
    };
}
use read;

/// Sizes that a deployment or a test may want to change.
#[derive(Clone)]
pub struct StoreOptions {
    /// Jobs that may wait to be written; one more is `StoreError::Busy`.
    pub queue: usize,
    /// Connections that read.
    pub readers: u32,
    /// Where event ids come from.
    pub random: Arc<dyn Random>,
    /// On PostgreSQL: after so much silence it is checked whether hints of other replicas still arrive.
    pub check_hints_every: Duration,
    /// Pages of 4 KiB that an SQLite file may have; a quota.
    pub sqlite_max_pages: Option<u32>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { queue: 4_096, readers: 4, random: Arc::new(SystemRandom), check_hints_every: CHECK_HINTS_EVERY, sqlite_max_pages: None }
    }
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions").field("queue", &self.queue).field("readers", &self.readers).finish_non_exhaustive()
    }
}

/// Makes the ids of events.
#[derive(Clone)]
struct EventIds(Arc<dyn Random>);

impl EventIds {
    fn prepare(&self, entry: &Entry, at: Timestamp) -> Result<Prepared, StoreError> {
        Ok(entry.prepare(&EventId::new(at, self.0.bytes()), at)?)
    }
}

/// The reading side.
enum Backend {
    Sqlite(sqlx::SqlitePool),
    Postgres(sqlx::PgPool),
}

struct Shared {
    backend: Backend,
    url: String,
    options: StoreOptions,
    bell: Arc<Bell>,
    events: EventIds,
    remembered: people::Remembered,
    together: SharedReads,
    writing: tokio::sync::Mutex<Option<Writing>>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
}

/// Rows that nearly every call reads.
struct SharedReads {
    requests: Gather<RequestId, StoredRequest>,
    clients: Gather<ClientId, ClientRow>,
    keys: Gather<[u8; 32], KeyRow>,
}

/// The shared reads over the pool of either backend.
macro_rules! shared_reads {
    ($sql:ident, $pool:expr) => {{
        let (requests, clients, keys) = ($pool.clone(), $pool.clone(), $pool.clone());
        SharedReads {
            requests: Gather::new(move |ids| {
                let pool = requests.clone();
                Box::pin(async move { $sql::requests::by_ids(&pool, &ids).await })
            }),
            clients: Gather::new(move |ids| {
                let pool = clients.clone();
                Box::pin(async move { $sql::clients::by_ids(&pool, &ids).await })
            }),
            keys: Gather::new(move |hashes| {
                let pool = keys.clone();
                Box::pin(async move { $sql::clients::by_keys(&pool, &hashes).await })
            }),
        }
    }};
}

/// The tasks behind the queue.
struct Writing {
    writer: JoinHandle<()>,
    listener: Option<JoinHandle<()>>,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `sqlite://path` or `postgres://…`. An SQLite file that is missing is made, with mode 0600.
    /// The schema is not touched: see `migrate`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, StoreOptions::default()).await
    }

    /// The same, with other sizes.
    pub async fn open_with(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        Self::connect(url, options, true).await
    }

    /// Opens a database that exists, for reading: an auditor needs no right to change it. Every write is `Unavailable`.
    /// An address that does not answer is an error here, as with the others.
    pub async fn open_read_only(url: &str) -> Result<Self, StoreError> {
        Self::connect(url, StoreOptions::default(), false).await
    }

    async fn connect(url: &str, options: StoreOptions, writes: bool) -> Result<Self, StoreError> {
        let events = EventIds(Arc::clone(&options.random));
        let bell = Arc::new(Bell::new());
        let tag = hex(&options.random.bytes::<8>());
        let (sender, queue) = mpsc::channel(options.queue.max(1));
        let (backend, shared_reads, writing) = if url.starts_with("sqlite:") {
            let mut writing = None;
            if writes {
                sqlite::create_private_file(url)?;
                let writer =
                    sqlite::sql::writer::Writer::connect(sqlite::writer(url, &options)?, events.clone(), Arc::clone(&bell), tag).await?;
                writing = Some(Writing { writer: tokio::spawn(writer.run(queue)), listener: None });
            }
            let pool = sqlite::readers(url, &options)?;
            if !writes {
                pool.acquire().await?;
            }
            let reads = shared_reads!(sqlite_sql, pool);
            (Backend::Sqlite(pool), reads, writing)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let mut writing = None;
            if writes {
                let writer =
                    postgres::sql::writer::Writer::connect(postgres::writer(url)?, events.clone(), Arc::clone(&bell), tag.clone()).await?;
                let listener = tokio::spawn(postgres::listen(url.to_owned(), tag, Arc::clone(&bell), options.check_hints_every));
                writing = Some(Writing { writer: tokio::spawn(writer.run(queue)), listener: Some(listener) });
            }
            let pool = postgres::readers(url, &options)?;
            if !writes {
                pool.acquire().await?;
            }
            let reads = shared_reads!(postgres_sql, pool);
            (Backend::Postgres(pool), reads, writing)
        } else {
            return Err(StoreError::Url("expected sqlite://path/to/file.db or postgres://user@host/database"));
        };
        let shared = Shared {
            backend,
            url: url.to_owned(),
            options,
            bell,
            events,
            remembered: Mutex::default(),
            together: shared_reads,
            writing: tokio::sync::Mutex::new(writing),
            queue: Mutex::new(writes.then_some(sender)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Opens an SQLite file that nobody writes to, such as a finished copy, to read it only: no file is made beside it.
    /// Writes are `Unavailable`.
    #[must_use]
    pub fn open_still(file: &std::path::Path) -> Self {
        let options = StoreOptions::default();
        let pool = sqlite::still(file, &options);
        let reads = shared_reads!(sqlite_sql, pool);
        let shared = Shared {
            backend: Backend::Sqlite(pool),
            url: String::new(),
            events: EventIds(Arc::clone(&options.random)),
            options,
            bell: Arc::new(Bell::new()),
            remembered: Mutex::default(),
            together: reads,
            writing: tokio::sync::Mutex::new(None),
            queue: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Brings the schema up to date. Several processes may do so at once: PostgreSQL's migrations take an advisory lock, SQLite's the file's.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrated = match &self.shared.backend {
            Backend::Sqlite(_) => {
                use sqlx::{ConnectOptions as _, Connection as _};
                let mut conn = sqlite::writer(&self.shared.url, &self.shared.options)?.connect().await?;
                let migrated = sqlite::MIGRATIONS.run(&mut conn).await;
                let _ = conn.close().await;
                migrated
            }
            Backend::Postgres(_) => {
                use sqlx::{ConnectOptions as _, Connection as _};
                let mut conn = postgres::connect(&self.shared.url)?.connect().await?;
                let migrated = postgres::MIGRATIONS.run(&mut conn).await;
                let _ = conn.close().await;
                migrated
            }
        };
        migrated.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) if matches!(trouble(&error), error::Trouble::Database(_)) => error.into(),
            other => StoreError::Migrate(Box::new(other)),
        })
    }

    /// Finishes what is queued, then lets go of every connection. Writes afterwards are `Unavailable`.
    pub async fn close(&self) {
        self.shared.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(writing) = self.shared.writing.lock().await.take() {
            if let Some(listener) = writing.listener {
                listener.abort();
            }
            // It ends by itself once the queue is closed and empty.
            let _ = writing.writer.await;
        }
        match &self.shared.backend {
            Backend::Sqlite(pool) => pool.close().await,
            Backend::Postgres(pool) => pool.close().await,
        }
    }

    /// Hints about what was committed from now on, by this process or another replica.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        self.shared.bell.subscribe()
    }

    /// Forgets what only grows: finished taps that came in before `before`, and signed heads of before then that a later one of
    /// their day supersedes. Answers how many rows went; while it is not 0 there may be more.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        match self.submit(Work::Prune { before }).await? {
            Answer::Count(count) => Ok(count),
            _ => Err(StoreError::MISMATCH),
        }
    }

    /// Every SQL text of this backend, for the test that prepares them all.
    #[doc(hidden)]
    #[must_use]
    pub fn every_text(&self) -> Vec<String> {
        match &self.shared.backend {
            Backend::Sqlite(_) => sqlite::sql::every_text(),
            Backend::Postgres(_) => postgres::sql::every_text(),
        }
    }

    /// Queues a job and waits for its commit. A caller that stops waiting does not stop the job.
    async fn submit(&self, work: Work) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { work, reply, queued: Instant::now() };
        let queue = self.shared.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let queue = queue.ok_or(StoreError::Unavailable { code: "closed" })?;
        queue.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                metrics::counter!("countersign_store_busy_total").increment(1);
                StoreError::Busy
            }
            mpsc::error::TrySendError::Closed(_) => StoreError::Unavailable { code: "closed" },
        })?;
        // While this waits it must not keep the queue open.
        drop(queue);
        answer.await.unwrap_or(Err(StoreError::Unavailable { code: "writer_stopped" }))
    }

    fn prepare(&self, entry: &Entry, at: Timestamp) -> Result<Prepared, StoreError> {
        self.shared.events.prepare(entry, at)
    }

    fn shared_reads(&self) -> &SharedReads {
        &self.shared.together
    }

    fn remembered(&self) -> &people::Remembered {
        &self.shared.remembered
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(writing) = self.writing.get_mut().take()
            && let Some(listener) = writing.listener
        {
            listener.abort();
        }
    }
}
