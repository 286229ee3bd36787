//! Measures what sqlx's SQLite driver costs per statement, beside what the disk costs per commit.
//!
//! The figures decide the shape of the store's writer: see `docs/adr/0001-writer.md`. Never touches the product's code.
//! Usage: `cargo run --release -p countersign-bench --bin sqlx_statement_cost [DIRECTORY]`.

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use std::fmt::Write as _;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROWS_PER_COMMIT: [usize; 6] = [1, 8, 16, 32, 64, 256];
const SCHEMA: &str = "CREATE TABLE event (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL, event TEXT NOT NULL, \
     leaf BLOB NOT NULL, chain BLOB NOT NULL) STRICT";
const INSERT_ONE: &str = "INSERT INTO event (seq, at, type, event, leaf, chain) VALUES ($1, $2, $3, $4, $5, $6)";
const INSERT_JSON: &str = "INSERT INTO event (seq, at, type, event, leaf, chain) SELECT value->>0, value->>1, value->>2, value->>3, \
     unhex(value->>4), unhex(value->>5) FROM json_each($1)";

/// A text of about 300 bytes, as an audit event has.
fn event(seq: i64) -> String {
    format!(
        r#"{{"actor":{{"id":"cli_00000000000000000000000000","kind":"client"}},"at":"2026-11-20T11:40:00.000Z","data":{{"action":"db.export","digest":"sha256:{:064x}","effect":"review","rules":["prod-exports"]}},"id":"evt_00000000000000000000000000","request":null,"seq":{seq},"type":"request.created"}}"#,
        seq
    )
}

async fn open(directory: &Path, name: &str) -> SqliteConnection {
    let file = directory.join(name);
    let mut connection = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "4096")
        .disable_statement_logging()
        .connect()
        .await
        .expect("the database opens");
    sqlx::query(SCHEMA).execute(&mut connection).await.expect("the table is made");
    connection
}

fn percentile(samples: &mut [Duration], percent: usize) -> Duration {
    samples.sort_unstable();
    samples[(samples.len() * percent / 100).min(samples.len() - 1)]
}

/// p50 and p99 of writing 4 KiB and `fdatasync`, into space that exists.
fn fsync_probe(directory: &Path) -> (Duration, Duration) {
    let mut file = std::fs::File::create(directory.join("probe")).expect("the probe file opens");
    file.write_all(&vec![0; 4096 * 256]).expect("the probe file is written");
    file.sync_all().expect("the probe file is synced");
    let page = [7_u8; 4096];
    let mut samples: Vec<Duration> = (0..600)
        .map(|round| {
            let start = Instant::now();
            file.seek(SeekFrom::Start(4096 * (round % 256))).expect("seek");
            file.write_all(&page).expect("write");
            file.sync_data().expect("fdatasync");
            start.elapsed()
        })
        .collect();
    (percentile(&mut samples, 50), percentile(&mut samples, 99))
}

/// Mean cost of one awaited call inside a transaction that is never committed.
async fn per_call(directory: &Path) -> (Duration, Duration) {
    let mut connection = open(directory, "call.db").await;
    let mut transaction = connection.begin().await.expect("begin");
    let rounds = 20_000;
    let start = Instant::now();
    for _ in 0..rounds {
        sqlx::query("SELECT 1").execute(&mut *transaction).await.expect("select");
    }
    let select = start.elapsed() / rounds;
    let start = Instant::now();
    for seq in 0..i64::from(rounds) {
        insert_one(&mut transaction, seq).await;
    }
    (select, start.elapsed() / rounds)
}

async fn insert_one(connection: &mut SqliteConnection, seq: i64) {
    sqlx::query(INSERT_ONE)
        .bind(seq)
        .bind(1_795_174_800_000_i64)
        .bind("request.created")
        .bind(event(seq))
        .bind(vec![1_u8; 32])
        .bind(vec![2_u8; 32])
        .execute(connection)
        .await
        .expect("insert");
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Single,
    /// Multi-row `VALUES` with `$1` placeholders.
    Dollars,
    /// The same with plain `?`: SQLite looks the name of every numbered placeholder up in a list.
    Marks,
    Json,
}

