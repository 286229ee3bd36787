//! Owns requests of the tests, made by the real state machine, and the certainty that a log verifies.

use countersign::domain::ask::Ask;
use countersign::domain::audit::verify::{Anchor, Columns, Inspected, Kept, Report, Row, Verifier};
use countersign::domain::audit::{Actor, Entry, Kind};
use countersign::domain::client::{Client, Scope};
use countersign::domain::digest::Nonce;
use countersign::domain::ids::{ClientId, GrantId, PersonId, RequestId, ReviewId};
use countersign::domain::person::{Person, Proof, Via};
use countersign::domain::policy::{ClientFacts, Destination, Effect, Escalation, Evaluation, Facts, History, Requirements};
use countersign::domain::request::{Act, ClientRef, Decision, Event, Minted, OnBehalfOf, Opening, Request, Transition};
use countersign::domain::reviewer::{Circumstances, Owner, VerifiedReviewer};
use countersign::domain::seats::SeatSpec;
use countersign::domain::time::Timestamp;
use countersign::store::{Commit, SignedHead, Store};
use serde_json::{Map, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// 2026-11-20T11:40:00Z and some seconds.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_174_800_000 + seconds * 1_000)
}

/// Ten bytes that no other call gets.
pub(super) fn unique<const N: usize>() -> [u8; N] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; N];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

pub(super) fn client_id(number: u8) -> ClientId {
    ClientId::new(at(0), [number; 10])
}

pub(super) fn client(number: u8) -> Client {
    Client {
        id: client_id(number),
        name: format!("agent-{number}"),
        owner: Some("alice@example.com".to_owned()),
        scopes: [Scope::RequestsWrite, Scope::GrantsRedeem].into(),
        may_act_for: vec!["*@example.com".to_owned()],
        frozen_at: None,
        void_before: None,
        enabled: true,
    }
}

pub(super) fn entry(kind: Kind) -> Entry {
    Entry::new(kind, Actor::System, None)
}

/// A request on its way into the store.
pub(super) struct Asks {
    pub(super) client: u8,
    pub(super) action: &'static str,
    pub(super) effect: Effect,
    pub(super) seconds: i64,
    pub(super) channels: &'static [&'static str],
    pub(super) summary: &'static str,
    pub(super) callback: Option<serde_json::Value>,
    /// For somebody.
    pub(super) behalf: bool,
    /// Reminded after so many seconds, and escalated to the channel after so many.
    pub(super) remind_after: Option<u64>,
    pub(super) escalate: Option<(u64, &'static str)>,
}

impl Default for Asks {
    fn default() -> Self {
        Self {
            client: 1,
            action: "db.export",
            effect: Effect::Review,
            seconds: 0,
            channels: &["C0PROD"],
            summary: "Export customers",
            callback: None,
            behalf: false,
            remind_after: None,
            escalate: None,
        }
    }
}

impl Asks {
    pub(super) fn transition(&self) -> Transition {
        let ask = json!({
            "action": self.action,
            "resource": {"type": "table", "id": "prod/customers", "environment": "prod"},
            "parameters": {"rows": 120_000},
            "summary": self.summary,
            "callback": self.callback,
            "state": "quote ' percent % NUL \u{0} 表",
        });
        let requirements = Requirements {
            seats: vec![SeatSpec::Group { group: "security".to_owned(), count: 1 }],
            destinations: self.channels.iter().map(|channel| Destination::Slack { channel: (*channel).to_owned() }).collect(),
            expires_in: 600,
            remind_after: self.remind_after,
            escalate: self
                .escalate
                .iter()
                .map(|(after, channel)| Escalation {
                    after: *after,
                    destinations: vec![Destination::Slack { channel: (*channel).to_owned() }],
                    groups: vec!["leads".to_owned()],
                    seats: vec![SeatSpec::Group { group: "security".to_owned(), count: 1 }],
                    done: false,
                })
                .collect(),
            ..Requirements::default()
        };
        let opening = Opening {
            id: RequestId::new(at(self.seconds), unique()),
            client: ClientRef { id: client_id(self.client), name: format!("agent-{}", self.client) },
            on_behalf_of: self.behalf.then(|| OnBehalfOf {
                id: person(77),
                email: "grace@example.com".to_owned(),
                name: "Grace Park".to_owned(),
            }),
            ask: Ask::from_value(&ask).unwrap(),
            nonce: Nonce::new(unique()),
            commitment_key: unique(),
            evaluation: Evaluation {
                effect: self.effect,
                rules: vec!["prod".to_owned()],
                shadow: Vec::new(),
                errors: Vec::new(),
                explanation: "Because.".to_owned(),
                requirements,
                masks: Vec::new(),
                trace: Vec::new(),
            },
            policy_version: "sha256:00".to_owned(),
        };
        Request::open(opening, at(self.seconds))
    }

