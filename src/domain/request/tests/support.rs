//! A small company around one request, so that tests read as the story of who did what.
//!
//! Does what the use cases of `engine` do around the state machine: asks the "directory" (`Story::people`), verifies,
//! applies, answers a recheck, and takes the transition over as if it had been committed.

use crate::domain::ask::Ask;
use crate::domain::audit::Actor;
use crate::domain::digest::{Digest, Nonce};
use crate::domain::ids::{ClientId, GrantId, PersonId, RequestId, ReviewId};
use crate::domain::person::{Person, Proof, Via};
use crate::domain::policy::{ClientFacts, Destination, Effect as PolicyEffect, Evaluation, Facts, History, Requirements};
use crate::domain::request::{
    Act, ClientRef, Decision, Event, Minted, OnBehalfOf, Opening, Outcome, OutcomeStatus, Recheck, Refused, Request, Status, Touched,
    Transition,
};
use crate::domain::reviewer::{self, Circumstances, Owner, VerifiedReviewer};
use crate::domain::seats::SeatSpec;
use crate::domain::time::Timestamp;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-20T11:40:00Z
pub(super) const START: Timestamp = Timestamp::from_millis(1_795_174_800_000);
/// Seconds that the request of a story stays pending.
pub(super) const PENDING: u64 = 3_600;
/// Seconds that its approval stays valid.
pub(super) const VALID: u64 = 900;

/// Everybody. Owner and the person it is for are members of both groups, so that nothing but separation of duties stops them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    /// Owns the client; in both groups.
    Alice,
    /// In both groups.
    Bob,
    /// In security.
    Carol,
    /// In data-governance.
    Dave,
    /// The person it is for; in both groups.
    Behalf,
    /// Active, in no group that is asked.
    Outsider,
}
use Who::{Alice, Behalf, Bob, Carol, Dave, Outsider};

impl Who {
    pub(super) const ALL: [Self; 6] = [Alice, Bob, Carol, Dave, Behalf, Outsider];

    pub(super) fn id(self) -> PersonId {
        PersonId::new([self as u8 + 1; 16])
    }

    pub(super) fn name(self) -> &'static str {
        ["Alice Liu", "Bob Li", "Carol Xu", "Dave Ek", "Person Behalf", "Person Outsider"][self as usize]
    }

    pub(super) fn email(self) -> &'static str {
        ["alice@example.com", "bob@example.com", "carol@example.com", "dave@example.com", "behalf@example.com", "outsider@example.com"]
            [self as usize]
    }

    fn groups(self) -> &'static [&'static str] {
        match self {
            Alice | Bob | Behalf => &["data-governance", "security"],
            Carol => &["security"],
            Dave => &["data-governance"],
            Outsider => &["marketing"],
        }
    }

    pub(super) fn person(self) -> Person {
        Person {
            id: self.id(),
            name: self.name().to_owned(),
            email: self.email().to_owned(),
            active: true,
            human: true,
            groups: self.groups().iter().map(|&group| group.to_owned()).collect(),
            record: json!({"email": self.email(), "department": "risk"}),
            proof: Proof { source: "file".to_owned(), as_of: START, fresh: true },
        }
    }
}

/// The two clients: the one that asks, and another.
pub(super) fn client(number: u8) -> ClientRef {
    ClientRef { id: ClientId::new(START, [number; 10]), name: format!("bot-{number}") }
}

pub(super) fn asker() -> ClientId {
    client(1).id
}

pub(super) fn stranger() -> ClientId {
    client(2).id
}

pub(super) fn group(name: &str, count: u32) -> SeatSpec {
    SeatSpec::Group { group: name.to_owned(), count }
}

/// Both groups, one seat each.
pub(super) fn dual_control() -> Requirements {
    Requirements {
        seats: vec![group("data-governance", 1), group("security", 1)],
        destinations: vec![Destination::Slack { channel: "C0PROD".to_owned() }],
        expires_in: PENDING,
        approval_valid: VALID,
        ..Requirements::default()
    }
}

/// One seat of security.
pub(super) fn one_seat() -> Requirements {
    Requirements { seats: vec![group("security", 1)], ..dual_control() }
}

/// The body of the story's ask.
pub(super) fn body() -> Value {
    json!({
        "action": "db.export",
        "resource": {"type": "table", "id": "prod/customers", "environment": "prod"},
        "parameters": {"rows": 1000, "destination": "s3://partner-drop/customers.csv"},
        "summary": "Export customers to the partner bucket",
        "justification": "Quarterly reconciliation, FIN-482",
        "on_behalf_of": "behalf@example.com",
        "allowed_decisions": ["approve", "deny", "edit"],
        "edit_schema": {"type": "object", "properties": {"rows": {"type": "integer", "minimum": 1}}},
        "deny_options": [{"name": "use_staging", "title": "Use staging instead"}],
    })
}

