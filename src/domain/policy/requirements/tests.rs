//! Adding up, and what an escalation opens: never a seat that anything else demands.

use super::*;
use crate::domain::ids::PersonId;
use proptest::prelude::*;

fn group(name: &str, count: u32) -> SeatSpec {
    SeatSpec::Group { group: name.to_owned(), count }
}

fn slack(channel: &str) -> Destination {
    Destination::Slack { channel: channel.to_owned() }
}

fn person() -> SeatSpec {
    SeatSpec::Person { person: "x@example.com".to_owned() }
}

fn escalation(after: u64, done: bool) -> Escalation {
    Escalation { after, destinations: vec![slack("C9")], groups: vec!["leads".to_owned()], seats: Vec::new(), done }
}

/// A route with these seats that is escalated after so long to these groups.
fn route(seats: &[SeatSpec], after: u64, groups: &[&str]) -> Requirements {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    let escalation = Escalation { groups, seats: seats.to_vec(), ..escalation(after, false) };
    Requirements { seats: seats.to_vec(), escalate: vec![escalation], ..Requirements::default() }
}

/// Routes without an escalation, and what a rule asks for itself.
fn plain(seats: &[SeatSpec]) -> Requirements {
    Requirements { seats: seats.to_vec(), ..Requirements::default() }
}

fn open_after(seconds: u64, requirements: &Requirements) -> String {
    let mut later = requirements.clone();
    later.escalate_until(seconds);
    later.describe_seats()
}

#[test]
fn an_escalation_that_happened_opens_every_seat_of_its_route_and_adds_none() {
    let mut requirements = route(&[group("a", 2), person(), group("leads", 1)], 60, &["leads"]);
    requirements.escalate.push(Escalation { groups: vec!["ciso".to_owned()], ..escalation(600, false) });
    let happened = Escalation { done: true, ..requirements.escalate[0].clone() };
    assert_eq!(requirements.open_seats(), requirements.seats);
    assert_eq!(requirements.escalate_until(59), []);
    assert_eq!(requirements.escalate_until(60), [happened]);
    assert_eq!(requirements.escalate_until(60), [], "it happens once");
    assert_eq!(requirements.next_escalation(), Some(600));
    assert_eq!(requirements.describe_seats(), "2 of a or leads and 1 of one named person or leads and 1 of leads");
    assert_eq!(requirements.seat_groups(), ["a", "leads"].map(str::to_owned).into());
}

