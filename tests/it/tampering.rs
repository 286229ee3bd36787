//! `countersign audit verify` on logs that somebody changed past the server: the binary says where and how, and by its exit code.

use crate::support::app::export;
use crate::support::db::both_databases;
use crate::support::server::{Ended, Site, Tap};
use countersign::domain::audit::{chain_hash, hex, leaf_hash};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A site with a log of several lives' events, whose end is signed, and no server.
async fn site(database: crate::support::db::TestDatabase) -> (Site, u64) {
    let site = Site::new(database).await;
    let server = site.start().await;
    for _ in 0..3 {
        let request = server.caller().asks(&export()).await.unwrap().body;
        assert_eq!(server.caller().delivers(&Tap::approve(&request, "U0BOB")).await.unwrap().status, 200);
        let path = format!("/v1/requests/{}?wait=50", request["id"].as_str().unwrap());
        assert_eq!(server.caller().call("GET", &path, Some("agent"), None, &[]).await.unwrap().body["status"], "approved");
    }
    server.stop().await;
    let events = site.count("SELECT max(seq) FROM audit_event").await;
    assert!(events > 8);
    (site, events)
}

/// Does what the triggers refuse, and puts them back as they were. Answers with the rows as they were.
async fn without_triggers(site: &Site, sql: &str) {
    if site.database.is_postgres() {
        let sql = format!(
            "ALTER TABLE audit_event DISABLE TRIGGER ALL; ALTER TABLE audit_head DISABLE TRIGGER ALL; {sql}; ALTER TABLE audit_event ENABLE TRIGGER ALL; ALTER TABLE audit_head ENABLE TRIGGER ALL"
        );
        site.database.tamper(&sql).await.unwrap();
        return;
    }
    let triggers =
        site.database.texts("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('audit_event', 'audit_head')").await;
    let names =
        site.database.texts("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('audit_event', 'audit_head')").await;
    let names = names.join(";\nDROP TRIGGER ");
    site.database.tamper(&format!("DROP TRIGGER {names};\n{sql};\n{};", triggers.join(";\n"))).await.unwrap();
}

#[track_caller]
fn finds(ended: &Ended, seq: u64, kind: &str) {
    assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
    let found: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&found["result"], &found["first_bad_seq"], &found["kind"]), (&json!("tampered"), &json!(seq), &json!(kind)), "{found:#}");
}

/// Rewrites the events from `seq` on, each with hashes that fit, as somebody does who knows how the log is made.
async fn rewrite(site: &Site, seq: u64, last: u64) {
    let before = site.database.texts(&format!("SELECT {} FROM audit_event WHERE seq = {}", hexadecimal(site, "chain_hash"), seq - 1)).await;
    let mut chain: [u8; 32] =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&before[0][at..at + 2], 16).unwrap()).collect::<Vec<_>>().try_into().unwrap();
    let events = site.database.texts(&format!("SELECT event FROM audit_event WHERE seq >= {seq} ORDER BY seq")).await;
    let mut sql = String::new();
    for (place, event) in (seq..=last).zip(events) {
        let mut forged: Value = serde_json::from_str(&event).unwrap();
        if place == seq {
            forged["data"]["forged"] = json!(1);
        }
        let event = serde_json_canonicalizer::to_string(&forged).unwrap();
        let leaf = leaf_hash(event.as_bytes());
        chain = chain_hash(&chain, &leaf);
        let bytes =
            |hash: &[u8]| if site.database.is_postgres() { format!("decode('{}', 'hex')", hex(hash)) } else { format!("X'{}'", hex(hash)) };
        let (leaf, chain) = (bytes(&leaf), bytes(&chain));
        let _ = writeln!(sql, "UPDATE audit_event SET event = '{event}', leaf_hash = {leaf}, chain_hash = {chain} WHERE seq = {place};");
    }
    without_triggers(site, sql.trim_end_matches(";\n")).await;
}

fn hexadecimal(site: &Site, column: &str) -> String {
    if site.database.is_postgres() { format!("encode({column}, 'hex')") } else { format!("lower(hex({column}))") }
}