pub(super) fn review(requirements: Requirements) -> Evaluation {
    Evaluation {
        effect: PolicyEffect::Review,
        rules: vec!["prod-exports".to_owned()],
        shadow: Vec::new(),
        errors: Vec::new(),
        explanation: "Rule prod-exports asks people.".to_owned(),
        requirements,
        masks: Vec::new(),
        trace: Vec::new(),
    }
}

/// Opens a request from a body and an evaluation.
pub(super) fn open(body: &Value, evaluation: Evaluation) -> Transition {
    let behalf = Behalf.person();
    let opening = Opening {
        id: RequestId::new(START, [7; 10]),
        client: client(1),
        on_behalf_of: body.get("on_behalf_of").map(|_| OnBehalfOf { id: behalf.id, email: behalf.email, name: behalf.name }),
        ask: Ask::from_value(body).unwrap(),
        nonce: Nonce::new([9; 16]),
        commitment_key: [8; 16],
        evaluation,
        policy_version: "sha256:policy".to_owned(),
    };
    Request::open(opening, START)
}

/// A transition that the story has taken over, so that nobody need do anything about it.
#[derive(Debug)]
pub(super) struct Done(Transition);

impl std::ops::Deref for Done {
    type Target = Transition;

    fn deref(&self) -> &Transition {
        &self.0
    }
}

/// A request and the world around it.
#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) request: Request,
    pub(super) now: Timestamp,
    /// What the directory says, by `Who`.
    pub(super) people: Arc<Vec<Person>>,
    /// The directory knows the owner of the client.
    pub(super) owner_known: bool,
    /// The client is frozen now.
    pub(super) frozen: bool,
    /// Its approvals up to then yield no grant.
    pub(super) void_before: Option<Timestamp>,
    /// The directory answers about earlier approvers.
    pub(super) recheck_answers: bool,
    /// What policy says of edited parameters: the first evaluation whose number is above the rows.
    pub(super) edits: Arc<Vec<(i64, Evaluation)>>,
}

impl Story {
    /// Both groups must agree.
    pub(super) fn new() -> Self {
        Self::with(&body(), dual_control())
    }

    pub(super) fn with(body: &Value, requirements: Requirements) -> Self {
        Self {
            request: open(body, review(requirements.clone())).into_after(),
            now: START,
            people: Arc::new(Who::ALL.into_iter().map(Who::person).collect()),
            owner_known: true,
            frozen: false,
            void_before: None,
            recheck_answers: true,
            edits: Arc::new(vec![(i64::MAX, review(requirements))]),
        }
    }

    pub(super) fn person(&mut self, who: Who) -> &mut Person {
        &mut Arc::make_mut(&mut self.people)[who as usize]
    }

    pub(super) fn person_of(&self, who: Who) -> &Person {
        &self.people[who as usize]
    }

    pub(super) fn after(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self
    }

    pub(super) fn circumstances(&self) -> Circumstances {
        let owner = &self.people[Alice as usize];
        let known = self.owner_known.then(|| Owner { id: owner.id.clone(), active: owner.active && owner.human });
        Circumstances { owner: known, frozen: self.frozen }
    }

    /// The facts of the request, with these parameters.
    pub(super) fn facts<'a>(request: &'a Request, parameters: &'a Map<String, Value>, now: Timestamp) -> Facts<'a> {
        let asked = request.asked();
        Facts {
            action: &asked.ask.action,
            resource: asked.ask.resource.as_ref(),
            parameters,
            context: None,
            client: ClientFacts { id: asked.client.id.as_str(), name: &asked.client.name, owner: Some(Alice.email()) },
            on_behalf_of: None,
            history: History::default(),
            now,
        }
    }

    pub(super) fn verify(&self, who: Who, decision: Decision, requirements: &Requirements) -> Result<VerifiedReviewer, Refused> {
        let facts = Self::facts(&self.request, self.request.parameters(), self.now);
        let person = &self.people[who as usize];
        Ok(VerifiedReviewer::verify(&self.request, person, decision, requirements, &self.circumstances(), &facts, Via::Slack)?)
    }

