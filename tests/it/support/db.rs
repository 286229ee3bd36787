//! Owns a fresh database for every test, on both kinds: an SQLite file in a temporary directory, and a PostgreSQL database
//! copied from a template that is migrated once.
//!
//! Never skips: without a PostgreSQL server its tests fail, and say what to run.

use countersign::store::{Store, StoreOptions};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqlSafeStr as _, SqliteConnection};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio::sync::OnceCell;

const VARIABLE: &str = "COUNTERSIGN_TEST_POSTGRES";
/// Every database of the tests is called so; then the process that owns it, then a number.
const PREFIX: &str = "countersign_test_";

/// Runs each test on both databases: `both_databases! { async fn name(database: TestDatabase) { … } … }`, once per file.
macro_rules! both_databases {
    ($(async fn $name:ident($database:ident: TestDatabase) $body:block)+) => {
        $(async fn $name($database: $crate::support::db::TestDatabase) $body)+

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::db::TestDatabase::sqlite().await).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::support::db::TestDatabase::postgres().await).await;
            })+
        }
    };
}
pub(crate) use both_databases;

/// A migrated database of one test; gone when dropped.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    url: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Sqlite(TempDir),
    Postgres { server: String, name: String },
}

impl TestDatabase {
    /// An SQLite file.
    pub(crate) async fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let url = format!("sqlite://{}", directory.path().join("test.db").display());
        let store = Store::open(&url).await.unwrap();
        store.migrate().await.unwrap();
        store.close().await;
        Self { url, kind: Kind::Sqlite(directory) }
    }

    /// A PostgreSQL database.
    pub(crate) async fn postgres() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = server();
        let template = template(&server).await;
        let name = format!("{PREFIX}{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = admin(&server).await;
        // Names of our own making.
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"))).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        Self { url: of_database(&server, &name), kind: Kind::Postgres { server, name } }
    }

    /// Makes it anew, in the form that this migration left it in.
    pub(crate) async fn at_migration(&self, version: i64) {
        let (folder, empty) = match &self.kind {
            Kind::Sqlite(directory) => {
                for entry in std::fs::read_dir(directory.path()).unwrap() {
                    std::fs::remove_file(entry.unwrap().path()).unwrap();
                }
                ("migrations/sqlite", "")
            }
            Kind::Postgres { .. } => ("migrations/postgres", "DROP SCHEMA public CASCADE; CREATE SCHEMA public"),
        };
        let mut migrator = Migrator::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).await.unwrap();
        migrator.migrations.to_mut().retain(|migration| migration.version <= version);
        if self.is_postgres() {
            self.tamper(empty).await.unwrap();
            migrator.run(&mut PgConnection::connect(&self.url).await.unwrap()).await.unwrap();
        } else {
            let file = self.url.trim_start_matches("sqlite://");
            let mut connection = SqliteConnectOptions::new().filename(file).create_if_missing(true).connect().await.unwrap();
            migrator.run(&mut connection).await.unwrap();
        }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// It is PostgreSQL.
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.kind, Kind::Postgres { .. })
    }

    /// A store on it.
    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// A store on it, with other sizes.
    pub(crate) async fn store_with(&self, options: StoreOptions) -> Store {
        Store::open_with(&self.url, options).await.unwrap()
    }

    /// Runs statements past the store, as somebody does who owns the database. Answers with the database's message when it refuses.
    pub(crate) async fn tamper(&self, sql: &str) -> Result<(), String> {
        // The texts stand in the tests.
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        let result = if self.is_postgres() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sql.execute(&mut connection).await.map(drop)
        } else {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sql.execute(&mut connection).await.map(drop)
        };
        result.map_err(|error| error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned()))
    }

    /// The first column of every row, as text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        // The texts stand in the tests.
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_postgres() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        } else {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
        }
    }

    /// Whether the database understands a statement.
    pub(crate) async fn prepares(&self, sql: &str) -> Result<(), String> {
        let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
        if self.is_postgres() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            connection.prepare(sql).await.map(drop).map_err(|error| error.to_string())
        } else {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            connection.prepare(sql).await.map(drop).map_err(|error| error.to_string())
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Kind::Postgres { server, name } = &self.kind else { return };
        let (server, sql) = (server.clone(), format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        // The test's runtime cannot wait inside a drop. A database that stays is swept by the next run.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut admin = admin(&server).await;
                let _ = sqlx::query(AssertSqlSafe(sql)).execute(&mut admin).await;
                let _ = admin.close().await;
            });
        });
        let _ = dropped.join();
    }
}

fn server() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set, so nothing was tested on PostgreSQL. Run ./tests/run, which starts a server and sets it.")
    })
}

fn of_database(server: &str, name: &str) -> String {
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(name);
    url.into()
}

async fn admin(server: &str) -> PgConnection {
    PgConnection::connect(server)
        .await
        .unwrap_or_else(|error| panic!("{VARIABLE} names a server that does not answer ({error}). Run ./tests/run."))
}

/// A migrated database to copy, made once per process; sweeps what dead processes left.
async fn template(server: &str) -> &'static str {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(|| async {
            let mut admin = admin(server).await;
            for name in leftovers(&mut admin).await {
                let _ = sqlx::query(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).execute(&mut admin).await;
            }
            let name = format!("{PREFIX}{}_template", std::process::id());
            sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
            admin.close().await.unwrap();
            let store = Store::open(&of_database(server, &name)).await.unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            name
        })
        .await
}

async fn leftovers(admin: &mut PgConnection) -> Vec<String> {
    let names: Vec<String> = sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname LIKE $1")
        .bind(format!("{PREFIX}%"))
        .fetch_all(admin)
        .await
        .unwrap();
    let is_dead = |name: &String| {
        let process = name.trim_start_matches(PREFIX).split('_').next().unwrap_or_default();
        !std::path::Path::new("/proc").join(process).exists()
    };
    if std::path::Path::new("/proc/self").exists() { names.into_iter().filter(is_dead).collect() } else { Vec::new() }
}
