//! What must hold at every step, checked from outside: nothing here asks the state machine whether it is right.

use super::support::{Story, Who, group};
use crate::domain::audit::Head;
use crate::domain::digest;
use crate::domain::ids::EventId;
use crate::domain::notice::Occasion;
use crate::domain::request::{DecidedBy, Decision, Effect, Grant, Request, State, Status, Transition};
use crate::domain::seats::SeatSpec;
use serde_json::Value;

/// Texts of the stories that may stand in no event: names, addresses, words, parameters, secrets.
const ERASABLE: [&str; 27] = [
    "Alice Liu",
    "Bob Li",
    "Carol Xu",
    "Dave Ek",
    "Person Behalf",
    "Person Outsider",
    "@example.com",
    "Export customers",
    "FIN-482",
    "prod/customers",
    "partner-drop",
    "424242",
    "\"rows\"",
    "destination",
    "use_staging",
    "Use staging",
    "use the staging",
    "comment-text",
    "agreement checked",
    "fewer will do",
    "cancel-reason-text",
    "revoke-reason-text",
    "outcome-detail-text",
    "touched-id-text",
    "sealed-token-bytes",
    "0909090909090909",
    "0808080808080808",
];

/// The bytes of a transition's events are canonical and hold nothing that must be erasable.
pub(super) fn check_bytes(transition: &Transition) {
    for event in transition.events() {
        let sealed = event.prepare(&EventId::new(transition.at(), [1; 10]), transition.at()).unwrap().seal(&Head::EMPTY);
        let value: Value = serde_json::from_str(&sealed.event).unwrap();
        assert_eq!(serde_json_canonicalizer::to_string(&value).unwrap(), sealed.event, "not canonical");
        assert_eq!(value["data"], Value::Object(event.data.clone()), "a fact was lost");
        for text in ERASABLE {
            assert!(!sealed.event.contains(text), "{text} stands in {}", sealed.event);
        }
    }
}

/// Everything that must hold when `before` became what the transition says.
pub(super) fn check_step(before: &Story, transition: &Transition) {
    let (old, new) = (&before.request, transition.after());
    assert_eq!((transition.from_version(), new.version()), (old.version(), old.version() + 1));
    assert_eq!(transition.at(), before.now);
    assert!(!transition.events().is_empty(), "a change without evidence");
    assert!(transition.events().iter().all(|event| event.request.as_ref() == Some(new.id())));
    check_bytes(transition);
    assert_eq!(old.asked(), new.asked(), "what was asked never changes");
    check_request(before, new);
    check_history(old, new, transition);
    check_due(before, new, transition);
    check_end(old, new);
    if old.status() == Status::Pending && new.status() == Status::Approved {
        check_approval(before, new);
    }
}

/// What holds of a request at any time.
fn check_request(story: &Story, request: &Request) {
    let asked = request.asked();
    let digest = digest::digest(&asked.ask.action, &asked.client.id, asked.nonce, request.parameters(), asked.ask.resource.as_ref());
    assert_eq!(*request.digest(), digest, "the digest is not that of the parameters");
    assert_eq!(request.final_parameters().is_some(), *request.digest() != asked.digest);
    for review in request.approvals() {
        assert_eq!(review.digest, *request.digest(), "an approval of other parameters counts");
        assert!(matches!(review.decision, Decision::Approve | Decision::Edit));
        assert!(may_ever_approve(request, review.person()), "{} counts", review.name);
    }
    let people: Vec<_> = request.approvals().map(|review| review.person().clone()).collect();
    assert!(people.iter().enumerate().all(|(index, person)| !people[..index].contains(person)), "a person counts twice");
    if request.status() != Status::Approved {
        assert!(!request.is_usable(story.now, None) && !request.is_usable(story.now, story.void_before));
        assert!(request.grant_reason(story.now, None).is_none());
    }
    let denied = request.reviews().iter().any(|review| review.decision == Decision::Deny);
    assert!(!denied || request.status() == Status::Denied, "a denial was overwritten");
    let says_no = request.feedback(story.now, story.void_before).is_some();
    assert_eq!(says_no, request.status() != Status::Pending && !request.is_usable(story.now, story.void_before));
    if let Some(approval) = request.approved() {
        assert!(story.now < approval.valid_until || !request.is_usable(story.now, None));
    }
}

/// An outsider only since an escalation let them; owner and the person it is for never.
fn may_ever_approve(request: &Request, person: &crate::domain::ids::PersonId) -> bool {
    let escalated = !request.requirements().escalated_to().is_empty();
    [Who::Bob, Who::Carol, Who::Dave].iter().any(|who| who.id() == *person) || escalated && *person == Who::Outsider.id()
}

