//! The database goes away, or is full: a clear error, nothing acknowledged is lost, and work goes on afterwards.

use super::fixtures::{Asks, at, cancel, entry, verify};
use crate::support::chaos::{Chaos, Line};
use crate::support::db::TestDatabase;
use countersign::domain::audit::Kind;
use countersign::store::{Changed, Changes, Commit, CommitError, Store, StoreError, StoreOptions};
use futures::future::join_all;
use std::time::Duration;

const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Everything that was acknowledged must be there.
async fn none_lost(store: &Store, acknowledged: &[countersign::domain::ids::RequestId]) {
    for id in acknowledged {
        assert!(store.request(id).await.unwrap().is_some(), "{id} was acknowledged");
    }
    verify(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_killing_connections_under_load_loses_nothing_acknowledged() {
    let database = TestDatabase::postgres().await;
    let store = database.store().await;
    let mut acknowledged = Vec::new();
    for _ in 0..10 {
        let transitions: Vec<_> = (0..64).map(|_| Asks::default().transition()).collect();
        let ids: Vec<_> = transitions.iter().map(|transition| transition.after().id().clone()).collect();
        let (results, killed) =
            tokio::join!(join_all(transitions.into_iter().map(|transition| store.commit(Commit::new(transition)))), database.tamper(KILL));
        killed.unwrap();
        acknowledged.extend(ids.into_iter().zip(results).filter(|(_, result)| result.is_ok()).map(|(id, _)| id));
        // The next write finds a dead connection or a live one, and succeeds on either.
        store.record(vec![entry(Kind::ConfigChanged)], at(0)).await.unwrap();
    }
    none_lost(&store, &acknowledged).await;
    store.close().await;
}

/// Lets another replica commit until this one hears it by name; answers whether it heard that something was missed.
async fn heard_by_name(changes: &mut Changes, other: &Store) -> bool {
    let mut missed = false;
    for _ in 0..200 {
        let id = Asks::default().store(other).await.id().clone();
        while let Ok(changed) = tokio::time::timeout(Duration::from_millis(100), changes.next()).await {
            if changed == Changed::Request(id.clone()) {
                return missed;
            }
            missed |= changed == Changed::All;
        }
    }
    panic!("no hint came from the other replica");
}

/// Waits for the hint that anything may have changed.
async fn hears_that_something_was_missed(changes: &mut Changes) {
    let hears = async { while changes.next().await != Changed::All {} };
    tokio::time::timeout(crate::support::server::PATIENCE, hears).await.expect("no hint came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_died_without_a_word_is_noticed_by_whoever_only_listens() {
    let database = TestDatabase::postgres().await;
    let url = url::Url::parse(&database.url()).unwrap();
    let chaos = Chaos::before(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())).await;
    let mut through = url.clone();
    through.set_port(Some(chaos.address.port())).unwrap();
    let options = StoreOptions { check_hints_every: Duration::from_millis(50), ..StoreOptions::default() };
    let store = Store::open_with(through.as_str(), options).await.unwrap();
    let mut changes = store.subscribe();
    heard_by_name(&mut changes, &database.store().await).await;
    chaos.goes(Line::Silent);
    hears_that_something_was_missed(&mut changes).await;
    chaos.goes(Line::Cut);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_that_are_swallowed_are_missed_from_the_log() {
    let database = TestDatabase::postgres().await;
    let options = StoreOptions { check_hints_every: Duration::from_millis(50), ..StoreOptions::default() };
    let (store, other) = (database.store_with(options).await, database.store().await);
    let mut changes = store.subscribe();
    heard_by_name(&mut changes, &other).await;
    // A row that nobody notifies of, as it looks from behind a pooler that swallows notifications.
    for _ in 0..3 {
        let next = "INSERT INTO audit_event (seq, at, type, actor_kind, actor_id, request_id, event, leaf_hash, chain_hash) \
            SELECT seq + 1, at, type, actor_kind, actor_id, request_id, event, leaf_hash, chain_hash FROM audit_event ORDER BY seq DESC LIMIT 1";
        database.tamper(next).await.unwrap();
        hears_that_something_was_missed(&mut changes).await;
    }
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_was_cut_off_rings_for_everything_and_listens_again() {
    let database = TestDatabase::postgres().await;
    let (store, other) = (database.store().await, database.store().await);
    let mut changes = store.subscribe();
    heard_by_name(&mut changes, &other).await;
    assert!(!heard_by_name(&mut changes, &other).await, "nothing was missed");
    database.tamper(KILL).await.unwrap();
    assert!(heard_by_name(&mut changes, &other).await, "something may have been missed");
    store.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_killed_before_it_wrote_connects_again_and_nobody_notices() {
    let database = TestDatabase::postgres().await;
    let store = database.store().await;
    let request = Asks::default().store(&store).await;
    // Somebody holds the lock of the log's head, so the writer waits inside its transaction when it is killed.
    let mut holder = <sqlx::PgConnection as sqlx::Connection>::connect(&database.url()).await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(4854637701)").execute(&mut holder).await.unwrap();
    let commit = tokio::spawn({
        let store = store.clone();
        let transition = cancel(request.clone(), 1);
        async move { store.commit(Commit::new(transition)).await }
    });
    kill_the_waiting(&database).await;
    sqlx::query("SELECT pg_advisory_unlock(4854637701)").execute(&mut holder).await.unwrap();
    // Nothing was written before the lock, so the writer connects again and nobody notices.
    commit.await.unwrap().unwrap();
    assert_eq!(verify(&store).await.end.seq, 2);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_killed_in_the_middle_answers_everybody_and_writes_nothing() {
    let database = TestDatabase::postgres().await;
    let store = database.store().await;
    let request = Asks::default().store(&store).await;
    // Somebody holds the request's row, so the writer has begun and waits at the update when it is killed.
    let mut holder = <sqlx::PgConnection as sqlx::Connection>::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT 1 FROM request FOR UPDATE").execute(&mut holder).await.unwrap();
    let commit = tokio::spawn({
        let store = store.clone();
        let transition = cancel(request.clone(), 1);
        async move { store.commit(Commit::new(transition)).await }
    });
    kill_the_waiting(&database).await;
    let answer = commit.await.unwrap();
    assert!(matches!(answer, Err(CommitError::Store(StoreError::Unavailable { code: "connection_lost" }))), "{answer:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    assert_eq!(store.request(request.id()).await.unwrap().unwrap().version(), 1);
    store.commit(Commit::new(cancel(request, 2))).await.unwrap();
    assert_eq!(verify(&store).await.end.seq, 2);
    store.close().await;
}

/// Waits until a connection waits for a lock, then ends it.
async fn kill_the_waiting(database: &TestDatabase) {
    let waiting = "SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while database.texts(waiting).await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "the writer never waited for the lock");
    }
    database.tamper(&waiting.replace("pid::text", "pg_terminate_backend(pid)")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_sqlite_file_refuses_and_recovers_when_there_is_space() {
    let database = TestDatabase::sqlite().await;
    let store = database.store_with(StoreOptions { sqlite_max_pages: Some(200), ..StoreOptions::default() }).await;
    store.put_meta("ballast", &"x".repeat(200_000)).await.unwrap();
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let transitions: Vec<_> = (0..16).map(|_| Asks::default().transition()).collect();
        let ids: Vec<_> = transitions.iter().map(|transition| transition.after().id().clone()).collect();
        for (id, result) in
            ids.into_iter().zip(join_all(transitions.into_iter().map(|transition| store.commit(Commit::new(transition)))).await)
        {
            match result {
                Ok(()) => acknowledged.push(id),
                Err(CommitError::Store(StoreError::Unavailable { code: "out_of_space" })) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    assert!(refused > 0 && !acknowledged.is_empty(), "{refused} refused");
    none_lost(&store, &acknowledged).await;
    database.tamper("DELETE FROM meta WHERE key = 'ballast'").await.unwrap();
    let transition = Asks::default().transition();
    acknowledged.push(transition.after().id().clone());
    store.commit(Commit::new(transition)).await.unwrap();
    none_lost(&store, &acknowledged).await;
    store.close().await;
}