both_databases! {
    async fn a_changed_event_is_found_and_where(database: TestDatabase) {
        let (site, _) = site(database).await;
        assert!(site.database.tamper("UPDATE audit_event SET event = 'x' WHERE seq = 3").await.is_err(), "the triggers refuse it");
        site.log_verifies();
        without_triggers(&site, "UPDATE audit_event SET event = replace(event, '{', '{ ') WHERE seq = 5").await;
        finds(&site.run(&["audit", "verify", "--json"]), 5, "changed_event");
        without_triggers(&site, "UPDATE audit_event SET event = replace(event, '20', '21') WHERE seq = 3").await;
        finds(&site.run(&["audit", "verify", "--json"]), 3, "changed_event");
        let told = site.run(&["audit", "verify"]);
        assert_eq!(told.code, Some(1));
        assert!(told.out.contains("tampered: event 3: changed_event") && told.out.contains("2 events before it are whole and in order."), "{}", told.out);
    }

    async fn a_cut_tail_and_a_removed_event_are_found(database: TestDatabase) {
        let (site, last) = site(database).await;
        let saved = site.run(&["audit", "verify", "--save-head", "head.json"]);
        assert_eq!(saved.code, Some(0), "{}{}", saved.out, saved.err);
        without_triggers(&site, &format!("DELETE FROM audit_event WHERE seq = {last}")).await;
        finds(&site.run(&["audit", "verify", "--json"]), last, "cut_tail");
        // Together with the head beside it, it shows only against a head that was kept elsewhere.
        without_triggers(&site, &format!("DELETE FROM audit_head WHERE seq >= {last}")).await;
        let unanchored = site.log_verifies();
        assert!(unanchored.out.contains("\"end_anchored\": false"), "{}", unanchored.out);
        finds(&site.run(&["audit", "verify", "--json", "--head", "head.json"]), last, "cut_tail");
        without_triggers(&site, "DELETE FROM audit_event WHERE seq = 4").await;
        finds(&site.run(&["audit", "verify", "--json"]), 4, "gap");
    }

    async fn a_tail_that_was_rewritten_with_hashes_that_fit_is_found(database: TestDatabase) {
        let (site, last) = site(database).await;
        rewrite(&site, last - 2, last).await;
        let ended = site.run(&["audit", "verify", "--json"]);
        assert_eq!(ended.code, Some(1), "{}{}", ended.out, ended.err);
        let found: Value = serde_json::from_str(&ended.out).unwrap();
        // The hashes are all right; the signed end is not that of this log.
        assert_eq!(found["kind"], "rewritten_tail", "{found:#}");
        assert_eq!(found["first_bad_seq"], json!(last), "{found:#}");
    }

    async fn hashes_and_heads_that_were_touched_are_found(database: TestDatabase) {
        let (site, last) = site(database).await;
        let other = if site.database.is_postgres() { "decode(repeat('ab', 32), 'hex')" } else { "X'abababababababababababababababababababababababababababababababab'" };
        without_triggers(&site, &format!("UPDATE audit_head SET signature = {other} WHERE seq = {last}")).await;
        finds(&site.run(&["audit", "verify", "--json"]), last, "bad_head_signature");
        without_triggers(&site, &format!("UPDATE audit_event SET chain_hash = {other} WHERE seq = 6")).await;
        finds(&site.run(&["audit", "verify", "--json"]), 6, "bad_chain");
        without_triggers(&site, &format!("UPDATE audit_event SET leaf_hash = {other} WHERE seq = 4")).await;
        finds(&site.run(&["audit", "verify", "--json"]), 4, "bad_leaf");
        if !site.database.is_postgres() {
            // A hash of another length can only be written past the table's own checks.
            without_triggers(&site, "PRAGMA ignore_check_constraints = on; UPDATE audit_event SET leaf_hash = X'00' WHERE seq = 2").await;
            finds(&site.run(&["audit", "verify", "--json"]), 2, "bad_leaf");
        }
    }

    async fn a_log_that_cannot_be_read_is_neither_intact_nor_tampered_with(database: TestDatabase) {
        let (site, _) = site(database).await;
        site.log_verifies();
        let head = site.run(&["audit", "verify", "--head", "nowhere.json"]);
        assert_eq!(head.code, Some(2), "{}{}", head.out, head.err);
        assert!(head.err.contains("error: cannot read the head nowhere.json"), "{}", head.err);
        site.database.tamper("ALTER TABLE audit_event RENAME TO audit_gone").await.unwrap();
        let ended = site.run(&["audit", "verify"]);
        assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.err);
        assert!(ended.err.contains("error: cannot read the log") && !ended.err.contains("panicked"), "{}", ended.err);
        site.configure(if site.database.is_postgres() { "postgres://postgres@127.0.0.1:1/x" } else { "sqlite://nowhere.db" }, "127.0.0.1:0");
        let ended = site.run(&["audit", "verify"]);
        assert_eq!(ended.code, Some(2), "{}{}", ended.out, ended.err);
        assert!(!site.path("nowhere.db").exists(), "verifying made a database");
        std::fs::write(site.path("countersign.toml"), "[server").unwrap();
        assert_eq!(site.run(&["audit", "verify"]).code, Some(2));
    }
}
