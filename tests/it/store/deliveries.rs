//! The outbox: one row per card, the latest state wins, nobody draws a card twice at once.

use super::fixtures::{Asks, at, client, client_id, entry, kinds, person, review};
use crate::support::db::both_databases;
use countersign::domain::audit::Kind;
use countersign::domain::card::Posted;
use countersign::domain::policy::Effect;
use countersign::domain::request::Act;
use countersign::store::{Commit, Delivery, OutboxState, Store};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(45);

fn posted(ts: &str) -> Posted {
    Posted { channel: "C0PROD".to_owned(), ts: ts.to_owned(), permalink: None, rendered_hash: "00".repeat(32) }
}

async fn claim(store: &Store, seconds: i64) -> Vec<Delivery> {
    store.claim_deliveries(at(seconds), 10, LEASE, "worker").await.unwrap()
}

async fn send(store: &Store, delivery: &Delivery, version: u64, seconds: i64) {
    store.delivery_sent(&delivery.id, posted("1.1"), version, at(seconds), entry(Kind::DeliveryPosted)).await.unwrap();
}

async fn status(store: &Store, of: &Delivery) -> &'static str {
    store.delivery_lines(&of.request).await.unwrap()[0].status
}

both_databases! {
    async fn a_card_is_due_once_per_destination_and_taken_once(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks { channels: &["C1", "C2", "C1"], ..Asks::default() }.store(&store).await;
        let due = claim(&store, 0).await;
        assert_eq!(due.iter().map(|card| (card.platform.as_str(), card.channel.as_str())).collect::<Vec<_>>(), [("slack", "C1"), ("slack", "C2")]);
        assert!(due.iter().all(|card| card.request == *request.id() && card.posted.is_none() && card.attempts == 0));
        assert_eq!(claim(&store, 44).await, []);
        assert_eq!(store.outbox_state(at(44)).await.unwrap(), OutboxState { waiting: 2, dead: 0, oldest_due: Some(at(0)) });
        // Its worker died.
        assert_eq!(claim(&store, 45).await.len(), 2);
        let lines = store.delivery_lines(request.id()).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.status).collect::<Vec<_>>(), ["waiting", "waiting"]);
        // A request that policy allows asks nobody.
        Asks { effect: Effect::Allow, ..Asks::default() }.store(&store).await;
        assert_eq!(store.outbox_state(at(44)).await.unwrap().waiting, 2);
        store.close().await;
    }

    async fn the_latest_state_wins(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let card = claim(&store, 0).await.remove(0);
        // While the first version is on its way, the request moves on twice.
        let second = review(request, &person(1), Act::Comment, 1);
        let third = review(second.after().clone(), &person(1), Act::Deny { option: None }, 2);
        store.commit(Commit::new(second)).await.unwrap();
        store.commit(Commit::new(third)).await.unwrap();
        assert_eq!(claim(&store, 3).await, [], "somebody is at it");
        send(&store, &card, 1, 4).await;
        assert_eq!(status(&store, &card).await, "posted");
        let again = claim(&store, 4).await;
        assert_eq!(again.len(), 1, "due again at once");
        assert_eq!(again[0].posted, Some(posted("1.1")));
        send(&store, &card, 3, 5).await;
        assert_eq!(claim(&store, 9_999).await, []);
        // An older drawing that arrives late changes nothing.
        send(&store, &card, 1, 6).await;
        assert_eq!(claim(&store, 9_999).await, []);
        assert_eq!(store.outbox_state(at(9_999)).await.unwrap(), OutboxState::default());
        store.close().await;
    }

    async fn a_failure_waits_and_keeps_its_time_when_the_request_moves_on(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let card = claim(&store, 0).await.remove(0);
        store.delivery_retry(&card.id, at(30), "rate_limited").await.unwrap();
        store.commit(Commit::new(review(request, &person(1), Act::Comment, 1))).await.unwrap();
        assert_eq!(claim(&store, 29).await, []);
        let again = claim(&store, 30).await.remove(0);
        assert_eq!(again.attempts, 1);
        assert_eq!(store.delivery_lines(&card.request).await.unwrap()[0].error.as_deref(), Some("rate_limited"));
        // Not tried is not failed.
        store.delivery_later(&card.id, at(40)).await.unwrap();
        assert_eq!(claim(&store, 39).await, []);
        assert_eq!(claim(&store, 40).await.remove(0).attempts, 1);
        send(&store, &card, 2, 41).await;
        assert_eq!(store.delivery_lines(&card.request).await.unwrap()[0].error, None);
        store.close().await;
    }

    async fn a_dead_letter_stays_dead_and_is_counted(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let card = claim(&store, 0).await.remove(0);
        store.delivery_dead(&card.id, "channel_not_found", at(1), entry(Kind::DeliveryFailed)).await.unwrap();
        store.delivery_dead(&card.id, "channel_not_found", at(1), entry(Kind::DeliveryFailed)).await.unwrap();
        store.delivery_retry(&card.id, at(2), "late").await.unwrap();
        store.delivery_repost(&card.id, at(2)).await.unwrap();
        store.commit(Commit::new(review(request, &person(1), Act::Comment, 3))).await.unwrap();
        assert_eq!(claim(&store, 9_999).await, []);
        assert_eq!(store.outbox_state(at(9)).await.unwrap(), OutboxState { waiting: 0, dead: 1, oldest_due: None });
        assert_eq!(status(&store, &card).await, "failed");
        assert_eq!(kinds(&store).await.iter().filter(|kind| *kind == "delivery.failed").count(), 1);
        store.close().await;
    }

    async fn a_deleted_card_is_posted_anew(database: TestDatabase) {
        let store = database.store().await;
        Asks::default().store(&store).await;
        let card = claim(&store, 0).await.remove(0);
        send(&store, &card, 1, 1).await;
        store.delivery_repost(&card.id, at(2)).await.unwrap();
        let again = claim(&store, 2).await.remove(0);
        assert_eq!((again.id.clone(), again.posted.clone()), (card.id, None));
        store.close().await;
    }

    async fn a_card_is_redrawn_at_its_time_without_a_new_version(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let card = claim(&store, 0).await.remove(0);
        send(&store, &card, 1, 1).await;
        let digest = *request.digest();
        let approved = review(request, &person(1), Act::Approve { digest }, 2);
        let valid_until = approved.after().approved().unwrap().valid_until;
        store.commit(Commit::new(approved)).await.unwrap();
        let drawn = claim(&store, 2).await.remove(0);
        send(&store, &drawn, 2, 3).await;
        assert_eq!(claim(&store, 4).await, []);
        let lapsed = store.claim_deliveries(valid_until, 10, LEASE, "worker").await.unwrap();
        assert_eq!(lapsed.len(), 1);
        store.delivery_sent(&card.id, posted("1.1"), 2, valid_until, entry(Kind::DeliveryUpdated)).await.unwrap();
        assert_eq!(claim(&store, 99_999).await, []);
        store.close().await;
    }

    async fn a_freeze_redraws_the_open_cards_of_its_client(database: TestDatabase) {
        let store = database.store().await;
        store.create_client(client(1), "k", [1; 32], None, entry(Kind::ClientCreated), at(0)).await.unwrap();
        let open = Asks::default().store(&store).await;
        let closed = Asks::default().store(&store).await;
        let foreign = Asks { client: 2, ..Asks::default() }.store(&store).await;
        store.commit(Commit::new(review(closed, &person(1), Act::Deny { option: None }, 1))).await.unwrap();
        for card in claim(&store, 1).await {
            let version = if card.request == *open.id() || card.request == *foreign.id() { 1 } else { 2 };
            send(&store, &card, version, 2).await;
        }
        assert_eq!(claim(&store, 3).await, []);
        store.freeze_client(&client_id(1), true, entry(Kind::ClientFrozen), at(4)).await.unwrap();
        let redrawn = claim(&store, 4).await;
        assert_eq!(redrawn.iter().map(|card| card.request.clone()).collect::<Vec<_>>(), [open.id().clone()]);
        send(&store, &redrawn[0], 1, 5).await;
        assert_eq!(claim(&store, 9_999).await, []);
        store.close().await;
    }
}
