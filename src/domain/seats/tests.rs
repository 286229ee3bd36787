//! Seats against brute force, and the ways in which rivals count wrongly.

use super::*;
use proptest::prelude::*;

fn group(name: &str, count: u32) -> SeatSpec {
    SeatSpec::Group { group: name.to_owned(), count }
}

fn any(names: &[&str], count: u32) -> SeatSpec {
    SeatSpec::Any { any: names.iter().map(|&name| name.to_owned()).collect(), person: None, count }
}

fn named(person: &str) -> SeatSpec {
    SeatSpec::Person { person: person.to_owned() }
}

fn person(number: u8, groups: &[&str]) -> Candidate {
    Candidate {
        person: PersonId::new([number; 16]),
        email: format!("{}@example.com", ["alice", "bob", "carol", "dave"][usize::from(number) % 4]),
        groups: groups.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[test]
fn one_person_in_both_groups_fills_one_seat() {
    let specs = [group("a", 1), group("b", 1)];
    let filling = fill(&specs, &[person(0, &["a", "b"])]);
    assert_eq!((filling.granted, filling.required, filling.is_complete()), (1, 2, false));
}

#[test]
fn the_same_person_twice_counts_once() {
    let filling = fill(&[group("a", 2)], &[person(0, &["a"]), person(0, &["a"])]);
    assert_eq!(filling.granted, 1);
    assert_eq!(filling.filled_by, [vec![PersonId::new([0; 16])]]);
}

#[test]
fn somebody_moves_over_so_that_both_sit() {
    let specs = [group("a", 1), group("b", 1)];
    let (flexible, only_a) = (person(0, &["a", "b"]), person(1, &["a"]));
    let filling = fill(&specs, &[flexible.clone(), only_a.clone()]);
    assert!(filling.is_complete());
    assert_eq!(filling.filled_by, [vec![only_a.person.clone()], vec![flexible.person.clone()]]);
    assert!(can_fill_open(&specs, &[flexible], &only_a));
}

#[test]
fn more_people_than_seats_is_complete_and_the_earlier_keep_theirs() {
    let filling = fill(&[group("a", 1)], &[person(1, &["a"]), person(0, &["a"])]);
    assert!(filling.is_complete());
    assert_eq!(filling.filled_by, [vec![PersonId::new([1; 16])]]);
}

#[test]
fn no_seat_at_all_is_never_complete() {
    assert!(!fill(&[], &[person(0, &["a"])]).is_complete());
    assert!(!fill(&[group("a", 0)], &[person(0, &["a"])]).is_complete());
    assert!(!can_fill_any(&[], &person(0, &["a"])));
    assert!(!can_fill_any(&[group("a", 0)], &person(0, &["a"])));
}

#[test]
fn a_named_person_is_found_by_address_or_id() {
    let alice = person(0, &[]);
    assert!(named("Alice@Example.com").admits(&alice));
    assert!(named(alice.person.as_str()).admits(&alice));
    assert!(!named("bob@example.com").admits(&alice));
    assert!(fill(&[named("alice@example.com")], &[alice]).is_complete());
}

#[test]
fn a_full_seat_is_not_open_but_still_counts_for_a_denial() {
    let specs = [group("a", 1), any(&["b", "c"], 1)];
    let (first, second) = (person(0, &["a"]), person(1, &["a"]));
    assert!(!can_fill_open(&specs, std::slice::from_ref(&first), &second));
    assert!(can_fill_any(&specs, &second));
    assert!(!can_fill_open(&specs, std::slice::from_ref(&first), &first));
    assert!(can_fill_open(&specs, &[first], &person(2, &["c"])));
}

#[test]
fn merging_takes_the_largest_count_per_place() {
    let mut seats = vec![group("a", 1), any(&["b", "c"], 2), named("alice@example.com")];
    merge(&mut seats, &[any(&["a"], 3), any(&["c", "b"], 1), named("ALICE@example.com"), group("b", 1)]);
    assert_eq!(seats, [group("a", 3), any(&["b", "c"], 2), named("alice@example.com"), group("b", 1)]);
}

#[test]
fn the_json_shapes_are_those_of_the_contract() {
    for (text, seat) in [
        (r#"{"group":"a","count":2}"#, group("a", 2)),
        (r#"{"any":["a","b"],"count":1}"#, any(&["a", "b"], 1)),
        (r#"{"person":"alice@example.com"}"#, named("alice@example.com")),
    ] {
        assert_eq!(serde_json::from_str::<SeatSpec>(text).unwrap(), seat);
        assert_eq!(serde_json::to_string(&seat).unwrap(), text);
    }
    assert_eq!(serde_json::from_str::<SeatSpec>(r#"{"group":"a"}"#).unwrap(), group("a", 1));
    for refused in [r#"{"group":"a","cuont":2}"#, r#"{"group":"a","count":-1}"#, r#"{"group":"a","any":["b"]}"#, "{}"] {
        assert!(serde_json::from_str::<SeatSpec>(refused).is_err(), "{refused}");
    }
}

const GROUPS: [&str; 3] = ["a", "b", "c"];

fn some_groups() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(GROUPS.to_vec(), 0..=3)
}

fn some_spec() -> impl Strategy<Value = SeatSpec> {
    prop_oneof![
        (0..3_usize, 0..3_u32).prop_map(|(index, count)| group(GROUPS[index], count)),
        (some_groups(), 0..3_u32).prop_map(|(names, count)| any(&names, count)),
        (0..4_usize).prop_map(|index| named(["alice@example.com", "bob@example.com", "carol@example.com", "dave@example.com"][index])),
    ]
}

fn some_people() -> impl Strategy<Value = Vec<Candidate>> {
    proptest::collection::vec((0..6_u8, some_groups()), 0..6).prop_map(|people| {
        let mut seen = BTreeSet::new();
        people.into_iter().filter(|(number, _)| seen.insert(*number)).map(|(number, groups)| person(number, &groups)).collect()
    })
}

/// Tries every assignment of people to places.
fn brute(specs: &[SeatSpec], left: &mut Vec<u32>, people: &[Candidate]) -> u32 {
    let Some((first, rest)) = people.split_first() else { return 0 };
    let mut best = brute(specs, left, rest);
    for index in 0..specs.len() {
        if left[index] > 0 && specs[index].admits(first) {
            left[index] -= 1;
            best = best.max(1 + brute(specs, left, rest));
            left[index] += 1;
        }
    }
    best
}

fn best(specs: &[SeatSpec], people: &[Candidate]) -> u32 {
    brute(specs, &mut specs.iter().map(SeatSpec::count).collect(), people)
}

proptest! {
    #[test]
    fn matches_brute_force(specs in proptest::collection::vec(some_spec(), 0..4), people in some_people()) {
        let filling = fill(&specs, &people);
        prop_assert_eq!(filling.granted, best(&specs, &people));
        prop_assert_eq!(filling.required, specs.iter().map(SeatSpec::count).sum::<u32>());
        let mut seated = BTreeSet::new();
        for (spec, sitting) in specs.iter().zip(&filling.filled_by) {
            prop_assert!(sitting.len() <= spec.count() as usize);
            for id in sitting {
                prop_assert!(seated.insert(id.clone()), "one person, two seats");
                prop_assert!(spec.admits(people.iter().find(|candidate| candidate.person == *id).unwrap()));
            }
        }
        prop_assert_eq!(&filling, &fill(&specs, &people));
    }

    #[test]
    fn an_open_seat_is_one_that_raises_the_count(specs in proptest::collection::vec(some_spec(), 0..4), people in some_people()) {
        if let Some((last, already)) = people.split_last() {
            prop_assert_eq!(can_fill_open(&specs, already, last), best(&specs, &people) > best(&specs, already));
        }
    }
}
