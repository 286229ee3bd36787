//! A tap is kept once, taken by one worker at a time, and finished with the transition that it led to.

use super::fixtures::{Asks, at, person, review};
use crate::support::db::both_databases;
use countersign::domain::request::Act;
use countersign::store::{Commit, CommitError, Lease, ReceivedTap, TapId};
use futures::FutureExt as _;
use futures::future::join_all;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(45);

fn new(received: &ReceivedTap) -> TapId {
    match received {
        ReceivedTap::New(id) => id.clone(),
        ReceivedTap::Duplicate => panic!("a duplicate"),
    }
}

both_databases! {
    async fn copies_of_a_tap_are_one(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let copies = join_all((0..20).map(|_| store.receive_tap("slack", "trigger-1", request.id(), "{}", None, at(1)))).await;
        let fresh = copies.iter().filter(|copy| matches!(copy, Ok(ReceivedTap::New(_)))).count();
        assert_eq!(fresh, 1, "{copies:?}");
        assert_eq!(store.receive_tap("slack", "trigger-1", request.id(), "{}", None, at(2)).await.unwrap(), ReceivedTap::Duplicate);
        new(&store.receive_tap("teams", "trigger-1", request.id(), "{}", None, at(2)).await.unwrap());
        assert_eq!(store.unfinished_taps().await.unwrap(), 2);
        store.close().await;
    }

    async fn a_tap_is_taken_by_one_worker_until_its_lease_ends(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let id = new(&store.receive_tap("slack", "a", request.id(), r#"{"choice":"approve"}"#, None, at(1)).await.unwrap());
        let other = database.store().await;
        let claims = join_all((0..8).map(|n| if n % 2 == 0 { store.claim_taps(at(1), 10, LEASE, "one") } else { other.claim_taps(at(1), 10, LEASE, "two") }.boxed())).await;
        let taken: Vec<_> = claims.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(taken.len(), 1);
        assert_eq!((&taken[0].id, taken[0].platform.as_str(), taken[0].attempts, taken[0].received_at), (&id, "slack", 1, at(1)));
        assert_eq!(taken[0].payload, r#"{"choice":"approve"}"#);
        // The worker died: after its lease somebody else takes it. Given back, it waits as long as it was told to.
        assert_eq!(store.claim_taps(at(45), 10, LEASE, "two").await.unwrap(), []);
        assert_eq!(store.claim_taps(at(46), 10, LEASE, "two").await.unwrap()[0].attempts, 2);
        store.postpone_tap(&id, at(50)).await.unwrap();
        assert_eq!(store.claim_taps(at(49), 10, LEASE, "one").await.unwrap(), []);
        assert_eq!(store.claim_taps(at(50), 10, LEASE, "one").await.unwrap().len(), 1);
        store.finish_tap(&id, "repeated", at(51)).await.unwrap();
        assert_eq!(store.claim_taps(at(9_999), 10, LEASE, "one").await.unwrap(), []);
        assert_eq!(store.unfinished_taps().await.unwrap(), 0);
        let waiting = new(&store.receive_tap("slack", "waits", request.id(), "{}", None, at(1)).await.unwrap());
        assert_eq!(store.prune(at(1)).await.unwrap(), 0);
        assert_eq!(store.prune(at(2)).await.unwrap(), 1);
        assert_eq!(store.claim_taps(at(60), 10, LEASE, "one").await.unwrap()[0].id, waiting, "what is not judged yet stays");
        store.finish_tap(&TapId("nonsense".to_owned()), "x", at(1)).await.unwrap();
        store.close().await;
        other.close().await;
    }

    async fn a_tap_that_is_taken_as_it_comes_in_is_nobody_elses_until_its_lease_ends(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let lease = || Some(Lease { worker: "one".to_owned(), until: at(20) });
        let id = new(&store.receive_tap("slack", "a", request.id(), "{}", lease(), at(1)).await.unwrap());
        assert_eq!(store.claim_taps(at(19), 10, LEASE, "two").await.unwrap(), []);
        // A copy of it takes nothing.
        assert_eq!(store.receive_tap("slack", "a", request.id(), "{}", None, at(2)).await.unwrap(), ReceivedTap::Duplicate);
        assert_eq!(store.claim_taps(at(19), 10, LEASE, "two").await.unwrap(), []);
        let taken = store.claim_taps(at(20), 10, LEASE, "two").await.unwrap();
        assert_eq!((&taken[0].id, taken[0].attempts), (&id, 2));
        store.finish_tap(&id, "done", at(21)).await.unwrap();
        assert_eq!(store.unfinished_taps().await.unwrap(), 0);
        store.close().await;
    }

    async fn a_commit_finishes_its_tap_and_a_conflict_does_not(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        let first = new(&store.receive_tap("slack", "a", request.id(), "{}", None, at(1)).await.unwrap());
        let second = new(&store.receive_tap("slack", "b", request.id(), "{}", None, at(1)).await.unwrap());
        let deny = |by: u8| review(request.clone(), &person(by), Act::Deny { option: None }, 2);
        store.commit(Commit::new(deny(1)).finishes(first)).await.unwrap();
        let late = store.commit(Commit::new(deny(2)).finishes(second.clone())).await;
        assert!(matches!(late, Err(CommitError::Conflict)));
        let left = store.claim_taps(at(3), 10, LEASE, "one").await.unwrap();
        assert_eq!(left.iter().map(|tap| tap.id.clone()).collect::<Vec<_>>(), [second]);
        store.close().await;
    }
}
