//! Owns what a review asks for: seats, what must be said, where to ask, how long, and how two such demands add up.
//!
//! Never loosens anything: adding up takes the stricter of the two at every point. The JSON form is stored with the request.

use crate::domain::seats::{self, Candidate, SeatSpec};
use std::collections::BTreeSet;
use std::fmt;

/// Pending that long, then expired, when no route says otherwise (seconds).
pub const DEFAULT_EXPIRES_IN: u64 = 3_600;
/// Approved but unused that long, then lapsed, when no route says otherwise (seconds).
pub const DEFAULT_APPROVAL_VALID: u64 = 900;

/// Something that must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// The caller's reason.
    Justification,
    /// The caller's resource.
    Resource,
    /// The person the caller acts for.
    OnBehalfOf,
    /// The approver's comment.
    Comment,
}

impl Require {
    /// All of them, by the word used in the file.
    pub const ALL: [(&'static str, Self); 4] = [
        ("justification", Self::Justification),
        ("resource", Self::Resource),
        ("on_behalf_of", Self::OnBehalfOf),
        ("comment", Self::Comment),
    ];

    /// The word used in the file and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Justification => "justification",
            Self::Resource => "resource",
            Self::OnBehalfOf => "on_behalf_of",
            Self::Comment => "comment",
        }
    }
}

/// Where a card is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Destination {
    /// A Slack conversation: `{"slack": {"channel": "C0123"}}`.
    Slack {
        /// A channel id; a user id sends a direct message.
        channel: String,
    },
}

impl fmt::Display for Destination {
    /// `slack:C0123`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform(), self.channel())
    }
}

impl Destination {
    /// The chat platform.
    #[must_use]
    pub fn platform(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
        }
    }

    /// The conversation there.
    #[must_use]
    pub fn channel(&self) -> &str {
        match self {
            Self::Slack { channel } => channel,
        }
    }
}

/// What happens when nobody decided for a while: more people see the request, and more may fill its open seats.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Seconds after the request was made.
    pub after: u64,
    /// Who gets the card from then on.
    pub destinations: Vec<Destination>,
    /// Groups whose people may fill open seats from then on.
    pub groups: Vec<String>,
    /// The seats that are its to open: those of its own route which nothing else demands. A document without them opens none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seats: Vec<SeatSpec>,
    /// It has happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
}

impl Escalation {
    /// Whether both say the same, happened or not: at the same time, to the same channels and groups.
    fn is_same(&self, other: &Self) -> bool {
        self.after == other.after && self.destinations == other.destinations && self.groups == other.groups
    }

    /// Whether it opens any seat to anybody.
    pub(super) fn opens(&self) -> bool {
        !self.groups.is_empty() && !self.seats.is_empty()
    }

    /// Whether this seat is its to open.
    fn holds(&self, seat: &SeatSpec) -> bool {
        self.seats.iter().any(|held| held.same_place(seat))
    }
}

/// Everything that one request needs in order to be approved.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// The quorum as policy asks for it. With no seat at all a request is never approved. Who may fill it now: [`Self::open_seats`].
    pub seats: Vec<SeatSpec>,
    /// What the caller and the approvers must give.
    pub require: BTreeSet<Require>,
    /// CEL expressions, all of which must hold for an approver.
    pub reviewer_when: Vec<String>,
    /// Who gets the card, in the order of the file.
    pub destinations: Vec<Destination>,
    /// Pending that many seconds, then expired. The caller may ask for less.
    pub expires_in: u64,
    /// Approved but unused that many seconds, then lapsed.
    pub approval_valid: u64,
    /// A grant lives at most that many seconds; the configuration's `[grants] ttl` and the caller may ask for less.
    pub grant_ttl: Option<u64>,
    /// JSON pointers into `parameters` that a reviewer may change at most; absent: as the caller's `edit_schema` says; empty: nothing.
    pub edit: Option<Vec<String>>,
    /// The people of open seats are reminded after that many seconds; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_after: Option<u64>,
    /// What happens when nobody decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalate: Vec<Escalation>,
}

impl Default for Requirements {
    /// Nobody is asked and nothing is limited beyond the defaults.
    fn default() -> Self {
        Self {
            seats: Vec::new(),
            require: BTreeSet::new(),
            reviewer_when: Vec::new(),
            destinations: Vec::new(),
            expires_in: DEFAULT_EXPIRES_IN,
            approval_valid: DEFAULT_APPROVAL_VALID,
            grant_ttl: None,
            edit: None,
            remind_after: None,
            escalate: Vec::new(),
        }
    }
}

impl Requirements {
    /// What satisfies both: seats by the largest count per place, everything demanded by either, the shortest times, the edits both
    /// allow; the earliest reminder and every escalation, which no longer opens what either demands without it.
    #[must_use]
    pub fn stricter(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        let closed: Vec<SeatSpec> = self.closed_seats().chain(other.closed_seats()).cloned().collect();
        seats::merge(&mut sum.seats, &other.seats);
        sum.require.extend(&other.require);
        extend_once(&mut sum.reviewer_when, &other.reviewer_when);
        extend_once(&mut sum.destinations, &other.destinations);
        sum.expires_in = sum.expires_in.min(other.expires_in);
        sum.approval_valid = sum.approval_valid.min(other.approval_valid);
        sum.limit(other.grant_ttl, other.edit.as_deref());
        sum.remind_after = sum.remind_after.into_iter().chain(other.remind_after).min();
        for escalation in &other.escalate {
            match sum.escalate.iter_mut().find(|known| known.is_same(escalation)) {
                Some(known) => {
                    known.done |= escalation.done;
                    seats::merge(&mut known.seats, &escalation.seats);
                }
                None => sum.escalate.push(escalation.clone()),
            }
        }
        sum.close(&closed);
        sum
    }

