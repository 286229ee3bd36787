//! The commands that need a database: `migrate`, `client create`, `audit verify`, on SQLite, black box. The log is tampered with as an intruder who has
//! the file would: the triggers go first.

use super::{Result, folder, run};
use countersign::domain::time::Timestamp;
use countersign::keys::AuditKey;
use countersign::store::{SignedHead, Store};
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
        (&["UPDATE audit_event SET type = 'config.changed' WHERE seq = 4"], 4, "changed_column"),
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

/// Signs the end of the log, as the server does.
async fn sign(folder: &Path) {
    let store = Store::open(&format!("sqlite://{}", folder.join("try.db").display())).await.unwrap();
    let key = AuditKey::from_pem(&std::fs::read_to_string(folder.join("audit-key.pem")).unwrap().into()).unwrap();
    let (head, at) = (store.audit_head().await.unwrap(), Timestamp::from_millis(1_795_174_800_000));
    let signature = key.sign(&head.signed_bytes(at)).unwrap().to_vec();
    store.put_signed_head(SignedHead { head, at, signature, public_key: key.public_key().to_vec() }).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_head_kept_elsewhere_anchors_the_end() {
    let folder = with_log(4);
    let result = verify(folder.path(), &["--save-head", "head.json"]);
    assert_eq!(result.code, Some(2));
    assert!(result.err.contains("there is no signed head yet"), "{}", result.err);
    sign(folder.path()).await;
    let result = verify(folder.path(), &["--save-head", "head.json"]);
    assert_eq!(result.code, Some(0), "{}", result.err);
    assert!(result.out.contains("signed       up to the end (4)") && result.out.contains("end not anchored"), "{}", result.out);
    let anchored = verify(folder.path(), &["--head", "head.json"]);
    assert_eq!(anchored.code, Some(0));
    assert!(anchored.out.contains("anchored     up to the end"), "{}", anchored.out);

    // Its signature, and the one beside the log, must be the audit key's.
    let head = std::fs::read_to_string(folder.path().join("head.json")).unwrap();
    std::fs::write(folder.path().join("forged.json"), head.replace("2026-11-20", "2026-11-21")).unwrap();
    let forged = verify(folder.path(), &["--head", "forged.json"]);
    assert_eq!(forged.code, Some(1));
    assert!(forged.out.starts_with("tampered: event 4: bad_head_signature"), "{}", forged.out);

    // The tail goes, and the heads beside it.
    tamper(folder.path(), &["DELETE FROM audit_event WHERE seq = 4"]).await;
    assert!(verify(folder.path(), &[]).out.starts_with("tampered: event 4: cut_tail"));
    tamper(folder.path(), &["DELETE FROM audit_head"]).await;
    assert_eq!(verify(folder.path(), &[]).code, Some(0), "nothing in the database tells any more");
    let cut = verify(folder.path(), &["--head", "head.json"]);
    assert_eq!(cut.code, Some(1));
    assert!(cut.out.starts_with("tampered: event 4: cut_tail"), "{}", cut.out);

    // And grows again, with hashes that fit.
    assert_eq!(create(folder.path(), "another-bot").code, Some(0));
    let rewritten = verify(folder.path(), &["--head", "head.json"]);
    assert_eq!(rewritten.code, Some(1));
    assert!(rewritten.out.starts_with("tampered: event 4: rewritten_tail"), "{}", rewritten.out);
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