/// Reviews are only added; an earlier one changes in nothing but whether it counts, and never begins to count again.
fn check_history(old: &Request, new: &Request, transition: &Transition) {
    assert!(new.reviews().len() >= old.reviews().len() && new.reviews().len() <= old.reviews().len() + 1);
    for (was, is) in old.reviews().iter().zip(new.reviews()) {
        let mut same = was.clone();
        same.counts = is.counts;
        same.candidate.groups.clone_from(&is.candidate.groups);
        assert_eq!(same, *is);
        assert!(was.counts || !is.counts, "a review counts again");
        assert!(*old.digest() == *new.digest() || !is.counts, "an edit left an earlier approval standing");
    }
    let added = new.reviews().get(old.reviews().len());
    assert!(added.is_none() || transition.at() < new.expires_at(), "a review after its time");
    let told = transition.effects().iter().find_map(|effect| if let Effect::Reviewed(review) = effect { Some(review) } else { None });
    assert_eq!(told, added);
    assert_eq!(*old.digest() != *new.digest(), added.is_some_and(|review| review.decision == Decision::Edit));
}

/// A reminder and an escalation happen once, in time, to a request that nobody decided; an escalation is never taken back.
fn check_due(before: &Story, new: &Request, transition: &Transition) {
    let old = &before.request;
    let told = |occasion| transition.effects().contains(&Effect::Thread(occasion));
    for (was, is, happened) in
        [(old.remind_at(), new.remind_at(), told(Occasion::Reminder)), (old.escalate_at(), new.escalate_at(), told(Occasion::Escalation))]
    {
        assert!(!happened || (was.is_some_and(|due| due <= before.now) && is.is_none_or(|next| next > before.now)));
        assert!(is.is_none() || new.status() == Status::Pending, "due although decided");
        assert!(happened || was == is || new.status() != Status::Pending || old.digest() != new.digest(), "it vanished");
        assert!(!happened || (old.status(), new.status()) == (Status::Pending, Status::Pending));
    }
    let (was, is) = (old.requirements().escalated_to(), new.requirements().escalated_to());
    assert!(was.iter().all(|group| is.contains(group)) && (was == is || told(Occasion::Escalation)));
}

/// Ends are ends.
fn check_end(old: &Request, new: &Request) {
    match old.state() {
        State::Pending => {}
        State::Denied { .. } | State::Expired { .. } | State::Cancelled { .. } => panic!("something followed {:?}", old.status()),
        State::Approved(was) => {
            let Some(is) = new.approved() else { panic!("an approval became {:?}", new.status()) };
            assert_eq!((was.at, &was.by, was.valid_until), (is.at, &is.by, is.valid_until));
            assert_eq!((old.reviews(), old.digest(), old.requirements()), (new.reviews(), new.digest(), new.requirements()));
            assert!(was.outcome.is_none() || was.outcome == is.outcome, "an outcome was told twice");
            match (&was.grant, &is.grant) {
                (Grant::Redeemed { .. } | Grant::Revoked { .. }, _) => assert_eq!(was.grant, is.grant, "used or revoked, for ever"),
                (Grant::Minted(minted), Grant::Redeemed { jti, .. }) => assert_eq!(minted.jti, *jti),
                (Grant::Unminted, Grant::Redeemed { .. }) => panic!("redeemed without a token"),
                (Grant::Unminted | Grant::Minted(_), Grant::Unminted | Grant::Minted(_) | Grant::Revoked { .. }) => {}
            }
            assert!(!(is.outcome == was.outcome && is.grant == was.grant), "a transition without a change");
        }
    }
}

/// At the moment of an approval every seat is filled by somebody of their own, who is entitled then.
fn check_approval(story: &Story, request: &Request) {
    assert!(!story.frozen && story.owner_known && story.person_of(Who::Alice).active);
    assert!(story.now < request.expires_at());
    let Some(DecidedBy::People { people }) = request.approved().map(|approval| &approval.by) else { panic!("decided by nobody") };
    let approvers: Vec<Who> = Who::ALL.into_iter().filter(|who| people.contains(&who.id())).collect();
    assert_eq!(approvers.len(), people.len(), "distinct and known");
    for who in &approvers {
        let person = story.person_of(*who);
        assert!(may_ever_approve(request, &who.id()) && person.active && person.human && person.proof.fresh, "{who:?}");
        assert!(request.approvals().any(|review| *review.person() == who.id()));
    }
    let mut seats: Vec<SeatSpec> = Vec::new();
    for spec in request.requirements().open_seats() {
        let alone = match &spec {
            SeatSpec::Group { group: name, .. } => group(name, 1),
            SeatSpec::Any { any, person: None, .. } => SeatSpec::Any { any: any.clone(), person: None, count: 1 },
            SeatSpec::Any { .. } | SeatSpec::Person { .. } => panic!("the stories ask for groups only"),
        };
        seats.extend((0..spec.count()).map(|_| alone.clone()));
    }
    let asked: u32 = request.requirements().seats.iter().map(SeatSpec::count).sum();
    assert_eq!(usize::try_from(asked).unwrap(), seats.len(), "an escalation adds no seat and takes none away");
    assert!(!seats.is_empty() && seats.len() == people.len());
    assert!(everyone_sits(story, &seats, &approvers), "{approvers:?} do not fill {seats:?}");
}

/// Brute force: some order of the people takes the seats one by one.
fn everyone_sits(story: &Story, seats: &[SeatSpec], people: &[Who]) -> bool {
    let Some((seat, others)) = seats.split_first() else { return true };
    people.iter().enumerate().any(|(index, who)| {
        let mut rest = people.to_vec();
        rest.remove(index);
        seat.admits(&story.person_of(*who).candidate()) && everyone_sits(story, others, &rest)
    })
}