    /// The event of a verified review, with these second answers.
    pub(super) fn event(&self, reviewer: VerifiedReviewer, act: Act, comment: Option<&str>, rechecks: Vec<Recheck>) -> Event {
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.request.version().to_be_bytes());
        let id = ReviewId::new(self.now, random);
        Event::Review { id, reviewer: Box::new(reviewer), act, comment: comment.map(str::to_owned), rechecks }
    }

    /// A person acts; whoever must be asked again is asked again.
    pub(super) fn act(&mut self, who: Who, act: Act, comment: Option<&str>) -> Result<Done, Refused> {
        let requirements = match &act {
            Act::Edit { evaluation, .. } => self.request.requirements().stricter(&evaluation.requirements),
            Act::Approve { .. } | Act::Deny { .. } | Act::Comment => self.request.requirements().clone(),
        };
        if self.request.status().is_terminal() {
            return Err(self.request.already_decided());
        }
        let reviewer = self.verify(who, act.decision(), &requirements)?;
        let first = self.event(reviewer.clone(), act.clone(), comment, Vec::new());
        match self.apply(first) {
            Err(Refused::RecheckNeeded(people)) if self.recheck_answers => {
                let rechecks = people.iter().map(|person| self.recheck(person)).collect();
                self.apply(self.event(reviewer, act, comment, rechecks))
            }
            other => other,
        }
    }

    fn recheck(&self, person: &PersonId) -> Recheck {
        let facts = Self::facts(&self.request, self.request.parameters(), self.now);
        let known = self.people.iter().find(|known| known.id == *person).unwrap();
        Recheck { person: person.clone(), answer: reviewer::still_approves(&self.request, known, &self.circumstances(), &facts) }
    }

    /// Applies an event and goes on from there.
    pub(super) fn apply(&mut self, event: Event) -> Result<Done, Refused> {
        let transition = self.request.clone().apply(event, self.now)?;
        self.request = transition.after().clone();
        Ok(Done(transition))
    }

    pub(super) fn approve(&mut self, who: Who) -> Result<Done, Refused> {
        self.act(who, Act::Approve { digest: *self.request.digest() }, None)
    }

    pub(super) fn approve_saying(&mut self, who: Who, comment: &str) -> Result<Done, Refused> {
        self.act(who, Act::Approve { digest: *self.request.digest() }, Some(comment))
    }

    pub(super) fn deny(&mut self, who: Who, comment: &str) -> Result<Done, Refused> {
        self.act(who, Act::Deny { option: None }, Some(comment))
    }

    pub(super) fn comment(&mut self, who: Who, comment: &str) -> Result<Done, Refused> {
        self.act(who, Act::Comment, Some(comment))
    }

    /// Sets the rows, leaving everything else as it is.
    pub(super) fn edit(&mut self, who: Who, rows: i64) -> Result<Done, Refused> {
        let mut parameters = self.request.parameters().clone();
        parameters.insert("rows".to_owned(), json!(rows));
        self.edit_to(who, parameters)
    }

    pub(super) fn edit_to(&mut self, who: Who, parameters: Map<String, Value>) -> Result<Done, Refused> {
        let act = self.edit_act(*self.request.digest(), parameters);
        self.act(who, act, Some("fewer will do"))
    }

    pub(super) fn edit_act(&self, digest: Digest, parameters: Map<String, Value>) -> Act {
        let rows = parameters.get("rows").and_then(Value::as_i64).unwrap_or(0);
        let (_, evaluation) = self.edits.iter().find(|(below, _)| rows < *below).unwrap();
        Act::Edit { digest, parameters, evaluation: Box::new(evaluation.clone()) }
    }

    pub(super) fn cancel(&mut self, client: ClientId) -> Result<Done, Refused> {
        self.apply(Event::Cancel { client, reason: Some("cancel-reason-text".to_owned()) })
    }

    pub(super) fn revoke(&mut self, by: Actor) -> Result<Done, Refused> {
        self.apply(Event::Revoke { by, reason: Some("revoke-reason-text".to_owned()) })
    }

    /// A token for at most `seconds`.
    pub(super) fn minted(&self, seconds: u64) -> Minted {
        let mut random = [1; 10];
        random[2..].copy_from_slice(&self.request.version().to_be_bytes());
        let until = self.now.plus(Duration::from_secs(seconds));
        let expires_at = self.request.approved().map_or(until, |approval| until.min(approval.valid_until));
        Minted { jti: GrantId::new(self.now, random), expires_at, sealed: "sealed-token-bytes".to_owned() }
    }

    pub(super) fn mint(&mut self) -> Result<Done, Refused> {
        self.apply(Event::Mint(self.minted(120)))
    }

    pub(super) fn redeem(&mut self, jti: &GrantId, by: ClientId) -> Result<Done, Refused> {
        self.apply(Event::Redeem { jti: jti.clone(), by, void_before: self.void_before })
    }

    pub(super) fn outcome(&mut self, by: ClientId) -> Result<Done, Refused> {
        self.apply(Event::Outcome(Outcome {
            status: OutcomeStatus::Succeeded,
            detail: Some("outcome-detail-text".to_owned()),
            touched: vec![Touched { kind: "table".to_owned(), id: "touched-id-text".to_owned(), count: Some(10) }],
            at: self.now,
            by,
        }))
    }

    pub(super) fn status(&self) -> Status {
        self.request.status()
    }

    /// Who fills each seat, by name; seats in the order of the requirements.
    pub(super) fn seated(&self) -> Vec<Vec<Who>> {
        let who = |person: &PersonId| Who::ALL.into_iter().find(|who| who.id() == *person).unwrap();
        self.request.filling().filled_by.iter().map(|filled| filled.iter().map(who).collect()).collect()
    }
}

/// What an operation was refused for.
pub(super) fn refused<T>(result: Result<T, Refused>) -> Refused {
    match result {
        Err(refused) => refused,
        Ok(_) => panic!("should have been refused"),
    }
}
