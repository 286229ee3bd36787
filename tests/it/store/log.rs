//! The log can only grow, and tampering past the triggers is found.

use super::fixtures::{Asks, at, client, entry, kinds, report, verify};
use crate::support::db::{TestDatabase, both_databases};
use countersign::domain::audit::{Actor, Entry, Kind, verify};
use countersign::store::{AuditFilter, SignedHead, Store};

async fn tampered(store: &Store, heads: Vec<SignedHead>) -> (u64, verify::Kind) {
    let found = report(store, heads).await.tampering.unwrap();
    (found.seq, found.kind)
}

/// Lets the owner of the database do what the triggers refuse.
async fn without_triggers(database: &TestDatabase, sql: &str) {
    let off = if database.is_postgres() {
        "ALTER TABLE audit_event DISABLE TRIGGER ALL; "
    } else {
        "DROP TRIGGER audit_event_no_update; DROP TRIGGER audit_event_no_delete; DROP TRIGGER audit_event_next; "
    };
    database.tamper(&format!("{off}{sql}")).await.unwrap();
}

both_databases! {
    async fn no_row_is_changed_removed_or_replaced(database: TestDatabase) {
        let store = database.store().await;
        store.record(vec![entry(Kind::ConfigChanged), entry(Kind::ConfigChanged)], at(0)).await.unwrap();
        let before = store.raw_events(0, 10).await.unwrap();
        let copy = "INTO audit_event SELECT seq, at, type, actor_kind, actor_id, request_id, 'forged', leaf_hash, chain_hash FROM audit_event WHERE seq = 1";
        let mut attempts = vec![
            "UPDATE audit_event SET event = 'forged' WHERE seq = 1".to_owned(),
            "DELETE FROM audit_event WHERE seq = 2".to_owned(),
            format!("INSERT {copy}"),
        ];
        if database.is_postgres() {
            attempts.push("TRUNCATE audit_event".to_owned());
            attempts.push(format!("INSERT {copy} ON CONFLICT (seq) DO UPDATE SET event = excluded.event"));
        } else {
            attempts.push(format!("INSERT OR REPLACE {copy}"));
            attempts.push(format!("REPLACE {copy}"));
            attempts.push(format!("INSERT {copy} ON CONFLICT (seq) DO UPDATE SET event = excluded.event"));
            attempts.push("UPDATE OR REPLACE audit_event SET seq = 1 WHERE seq = 2".to_owned());
            attempts.push("INSERT INTO audit_event SELECT 9, at, type, actor_kind, actor_id, request_id, event, leaf_hash, chain_hash FROM audit_event WHERE seq = 1".to_owned());
        }
        for attempt in attempts {
            let refused = database.tamper(&attempt).await;
            assert!(refused.is_err(), "{attempt}");
            assert_eq!(store.raw_events(0, 10).await.unwrap(), before, "{attempt}");
        }
        // After all these rollbacks the next event is the next one.
        store.record(vec![entry(Kind::ConfigChanged)], at(1)).await.unwrap();
        assert_eq!(verify(&store).await.end.seq, 3);
        store.close().await;
    }

    async fn a_cut_and_a_changed_log_are_found(database: TestDatabase) {
        let store = database.store().await;
        for second in 0..5 {
            store.record(vec![entry(Kind::ConfigChanged).with("n", second)], at(second)).await.unwrap();
        }
        let head = store.audit_head().await.unwrap();
        let signed = SignedHead { head, at: at(9), signature: vec![1], public_key: vec![2] };
        store.put_signed_head(signed.clone()).await.unwrap();
        store.put_signed_head(signed.clone()).await.unwrap();
        assert_eq!(store.signed_heads().await.unwrap(), std::slice::from_ref(&signed));
        assert_eq!(store.last_signed_head().await.unwrap(), Some(signed.clone()));
        assert_eq!(verify(&store).await.signed_to, Some(5));
        without_triggers(&database, "DELETE FROM audit_event WHERE seq = 5").await;
        assert_eq!(tampered(&store, vec![signed]).await, (5, verify::Kind::CutTail));
        database.tamper("UPDATE audit_event SET event = replace(event, '\"n\":1', '\"n\":7') WHERE seq = 2").await.unwrap();
        assert_eq!(tampered(&store, Vec::new()).await, (2, verify::Kind::ChangedEvent));
        store.close().await;
    }

    async fn of_the_superseded_heads_the_last_of_each_day_stays(database: TestDatabase) {
        let store = database.store().await;
        let day = 86_400;
        // The tests' time begins at 11:40 UTC.
        for second in [0, 60, 12 * 3_600, day - 1, day, 3 * day, 3 * day + 5] {
            store.record(vec![entry(Kind::ConfigChanged)], at(second)).await.unwrap();
            let head = store.audit_head().await.unwrap();
            store.put_signed_head(SignedHead { head, at: at(second), signature: vec![1], public_key: vec![2] }).await.unwrap();
        }
        let kept = async || store.signed_heads().await.unwrap().iter().map(|signed| signed.head.seq).collect::<Vec<_>>();
        assert_eq!(store.prune(at(60)).await.unwrap(), 1);
        assert_eq!(kept().await, [2, 3, 4, 5, 6, 7]);
        assert_eq!(store.prune(at(9 * day)).await.unwrap(), 3);
        assert_eq!(kept().await, [3, 5, 7]);
        assert_eq!(store.prune(at(9 * day)).await.unwrap(), 0);
        assert_eq!(store.last_signed_head().await.unwrap().unwrap().head, store.audit_head().await.unwrap());
        verify(&store).await;
        store.close().await;
    }

    async fn events_are_read_by_request_actor_type_and_time(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let by_client = Entry::new(Kind::GrantRefused, Actor::Client(client(1).id), Some(request.id()));
        store.record(vec![entry(Kind::ConfigChanged), by_client], at(5)).await.unwrap();
        store.record(Vec::new(), at(6)).await.unwrap();
        let found = async |filter: AuditFilter| store.audit_events(&filter, 10).await.unwrap().iter().map(|row| row.seq).collect::<Vec<_>>();
        let none = AuditFilter::default;
        assert_eq!(found(none()).await, [1, 2, 3]);
        assert_eq!(found(AuditFilter { after: 1, ..none() }).await, [2, 3]);
        assert_eq!(found(AuditFilter { request: Some(request.id().clone()), ..none() }).await, [1, 3]);
        assert_eq!(found(AuditFilter { actor: Some(client(1).id.to_string()), kind: Some("grant.refused".to_owned()), ..none() }).await, [3]);
        assert_eq!(found(AuditFilter { from: Some(at(5)), ..none() }).await, [2, 3]);
        assert_eq!(found(AuditFilter { to: Some(at(5)), ..none() }).await, [1]);
        assert_eq!(store.audit_events(&none(), 1).await.unwrap().len(), 1);
        let rows = store.audit_rows(2, 10).await.unwrap();
        assert_eq!((rows.len(), rows[0].seq), (1, 3));
        assert_eq!(store.audit_head().await.unwrap().chain, rows[0].chain_hash);
        store.close().await;
    }

    async fn repeated_refusals_are_one_event_and_then_their_count(database: TestDatabase) {
        let store = database.store().await;
        let refused = |reason: &str| Entry::new(Kind::ClientRefused, Actor::Client(client(1).id), None).with("reason", reason);
        for _ in 0..4 {
            store.record_refusal(refused("missing_scope"), at(0)).await.unwrap();
        }
        store.record_refusal(refused("foreign_request"), at(1)).await.unwrap();
        assert_eq!(kinds(&store).await.len(), 2);
        assert_eq!(store.flush_refusals(at(59)).await.unwrap(), 0);
        // The minute is over: the repeats are told, and a reason without repeats is simply forgotten.
        assert_eq!(store.flush_refusals(at(61)).await.unwrap(), 1);
        assert_eq!(store.flush_refusals(at(61)).await.unwrap(), 0);
        let told: serde_json::Value = serde_json::from_str(&store.audit_rows(2, 1).await.unwrap()[0].event).unwrap();
        assert_eq!(told["data"], serde_json::json!({"reason": "missing_scope", "repeats": 3}));
        assert_eq!((told["type"].as_str(), told["actor"]["kind"].as_str()), (Some("client.refused"), Some("client")));
        // A new minute starts anew; one that nobody flushed is told by the refusal that finds it.
        for second in [70, 71, 72, 131] {
            store.record_refusal(refused("missing_scope"), at(second)).await.unwrap();
        }
        let events: Vec<serde_json::Value> =
            store.audit_rows(3, 10).await.unwrap().iter().map(|row| serde_json::from_str::<serde_json::Value>(&row.event).unwrap()["data"].clone()).collect();
        let (plain, counted) = (serde_json::json!({"reason": "missing_scope"}), serde_json::json!({"reason": "missing_scope", "repeats": 2}));
        assert_eq!(events, [plain.clone(), counted, plain]);
        verify(&store).await;
        store.close().await;
    }
}
