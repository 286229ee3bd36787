//! Owns what is PostgreSQL's own: how to connect, how replicas tell each other, and the words in which its SQL differs.
//!
//! Never holds a query: those stand in `sql/`, once for both databases.

use super::changes::{Bell, Changed, from_payload};
use super::error::StoreError;
use super::{Dialect, StoreOptions};
use crate::domain::audit::Head;
use sqlx::ConnectOptions as _;
use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgListener};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

#[path = "sql/mod.rs"]
#[expect(clippy::duplicate_mod, reason = "one text of SQL, compiled against each driver's types")]
pub(super) mod sql;

pub(super) type Db = sqlx::Postgres;

/// The channel of NOTIFY.
const CHANNEL: &str = "countersign_changed";
/// Pauses between attempts to listen again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) const DIALECT: Dialect = Dialect {
    // One round trip. The lock (a number of our own) is that of the log's head, which every batch extends. Taken first,
    // it also makes batches of several replicas wait in line instead of deadlocking over requests in different orders.
    begin: "BEGIN; SELECT pg_advisory_xact_lock(4854637701)",
    numbered_placeholders: true,
    bytes: "BYTEA",
    skip_locked: "FOR UPDATE SKIP LOCKED",
    notify: Some("SELECT pg_notify('countersign_changed', $1)"),
};

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// Options of every connection.
pub(super) fn connect(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| StoreError::Url("expected postgres://user@host/database"))?;
    Ok(options.application_name("countersign").statement_cache_capacity(256).disable_statement_logging())
}

/// Options of the one connection that writes. A replica that hangs while it holds the log's head must not stop the others for ever.
pub(super) fn writer(url: &str) -> Result<PgConnectOptions, StoreError> {
    Ok(connect(url)?.options([("lock_timeout", "10s"), ("idle_in_transaction_session_timeout", "30s")]))
}

/// The pool that reads.
pub(super) fn readers(url: &str, options: &StoreOptions) -> Result<sqlx::Pool<Db>, StoreError> {
    Ok(PoolOptions::new()
        .max_connections(options.readers)
        .acquire_timeout(Duration::from_secs(5))
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::query("SET default_transaction_read_only = on").execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(connect(url)?))
}

/// Hears what other replicas committed, until it is aborted. Whenever something may have been missed, it rings for all.
pub(super) async fn listen(url: String, own: String, bell: Arc<Bell>, check_every: Duration) {
    let mut pause = FIRST_PAUSE;
    loop {
        match connect_listener(&url).await {
            Ok(mut listener) => {
                pause = FIRST_PAUSE;
                // From here on nothing is missed; before, everything may have been.
                bell.ring(Changed::All);
                hear(&mut listener, &own, &bell, check_every).await;
                tracing::warn!("the connection that hears other replicas was lost; connecting again");
                bell.ring(Changed::All);
            }
            Err(error) => tracing::warn!(code = StoreError::from(error).code(), "cannot listen to other replicas; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Hears until the connection is lost. Whoever only listens cannot tell a quiet line from one that died without a word, nor from
/// a pooler that swallows notifications: so whenever it was quiet for `check_every`, the log is asked whether it is longer than
/// anybody told.
async fn hear(listener: &mut PgListener, own: &str, bell: &Bell, check_every: Duration) {
    let mut told = 0;
    loop {
        // `recv` would connect again by itself and hide that something was missed; `try_recv` tells. It may be cut short.
        match tokio::time::timeout(check_every, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                let (end, changes) = from_payload(notification.payload(), own);
                told = told.max(end);
                for changed in changes {
                    bell.ring(changed);
                }
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_quiet) => {
                let end = tokio::time::timeout(check_every, sql::audit::head(&mut *listener)).await;
                let Ok(Ok(Head { seq, .. })) = end else { return };
                if seq > told {
                    bell.ring(Changed::All);
                    told = seq;
                }
            }
        }
    }
}

async fn connect_listener(url: &str) -> Result<PgListener, sqlx::Error> {
    let options = connect(url).map_err(|_| sqlx::Error::PoolClosed)?;
    let pool = PoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(5)).connect_with(options).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
