//! Both databases have one schema, understand every statement, and refuse impossible rows.

use super::fixtures::Asks;
use crate::support::db::{TestDatabase, both_databases};
use countersign::store::Schema;
use std::collections::BTreeSet;

const SQLITE_COLUMNS: &str = "SELECT m.name || '.' || c.name || CASE WHEN c.\"notnull\" = 1 THEN ' not null' ELSE ' null' END \
    FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\'";
const POSTGRES_COLUMNS: &str = "SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE ' null' END \
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";
const SQLITE_INDEXES: &str = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name NOT LIKE 'sqlite%'";
const POSTGRES_INDEXES: &str = "SELECT indexname::text FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_key' OR indexname = 'request_by_idempotency_key'";

#[tokio::test]
async fn both_databases_have_the_same_columns_and_indexes() {
    let (sqlite, postgres) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
    for (of_sqlite, of_postgres) in [(SQLITE_COLUMNS, POSTGRES_COLUMNS), (SQLITE_INDEXES, POSTGRES_INDEXES)] {
        let left: BTreeSet<String> = sqlite.texts(of_sqlite).await.into_iter().collect();
        let right: BTreeSet<String> = postgres.texts(of_postgres).await.into_iter().collect();
        assert!(left.len() > 10 || of_sqlite == SQLITE_INDEXES);
        assert_eq!(left, right);
    }
}

both_databases! {
    async fn every_statement_is_understood(database: TestDatabase) {
        let store = database.store().await;
        let texts = store.every_text();
        assert!(texts.len() > 50, "{}", texts.len());
        for text in texts {
            if let Err(error) = database.prepares(&text).await {
                panic!("{text}\n{error}");
            }
        }
        store.close().await;
    }

    async fn how_far_it_is_migrated_is_told(database: TestDatabase) {
        let store = database.store().await;
        assert_eq!(store.schema().await.unwrap(), Schema::Present);
        database.tamper("UPDATE _sqlx_migrations SET version = 999 WHERE version = 1").await.unwrap();
        assert_eq!(store.schema().await.unwrap(), Schema::Later);
        database.tamper("DELETE FROM _sqlx_migrations").await.unwrap();
        let empty = store.schema().await.unwrap();
        assert!(matches!(empty, Schema::Missing(all) if all >= 1), "{empty:?}");
        database.tamper("DROP TABLE _sqlx_migrations").await.unwrap();
        assert_eq!(store.schema().await.unwrap(), empty, "nothing was ever migrated");
        store.close().await;
    }

    async fn impossible_rows_are_refused(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        for change in [
            "status = 'maybe'",
            "status = 'approved'",
            "status = 'denied'",
            "decided_at = 1",
            "valid_until = 1",
            "version = 0",
            "digest = 'md5:00'",
            "idempotency_key = 'x'",
            "id = 'per_1'",
        ] {
            assert!(database.tamper(&format!("UPDATE request SET {change}")).await.is_err(), "{change}");
        }
        for change in ["due_at = NULL", "dead_at = 1"] {
            assert!(database.tamper(&format!("UPDATE delivery SET {change}")).await.is_err(), "{change}");
        }
        assert_eq!(store.request(request.id()).await.unwrap(), Some(request));
        store.close().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let database = TestDatabase::sqlite().await;
    let store = database.store().await;
    store.put_meta("a", "b").await.unwrap();
    let path = database.url().trim_start_matches("sqlite://").to_owned();
    for suffix in ["", "-wal", "-shm"] {
        let mode = std::fs::metadata(format!("{path}{suffix}")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
    store.close().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_refused_without_being_shown() {
    use countersign::store::{Store, StoreError};
    for url in [
        "sqlite::memory:",
        "sqlite://x.db?mode=memory",
        "mysql://root:hunter2@db/x",
        "postgres://:hunter2@[bad",
        "",
        "sqlite://x?nonsense=1",
    ] {
        let error = Store::open(url).await.unwrap_err();
        assert!(matches!(error, StoreError::Url(_)), "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let error = Store::open("sqlite:///nowhere/at/all.db").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { code: "cannot_open" }), "{error:?}");
}
