//! The database goes away, falls silent, or is full, and too much comes at once: a clear error with `Retry-After`, nothing
//! acknowledged is lost, a tap is never told "ok", and the server goes on by itself when it can.

use crate::support::app::{TestApp, export};
use crate::support::chaos::{Chaos, Line};
use crate::support::db::{TestDatabase, both_databases};
use crate::support::server::{Answer, Caller, PATIENCE, Server, Site, Tap};
use futures::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What was acknowledged while the database came and went.
#[derive(Debug, Default)]
struct Acknowledged {
    requests: Vec<String>,
    taps: Vec<String>,
    refused: usize,
}

/// 503, and when to come back.
fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    assert!(
        matches!(answer.body["type"].as_str(), Some("urn:countersign:problem:unavailable" | "urn:countersign:problem:busy")),
        "{answer:?}"
    );
}

impl Acknowledged {
    /// The agent asks and somebody taps; whatever is answered is taken at its word.
    async fn work(&mut self, server: &Caller) {
        let ask = ask();
        let created = join_all((0..8).map(|_| server.asks(&ask))).await;
        let mut taps = Vec::new();
        for answer in created {
            let answer = answer.expect("the server answers");
            if answer.status == 201 {
                self.requests.push(answer.body["id"].as_str().unwrap().to_owned());
                taps.push(Tap::approve(&answer.body, "U0BOB"));
            } else {
                is_unavailable(&answer);
                self.refused += 1;
            }
        }
        for (tap, answer) in taps.iter().zip(join_all(taps.iter().map(|tap| server.delivers(tap))).await) {
            let answer = answer.expect("the server answers");
            match answer.status {
                200 => self.taps.push(tap.dedup_key.clone()),
                503 => self.refused += 1,
                other => panic!("{other}: {answer:?}"),
            }
        }
    }

    /// Everything acknowledged is there, and the log is whole.
    async fn is_kept(&self, site: &Site) {
        let requests = site.database.texts("SELECT id FROM request").await;
        for id in &self.requests {
            assert!(requests.contains(id), "{id} was acknowledged and is not there");
        }
        let taps = site.database.texts("SELECT dedup_key FROM tap").await;
        for key in &self.taps {
            assert!(taps.contains(key), "{key} was acknowledged and is not there");
        }
        site.until_count("SELECT count(*) FROM tap WHERE finished_at IS NULL", 0).await;
        site.log_verifies();
    }
}

fn ask() -> Value {
    let mut ask = export();
    ask["deny_options"] = json!([]);
    ask
}

async fn readiness(server: &Server) -> (u16, Value) {
    let ready = server.get("/readyz").await.expect("the server answers");
    (ready.status, ready.body["status"].clone())
}

