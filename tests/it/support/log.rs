//! Owns what must be true of every audit log that a test leaves behind.

use countersign::domain::audit::{GENESIS, chain_hash, leaf_hash};
use countersign::store::Store;
use serde_json::Value;

/// Texts of the tests that must never stand in an event: names, addresses, parameters, reasons.
const TEXTS: [&str; 16] = [
    "Alice",
    "Liu",
    "Bob Stone",
    "Carol",
    "Diaz",
    "Dave Marsh",
    "Erin",
    "@example.com",
    "U0BOB",
    "U0CAROL",
    "customers",
    "partner-drop",
    "FIN-482",
    "airflow",
    "120000",
    "Quarterly",
];

/// Recomputes every hash of the log, independently of the code that wrote it.
pub(crate) async fn verify(store: &Store) {
    let (mut after, mut chain) = (0, GENESIS);
    loop {
        let rows = store.audit_rows(after, 500).await.unwrap();
        if rows.is_empty() {
            return;
        }
        for row in rows {
            assert_eq!(row.seq, after + 1, "the log has a gap");
            after = row.seq;
            let leaf = leaf_hash(row.event.as_bytes());
            assert_eq!(row.leaf_hash, leaf, "leaf hash of {after}");
            chain = chain_hash(&chain, &leaf);
            assert_eq!(row.chain_hash, chain, "chain hash of {after}");
            let value: Value = serde_json::from_str(&row.event).unwrap();
            assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), row.event, "event {after} is not canonical");
        }
    }
}

/// No event ever holds a name, an address, a chat id, a parameter or a text.
pub(crate) fn holds_no_texts(events: &[Value]) {
    for event in events {
        let event = event.to_string();
        for text in TEXTS {
            assert!(!event.contains(text), "an event holds {text:?}: {event}");
        }
    }
}
