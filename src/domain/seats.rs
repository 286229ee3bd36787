//! Owns seats: what a place in the quorum asks for, and which people fill which places.
//!
//! Never decides who may approve at all (that is the directory's and the reviewer's proof); it only counts.
//! One person fills one seat, always, also when they belong to every group that is asked for: people are matched
//! to seats (maximum bipartite matching), and counts are compared with `>=`.

use crate::domain::ids::PersonId;
use std::collections::BTreeSet;
use std::fmt;

/// A place, or several equal places, in the quorum.
///
/// In JSON and TOML: `{"group": "security", "count": 2}`, `{"any": ["a", "b"], "count": 1}` or `{"person": "alice@example.com"}`.
/// A `count` that is left out is 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum SeatSpec {
    /// `count` distinct members of one group.
    Group {
        /// The group's name as the directory knows it.
        group: String,
        /// How many seats.
        #[serde(default = "one")]
        count: u32,
    },
    /// `count` distinct people, each a member of at least one of the groups, or the named person.
    Any {
        /// The groups' names.
        any: Vec<String>,
        /// The person whose seat this was before an escalation opened it; no policy can write that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<String>,
        /// How many seats.
        #[serde(default = "one")]
        count: u32,
    },
    /// One named person: an e-mail address or a `per_…` id.
    Person {
        /// The e-mail address (compared without regard to ASCII case) or the person id.
        person: String,
    },
}

fn one() -> u32 {
    1
}

impl SeatSpec {
    /// How many people this asks for.
    pub fn count(&self) -> u32 {
        match self {
            Self::Group { count, .. } | Self::Any { count, .. } => *count,
            Self::Person { .. } => 1,
        }
    }

    /// Whether this person could sit here, other people and other seats aside.
    pub fn admits(&self, candidate: &Candidate) -> bool {
        match self {
            Self::Group { group, .. } => candidate.groups.contains(group),
            Self::Any { any, person, .. } => {
                any.iter().any(|group| candidate.groups.contains(group))
                    || person.as_ref().is_some_and(|person| candidate.is_named_by(person))
            }
            Self::Person { person } => candidate.is_named_by(person),
        }
    }

    /// Whether both ask for the same kind of person, whatever the count.
    pub fn same_place(&self, other: &Self) -> bool {
        match (self.groups(), other.groups()) {
            (Some(mine), Some(theirs)) => mine == theirs,
            (None, None) => match (self, other) {
                (Self::Person { person: mine }, Self::Person { person: theirs }) => mine.eq_ignore_ascii_case(theirs),
                _ => false,
            },
            _ => false,
        }
    }

    fn groups(&self) -> Option<BTreeSet<&str>> {
        match self {
            Self::Group { group, .. } => Some(BTreeSet::from([group.as_str()])),
            Self::Any { any, .. } => Some(any.iter().map(String::as_str).collect()),
            Self::Person { .. } => None,
        }
    }

    /// The same seat, which the people of these groups can fill as well.
    #[must_use]
    pub fn open_to(&self, groups: &BTreeSet<String>) -> Self {
        let (mut any, person, count) = match self {
            Self::Group { group, count } => (vec![group.clone()], None, *count),
            Self::Any { any, person, count } => (any.clone(), person.clone(), *count),
            Self::Person { person } => (Vec::new(), Some(person.clone()), 1),
        };
        let before = any.len();
        for group in groups {
            if !any.contains(group) {
                any.push(group.clone());
            }
        }
        if any.len() == before { self.clone() } else { Self::Any { any, person, count } }
    }

    /// The seat with so many places fewer; `None` when none is left.
    pub fn less(&self, filled: u32) -> Option<Self> {
        let left = self.count().checked_sub(filled).filter(|left| *left > 0)?;
        let mut seat = self.clone();
        seat.set_count(left);
        Some(seat)
    }

    fn set_count(&mut self, wanted: u32) {
        match self {
            Self::Group { count, .. } | Self::Any { count, .. } => *count = wanted,
            Self::Person { .. } => {}
        }
    }
}

impl fmt::Display for SeatSpec {
    /// `2 of security`, `1 of a or b`, `one named person`: never a person's address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group { group, count } => write!(f, "{count} of {group}"),
            Self::Any { any, person: None, count } => write!(f, "{count} of {}", any.join(" or ")),
            Self::Any { any, person: Some(_), count } => write!(f, "{count} of one named person or {}", any.join(" or ")),
            Self::Person { .. } => f.write_str("one named person"),
        }
    }
}

