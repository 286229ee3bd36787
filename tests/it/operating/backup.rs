//! `countersign backup`: a copy of a database that is being worked on, from which a server starts; and every way in which there is none.

use crate::support::app::export;
use crate::support::db::TestDatabase;
use crate::support::server::Site;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

fn names(site: &Site) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(site.files.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_at_work_is_copied_and_starts_again_from_the_copy() {
    let site = Site::new(TestDatabase::sqlite().await).await;
    let server = site.start().await;
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let caller = server.caller();
    let mut before = Vec::new();
    for _ in 0..20 {
        before.push(caller.asks(&export()).await.unwrap().body["id"].as_str().unwrap().to_owned());
    }
    // Somebody asks all the time, also while the copy is made.
    let busy = tokio::spawn(async move {
        let mut asked = 0_u32;
        while stopped.try_recv().is_err() {
            assert_eq!(caller.asks(&export()).await.unwrap().status, 201);
            asked += 1;
        }
        asked
    });
    let mut backup = tokio::process::Command::from(site.command(&["backup", "copy of 100%?.db", "--json"]));
    let done: crate::support::server::Ended = backup.output().await.unwrap().into();
    stop.send(()).unwrap();
    assert!(busy.await.unwrap() > 0);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
    let told: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((&told["ok"], &told["file"]), (&json!(true), &json!("copy of 100%?.db")));
    assert!(told["events"].as_u64().unwrap() >= 20, "{told}");
    let beside: Vec<&str> = told["also_back_up"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert!(
        beside[0].ends_with("countersign.key") && beside[1].ends_with("grant-key.pem") && beside[2].ends_with("audit-key.pem"),
        "{beside:?}"
    );
    assert_eq!(std::fs::metadata(site.path("copy of 100%?.db")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!names(&site).iter().any(|name| name.contains("partial") || name.contains(".db-")), "{:?}", names(&site));
    server.stop().await;

    std::fs::rename(site.path("copy of 100%?.db"), site.path("copy.db")).unwrap();
    site.configure("sqlite://copy.db", "127.0.0.1:0");
    let server = site.start().await;
    for id in before {
        let read = server.caller().reads(&id).await.unwrap();
        assert_eq!((read.status, &read.body["status"]), (200, &json!("pending")));
    }
    server.stop().await;
    site.log_verifies();
}

#[tokio::test]
async fn nothing_is_overwritten_and_no_half_copy_stays() {
    let site = Site::new(TestDatabase::sqlite().await).await;
    site.start().await.stop().await;
    std::fs::write(site.path("mine.db"), "mine").unwrap();
    let before = names(&site);
    for (file, message) in
        [("mine.db", "cannot make mine.db; a backup never overwrites a file"), ("nowhere/copy.db", "cannot make nowhere/copy.db")]
    {
        let refused = site.run(&["backup", file]);
        assert_eq!(refused.code, Some(1));
        assert!(refused.err.starts_with(&format!("error: {message}")) && refused.out.is_empty(), "{}", refused.err);
        assert_eq!(names(&site), before);
    }
    assert_eq!(std::fs::read_to_string(site.path("mine.db")).unwrap(), "mine");

    site.database
        .tamper("DROP TRIGGER audit_event_no_update; UPDATE audit_event SET leaf_hash = zeroblob(32) WHERE seq = 1")
        .await
        .unwrap();
    let refused = site.run(&["backup", "copy.db"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("the audit log was tampered with (event 1: bad_leaf)"), "{}", refused.err);
    assert_eq!(names(&site), before);

    site.configure("sqlite://never-made.db", "127.0.0.1:0");
    let refused = site.run(&["backup", "copy.db"]);
    assert!(refused.code == Some(1) && refused.err.contains("there is no database never-made.db"), "{}", refused.err);
    assert_eq!(names(&site), before);
}

#[tokio::test]
async fn on_postgresql_its_own_tools_are_named() {
    let site = Site::new(TestDatabase::sqlite().await).await;
    site.configure("postgres://app:hunter2@db.example.com/countersign", "127.0.0.1:0");
    let refused = site.run(&["backup", "copy.db"]);
    assert_eq!((refused.code, refused.out.as_str()), (Some(1), ""));
    for wanted in
        ["pg_dump --format=custom --no-owner", "pg_restore --exit-on-error", "the master key: ", "countersign.key", "audit-key.pem"]
    {
        assert!(refused.err.contains(wanted), "{wanted}: {}", refused.err);
    }
    assert!(!refused.err.contains("hunter2"), "{}", refused.err);
}