    /// Commits it; answers with the request as it is stored.
    pub(super) async fn store(&self, store: &Store) -> Request {
        let transition = self.transition();
        let request = transition.after().clone();
        store.commit(Commit::new(transition)).await.unwrap();
        request
    }
}

pub(super) fn cancel(request: Request, seconds: i64) -> Transition {
    let client = request.asked().client.id.clone();
    request.apply(Event::Cancel { client, reason: None }, at(seconds)).unwrap()
}

pub(super) fn revoke(request: Request, seconds: i64) -> Transition {
    request.apply(Event::Revoke { by: Actor::System, reason: None }, at(seconds)).unwrap()
}

pub(super) fn mint(request: Request, seconds: i64) -> Transition {
    let minted = Minted { jti: GrantId::new(at(seconds), unique()), expires_at: at(seconds + 120), sealed: "sealed".to_owned() };
    request.apply(Event::Mint(minted), at(seconds)).unwrap()
}

/// A person of the group that decides.
pub(super) fn person(number: u8) -> PersonId {
    PersonId::new([number; 16])
}

/// An approval, a denial or a remark by a person of the right group.
pub(super) fn review(request: Request, by: &PersonId, act: Act, seconds: i64) -> Transition {
    let reviewer = verified(&request, by, act.decision(), seconds);
    let event =
        Event::Review { id: ReviewId::new(at(seconds), unique()), reviewer: Box::new(reviewer), act, comment: None, rechecks: Vec::new() };
    request.apply(event, at(seconds)).unwrap()
}

fn verified(request: &Request, by: &PersonId, decision: Decision, seconds: i64) -> VerifiedReviewer {
    let person = Person {
        id: by.clone(),
        name: "Bob Stone".to_owned(),
        email: "bob@example.com".to_owned(),
        active: true,
        human: true,
        groups: ["security".to_owned()].into(),
        record: json!({}),
        proof: Proof { source: "file".to_owned(), as_of: at(seconds), fresh: true },
    };
    let parameters = Map::new();
    let facts = Facts {
        action: "db.export",
        resource: None,
        parameters: &parameters,
        context: None,
        client: ClientFacts { id: "cli", name: "agent", owner: None },
        on_behalf_of: None,
        history: History::default(),
        now: at(seconds),
    };
    let owner = Owner { id: PersonId::new([255; 16]), active: true };
    let around = Circumstances { owner: Some(owner), frozen: false };
    VerifiedReviewer::verify(request, &person, decision, request.requirements(), &around, &facts, Via::Slack).unwrap()
}

/// Checks the whole log against these heads, whose signatures are taken for good, in chunks as the command line does.
pub(super) async fn report(store: &Store, heads: Vec<SignedHead>) -> Report {
    let anchors = heads.into_iter().map(|signed| Anchor {
        seq: signed.head.seq,
        chain: signed.head.chain.to_vec(),
        at: signed.at,
        signature: signed.signature,
        public_key: signed.public_key,
        kept: Kept::Beside,
    });
    let mut verifier = Verifier::new(anchors.collect(), None, |_, _, _| true);
    let mut after = 0;
    loop {
        let rows = store.raw_events(after, 100).await.unwrap();
        let Some(last) = rows.last() else { return verifier.finish() };
        after = last.seq.cast_unsigned();
        for row in &rows {
            let beside = Columns {
                at: row.at,
                kind: &row.kind,
                actor_kind: &row.actor_kind,
                actor_id: row.actor_id.as_deref(),
                request: row.request_id.as_deref(),
            };
            let inspected = Inspected::of(row.event.as_bytes(), Some(&beside));
            if !verifier.row(&Row { seq: row.seq, leaf: &row.leaf_hash, chain: &row.chain_hash }, &inspected) {
                return verifier.finish();
            }
        }
    }
}

/// Checks that the whole log is intact, against the heads beside it.
pub(super) async fn verify(store: &Store) -> Report {
    let report = report(store, store.signed_heads().await.unwrap()).await;
    assert_eq!(report.tampering, None);
    report
}

/// The types of all events, in order.
pub(super) async fn kinds(store: &Store) -> Vec<String> {
    store.raw_events(0, 10_000).await.unwrap().into_iter().map(|row| row.kind).collect()
}
