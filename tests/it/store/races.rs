//! Many writers at once: exactly one wins, nobody else suffers, and the log has no gap.

use super::fixtures::{Asks, at, cancel, client_id, entry, kinds, person, review, verify};
use crate::support::db::both_databases;
use countersign::domain::audit::Kind;
use countersign::domain::request::Act;
use countersign::store::{Commit, CommitError, Idempotency, StoreError, StoreOptions};
use futures::future::join_all;

both_databases! {
    async fn of_32_commits_on_one_version_exactly_one_wins(database: TestDatabase) {
        // Two processes on PostgreSQL; two writers of one file on SQLite.
        let stores = [database.store().await, database.store().await];
        for round in 0..20 {
            let request = Asks { seconds: round, ..Asks::default() }.store(&stores[0]).await;
            let commits = (0..32_u8).map(|number| {
                let transition = review(request.clone(), &person(number), Act::Deny { option: None }, round + 1);
                stores[usize::from(number) % 2].commit(Commit::new(transition))
            });
            let results = join_all(commits).await;
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
            assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(CommitError::Conflict))), "{results:?}");
        }
        assert_eq!(verify(&stores[0]).await.end.seq, 20 * 3);
        assert_eq!(database.texts("SELECT id FROM review").await.len(), 20);
        for store in stores {
            store.close().await;
        }
    }

    async fn of_32_creates_with_one_key_exactly_one_is_made(database: TestDatabase) {
        let stores = [database.store().await, database.store().await];
        let commits = (0..32_usize).map(|number| {
            let key = Idempotency { client: client_id(1), key: "same".to_owned(), body_hash: [0; 32] };
            stores[number % 2].commit(Commit::new(Asks::default().transition()).idempotency(key))
        });
        let results = join_all(commits).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(CommitError::IdempotencyTaken))), "{results:?}");
        assert_eq!(kinds(&stores[0]).await, ["request.created"]);
        for store in stores {
            store.close().await;
        }
    }

    async fn writers_side_by_side_leave_no_gap(database: TestDatabase) {
        let stores = [database.store().await, database.store().await];
        let work = (0..300_usize).map(|number| {
            let store = &stores[number % 2];
            async move {
                let request = Asks { client: u8::try_from(number % 7).unwrap(), ..Asks::default() }.store(store).await;
                store.commit(Commit::new(cancel(request, 1))).await.unwrap();
                store.record(vec![entry(Kind::ConfigChanged)], at(2)).await.unwrap();
            }
        });
        join_all(work).await;
        assert_eq!(verify(&stores[0]).await.end.seq, 900);
        for store in stores {
            store.close().await;
        }
    }

    async fn a_bad_job_does_not_sink_its_batch(database: TestDatabase) {
        let store = database.store().await;
        let request = Asks::default().store(&store).await;
        // A review whose id is taken is refused by the database, not by a guard.
        let first = review(request, &person(1), Act::Comment, 1);
        let after = first.after().clone();
        let taken = after.reviews()[0].id.to_string();
        store.commit(Commit::new(first)).await.unwrap();
        database.tamper(&format!("UPDATE review SET id = 'rev_TAKEN' WHERE id = '{taken}'")).await.unwrap();
        let bad = review(after, &person(1), Act::Comment, 2);
        let bad_id = bad.after().reviews()[1].id.to_string();
        database.tamper(&format!("UPDATE review SET id = '{bad_id}' WHERE id = 'rev_TAKEN'")).await.unwrap();
        let good: Vec<_> = (0..50).map(|_| Asks::default().transition()).collect();
        let ids: Vec<_> = good.iter().map(|transition| transition.after().id().clone()).collect();
        let bad_request = bad.after().id().clone();
        let (bad, good) = tokio::join!(store.commit(Commit::new(bad)), join_all(good.into_iter().map(|transition| store.commit(Commit::new(transition)))));
        assert!(matches!(bad, Err(CommitError::Store(StoreError::Driver { .. }))), "{bad:?}");
        assert!(good.iter().all(Result::is_ok), "{good:?}");
        for id in ids {
            assert!(store.request(&id).await.unwrap().is_some());
        }
        assert_eq!(store.request(&bad_request).await.unwrap().unwrap().version(), 2);
        assert_eq!(verify(&store).await.end.seq, 52);
        store.close().await;
    }

    async fn a_full_queue_is_busy_and_everything_accepted_is_done(database: TestDatabase) {
        let store = database.store_with(StoreOptions { queue: 4, ..StoreOptions::default() }).await;
        let results = join_all((0..400).map(|_| store.record(vec![entry(Kind::ConfigChanged)], at(0)))).await;
        let done = results.iter().filter(|result| result.is_ok()).count();
        assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(StoreError::Busy))));
        assert!((4..400).contains(&done), "{done}");
        assert_eq!(verify(&store).await.end.seq, done as u64);
        store.record(vec![entry(Kind::ConfigChanged)], at(0)).await.unwrap();
        store.close().await;
        let closed = store.record(vec![entry(Kind::ConfigChanged)], at(0)).await;
        assert!(matches!(closed, Err(StoreError::Unavailable { code: "closed" })), "{closed:?}");
    }
}