/// Medians for groups of `rows`: the statements between BEGIN and COMMIT, and the COMMIT with its fsync.
async fn commits(directory: &Path, shape: Shape, rows: usize, budget: Duration) -> (Duration, Duration) {
    let mut connection = open(directory, &format!("{}-{rows}.db", shape as u8)).await;
    let mut text = "INSERT INTO event (seq, at, type, event, leaf, chain) VALUES ".to_owned();
    for row in 0..rows {
        let n = row * 6;
        let comma = if row == 0 { "" } else { "," };
        if shape == Shape::Marks {
            let _ = write!(text, "{comma}(?,?,?,?,?,?)");
        } else {
            let _ = write!(text, "{comma}(${},${},${},${},${},${})", n + 1, n + 2, n + 3, n + 4, n + 5, n + 6);
        }
    }
    let text: Arc<str> = text.into();
    let mut seq = 0_i64;
    let (mut statements, mut syncs) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < budget {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.expect("begin");
        let began = Instant::now();
        match shape {
            Shape::Single => {
                for _ in 0..rows {
                    insert_one(&mut transaction, seq).await;
                    seq += 1;
                }
            }
            Shape::Dollars | Shape::Marks => {
                // The text was built above from digits alone.
                let mut query = sqlx::query(AssertSqlSafe(Arc::clone(&text)));
                for _ in 0..rows {
                    query = query
                        .bind(seq)
                        .bind(1_795_174_800_000_i64)
                        .bind("request.created")
                        .bind(event(seq))
                        .bind(vec![1_u8; 32])
                        .bind(vec![2_u8; 32]);
                    seq += 1;
                }
                query.execute(&mut *transaction).await.expect("insert");
            }
            Shape::Json => {
                let mut document = "[".to_owned();
                for row in 0..rows {
                    let comma = if row == 0 { "" } else { "," };
                    let hash = "01".repeat(32);
                    let escaped = event(seq).replace('"', "\\\"");
                    let _ = write!(document, r#"{comma}[{seq},1795174800000,"request.created","{escaped}","{hash}","{hash}"]"#);
                    seq += 1;
                }
                document.push(']');
                sqlx::query(INSERT_JSON).bind(document).execute(&mut *transaction).await.expect("insert");
            }
        }
        statements.push(began.elapsed());
        let began = Instant::now();
        transaction.commit().await.expect("commit");
        syncs.push(began.elapsed());
    }
    (percentile(&mut statements, 50), percentile(&mut syncs, 50))
}

#[tokio::main]
async fn main() {
    let directory =
        std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join(format!("statement-cost-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the directory is made");
    let (p50, p99) = fsync_probe(&directory);
    println!("fdatasync 4 KiB: p50 {p50:?}, p99 {p99:?}");
    let (select, insert) = {
        let directory = directory.clone();
        tokio::spawn(async move { per_call(&directory).await }).await.expect("the task ends")
    };
    println!("one awaited call in a transaction: SELECT 1 {select:?}, INSERT of one row {insert:?}");
    println!("p50 of a group's statements + p50 of its commit");
    println!("{:>6} {:>24} {:>24} {:>24} {:>24}", "rows", "one statement per row", "VALUES ($1, ...)", "VALUES (?, ...)", "json_each");
    for rows in ROWS_PER_COMMIT {
        let mut line = format!("{rows:>6}");
        for shape in [Shape::Single, Shape::Dollars, Shape::Marks, Shape::Json] {
            let directory = directory.clone();
            let (statements, sync) =
                tokio::spawn(async move { commits(&directory, shape, rows, Duration::from_secs(1)).await }).await.expect("the task ends");
            let _ = write!(line, " {:>10} +{:>10} µs", statements.as_micros(), sync.as_micros());
        }
        println!("{line}");
    }
    let (p50, p99) = fsync_probe(&directory);
    println!("fdatasync 4 KiB afterwards: p50 {p50:?}, p99 {p99:?}");
    std::fs::remove_dir_all(&directory).expect("the directory is removed");
}
