//! The outbox: one row per card, the latest state wins, nobody draws a card twice at once.

use super::fixtures::{Asks, at, cancel, client, client_id, entry, kinds, person, review, revoke};
use crate::support::db::both_databases;
use countersign::domain::audit::Kind;
use countersign::domain::card::Posted;
use countersign::domain::notice::Occasion;
use countersign::domain::policy::Effect;
use countersign::domain::request::Act;
use countersign::store::{Commit, Delivery, DeliveryKind, Instead, Message, OutboxState, Store};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(45);

fn posted(ts: &str) -> Posted {
    Posted { channel: "C0PROD".to_owned(), ts: ts.to_owned(), permalink: None, rendered_hash: "00".repeat(32) }
}

async fn claim(store: &Store, seconds: i64) -> Vec<Delivery> {
    store.claim_deliveries(at(seconds), 10, LEASE, "worker", Vec::new()).await.unwrap()
}

async fn send(store: &Store, delivery: &Delivery, version: u64, seconds: i64) {
    store.delivery_sent(delivery, posted("1.1"), version, at(seconds), entry(Kind::DeliveryPosted)).await.unwrap();
}

/// Tells a thread everything that it is still to be told; gives the kinds of the messages.
async fn tell(store: &Store, seconds: i64) -> Vec<Message> {
    let mut told = Vec::new();
    while let Some(card) = claim(store, seconds).await.pop() {
        let id = card.message.filter(|_| !card.outdated).expect("the card is right, and its thread waits");
        told.extend(store.message(id).await.unwrap());
        store.message_sent(&card.id, id, at(seconds)).await.unwrap();
    }
    told
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
        send(&store, &again[0], 3, 5).await;
        let told = tell(&store, 5).await;
        assert!(matches!(told.as_slice(), [Message::Tell(Occasion::Review(_)), Message::Tell(Occasion::Decision(Some(_)))]), "{told:?}");
        assert_eq!(claim(&store, 9_999).await, []);
        // An older drawing that arrives late changes nothing.
        send(&store, &again[0], 1, 6).await;
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
        store.delivery_dead(&card, "channel_not_found", at(1), entry(Kind::DeliveryFailed), None).await.unwrap();
        store.delivery_dead(&card, "channel_not_found", at(1), entry(Kind::DeliveryFailed), None).await.unwrap();
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
        assert_eq!(tell(&store, 3).await.len(), 1);
        assert_eq!(claim(&store, 4).await, []);
        let lapsed = store.claim_deliveries(valid_until, 10, LEASE, "worker", Vec::new()).await.unwrap();
        assert_eq!(lapsed.len(), 1);
        store.delivery_sent(&drawn, posted("1.1"), 2, valid_until, entry(Kind::DeliveryUpdated)).await.unwrap();
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

    async fn what_a_new_card_shows_by_itself_its_thread_is_not_told(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let second = review(request, &person(1), Act::Comment, 1);
        let third = review(second.after().clone(), &person(1), Act::Comment, 2);
        store.commit(Commit::new(second)).await.unwrap();
        // Drawn before the second remark, but acknowledged after it.
        let card = claim(&store, 1).await.remove(0);
        store.commit(Commit::new(third.clone())).await.unwrap();
        send(&store, &card, 2, 3).await;
        let again = claim(&store, 3).await.remove(0);
        assert!(again.outdated, "the card goes before its thread");
        send(&store, &again, 3, 4).await;
        assert_eq!(tell(&store, 5).await, [Message::Tell(Occasion::Review(third.after().reviews()[1].id.clone()))]);
        // The card is deleted: the new one shows everything again, and its thread begins empty.
        let fourth = review(third.into_after(), &person(1), Act::Deny { option: None }, 6);
        store.commit(Commit::new(fourth)).await.unwrap();
        let gone = claim(&store, 6).await.remove(0);
        store.delivery_repost(&gone.id, at(6)).await.unwrap();
        let anew = claim(&store, 6).await.remove(0);
        send(&store, &anew, 4, 7).await;
        assert_eq!(claim(&store, 9_999).await, []);
        store.close().await;
    }

    async fn a_message_that_cannot_be_sent_is_left_out_and_recorded(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let card = claim(&store, 0).await.remove(0);
        send(&store, &card, 1, 1).await;
        let second = review(request, &person(1), Act::Comment, 2);
        let third = review(second.after().clone(), &person(1), Act::Deny { option: None }, 3);
        store.commit(Commit::new(second)).await.unwrap();
        store.commit(Commit::new(third)).await.unwrap();
        let card = claim(&store, 3).await.remove(0);
        send(&store, &card, 3, 4).await;
        let waiting = claim(&store, 4).await.remove(0);
        let bad = waiting.message.unwrap();
        for _ in 0..2 {
            store.message_dead(&waiting.id, bad, "render_failed", at(5), entry(Kind::DeliveryFailed)).await.unwrap();
        }
        assert_eq!(store.message(bad).await.unwrap(), None);
        assert!(matches!(tell(&store, 5).await.as_slice(), [Message::Tell(Occasion::Decision(Some(_)))]));
        assert_eq!(kinds(&store).await.iter().filter(|kind| *kind == "delivery.failed").count(), 1);
        store.close().await;
    }

    async fn the_last_card_that_dies_is_replaced_in_the_same_transaction(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks { channels: &["C1", "C2"], ..Asks::default() }.store(&store).await;
        let due = claim(&store, 0).await;
        let instead = |channels: &[&str]| {
            Some(Instead { version: 1, channels: channels.iter().map(|channel| ("slack".to_owned(), (*channel).to_owned())).collect() })
        };
        let dies = async |card: &Delivery, channels| {
            store.delivery_dead(card, "is_archived", at(1), entry(Kind::DeliveryFailed), instead(channels)).await.unwrap()
        };
        assert!(!dies(&due[0], &["C3"]).await, "another card can still be delivered");
        assert!(dies(&due[1], &["C1", "C3", "U1"]).await);
        assert!(!dies(&due[1], &["C4"]).await, "it is dead already");
        let posts = claim(&store, 1).await;
        assert_eq!(posts.iter().map(|card| card.channel.as_str()).collect::<Vec<_>>(), ["C3", "U1"], "C1 has its card, a dead one");
        // At the next start somebody may have put it right.
        assert_eq!(store.revive_deliveries(at(50), at(0)).await.unwrap(), 0, "too old");
        assert_eq!(store.revive_deliveries(at(50), at(-1)).await.unwrap(), 2);
        assert_eq!(claim(&store, 50).await.len(), 4);
        for card in posts {
            store.delivery_dead(&card, "x", at(51), entry(Kind::DeliveryFailed), None).await.unwrap();
        }
        store.commit(Commit::new(cancel(request, 60))).await.unwrap();
        assert_eq!(store.revive_deliveries(at(61), at(-1)).await.unwrap(), 0, "nobody can decide any more, and no card stands anywhere");
        store.close().await;
    }

    async fn an_older_card_is_noticed_once(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let older = async |channel: &'static str, ts: &'static str| store.older_card(request.id(), "slack", channel, ts, at(1)).await.unwrap();
        assert!(older("C0PROD", "0.9").await, "seen before the second one is posted");
        let card = claim(&store, 1).await.remove(0);
        send(&store, &card, 1, 2).await;
        assert!(!older("C0PROD", "1.1").await, "the known one");
        assert!(!older("C0ELSE", "0.9").await);
        assert!(older("C0PROD", "0.9").await);
        assert_eq!(tell(&store, 3).await, [Message::Superseded("0.9".to_owned())]);
        assert!(older("C0PROD", "0.9").await);
        assert_eq!(tell(&store, 4).await, []);
        store.close().await;
    }

    async fn only_sqlite_knows_that_nobody_else_holds_a_lease(database: TestDatabase) {
        let store = database.store().await;
        Asks::default().store(&store).await;
        assert_eq!(claim(&store, 0).await.len(), 1);
        store.release_leases().await.unwrap();
        assert_eq!(claim(&store, 1).await.len(), usize::from(database.url().starts_with("sqlite")));
        store.close().await;
    }

    async fn rows_of_a_platform_that_is_down_stay_where_they_are(database: TestDatabase) {
        let store = database.store().await;
        Asks::default().store(&store).await;
        for (except, taken) in [(vec!["slack", "teams"], 0), (vec!["teams"], 1)] {
            let except = except.into_iter().map(str::to_owned).collect();
            assert_eq!(store.claim_deliveries(at(0), 10, LEASE, "worker", except).await.unwrap().len(), taken);
        }
        store.close().await;
    }

    async fn the_person_behind_the_agent_is_told_once(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks { behalf: true, ..Asks::default() }.store(&store).await;
        let card = claim(&store, 0).await.remove(0);
        send(&store, &card, 1, 0).await;
        let digest = *request.digest();
        let approved = review(request, &person(1), Act::Approve { digest }, 1);
        let behalf = approved.after().asked().on_behalf_of.clone().unwrap().id;
        store.commit(Commit::new(approved)).await.unwrap();
        let due = claim(&store, 1).await;
        assert_eq!(due.iter().map(|row| (row.kind, row.channel.as_str())).collect::<Vec<_>>(), [(DeliveryKind::Card, "C0PROD"), (DeliveryKind::Direct, behalf.as_str())]);
        assert_eq!(store.delivery_lines(&card.request).await.unwrap().len(), 1, "it is no card");
        send(&store, &due[1], 2, 2).await;
        let revoked = revoke(store.request(&card.request).await.unwrap().unwrap(), 3);
        store.commit(Commit::new(revoked)).await.unwrap();
        send(&store, &due[0], 3, 4).await;
        assert_eq!(tell(&store, 5).await.len(), 2);
        assert_eq!(claim(&store, 500).await, [], "told once, whatever happens later");
        store.close().await;
    }
}