    /// Asks for these seats as well, which no escalation opens.
    pub(super) fn demand(&mut self, more: &[SeatSpec]) {
        seats::merge(&mut self.seats, more);
        self.close(more);
    }

    /// Takes these seats from every escalation.
    fn close(&mut self, closed: &[SeatSpec]) {
        for escalation in &mut self.escalate {
            escalation.seats.retain(|held| !closed.iter().any(|seat| seat.same_place(held)));
        }
    }

    /// The seats that no escalation will ever open.
    fn closed_seats(&self) -> impl Iterator<Item = &SeatSpec> {
        self.seats.iter().filter(|seat| !self.escalate.iter().any(|escalation| escalation.holds(seat)))
    }

    /// The quorum with everybody who may fill it now: an escalation that happened opened the seats it holds to its groups. It adds no seat and lowers no count.
    #[must_use]
    pub fn open_seats(&self) -> Vec<SeatSpec> {
        self.seats.iter().map(|seat| seat.open_to(&self.opened_to(seat))).collect()
    }

    /// The groups to which a seat is open now: those of every escalation that holds it. Of two routes that ask for it, each must agree.
    fn opened_to(&self, seat: &SeatSpec) -> BTreeSet<String> {
        let holding = self.escalate.iter().filter(|escalation| escalation.holds(seat));
        let groups = holding.map(|escalation| escalation.groups.iter().filter(|_| escalation.done).cloned().collect());
        groups.reduce(|all: BTreeSet<String>, more| &all & &more).unwrap_or_default()
    }

    /// The groups to which escalations that happened opened any seat, each once.
    #[must_use]
    pub fn escalated_to(&self) -> Vec<String> {
        let opened: BTreeSet<String> = self.seats.iter().flat_map(|seat| self.opened_to(seat)).collect();
        let mut groups = Vec::new();
        for escalation in self.escalate.iter().filter(|escalation| escalation.done) {
            extend_once(&mut groups, &escalation.groups);
        }
        groups.retain(|group| opened.contains(group));
        groups
    }

    /// When the next escalation is due, in seconds after the request was made.
    #[must_use]
    pub fn next_escalation(&self) -> Option<u64> {
        self.escalate.iter().filter(|escalation| !escalation.done).map(|escalation| escalation.after).min()
    }

    /// Marks every escalation up to that age as happened, and gives those that had not before.
    pub(in crate::domain) fn escalate_until(&mut self, age: u64) -> Vec<Escalation> {
        let due = self.escalate.iter_mut().filter(|escalation| !escalation.done && escalation.after <= age);
        due.map(|escalation| {
            escalation.done = true;
            escalation.clone()
        })
        .collect()
    }

    /// The approver must write a comment.
    pub fn needs_comment(&self) -> bool {
        self.require.contains(&Require::Comment)
    }

    /// The groups that any seat names.
    pub fn seat_groups(&self) -> BTreeSet<String> {
        self.open_seats()
            .into_iter()
            .flat_map(|seat| match seat {
                SeatSpec::Group { group, .. } => vec![group],
                SeatSpec::Any { any, .. } => any,
                SeatSpec::Person { .. } => Vec::new(),
            })
            .collect()
    }

    /// The seats in words: `1 of data-governance and 2 of security`.
    pub fn describe_seats(&self) -> String {
        join_words(self.open_seats().iter().map(ToString::to_string))
    }

    /// The seats that `seated` leave open, in words.
    pub fn describe_open_seats(&self, seated: &[Candidate]) -> String {
        let specs = self.open_seats();
        let filling = seats::fill(&specs, seated);
        let open =
            specs.iter().zip(&filling.filled_by).filter_map(|(seat, filled)| seat.less(u32::try_from(filled.len()).unwrap_or(u32::MAX)));
        join_words(open.map(|seat| seat.to_string()))
    }

    /// Tightens what the grant and an edit may be.
    pub(super) fn limit(&mut self, grant_ttl: Option<u64>, edit: Option<&[String]>) {
        self.grant_ttl = match (self.grant_ttl, grant_ttl) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.edit = match (self.edit.take(), edit) {
            (Some(mine), Some(theirs)) => Some(intersect(&mine, theirs)),
            (mine, theirs) => mine.or_else(|| theirs.map(<[String]>::to_vec)),
        };
    }
}

fn join_words(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "nobody".to_owned() } else { words.join(" and ") }
}

fn extend_once<T: Clone + PartialEq>(list: &mut Vec<T>, more: &[T]) {
    for item in more {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
}

/// The places that lie under a pointer of each list.
fn intersect(left: &[String], right: &[String]) -> Vec<String> {
    let mut both = Vec::new();
    for mine in left {
        for theirs in right {
            if is_within(theirs, mine) {
                extend_once(&mut both, std::slice::from_ref(theirs));
            } else if is_within(mine, theirs) {
                extend_once(&mut both, std::slice::from_ref(mine));
            }
        }
    }
    both
}

/// Whether `pointer` is `place` or lies below it.
fn is_within(pointer: &str, place: &str) -> bool {
    pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
