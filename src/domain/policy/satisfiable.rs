//! Owns finding routes and rules that the people of a directory cannot satisfy, and why.
//!
//! Never proves that one can be: `reviewer_when`, the owner and the person a request is for only show with a request.

use super::{Effect, Policy};
use crate::domain::ids::PersonId;
use crate::domain::seats::{Candidate, SeatSpec, fill};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One person as the directory knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryFacts {
    /// The e-mail address, by which a seat may name them.
    pub email: String,
    /// The id, where one is known already.
    pub id: Option<PersonId>,
    /// Whether they may act at all.
    pub active: bool,
    /// Whether they are a human, and not a service.
    pub human: bool,
    /// Every group they belong to.
    pub groups: BTreeSet<String>,
}

/// Where the seat stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A route, by name.
    Route(String),
    /// A review rule with its route, by id.
    Rule(String),
    /// The escalation of a route, by the route's name.
    Escalation(String),
}

/// A seat that too few people can fill.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unsatisfiable {
    /// The route or rule.
    pub place: Place,
    /// The seat.
    pub seat: SeatSpec,
    /// How many distinct people can fill it while the other seats of the place are filled too.
    pub eligible: u32,
    /// How many it needs.
    pub needed: u32,
    /// Why the others cannot.
    pub why: Vec<String>,
}

impl fmt::Display for Unsatisfiable {
    /// `route security, 2 of sec-leads: 0 of 2 eligible: 1 is inactive, 1 is not human`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Route(name) => write!(f, "route {name}, ")?,
            Place::Rule(id) => write!(f, "rule {id}, ")?,
            Place::Escalation(name) => write!(f, "escalation of route {name}, ")?,
        }
        match &self.seat {
            SeatSpec::Person { person } => write!(f, "{person}: ")?,
            seat => write!(f, "{seat}: ")?,
        }
        write!(f, "{} of {} eligible: {}", self.eligible, self.needed, self.why.join(", "))
    }
}

/// Every seat of every route and review rule that these people cannot fill, one person per seat, and every group of an
/// escalation in which nobody is. A rule is only named where it
/// asks for other seats than every route: what a route lacks is said there.
pub fn unsatisfiable(policy: &Policy, people: &[DirectoryFacts]) -> Vec<Unsatisfiable> {
    let everybody: Vec<Candidate> = people.iter().enumerate().map(|(number, person)| candidate(number, person)).collect();
    let mut found = Vec::new();
    // Many rules share a route, and thereby their seats.
    let mut known = BTreeMap::new();
    for (name, route) in &policy.routes {
        found.extend(short(&Place::Route(name.clone()), &route.seats, people, &everybody));
        known.insert(&route.seats, Vec::new());
        for group in route.escalate.iter().flat_map(|escalation| &escalation.groups) {
            let seat = [SeatSpec::Group { group: group.clone(), count: 1 }];
            found.extend(short(&Place::Escalation(name.clone()), &seat, people, &everybody));
        }
    }
    for rule in policy.rules.iter().filter(|rule| rule.effect == Effect::Review) {
        let place = Place::Rule(rule.id.clone());
        let short = known.entry(&rule.requirements.seats).or_insert_with_key(|seats| short(&place, seats, people, &everybody));
        found.extend(short.iter().map(|one| Unsatisfiable { place: place.clone(), ..one.clone() }));
    }
    found
}

/// People without an id yet get one that only serves to tell them apart here.
fn candidate(number: usize, person: &DirectoryFacts) -> Candidate {
    let stand_in = || PersonId::new(u128::try_from(number).unwrap_or(u128::MAX).to_be_bytes());
    Candidate { person: person.id.clone().unwrap_or_else(stand_in), email: person.email.clone(), groups: person.groups.clone() }
}

fn short(place: &Place, seats: &[SeatSpec], people: &[DirectoryFacts], everybody: &[Candidate]) -> Vec<Unsatisfiable> {
    let may = |number: usize| people[number].active && people[number].human;
    // A quorum of n people needs at most n candidates per seat: with more, an unused one could stand in for any left out.
    let quorum = seats.iter().fold(0_u32, |sum, seat| sum.saturating_add(seat.count()));
    let mut chosen = BTreeSet::new();
    for seat in seats {
        let able = everybody.iter().enumerate().filter(|(number, one)| may(*number) && seat.admits(one)).map(|(number, _)| number);
        chosen.extend(able.take(usize::try_from(quorum).unwrap_or(usize::MAX)));
    }
    let able: Vec<Candidate> = chosen.iter().map(|number| everybody[*number].clone()).collect();
    let filling = fill(seats, &able);
    let mut found = Vec::new();
    for (seat, sitting) in seats.iter().zip(&filling.filled_by) {
        let eligible = u32::try_from(sitting.len()).unwrap_or(u32::MAX);
        if eligible >= seat.count() {
            continue;
        }
        let (mut inactive, mut not_human, mut elsewhere, mut members) = (0, 0, 0, 0);
        for (number, one) in everybody.iter().enumerate().filter(|(_, one)| seat.admits(one)) {
            members += 1;
            match (people[number].active, people[number].human) {
                (false, _) => inactive += 1,
                (true, false) => not_human += 1,
                (true, true) => elsewhere += u32::from(!sitting.contains(&one.person)),
            }
        }
        let mut why = Vec::new();
        let mut say = |count: u32, one: &str, many: &str| match count {
            0 => {}
            1 => why.push(format!("1 {one}")),
            count => why.push(format!("{count} {many}")),
        };
        say(inactive, "is inactive", "are inactive");
        say(not_human, "is not human", "are not human");
        say(elsewhere, "is needed for another seat", "are needed for other seats");
        if members == 0 {
            why.push(nobody(seat));
        } else if why.is_empty() {
            why.push("there are no others".to_owned());
        }
        found.push(Unsatisfiable { place: place.clone(), seat: seat.clone(), eligible, needed: seat.count(), why });
    }
    found
}

fn nobody(seat: &SeatSpec) -> String {
    match seat {
        SeatSpec::Group { group, .. } => format!("nobody is in group {group}"),
        SeatSpec::Any { any, .. } => format!("nobody is in {}", any.join(" or ")),
        SeatSpec::Person { .. } => "the directory does not know this person".to_owned(),
    }
}

#[cfg(test)]
mod tests;