#[test]
fn an_escalation_opens_no_seat_that_anything_else_demands() {
    let ops = route(&[group("ops", 1), person()], 60, &["oncall"]);
    let alone = "1 of ops or oncall and 1 of one named person or oncall";
    for (other, open) in [
        (plain(&[]), alone.to_owned()),
        (plain(&[group("security", 2)]), format!("{alone} and 2 of security")),
        (plain(&[group("ops", 1)]), "1 of ops and 1 of one named person or oncall".to_owned()),
        (plain(&[group("ops", 2)]), "2 of ops and 1 of one named person or oncall".to_owned()),
        (plain(&[person()]), "1 of ops or oncall and one named person".to_owned()),
        // Another route that asks for the same: each must agree, when it does, to whom it does.
        (route(&[group("ops", 2)], 60, &["oncall"]), "2 of ops or oncall and 1 of one named person or oncall".to_owned()),
        (route(&[group("ops", 2)], 50, &["oncall", "leads"]), "2 of ops or oncall and 1 of one named person or oncall".to_owned()),
        (route(&[group("ops", 2)], 61, &["oncall"]), "2 of ops and 1 of one named person or oncall".to_owned()),
        (route(&[group("ops", 2)], 60, &["leads"]), "2 of ops and 1 of one named person or oncall".to_owned()),
        (route(&[group("ops", 2)], 60, &[]), "2 of ops and 1 of one named person or oncall".to_owned()),
    ] {
        let words = |requirements: &Requirements| {
            let text = open_after(60, requirements);
            text.split(" and ").map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let wanted: BTreeSet<String> = open.split(" and ").map(str::to_owned).collect();
        assert_eq!(words(&ops.stricter(&other)), wanted);
        assert_eq!(words(&other.stricter(&ops)), wanted, "in any order");
        assert_eq!(words(&other.stricter(&ops).stricter(&ops)), wanted, "what is closed stays closed");
        if other.escalate.is_empty() {
            let mut added = ops.clone();
            added.demand(&other.seats);
            assert_eq!(words(&added), wanted, "the same as seats of the rule itself");
        }
    }
}

#[test]
fn groups_are_told_of_only_where_a_seat_is_open_to_them() {
    let mut closed = route(&[group("ops", 1)], 60, &["oncall"]).stricter(&plain(&[group("ops", 1)]));
    closed.escalate_until(60);
    assert!(closed.escalated_to().is_empty());
    assert!(!closed.escalate[0].opens());
}

#[test]
fn a_document_from_before_escalations_had_seats_opens_none() {
    let mut old = serde_json::to_value(route(&[group("ops", 1)], 60, &["oncall"])).unwrap();
    old["escalate"][0].as_object_mut().unwrap().remove("seats").unwrap();
    let old: Requirements = serde_json::from_value(old).unwrap();
    assert_eq!(open_after(60, &old), "1 of ops");
    assert_eq!(open_after(60, &old.stricter(&route(&[group("ops", 1)], 60, &["oncall"]))), "1 of ops");
}

fn some_seats() -> impl Strategy<Value = Vec<SeatSpec>> {
    let all = vec![
        group("a", 1),
        group("a", 2),
        group("b", 1),
        SeatSpec::Any { any: vec!["a".to_owned(), "b".to_owned()], person: None, count: 1 },
        person(),
    ];
    prop::sample::subsequence(all, 0..=3).prop_map(|seats| {
        let mut merged = Vec::new();
        seats::merge(&mut merged, &seats);
        merged
    })
}

fn some_demand() -> impl Strategy<Value = Requirements> {
    let to = prop::sample::subsequence(vec!["b", "c", "d"], 0..=2);
    (some_seats(), some_seats(), prop::option::of((prop::sample::select(vec![60, 120]), to))).prop_map(|(seats, own, escalated)| {
        let mut demand = escalated.map_or_else(|| plain(&seats), |(after, groups)| route(&seats, after, &groups));
        demand.demand(&own);
        demand
    })
}

proptest! {
    #[test]
    fn whoever_fills_the_seats_of_the_sum_fills_those_of_each_part(
        parts in prop::collection::vec(some_demand(), 1..4),
        people in prop::collection::vec(prop::sample::subsequence(vec!["a", "b", "c", "d"], 1..=2), 1..7),
        age in prop::sample::select(vec![0, 60, 120]),
    ) {
        let candidates: Vec<Candidate> = (0..).zip(people).map(|(number, groups)| Candidate {
            person: PersonId::new([number; 16]),
            email: if number == 0 { "x@example.com".to_owned() } else { format!("{number}@example.com") },
            groups: groups.into_iter().map(str::to_owned).collect(),
        }).collect();
        let mut sum = parts.iter().cloned().reduce(|sum, more| sum.stricter(&more)).unwrap();
        sum.escalate_until(age);
        prop_assume!(seats::fill(&sum.open_seats(), &candidates).is_complete());
        for mut part in parts {
            part.escalate_until(age);
            let filling = seats::fill(&part.open_seats(), &candidates);
            prop_assert_eq!(filling.granted, filling.required);
        }
    }
}

#[test]
fn adding_up_is_the_stricter_at_every_point() {
    let left = Requirements {
        seats: vec![group("a", 1), group("b", 2)],
        require: [Require::Comment].into(),
        reviewer_when: vec!["x".to_owned()],
        destinations: vec![slack("C1")],
        expires_in: 600,
        approval_valid: 900,
        grant_ttl: Some(90),
        edit: Some(vec!["/a".to_owned(), "/b/c".to_owned(), "/only-left".to_owned()]),
        remind_after: Some(300),
        escalate: vec![escalation(400, true)],
    };
    let right = Requirements {
        seats: vec![group("b", 1), group("c", 1)],
        require: [Require::Justification].into(),
        reviewer_when: vec!["x".to_owned(), "y".to_owned()],
        destinations: vec![slack("C2"), slack("C1")],
        expires_in: 3_600,
        approval_valid: 60,
        grant_ttl: Some(30),
        edit: Some(vec!["/a/x".to_owned(), "/b".to_owned(), "/ab".to_owned()]),
        remind_after: Some(120),
        escalate: vec![escalation(400, false), escalation(200, false)],
    };
    let sum = Requirements {
        seats: vec![group("a", 1), group("b", 2), group("c", 1)],
        require: [Require::Justification, Require::Comment].into(),
        reviewer_when: vec!["x".to_owned(), "y".to_owned()],
        destinations: vec![slack("C1"), slack("C2")],
        expires_in: 600,
        approval_valid: 60,
        grant_ttl: Some(30),
        edit: Some(vec!["/a/x".to_owned(), "/b/c".to_owned()]),
        remind_after: Some(120),
        escalate: vec![escalation(400, true), escalation(200, false)],
    };
    assert_eq!(left.stricter(&right), sum);
    assert_eq!(sum.stricter(&right), sum);
    assert_eq!(Requirements::default().stricter(&sum), sum);
}

#[test]
fn edit_left_out_limits_nothing_and_empty_allows_nothing() {
    let with = |edit: Option<&[&str]>| Requirements {
        edit: edit.map(|list| list.iter().map(|&text| text.to_owned()).collect()),
        ..Requirements::default()
    };
    assert_eq!(with(None).stricter(&with(Some(&["/a"]))), with(Some(&["/a"])));
    assert_eq!(with(Some(&["/a"])).stricter(&with(None)), with(Some(&["/a"])));
    assert_eq!(with(Some(&["/a"])).stricter(&with(Some(&[]))), with(Some(&[])));
    assert_eq!(with(Some(&[""])).stricter(&with(Some(&["/a"]))), with(Some(&["/a"])));
    assert_eq!(with(Some(&["/a"])).stricter(&with(Some(&["/ab"]))), with(Some(&[])));
}

#[test]
fn the_json_form_is_read_back_and_closed() {
    let text = r#"{"seats":[{"group":"a","count":1}],"require":["on_behalf_of"],"reviewer_when":[],"destinations":[{"slack":{"channel":"C1"}}],"expires_in":60,"approval_valid":900,"grant_ttl":null,"edit":["/a"]}"#;
    let requirements: Requirements = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&requirements).unwrap(), text);
    assert!(serde_json::from_str::<Requirements>(&text.replace("\"edit\"", "\"edits\"")).is_err());
}

#[test]
fn the_words_of_require_are_those_of_its_json() {
    for (word, require) in Require::ALL {
        assert_eq!(serde_json::to_string(&require).unwrap(), format!("\"{word}\""));
        assert_eq!(require.as_str(), word);
    }
}
