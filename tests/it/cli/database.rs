//! The commands that need a database: `migrate`, `client create`, `audit verify`, on SQLite, black box. The log is tampered with as an intruder who has
//! the file would: the triggers go first.

use super::{Result, folder, run};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use std::path::Path;
use tempfile::TempDir;

const CONFIG: &str = r#"
[database]
url = "sqlite://try.db"

[directory]
file = "directory.toml"
"#;

const DIRECTORY: &str = "[[person]]\nname = \"Alice\"\nemail = \"alice@example.com\"\n";

fn place() -> TempDir {
    folder(&[("countersign.toml", CONFIG), ("directory.toml", DIRECTORY)])
}

fn create(folder: &Path, name: &str) -> Result {
    run(folder, &["client", "create", name, "--scope", "requests:write,grants:redeem", "--owner", "alice@example.com"])
}

/// A log of `length` events.
fn with_log(length: usize) -> TempDir {
    let folder = place();
    for number in 0..length {
        let result = create(folder.path(), &format!("bot-{number}"));
        assert_eq!(result.code, Some(0), "{}", result.err);
    }
    folder
}

fn verify(folder: &Path, options: &[&str]) -> Result {
    run(folder, &[&["audit", "verify"], options].concat())
}

async fn open(folder: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.join("try.db")).connect().await.unwrap()
}

/// Changes the database against its triggers.
async fn tamper(folder: &Path, statements: &[&str]) {
    let mut connection = open(folder).await;
    let triggers = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetch_all(&mut connection).await.unwrap();
    for trigger in triggers {
        let drop = format!("DROP TRIGGER \"{}\"", trigger.get::<String, _>(0));
        sqlx::query(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
    }
    for statement in statements {
        sqlx::query(AssertSqlSafe((*statement).to_owned())).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

#[test]
fn migrating_says_what_it_did_and_can_be_repeated() {
    let folder = place();
    let first = run(folder.path(), &["migrate"]);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    assert!(first.out.starts_with("ok: SQLite database try.db was made"), "{}", first.out);
    let second = run(folder.path(), &["migrate", "--json"]);
    let document: Value = serde_json::from_str(&second.out).unwrap();
    assert_eq!((&document["ok"], &document["created"]), (&true.into(), &false.into()));
}

#[test]
fn a_key_is_shown_once_and_is_nowhere_in_the_files() {
    let folder = place();
    let result = create(folder.path(), "ci-bot");
    assert_eq!((result.code, result.err.as_str()), (Some(0), ""));
    let key = result.out.lines().map(str::trim).find(|line| line.starts_with("cs_")).expect("a key is shown");
    assert!(result.out.contains("never again") && result.out.contains("grants:redeem"), "{}", result.out);
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
    }
    let again = create(folder.path(), "ci-bot");
    assert_eq!(again.code, Some(1));
    assert!(again.err.starts_with("error: ") && again.out.is_empty(), "{}", again.err);
}

#[test]
fn clients_that_cannot_be_are_refused() {
    let folder = place();
    let create = |arguments: &[&str]| run(folder.path(), &[&["client", "create"], arguments].concat());
    let result = create(&["ci-bot", "--scope", "requests:write"]);
    assert_eq!(result.code, Some(1));
    assert!(result.err.contains("--owner is required"), "{}", result.err);
    let result = create(&["CI Bot", "--scope", "audit:read"]);
    assert_eq!(result.code, Some(1));
    assert!(result.err.contains("the name must match"), "{}", result.err);
    let result = create(&["ci-bot", "--scope", "requests:write", "--owner", "dave@example.com", "--json"]);
    let document: Value = serde_json::from_str(&result.out).unwrap();
    assert!(document["warning"].as_str().unwrap().contains("is not in the directory"));
    assert!(document["key"].as_str().unwrap().starts_with("cs_"));
}

#[test]
fn an_untouched_log_is_intact_but_not_anchored() {
    let folder = with_log(3);
    let result = verify(folder.path(), &[]);
    assert_eq!((result.code, result.err.as_str()), (Some(0), ""));
    assert!(result.out.starts_with("intact: 3 events") && result.out.contains("end not anchored"), "{}", result.out);
    let result = verify(folder.path(), &["--json"]);
    let document: Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!((&document["result"], &document["events"], &document["end_anchored"]), (&"intact".into(), &3.into(), &false.into()));
}

#[tokio::test]
async fn tampering_is_told_with_the_first_bad_event_and_its_kind() {
    for (statements, seq, kind) in [
        (&["UPDATE audit_event SET event = replace(event, 'client.created', 'client.changed') WHERE seq = 2"][..], 2, "changed_event"),
        (&["UPDATE audit_event SET leaf_hash = zeroblob(32) WHERE seq = 3"], 3, "bad_leaf"),
        (&["UPDATE audit_event SET chain_hash = zeroblob(32) WHERE seq = 1"], 1, "bad_chain"),
        (&["DELETE FROM audit_event WHERE seq = 2"], 2, "gap"),
        (
            &[
                "UPDATE audit_event SET seq = 100 WHERE seq = 2",
                "UPDATE audit_event SET seq = 2 WHERE seq = 3",
                "UPDATE audit_event SET seq = 3 WHERE seq = 100",
            ],
            2,
            "out_of_order",
        ),
    ] {
        let folder = with_log(4);
        tamper(folder.path(), statements).await;
        let result = verify(folder.path(), &[]);
        assert_eq!(result.code, Some(1), "{kind}: {}", result.err);
        assert!(result.out.starts_with(&format!("tampered: event {seq}: {kind}\n")), "{kind}: {}", result.out);
        let document: Value = serde_json::from_str(&verify(folder.path(), &["--json"]).out).unwrap();
        assert_eq!((&document["first_bad_seq"], &document["kind"]), (&seq.into(), &kind.into()));
    }
}

#[test]
fn what_cannot_be_read_is_neither_intact_nor_tampered() {
    let folder = place();
    let result = verify(folder.path(), &[]);
    assert_eq!(result.code, Some(2));
    assert!(result.err.contains("there is no database try.db"), "{}", result.err);
    assert!(!folder.path().join("try.db").exists(), "verifying makes nothing");
    std::fs::write(folder.path().join("try.db"), "this is no database, and long enough to be looked at as one").unwrap();
    assert_eq!(verify(folder.path(), &[]).code, Some(2));
    let result = verify(folder.path(), &["--head", "nowhere.json"]);
    assert_eq!(result.code, Some(2));
    assert!(result.err.starts_with("error: cannot read the head nowhere.json"), "{}", result.err);
    assert_eq!(run(folder.path(), &["--config", "nowhere.toml", "audit", "verify"]).code, Some(2));
}
