//! The outbox of callbacks: one message per change, the same on every try, nobody sends it twice at once.

use super::fixtures::{Asks, at, entry, kinds, person, review};
use crate::support::db::both_databases;
use countersign::domain::ask::{Ask, Notice};
use countersign::domain::audit::Kind;
use countersign::domain::request::{Act, Request};
use countersign::store::{Callback, Commit, OutboxState, Store};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(45);

async fn claim(store: &Store, seconds: i64) -> Vec<Callback> {
    store.claim_callbacks(at(seconds), 10, LEASE, "worker").await.unwrap()
}

/// A pending request whose caller wants to be told.
async fn told(store: &Store, events: &[&str]) -> Request {
    let callback = serde_json::json!({"url": "https://caller.example.com/cs", "events": events});
    Asks { callback: Some(callback), ..Asks::default() }.store(store).await
}

/// Comments or denies, and commits it.
async fn moves(store: &Store, request: Request, act: Act, seconds: i64) -> Request {
    let transition = review(request, &person(1), act, seconds);
    let after = transition.after().clone();
    store.commit(Commit::new(transition)).await.unwrap();
    after
}

both_databases! {
    async fn only_what_was_asked_for_is_told(database: TestDatabase) {
        let store = database.store().await;
        let silent = Asks::default().store(&store).await;
        moves(&store, silent, Act::Deny { option: None }, 1).await;
        let request = told(&store, &["terminal"]).await;
        assert!(Ask::clone(&request.asked().ask).callback.is_some());
        let request = moves(&store, request, Act::Comment, 1).await;
        assert_eq!(claim(&store, 9).await, []);
        moves(&store, request.clone(), Act::Deny { option: None }, 2).await;
        let due = claim(&store, 9).await;
        assert_eq!(due.len(), 1);
        let wanted = format!("msg_{}_3", &request.id().as_str()[4..]);
        assert_eq!((due[0].webhook_id.as_str(), due[0].notice, &due[0].request), (wanted.as_str(), Notice::Terminal, request.id()));
        assert_eq!((&due[0].body, due[0].attempts), (&None, 0));
        // Taken once, until its worker is dead.
        assert_eq!(claim(&store, 53).await, []);
        assert_eq!(claim(&store, 54).await.len(), 1);
        store.close().await;
    }

    async fn changes_join_a_message_that_was_not_tried(database: TestDatabase) {
        let store = database.store().await;
        let request = told(&store, &["updated", "terminal"]).await;
        let request = moves(&store, request, Act::Comment, 1).await;
        let first = claim(&store, 1).await.remove(0);
        assert_eq!(first.notice, Notice::Updated);
        // While it is being made from version 2, version 3 comes: it must be made again.
        let request = moves(&store, request, Act::Deny { option: None }, 2).await;
        assert!(!store.callback_says(first.id, 2, "of two".to_owned()).await.unwrap());
        store.callback_later(first.id, at(3)).await.unwrap();
        let again = claim(&store, 3).await;
        assert_eq!(again.len(), 1);
        assert_eq!((&again[0].webhook_id, again[0].notice), (&first.webhook_id, Notice::Terminal), "the decision gives it its name");
        assert!(store.callback_says(first.id, request.version(), "of three".to_owned()).await.unwrap());
        assert!(!store.callback_says(first.id, 9, "later".to_owned()).await.unwrap(), "what it says is fixed");
        store.callback_retry(first.id, at(10), "http_500").await.unwrap();
        assert_eq!(claim(&store, 9).await, []);
        let repeat = claim(&store, 10).await.remove(0);
        assert_eq!((repeat.body.as_deref(), repeat.attempts, &repeat.webhook_id), (Some("of three"), 1, &first.webhook_id));
        store.callback_done(first.id, at(11), entry(Kind::DeliveryPosted)).await.unwrap();
        store.callback_done(first.id, at(11), entry(Kind::DeliveryPosted)).await.unwrap();
        assert_eq!(claim(&store, 9_999).await, []);
        assert_eq!(kinds(&store).await.iter().filter(|kind| *kind == "delivery.posted").count(), 1);
        assert_eq!(store.callback_state(at(9_999)).await.unwrap(), OutboxState::default());
        store.close().await;
    }

    async fn the_next_change_overtakes_an_update_that_waits_and_no_decision(database: TestDatabase) {
        let store = database.store().await;
        let request = told(&store, &["updated", "terminal"]).await;
        let request = moves(&store, request, Act::Comment, 1).await;
        let update = claim(&store, 1).await.remove(0);
        assert!(store.callback_says(update.id, 2, "two".to_owned()).await.unwrap());
        // Under way: it stays.
        let request = moves(&store, request, Act::Comment, 2).await;
        assert_eq!(store.callback_state(at(99)).await.unwrap().waiting, 2);
        store.callback_retry(update.id, at(100), "timeout").await.unwrap();
        // It waits: the next change says more than it.
        let request = moves(&store, request, Act::Deny { option: None }, 3).await;
        let decision = claim(&store, 200).await;
        assert_eq!(decision.iter().map(|callback| callback.notice).collect::<Vec<_>>(), [Notice::Terminal]);
        assert!(store.callback_says(decision[0].id, request.version(), "four".to_owned()).await.unwrap());
        store.callback_retry(decision[0].id, at(300), "timeout").await.unwrap();
        assert_eq!(claim(&store, 300).await.len(), 1);
        store.close().await;
    }

    async fn a_dead_letter_is_counted_and_a_receiver_that_is_gone_is_left_alone(database: TestDatabase) {
        let store = database.store().await;
        for (code, more) in [("http_500", 1), ("http_410", 0)] {
            let request = told(&store, &["updated"]).await;
            let request = moves(&store, request, Act::Comment, 1).await;
            let callback = claim(&store, 1).await.remove(0);
            store.callback_dead(callback.id, code, at(2), entry(Kind::DeliveryFailed)).await.unwrap();
            store.callback_dead(callback.id, code, at(2), entry(Kind::DeliveryFailed)).await.unwrap();
            store.callback_retry(callback.id, at(3), "late").await.unwrap();
            moves(&store, request, Act::Comment, 3).await;
            assert_eq!(claim(&store, 9).await.len(), more, "{code}");
        }
        assert_eq!(store.callback_state(at(4)).await.unwrap().dead, 2);
        assert_eq!(kinds(&store).await.iter().filter(|kind| *kind == "delivery.failed").count(), 2);
        // Old letters are forgotten.
        store.prune(at(2)).await.unwrap();
        assert_eq!(store.callback_state(at(4)).await.unwrap().dead, 2);
        store.prune(at(3)).await.unwrap();
        assert_eq!(store.callback_state(at(4)).await.unwrap().dead, 0);
        store.close().await;
    }
}
