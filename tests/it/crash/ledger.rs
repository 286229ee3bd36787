//! The ledger: what the server acknowledged to somebody, and the comparison with what the database holds.

use crate::support::server::{Caller, Site};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a redeem was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Redeem {
    /// 200.
    Done,
    /// 409: somebody was faster.
    Already,
    /// No answer came.
    Unknown,
}

/// When the ledger is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// After a kill: taps may wait for the next life.
    Between,
    /// When nothing waits any more.
    Settled,
}

/// Everything acknowledged.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    /// Idempotency key and request.
    created: BTreeMap<String, String>,
    /// Status that somebody was told, when it was final.
    decided: BTreeMap<String, String>,
    taps: BTreeSet<String>,
    redeems: BTreeMap<String, Vec<Redeem>>,
}

impl std::fmt::Display for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let redeems = |wanted| self.redeems.values().flatten().filter(|redeem| **redeem == wanted).count();
        write!(
            f,
            "acknowledged: {} creates, {} taps, {} decisions seen, {} redeems ({} refused as the second, {} without an answer)",
            self.created.len(),
            self.taps.len(),
            self.decided.len(),
            redeems(Redeem::Done),
            redeems(Redeem::Already),
            redeems(Redeem::Unknown)
        )
    }
}

impl Ledger {
    pub(super) fn len(&self) -> usize {
        self.created.len() + self.taps.len() + self.redeems.len()
    }

    pub(super) fn created(&mut self, key: &str, request: &Value) {
        self.created.insert(key.to_owned(), request["id"].as_str().unwrap().to_owned());
        self.seen(request);
    }

    /// Somebody was shown the request.
    pub(super) fn seen(&mut self, request: &Value) {
        let (id, status) = (request["id"].as_str().unwrap(), request["status"].as_str().unwrap());
        if status != "pending" {
            let before = self.decided.insert(id.to_owned(), status.to_owned());
            assert!(before.is_none_or(|before| before == status), "{id} was decided and changed");
        }
    }

    pub(super) fn tapped(&mut self, dedup_key: &str) {
        self.taps.insert(dedup_key.to_owned());
    }

    pub(super) fn redeemed(&mut self, request: &str, redeem: Redeem) {
        self.redeems.entry(request.to_owned()).or_default().push(redeem);
    }

    /// Compares with the database.
    pub(super) async fn check(&self, site: &Site, moment: Moment) {
        let holes = "SELECT count(*) FROM audit_event WHERE seq > (SELECT count(*) FROM audit_event)";
        assert_eq!(site.count(holes).await, 0, "the log has a gap");

        let stored = pairs(site, "SELECT id || ' ' || status FROM request").await;
        for id in self.created.values() {
            assert!(stored.contains_key(id), "{id} was acknowledged and is not there");
        }
        let ids: BTreeSet<&String> = self.created.values().collect();
        assert_eq!(ids.len(), self.created.len(), "two keys lead to one request");
        let twice = "SELECT count(*) FROM (SELECT 1 AS one FROM request WHERE idempotency_key IS NOT NULL GROUP BY client_id, idempotency_key HAVING count(*) > 1) AS twice";
        assert_eq!(site.count(twice).await, 0, "one key made two requests");
        for (id, told) in &self.decided {
            assert_eq!(&stored[id], told, "{id} was told to be {told}");
        }

        // One creation each, at most one decision, at most one use of the grant; each decision has its event.
        let mut events: BTreeMap<(String, String), u64> = BTreeMap::new();
        for line in site
            .database
            .texts("SELECT request_id || ' ' || type || ' ' || CAST(count(*) AS TEXT) FROM audit_event WHERE request_id IS NOT NULL GROUP BY request_id, type")
            .await
        {
            let [id, kind, count] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
            events.insert((id.to_owned(), kind.to_owned()), count.parse().unwrap());
        }
        let count = |id: &str, kind: &str| events.get(&(id.to_owned(), kind.to_owned())).copied().unwrap_or(0);
        for (id, status) in &stored {
            assert_eq!(count(id, "request.created"), 1, "{id}");
            let (approved, denied) = (count(id, "request.approved"), count(id, "request.denied"));
            assert_eq!((approved, denied), (u64::from(status == "approved"), u64::from(status == "denied")), "{id} is {status}");
            assert!(count(id, "grant.redeemed") <= 1, "{id} was redeemed twice");
        }
        for (id, redeems) in &self.redeems {
            let done = redeems.iter().filter(|redeem| **redeem == Redeem::Done).count();
            assert!(done <= 1, "{id}: {done} callers were told that they may");
            let unanswered = redeems.contains(&Redeem::Unknown);
            let used = count(id, "grant.redeemed");
            assert!(
                used == 1 || (used == 0 && done == 0 && unanswered && !redeems.contains(&Redeem::Already)),
                "{id}: {redeems:?}, used {used}"
            );
        }

        let taps = pairs(site, "SELECT dedup_key || ' ' || coalesce(outcome, 'waits') FROM tap").await;
        let settled = ["recorded", "repeated", "already_decided", "same_review", "took_too_long", "seat_taken", "not_eligible"];
        for key in &self.taps {
            let outcome = taps.get(key).unwrap_or_else(|| panic!("the tap {key} was acknowledged and is not there"));
            let waits = outcome == "waits" && moment == Moment::Between;
            assert!(waits || settled.contains(&outcome.as_str()), "{key}: {outcome}");
        }
        // A tap that is recorded has its review, in the same transaction.
        let recorded = taps.values().filter(|outcome| *outcome == "recorded").count() as u64;
        assert_eq!(site.count("SELECT count(*) FROM review").await, recorded, "reviews and recorded taps differ");
        let people = "SELECT count(*) FROM (SELECT 1 AS one FROM review WHERE decision = 'approve' GROUP BY request_id, person_id HAVING count(*) > 1) AS twice";
        assert_eq!(site.count(people).await, 0, "one person fills two seats");
    }

    /// The same through the API of the last life: what was acknowledged is served.
    pub(super) async fn check_through(&self, server: &Caller) {
        for (id, told) in &self.decided {
            let read = server.reads(id).await.expect("the server answers");
            assert_eq!((read.status, read.body["status"].as_str()), (200, Some(told.as_str())), "{id}");
            let used = self.redeems.get(id).is_some_and(|redeems| redeems.contains(&Redeem::Done));
            assert!(!used || (read.body["usable"] == false && read.body["grant"].is_null()), "{id} was redeemed and has a grant");
        }
    }
}

async fn pairs(site: &Site, sql: &str) -> BTreeMap<String, String> {
    let lines = site.database.texts(sql).await;
    lines.into_iter().map(|line| line.split_once(' ').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap()).collect()
}
