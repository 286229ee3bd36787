//! Clients: the configuration's and the API's, their keys by hash, their freezes.

use super::fixtures::{at, client, client_id, entry, kinds, unique, verify};
use crate::support::db::both_databases;
use countersign::domain::audit::Kind;
use countersign::domain::client::Scope;
use countersign::domain::ids::ClientId;
use countersign::store::{CommitError, ConfiguredClient};

fn configured(name: &str, key: u8) -> ConfiguredClient {
    ConfiguredClient {
        name: name.to_owned(),
        key_id: None,
        key_hash: [key; 32],
        owner: Some("alice@example.com".to_owned()),
        scopes: [Scope::RequestsWrite].into(),
        may_act_for: Vec::new(),
    }
}

fn fresh() -> ClientId {
    ClientId::new(at(0), unique())
}

both_databases! {
    async fn the_same_name_is_the_same_client_for_ever(database: TestDatabase) {
        let store = database.store().await;
        store.sync_clients(vec![configured("a", 1), configured("b", 2)], at(0), &fresh).await.unwrap();
        let first = store.client_by_name("a").await.unwrap().unwrap();
        assert!(first.enabled && first.scopes == [Scope::RequestsWrite].into());
        // Nothing changed: nothing is written.
        store.sync_clients(vec![configured("a", 1), configured("b", 2)], at(1), &fresh).await.unwrap();
        assert_eq!(kinds(&store).await, ["client.created", "client.created"]);
        // Gone is disabled, and its key with it; a new key replaces the old one.
        store.sync_clients(vec![configured("a", 3)], at(2), &fresh).await.unwrap();
        assert_eq!(store.client_by_key_hash(&[1; 32], at(2)).await.unwrap(), None);
        assert_eq!(store.client_by_key_hash(&[2; 32], at(2)).await.unwrap(), None);
        assert_eq!(store.client_by_key_hash(&[3; 32], at(2)).await.unwrap(), Some(first.clone()));
        assert!(!store.client_by_name("b").await.unwrap().unwrap().enabled);
        // Back again under its old id; and a client that was renamed keeps its key.
        let b = store.client_by_name("b").await.unwrap().unwrap().id;
        store.sync_clients(vec![configured("c", 3), ConfiguredClient { scopes: [].into(), ..configured("b", 2) }], at(3), &fresh).await.unwrap();
        let back = store.client_by_key_hash(&[2; 32], at(3)).await.unwrap().unwrap();
        assert_eq!((back.id, back.scopes), (b, [].into()));
        let renamed = store.client_by_key_hash(&[3; 32], at(3)).await.unwrap().unwrap();
        assert_eq!(renamed.name, "c");
        assert_ne!(renamed.id, first.id);
        verify(&store).await;
        for event in store.audit_rows(0, 100).await.unwrap() {
            assert!(!event.event.contains("alice"), "{}", event.event);
        }
        store.close().await;
    }

    async fn a_client_of_the_api_has_keys_that_expire(database: TestDatabase) {
        let store = database.store().await;
        let created = entry(Kind::ClientCreated);
        store.create_client(client(1), "k1", [1; 32], Some(at(100)), created.clone(), at(0)).await.unwrap();
        assert_eq!(store.client(&client_id(1)).await.unwrap(), Some(client(1)));
        let mut same_name = client(2);
        same_name.name = client(1).name;
        let taken = store.create_client(same_name, "k2", [2; 32], None, created.clone(), at(0)).await;
        assert!(matches!(taken, Err(CommitError::Conflict)), "{taken:?}");
        assert_eq!(store.client_by_key_hash(&[1; 32], at(99)).await.unwrap(), Some(client(1)));
        assert_eq!(store.client_by_key_hash(&[1; 32], at(100)).await.unwrap(), None);
        store.add_key(&client_id(1), "k3", [3; 32], None, entry(Kind::ClientChanged), at(5)).await.unwrap();
        store.add_key(&client_id(9), "k4", [4; 32], None, entry(Kind::ClientChanged), at(5)).await.unwrap();
        assert_eq!(store.client_by_key_hash(&[3; 32], at(100)).await.unwrap(), Some(client(1)));
        assert_eq!(store.client_by_key_hash(&[4; 32], at(100)).await.unwrap(), None);
        // The file names other clients: this one stays as it is.
        store.sync_clients(vec![configured("x", 7)], at(6), &fresh).await.unwrap();
        assert!(store.client(&client_id(1)).await.unwrap().unwrap().enabled);
        store.disable_client(&client_id(1), entry(Kind::ClientChanged), at(7)).await.unwrap();
        store.disable_client(&client_id(1), entry(Kind::ClientChanged), at(8)).await.unwrap();
        assert_eq!(store.client_by_key_hash(&[3; 32], at(8)).await.unwrap(), None);
        assert_eq!(kinds(&store).await, ["client.created", "client.changed", "client.created", "client.changed"]);
        store.close().await;
    }

    async fn clients_are_paged_by_id(database: TestDatabase) {
        let store = database.store().await;
        for number in [3, 1, 2] {
            store.create_client(client(number), "k", [number; 32], None, entry(Kind::ClientCreated), at(0)).await.unwrap();
        }
        assert_eq!(store.clients(None, 2).await.unwrap(), [client(1), client(2)]);
        assert_eq!(store.clients(Some(&client_id(2)), 2).await.unwrap(), [client(3)]);
        assert_eq!(store.client(&client_id(8)).await.unwrap(), None);
        assert_eq!(store.client_by_name("nobody").await.unwrap(), None);
        store.close().await;
    }

    async fn a_freeze_kills_grants_and_its_end_does_not_revive_them(database: TestDatabase) {
        let store = database.store().await;
        store.create_client(client(1), "k", [1; 32], None, entry(Kind::ClientCreated), at(0)).await.unwrap();
        let freeze = async |frozen: bool, seconds: i64| {
            store.freeze_client(&client_id(1), frozen, entry(Kind::ClientFrozen), at(seconds)).await.unwrap();
            let client = store.client(&client_id(1)).await.unwrap().unwrap();
            (client.frozen_at, client.void_before)
        };
        assert_eq!(freeze(false, 1).await, (None, None));
        assert_eq!(freeze(true, 2).await, (Some(at(2)), Some(at(2))));
        assert_eq!(freeze(true, 3).await, (Some(at(2)), Some(at(2))));
        assert_eq!(freeze(false, 4).await, (None, Some(at(2))));
        assert_eq!(freeze(true, 5).await, (Some(at(5)), Some(at(5))));
        assert_eq!(kinds(&store).await, ["client.created", "client.frozen", "client.frozen", "client.frozen"]);
        store.close().await;
    }
}