/// Adds the seats of `more` to `seats`: the same place is asked for once, with the larger count.
pub fn merge(seats: &mut Vec<SeatSpec>, more: &[SeatSpec]) {
    for spec in more {
        match seats.iter_mut().find(|seat| seat.same_place(spec)) {
            Some(seat) => seat.set_count(seat.count().max(spec.count())),
            None => seats.push(spec.clone()),
        }
    }
}

/// A person who would fill a seat, as the directory knows them at this moment.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Candidate {
    /// The person.
    pub person: PersonId,
    /// Their e-mail address.
    pub email: String,
    /// Every group they belong to.
    pub groups: BTreeSet<String>,
}

impl Candidate {
    /// Whether a text of a policy (`per_…` or an e-mail address) names this person.
    fn is_named_by(&self, text: &str) -> bool {
        self.person.as_str() == text || self.email.eq_ignore_ascii_case(text)
    }
}

/// Who fills which seats.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Filling {
    /// One entry per seat specification, in its order; the people in the order they were given.
    pub filled_by: Vec<Vec<PersonId>>,
    /// How many seats are filled.
    pub granted: u32,
    /// How many seats there are.
    pub required: u32,
}

impl Filling {
    /// Whether every seat is filled. A quorum of nobody is never complete.
    pub fn is_complete(&self) -> bool {
        self.required > 0 && self.granted >= self.required
    }
}

/// Fills as many seats as these people can fill, one seat each.
///
/// The same input gives the same answer; whoever comes earlier in `candidates` keeps a seat before whoever comes later.
/// A person who is listed twice counts once.
pub fn fill(specs: &[SeatSpec], candidates: &[Candidate]) -> Filling {
    let seat_of = Matching::of(specs, candidates).seat_of;
    let mut filled_by = vec![Vec::new(); specs.len()];
    let mut granted = 0_u32;
    for (candidate, seat) in candidates.iter().zip(seat_of) {
        if let Some(seat) = seat {
            filled_by[seat].push(candidate.person.clone());
            granted = granted.saturating_add(1);
        }
    }
    let required = specs.iter().fold(0_u32, |sum, spec| sum.saturating_add(spec.count()));
    Filling { filled_by, granted, required }
}

/// Whether this person could sit on any of the seats, whoever else sits there. This is what makes a denial count.
pub fn can_fill_any(specs: &[SeatSpec], candidate: &Candidate) -> bool {
    specs.iter().any(|spec| spec.count() > 0 && spec.admits(candidate))
}

/// Whether this person adds to what `already` fill: false when they are one of them, or when no open seat suits them
/// even after the others move over.
pub fn can_fill_open(specs: &[SeatSpec], already: &[Candidate], candidate: &Candidate) -> bool {
    if already.iter().any(|other| other.person == candidate.person) {
        return false;
    }
    let mut everybody = already.to_vec();
    everybody.push(candidate.clone());
    Matching::of(specs, &everybody).size() > Matching::of(specs, already).size()
}

/// Kuhn's augmenting paths: people on one side, seat specifications with a capacity on the other.
struct Matching<'a> {
    specs: &'a [SeatSpec],
    candidates: &'a [Candidate],
    /// The specification whose seat each candidate fills.
    seat_of: Vec<Option<usize>>,
}

impl<'a> Matching<'a> {
    fn of(specs: &'a [SeatSpec], candidates: &'a [Candidate]) -> Self {
        let mut matching = Self { specs, candidates, seat_of: vec![None; candidates.len()] };
        let mut seen = BTreeSet::new();
        for (index, candidate) in candidates.iter().enumerate() {
            if seen.insert(&candidate.person) {
                matching.seat(index, &mut vec![false; specs.len()]);
            }
        }
        matching
    }

    fn size(&self) -> usize {
        self.seat_of.iter().flatten().count()
    }

    /// Finds a seat for the candidate, moving others over where that helps. Recurses at most once per specification.
    fn seat(&mut self, candidate: usize, tried: &mut [bool]) -> bool {
        for spec in 0..self.specs.len() {
            if tried[spec] || !self.specs[spec].admits(&self.candidates[candidate]) {
                continue;
            }
            tried[spec] = true;
            let sitting: Vec<usize> = (0..self.seat_of.len()).filter(|other| self.seat_of[*other] == Some(spec)).collect();
            let capacity = usize::try_from(self.specs[spec].count()).unwrap_or(usize::MAX);
            let free = sitting.len() < capacity || sitting.into_iter().any(|other| self.seat(other, tried));
            if free {
                self.seat_of[candidate] = Some(spec);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
