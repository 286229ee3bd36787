//! Requests go in by a transition, come out equal, and are found by what the API filters by.

use super::fixtures::{Asks, at, cancel, client_id, kinds, mint, person, review, verify};
use crate::support::db::both_databases;
use countersign::domain::policy::Effect;
use countersign::domain::request::{Act, Status};
use countersign::store::{Commit, CommitError, Idempotency, RequestFilter};
use std::time::Duration;

both_databases! {
    async fn a_request_comes_out_as_it_went_in(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks { summary: "Quote ' and 表", ..Asks::default() }.store(&store).await;
        assert_eq!(store.request(request.id()).await.unwrap(), Some(request.clone()));
        let transition = review(request.clone(), &person(7), Act::Comment, 5);
        let commented = transition.after().clone();
        store.commit(Commit::new(transition)).await.unwrap();
        assert_eq!(store.request(request.id()).await.unwrap(), Some(commented.clone()));
        let transition = review(commented, &person(7), Act::Deny { option: None }, 6);
        let denied = transition.after().clone();
        store.commit(Commit::new(transition)).await.unwrap();
        assert_eq!(store.request(request.id()).await.unwrap(), Some(denied));
        assert_eq!(kinds(&store).await, ["request.created", "review.recorded", "review.recorded", "request.denied"]);
        assert_eq!(verify(&store).await.end.seq, 4);
        assert_eq!(store.request(Asks::default().transition().after().id()).await.unwrap(), None);
        store.close().await;
    }

    async fn the_loser_of_a_version_writes_nothing(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        store.commit(Commit::new(cancel(request.clone(), 1))).await.unwrap();
        let late = store.commit(Commit::new(review(request.clone(), &person(7), Act::Deny { option: None }, 2))).await;
        assert!(matches!(late, Err(CommitError::Conflict)), "{late:?}");
        assert_eq!(store.request(request.id()).await.unwrap().unwrap().status(), Status::Cancelled);
        assert_eq!(kinds(&store).await, ["request.created", "request.cancelled"]);
        assert_eq!(database.texts("SELECT id FROM review").await, Vec::<String>::new());
        // The same id again is a conflict, too, not a second request.
        let again = store.commit(Commit::new(Asks::default().transition())).await;
        assert!(again.is_ok());
        store.close().await;
    }

    async fn an_idempotency_key_is_taken_once_per_client(database: TestDatabase) {
        let store = database.store().await;
        let key = |client: u8, hash: u8| Idempotency { client: client_id(client), key: "k1".to_owned(), body_hash: [hash; 32] };
        let first = Asks::default().transition();
        let id = first.after().id().clone();
        store.commit(Commit::new(first).idempotency(key(1, 1))).await.unwrap();
        let second = store.commit(Commit::new(Asks::default().transition()).idempotency(key(1, 2))).await;
        assert!(matches!(second, Err(CommitError::IdempotencyTaken)), "{second:?}");
        store.commit(Commit::new(Asks { client: 2, ..Asks::default() }.transition()).idempotency(key(2, 3))).await.unwrap();
        assert_eq!(store.request_by_idempotency(&client_id(1), "k1").await.unwrap(), Some(([1; 32], id)));
        assert_eq!(store.request_by_idempotency(&client_id(1), "k2").await.unwrap(), None);
        assert_eq!(kinds(&store).await, ["request.created", "request.created"]);
        store.close().await;
    }

    async fn lists_are_newest_first_filtered_and_paged(database: TestDatabase) {
        let store = database.store().await;
        let old = Asks { summary: "100% of Customers", ..Asks::default() }.store(&store).await;
        let other = Asks { client: 2, seconds: 1, action: "deploy.prod", ..Asks::default() }.store(&store).await;
        let new = Asks { seconds: 2, ..Asks::default() }.store(&store).await;
        store.commit(Commit::new(review(new.clone(), &person(7), Act::Deny { option: None }, 3))).await.unwrap();
        let list = async |filter: RequestFilter| {
            let found = store.requests(&filter, None, 10).await.unwrap();
            found.iter().map(|request| request.id().clone()).collect::<Vec<_>>()
        };
        let (old, other, new) = (old.id().clone(), other.id().clone(), new.id().clone());
        let none = RequestFilter::default;
        assert_eq!(list(none()).await, [new.clone(), other.clone(), old.clone()]);
        assert_eq!(list(RequestFilter { client: Some(client_id(2)), ..none() }).await, std::slice::from_ref(&other));
        assert_eq!(list(RequestFilter { visible_to_client: Some(client_id(1)), ..none() }).await, [new.clone(), old.clone()]);
        assert_eq!(list(RequestFilter { client: Some(client_id(2)), visible_to_client: Some(client_id(1)), ..none() }).await, []);
        assert_eq!(list(RequestFilter { action: Some("deploy.prod".to_owned()), ..none() }).await, std::slice::from_ref(&other));
        assert_eq!(list(RequestFilter { statuses: vec![Status::Denied, Status::Expired], ..none() }).await, std::slice::from_ref(&new));
        assert_eq!(list(RequestFilter { reviewer: Some(person(7)), ..none() }).await, std::slice::from_ref(&new));
        assert_eq!(list(RequestFilter { q: Some("100% OF".to_owned()), ..none() }).await, std::slice::from_ref(&old));
        assert_eq!(list(RequestFilter { q: Some("AGENT-2".to_owned()), ..none() }).await, std::slice::from_ref(&other));
        assert_eq!(list(RequestFilter { q: Some("a_ent".to_owned()), ..none() }).await, []);
        assert_eq!(list(RequestFilter { q: Some("'; DROP TABLE request; -- \u{0}".to_owned()), ..none() }).await, []);
        let page = store.requests(&none(), Some(&new), 1).await.unwrap();
        assert_eq!(page.iter().map(|request| request.id().clone()).collect::<Vec<_>>(), [other]);
        store.close().await;
    }

    async fn expiries_and_history_are_found_by_time(database: TestDatabase) {
        let store = database.store().await;
        let first = Asks::default().store(&store).await;
        let second = Asks { seconds: 10, ..Asks::default() }.store(&store).await;
        assert_eq!(store.next_expiry().await.unwrap(), Some(first.expires_at()));
        assert_eq!(store.pending_requests().await.unwrap(), 2);
        assert_eq!(store.due_expiries(at(599), 10).await.unwrap(), []);
        assert_eq!(store.due_expiries(at(600), 10).await.unwrap(), [first.id().clone()]);
        assert_eq!(store.due_expiries(at(9_999), 1).await.unwrap(), [first.id().clone()]);
        let expired = first.apply(countersign::domain::request::Event::Expire, at(600)).unwrap();
        store.commit(Commit::new(expired)).await.unwrap();
        store.commit(Commit::new(review(second, &person(7), Act::Deny { option: None }, 20))).await.unwrap();
        Asks { effect: Effect::Allow, seconds: 30, ..Asks::default() }.store(&store).await;
        Asks { effect: Effect::Allow, seconds: 30, client: 2, ..Asks::default() }.store(&store).await;
        Asks { effect: Effect::Allow, seconds: 30, action: "x.y", ..Asks::default() }.store(&store).await;
        assert_eq!(store.due_expiries(at(9_999), 10).await.unwrap(), []);
        assert_eq!(store.next_expiry().await.unwrap(), None);
        let history = store.history(&client_id(1), "db.export", at(0)).await.unwrap();
        assert_eq!((history.approved_24h, history.denied_24h, history.expired_24h), (1, 1, 1));
        let history = store.history(&client_id(1), "db.export", at(25)).await.unwrap();
        assert_eq!((history.approved_24h, history.denied_24h, history.expired_24h), (1, 0, 1));
        store.close().await;
    }

    async fn a_frozen_client_stops_exactly_what_asks_for_it(database: TestDatabase) {
        let store = database.store().await;
        store.create_client(super::fixtures::client(1), "k", [1; 32], None, super::fixtures::entry(countersign::domain::audit::Kind::ClientCreated), at(0)).await.unwrap();
        let request = Asks { effect: Effect::Allow, ..Asks::default() }.store(&store).await;
        let frozen = super::fixtures::entry(countersign::domain::audit::Kind::ClientFrozen);
        store.freeze_client(&client_id(1), true, frozen.clone(), at(1)).await.unwrap();
        let minted = store.commit(Commit::new(mint(request.clone(), 2)).unless_frozen()).await;
        assert!(matches!(minted, Err(CommitError::Conflict)), "{minted:?}");
        store.freeze_client(&client_id(1), false, frozen, at(3)).await.unwrap();
        store.commit(Commit::new(mint(request, 4)).unless_frozen()).await.unwrap();
        store.close().await;
    }

    async fn a_hint_comes_after_the_commit_and_from_other_replicas(database: TestDatabase) {
        let store = database.store().await;
        let other = database.store().await;
        let mut own = store.subscribe();
        let mut hints = other.subscribe();
        let request = Asks::default().store(&store).await;
        let heard = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                match own.next().await {
                    countersign::store::Changed::Request(id) if id == *request.id() => break,
                    _ => {}
                }
            }
            if !database.is_postgres() {
                return;
            }
            // Whether by name or because the listener had only just connected: the other replica looks again.
            loop {
                hints.next().await;
                if other.request(request.id()).await.unwrap().is_some() {
                    break;
                }
            }
        });
        heard.await.unwrap();
        store.close().await;
        other.close().await;
    }
}
