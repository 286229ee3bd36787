//! Routes and rules that these people cannot satisfy, and the words for it.

use super::*;

fn person(name: &str, groups: &[&str]) -> DirectoryFacts {
    DirectoryFacts {
        email: format!("{name}@example.com"),
        id: None,
        active: true,
        human: true,
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
    }
}

fn inactive(name: &str, groups: &[&str]) -> DirectoryFacts {
    DirectoryFacts { active: false, ..person(name, groups) }
}

fn robot(name: &str, groups: &[&str]) -> DirectoryFacts {
    DirectoryFacts { human: false, ..person(name, groups) }
}

fn found(seats: &str, people: &[DirectoryFacts]) -> Vec<String> {
    let policy = Policy::parse(&format!("default_route = \"a\"\n[routes.a]\nseats = [{seats}]\n")).unwrap();
    unsatisfiable(&policy, people).iter().map(ToString::to_string).collect()
}

#[test]
fn says_how_many_can_and_why_the_others_cannot() {
    let two = "{ group = \"sec\", count = 2 }";
    assert_eq!(
        found(two, &[inactive("alice", &["sec"]), robot("bob", &["sec"]), person("carol", &["dev"])]),
        ["route a, 2 of sec: 0 of 2 eligible: 1 is inactive, 1 is not human",]
    );
    assert_eq!(
        found(two, &[person("alice", &["sec"]), inactive("bob", &["sec"]), inactive("dave", &["sec"])]),
        ["route a, 2 of sec: 1 of 2 eligible: 2 are inactive",]
    );
    assert_eq!(found(two, &[person("alice", &["sec"])]), ["route a, 2 of sec: 1 of 2 eligible: there are no others"]);
    assert_eq!(found(two, &[]), ["route a, 2 of sec: 0 of 2 eligible: nobody is in group sec"]);
    assert_eq!(found(two, &[person("alice", &["sec"]), person("bob", &["sec"])]), [""; 0]);
}

#[test]
fn one_person_does_not_fill_two_seats() {
    let both = "{ group = \"a\" }, { group = \"b\" }";
    assert_eq!(found(both, &[person("alice", &["a", "b"])]), ["route a, 1 of b: 0 of 1 eligible: 1 is needed for another seat"]);
    assert_eq!(found(both, &[person("alice", &["a", "b"]), person("bob", &["a"])]), [""; 0]);
    assert_eq!(found(both, &[inactive("alice", &["a", "b"]), person("bob", &["a"])]), ["route a, 1 of b: 0 of 1 eligible: 1 is inactive"]);
}

#[test]
fn named_people_and_several_groups() {
    assert_eq!(
        found("{ person = \"alice@example.com\" }", &[inactive("alice", &[])]),
        ["route a, alice@example.com: 0 of 1 eligible: 1 is inactive",]
    );
    assert_eq!(
        found("{ person = \"alice@example.com\" }", &[person("bob", &[])]),
        ["route a, alice@example.com: 0 of 1 eligible: the directory does not know this person",]
    );
    assert_eq!(
        found("{ any = [\"x\", \"y\"], count = 2 }", &[person("alice", &["x"])]),
        ["route a, 2 of x or y: 1 of 2 eligible: there are no others",]
    );
    assert_eq!(found("{ any = [\"x\", \"y\"] }", &[]), ["route a, 1 of x or y: 0 of 1 eligible: nobody is in x or y"]);
}

#[test]
fn a_rule_is_named_for_the_seats_it_adds() {
    let text = r#"
default_route = "a"
[routes.a]
seats = [{ group = "sec" }]
[[rule]]
id = "same"
effect = "review"
[[rule]]
id = "more"
effect = "review"
seats = [{ group = "data", count = 2 }]
[[rule]]
id = "as-many"
effect = "review"
seats = [{ group = "data", count = 2 }]
[[rule]]
id = "denies"
effect = "deny"
match.action = "x"
"#;
    let policy = Policy::parse(text).unwrap();
    let of = |people: &[DirectoryFacts]| unsatisfiable(&policy, people).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        of(&[person("alice", &["sec", "data"]), person("bob", &["data"])]),
        [
            "rule more, 2 of data: 1 of 2 eligible: 1 is needed for another seat",
            "rule as-many, 2 of data: 1 of 2 eligible: 1 is needed for another seat",
        ]
    );
    assert_eq!(
        of(&[person("alice", &["data"]), person("bob", &["data"])]),
        [
            "route a, 1 of sec: 0 of 1 eligible: nobody is in group sec",
            "rule more, 1 of sec: 0 of 1 eligible: nobody is in group sec",
            "rule as-many, 1 of sec: 0 of 1 eligible: nobody is in group sec",
        ]
    );
}

#[test]
fn thousands_of_people_are_no_burden() {
    let people: Vec<_> = (0..20_000).map(|number| person(&format!("p{number}"), &["sec", "data"])).collect();
    assert_eq!(found("{ group = \"sec\", count = 20 }, { group = \"data\", count = 20 }", &people), [""; 0]);
}