/// Waits until the readiness probe says so.
async fn until_ready(server: &Server, wanted: bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, word) = readiness(server).await;
        let is = if wanted { (200, json!("ready")) } else { (503, json!("not_ready")) };
        if (status, &word) == (is.0, &is.1) {
            return;
        }
        assert!(Instant::now() < deadline, "{status} {word}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// While the database is gone: every edge says so, and the process lives.
async fn says_so(server: &Server, known: &Value) {
    let caller = server.caller();
    let created = caller.asks(&ask()).await.expect("the server answers");
    is_unavailable(&created);
    is_unavailable(&caller.reads(known["id"].as_str().unwrap()).await.expect("the server answers"));
    assert_eq!(caller.delivers(&Tap::approve(known, "U0BOB")).await.expect("the server answers").status, 503);
    assert_eq!(readiness(server).await, (503, json!("not_ready")));
    assert_eq!(server.get("/healthz").await.expect("the server answers").status, 200);
}

/// The database is behind a line that the test holds.
async fn behind(database: TestDatabase) -> (Site, Chaos) {
    let site = Site::new(database).await;
    let mut url = url::Url::parse(&site.database.url()).unwrap();
    let chaos = Chaos::before(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await;
    url.set_ip_host(chaos.address.ip()).unwrap();
    url.set_port(Some(chaos.address.port())).unwrap();
    site.configure(url.as_str(), "127.0.0.1:0");
    (site, chaos)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_ends_every_connection_under_load() {
    let site = Site::new(TestDatabase::postgres().await).await;
    let server = site.start().await;
    let mut acknowledged = Acknowledged::default();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..20 {
        let caller = server.caller();
        let (killed, ()) = tokio::join!(site.database.tamper(kill), acknowledged.work(&caller));
        killed.unwrap();
    }
    until_ready(&server, true).await;
    let before = acknowledged.requests.len();
    acknowledged.work(&server.caller()).await;
    assert_eq!(acknowledged.requests.len(), before + 8, "everything works again");
    acknowledged.is_kept(&site).await;
    println!(
        "{} requests and {} taps acknowledged, {} refused",
        acknowledged.requests.len(),
        acknowledged.taps.len(),
        acknowledged.refused
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_to_postgres_is_cut_and_comes_back() {
    let (site, chaos) = behind(TestDatabase::postgres().await).await;
    let server = site.start().await;
    let mut acknowledged = Acknowledged::default();
    for _ in 0..5 {
        let known = server.caller().asks(&ask()).await.unwrap().body;
        acknowledged.requests.push(known["id"].as_str().unwrap().to_owned());
        // In the middle of everything ...
        let caller = server.caller();
        tokio::join!(acknowledged.work(&caller), async { chaos.goes(Line::Cut) });
        says_so(&server, &known).await;
        // ... and back, without a restart.
        chaos.goes(Line::Up);
        until_ready(&server, true).await;
        let before = acknowledged.requests.len();
        acknowledged.work(&server.caller()).await;
        assert_eq!(acknowledged.requests.len(), before + 8);
    }
    acknowledged.is_kept(&site).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_is_as_gone_as_one_that_refuses() {
    let (site, chaos) = behind(TestDatabase::postgres().await).await;
    let server = site.start().await;
    let mut acknowledged = Acknowledged::default();
    acknowledged.work(&server.caller()).await;
    let known = server.caller().asks(&ask()).await.unwrap().body;
    chaos.goes(Line::Silent);
    let (caller, other) = (server.caller(), ask());
    let tap = Tap::approve(&known, "U0BOB");
    let (created, read, tapped, ready) =
        tokio::join!(caller.asks(&other), caller.reads(known["id"].as_str().unwrap()), caller.delivers(&tap), server.get("/readyz"));
    is_unavailable(&created.expect("the server answers"));
    is_unavailable(&read.expect("the server answers"));
    assert_eq!(tapped.expect("the server answers").status, 503);
    assert_eq!(ready.expect("the server answers").status, 503);
    chaos.goes(Line::Up);
    until_ready(&server, true).await;
    acknowledged.work(&server.caller()).await;
    acknowledged.is_kept(&site).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_locks_holds_nobody_for_ever() {
    let site = Site::new(TestDatabase::postgres().await).await;
    let server = site.start().await;
    let known = server.caller().asks(&ask()).await.unwrap().body;
    let (caller, id) = (server.caller(), known["id"].as_str().unwrap());
    for table in ["client_key", "client", "request"] {
        let holder = Holder::take(&site.database.url(), &format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")).await;
        is_unavailable(&caller.reads(id).await.unwrap_or_else(|| panic!("{table}: the server answers")));
        holder.release().await;
        assert_eq!(caller.reads(id).await.expect("the server answers").status, 200, "{table}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_space_that_returns_is_used() {
    let site = Site::new(TestDatabase::sqlite().await).await;
    // No file of this process may grow beyond a limit that the test sets: what a full disk is to SQLite. The signal that
    // comes with such a limit, and with no full disk, is ignored.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$0" serve"#, env!("CARGO_BIN_EXE_countersign")]);
    command.current_dir(site.files.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let server = site.spawn(command).await;
    let mut acknowledged = Acknowledged::default();
    acknowledged.work(&server.caller()).await;
    for _ in 0..3 {
        let known = server.caller().asks(&ask()).await.unwrap().body;
        acknowledged.requests.push(known["id"].as_str().unwrap().to_owned());
        let log = site.database.url().trim_start_matches("sqlite://").to_owned() + "-wal";
        let maximum = getrlimit(Resource::Fsize).maximum;
        let full = Rlimit { current: Some(std::fs::metadata(log).unwrap().len()), maximum };
        prlimit(Some(server.pid()), Resource::Fsize, full).unwrap();
        acknowledged.work(&server.caller()).await;
        until_ready(&server, false).await;
        let caller = server.caller();
        is_unavailable(&caller.asks(&ask()).await.expect("the server answers"));
        assert_eq!(caller.delivers(&Tap::approve(&known, "U0BOB")).await.expect("the server answers").status, 503);
        // Who only reads is served.
        assert_eq!(caller.reads(known["id"].as_str().unwrap()).await.expect("the server answers").status, 200);
        prlimit(Some(server.pid()), Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
        until_ready(&server, true).await;
        let before = acknowledged.requests.len();
        acknowledged.work(&server.caller()).await;
        assert_eq!(acknowledged.requests.len(), before + 8);
    }
    assert!(acknowledged.refused > 0);
    acknowledged.is_kept(&site).await;
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.stop().await;
}

both_databases! {
    async fn more_writes_than_the_queue_holds_are_refused_at_once(database: TestDatabase) {
        let lock = if database.is_postgres() { "SELECT pg_advisory_lock(4854637701)" } else { "BEGIN IMMEDIATE" };
        let url = database.url();
        let app = TestApp::start(database).await;
        let known = app.client("agent").asks(&export()).await;
        let card = app.slack.until("a card", |model| model.channels[crate::support::app::CHANNEL].messages.first().cloned()).await;
        let store = app.running.app.engine.store.clone();
        // Somebody else holds what the writer needs, so that nothing leaves the queue.
        let holder = Holder::take(&url, lock).await;
        let flood: Vec<_> = (0..6_000)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.put_meta(&format!("flood-{number}"), "x").await })
            })
            .collect();
        let agent = app.client("agent");
        app.eventually("the queue is full", async || flood.iter().any(tokio::task::JoinHandle::is_finished)).await;
        let refused = agent.send("POST", "/v1/requests", Some(export().to_string()), &[]).await.problem(503, "busy");
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(app.slack.user("U0BOB").taps(&card, "cs.approve").await.status, 503);
        assert_eq!(app.stranger().get("/readyz").await.status, 503);
        holder.release().await;
        let results = join_all(flood).await;
        let done: Vec<usize> = (0..results.len()).filter(|at| results[*at].as_ref().unwrap().is_ok()).collect();
        assert!(!done.is_empty() && done.len() < results.len());
        for number in done {
            assert_eq!(store.meta(&format!("flood-{number}")).await.unwrap().as_deref(), Some("x"), "acknowledged, and lost");
        }
        // The person taps again.
        assert_eq!(app.slack.user("U0BOB").taps(&card, "cs.approve").await.status, 200);
        assert_eq!(agent.get(&format!("/v1/requests/{}?wait=30", known["id"].as_str().unwrap())).await.expect(200).body["status"], "approved");
        app.finish().await;
    }
}

/// Another connection that holds a lock of the database.
enum Holder {
    Sqlite(sqlx::SqliteConnection),
    Postgres(sqlx::PgConnection),
}

impl Holder {
    async fn take(url: &str, lock: &str) -> Self {
        use sqlx::{AssertSqlSafe, Connection as _};
        // The texts stand in the tests.
        let lock = sqlx::raw_sql(AssertSqlSafe(lock.to_owned()));
        if url.starts_with("sqlite") {
            let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
            lock.execute(&mut connection).await.unwrap();
            Self::Sqlite(connection)
        } else {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            lock.execute(&mut connection).await.unwrap();
            Self::Postgres(connection)
        }
    }

    async fn release(self) {
        use sqlx::Connection as _;
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}
