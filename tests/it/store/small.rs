//! People, policies and facts about the database.

use super::fixtures::{at, entry, kinds, person};
use crate::support::db::both_databases;
use countersign::domain::audit::Kind;
use countersign::store::{KnownPerson, Store};

both_databases! {
    async fn a_person_keeps_the_pseudonym(database: TestDatabase) {
        let store = database.store().await;
        let bob = store.person_id("file:bob", "Bob Stone", "bob@example.com", None, person(1)).await.unwrap();
        assert_eq!(bob, person(1));
        for name in ["Bob Stone", "Robert Stone", "Robert Stone"] {
            assert_eq!(store.person_id("file:bob", name, "bob@example.com", None, person(2)).await.unwrap(), bob);
        }
        let known = KnownPerson { id: bob.clone(), key: "file:bob".to_owned(), name: "Robert Stone".to_owned(), email: "bob@example.com".to_owned() };
        assert_eq!(store.person(&bob).await.unwrap(), Some(known.clone()));
        assert_eq!(store.person(&person(9)).await.unwrap(), None);
        // After a restart, too.
        store.close().await;
        let store = database.store().await;
        assert_eq!(store.person_id("file:bob", "Robert Stone", "bob@example.com", None, person(3)).await.unwrap(), bob);
        // The directory's own id wins, for a new person, for one who moves to another key, and for a known key.
        assert_eq!(store.person_id("file:carol", "Carol", "carol@example.com", Some(&person(5)), person(4)).await.unwrap(), person(5));
        assert_eq!(store.person_id("file:carol2", "Carol", "carol@example.com", Some(&person(5)), person(4)).await.unwrap(), person(5));
        assert_eq!(store.person_id("file:bob", "Bob", "bob@example.com", Some(&person(6)), person(4)).await.unwrap(), person(6));
        assert_eq!(store.person_id("file:bob", "Bob", "bob@example.com", None, person(4)).await.unwrap(), person(6));
        assert!(store.person(&bob).await.unwrap().is_some(), "the old pseudonym still has its name");
        store.close().await;
    }

    async fn two_first_sights_of_a_person_are_one_person(database: TestDatabase) {
        let stores = [database.store().await, database.store().await];
        let ids = futures::future::join_all((0..16_u8).map(|number| {
            stores[usize::from(number) % 2].person_id("file:dave", "Dave Marsh", "dave@example.com", None, person(number))
        }))
        .await;
        let first = ids[0].as_ref().unwrap();
        assert!(ids.iter().all(|id| id.as_ref().unwrap() == first), "{ids:?}");
        for store in stores {
            store.close().await;
        }
    }

    async fn who_only_reads_cannot_write(database: TestDatabase) {
        let store = database.store().await;
        store.put_meta("key", "value").await.unwrap();
        let reader = Store::open_read_only(&database.url()).await.unwrap();
        assert_eq!(reader.meta("key").await.unwrap().as_deref(), Some("value"));
        let refused = reader.put_meta("key", "other").await.unwrap_err();
        assert_eq!((refused.code(), store.meta("key").await.unwrap().as_deref()), ("closed", Some("value")));
        reader.close().await;
        store.close().await;
    }

    async fn every_policy_that_was_active_can_be_read(database: TestDatabase) {
        let store = database.store().await;
        assert_eq!(store.active_policy().await.unwrap(), None);
        let changed = || Some(entry(Kind::PolicyChanged));
        store.put_policy("sha256:1", "one", changed(), at(0)).await.unwrap();
        store.put_policy("sha256:2", "two", changed(), at(1)).await.unwrap();
        store.put_policy("sha256:2", "two", changed(), at(2)).await.unwrap();
        assert_eq!(store.active_policy().await.unwrap(), Some(("sha256:2".to_owned(), "two".to_owned())));
        store.put_policy("sha256:1", "one", None, at(3)).await.unwrap();
        assert_eq!(store.active_policy().await.unwrap(), Some(("sha256:1".to_owned(), "one".to_owned())));
        assert_eq!(store.policy_text("sha256:2").await.unwrap().as_deref(), Some("two"));
        assert_eq!(store.policy_text("sha256:3").await.unwrap(), None);
        assert_eq!(kinds(&store).await, ["policy.changed", "policy.changed"]);
        store.close().await;
    }

    async fn a_database_knows_whether_it_was_used(database: TestDatabase) {
        let store = database.store().await;
        assert!(store.is_empty().await.unwrap());
        assert_eq!(store.meta("grant_key").await.unwrap(), None);
        store.put_meta("grant_key", "one").await.unwrap();
        store.put_meta("grant_key", "two").await.unwrap();
        assert_eq!(store.meta("grant_key").await.unwrap().as_deref(), Some("two"));
        assert!(!store.is_empty().await.unwrap());
        store.write_probe(at(1)).await.unwrap();
        store.write_probe(at(2)).await.unwrap();
        // Migrating again changes nothing.
        store.migrate().await.unwrap();
        assert_eq!(store.meta("grant_key").await.unwrap().as_deref(), Some("two"));
        store.close().await;
    }
}
