//! Owns the choice of what a Slack card or dialog tells of a `Card`, and how much of it: every foreign text is cleaned and
//! cut here, visibly, before a template sees it.
//!
//! Never lays anything out and holds no markup: labels and order are the templates'. What decides (action, target,
//! environment, the rest of the resource, parameters) is complete, or `complete` is false and the one-tap Approve gives way to Details.

use crate::chat::slack::metadata::Reference;
use crate::domain::card::{Card, GrantLine, Phase, ReviewLine, SeatLine};
use crate::domain::edit::Change;
use crate::domain::notice::Notice;
use crate::domain::request::{Decision, OutcomeStatus};
use crate::domain::text::{clean, cut, cut_lines, is_invisible, one_line};
use crate::domain::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;

/// Room for the foreign texts, in characters and items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) parameters: usize,
    pub(super) parameter_lines: usize,
    pub(super) resource: usize,
    pub(super) resource_lines: usize,
    pub(super) paragraph: usize,
    pub(super) line: usize,
    pub(super) items: usize,
}

/// Cards: the first budget whose card stays within Slack's limits is taken. The parameters shrink last.
pub(super) const CARD: [Budget; 4] = [
    Budget { parameters: 3_000, parameter_lines: 80, resource: 1_000, resource_lines: 30, paragraph: 800, line: 300, items: 10 },
    Budget { parameters: 3_000, parameter_lines: 80, resource: 1_000, resource_lines: 30, paragraph: 240, line: 100, items: 4 },
    Budget { parameters: 1_200, parameter_lines: 40, resource: 300, resource_lines: 15, paragraph: 240, line: 100, items: 4 },
    Budget { parameters: 300, parameter_lines: 20, resource: 100, resource_lines: 8, paragraph: 120, line: 80, items: 2 },
];

/// Dialogs: a modal has more room, and whoever opens one wants everything.
pub(super) const DIALOG: [Budget; 2] = [
    Budget {
        parameters: 120_000,
        parameter_lines: usize::MAX,
        resource: 40_000,
        resource_lines: usize::MAX,
        paragraph: 4_000,
        line: 1_000,
        items: 60,
    },
    Budget { parameters: 0, parameter_lines: 1, resource: 0, resource_lines: 1, paragraph: 1_000, line: 300, items: 20 },
];
/// Longest sentence of a message beside a card.
const SENTENCE: usize = 600;
/// One preformatted element holds this many characters.
const PART: usize = 2_800;

/// What a template sees.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent question that a template asks")]
pub(super) struct Face {
    id: String,
    version: u64,
    about: String,
    short_digest: String,
    word: &'static str,
    phase: &'static str,
    headline: String,
    action: String,
    target: Option<String>,
    environment: Option<String>,
    resource: Vec<String>,
    resource_complete: bool,
    client: String,
    on_behalf_of: Option<String>,
    history: crate::domain::card::History,
    warnings: Vec<String>,
    summary: Option<String>,
    justification: Option<String>,
    data_scope: Option<String>,
    source: Option<String>,
    context: Option<String>,
    links: Vec<String>,
    parameters: Vec<String>,
    /// Everything that the digest covers and a card shows stands on it in full.
    pub(super) complete: bool,
    masked: usize,
    changes: Vec<String>,
    seats: Vec<String>,
    granted: u32,
    required: u32,
    eligible: Option<u32>,
    frozen: bool,
    approve: Approve,
    needs_comment: bool,
    may_edit: bool,
    deny_options: Vec<DenyChoice>,
    comments: Vec<Comment>,
    rules: String,
    expires: Instant,
    decided_by: Option<String>,
    decided: Option<Instant>,
    reason: Option<String>,
    grant: Option<&'static str>,
    grant_at: Option<Instant>,
    outcome: Option<&'static str>,
    outcome_detail: Option<String>,
}

/// How approval is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Approve {
    /// In one tap.
    Now,
    /// The tap opens the Details dialog, whose submit wants a comment.
    Comment,
    /// Only as the submit of the Details dialog.
    Details,
    /// Not here.
    No,
}

#[derive(Debug, Serialize)]
struct DenyChoice {
    name: String,
    title: String,
}

#[derive(Debug, Serialize)]
struct Comment {
    name: String,
    did: &'static str,
    text: String,
}

/// A time for Slack's date macro, which shows it in the reader's zone.
#[derive(Debug, Serialize)]
struct Instant {
    epoch: i64,
    fallback: String,
}

impl Face {
    pub(super) fn of(card: &Card, budget: Budget) -> Self {
        let line = |text: &str| cut(&one_line(text), budget.line);
        let paragraph = |text: &str| cut(&cut_lines(&clean(text), 20), budget.paragraph);
        let parameters = visible(&card.parameters);
        let shown = cut(&cut_lines(&parameters, budget.parameter_lines), budget.parameters);
        let target = card.target.as_deref().map(exact);
        let environment = card.environment.as_deref().map(exact);
        let resource = card.resource.as_deref().map(visible).unwrap_or_default();
        let shown_resource = cut(&cut_lines(&resource, budget.resource_lines), budget.resource);
        let resource_complete = shown_resource == resource;
        let complete = shown == parameters
            && resource_complete
            && target.as_ref().is_none_or(|target| target.chars().count() <= budget.line)
            && environment.as_ref().is_none_or(|environment| environment.chars().count() <= budget.line);
        let (decided_by, decided, reason) = decided(&card.phase);
        let (grant, grant_at) = grant(&card.phase);
        let (outcome, outcome_detail) = outcome(&card.phase);
        Self {
            id: card.request.to_string(),
            version: card.version,
            about: Reference { request: card.request.clone(), digest: card.digest }.to_string(),
            short_digest: card.digest.short(),
            word: card.word(),
            phase: phase(&card.phase),
            headline: headline(card.word(), &card.action, target.as_deref()),
            action: one_line(&card.action),
            target: target.as_deref().map(line),
            environment: environment.as_deref().map(line),
            resource: parts(&shown_resource),
            resource_complete,
            client: named(line(&card.client)),
            on_behalf_of: card.on_behalf_of.as_deref().map(line),
            history: card.history,
            warnings: card.warnings.iter().take(budget.items).map(|text| line(text)).collect(),
            summary: card.summary.as_deref().map(paragraph).filter(|text| !text.is_empty()),
            justification: card.justification.as_deref().map(paragraph).filter(|text| !text.is_empty()),
            data_scope: card.data_scope.as_deref().map(line),
            source: card.source.as_deref().map(line),
            context: card.context.as_deref().map(|text| cut(&visible(text), budget.paragraph)),
            links: list(&card.links, budget.items, |link| format!("{}: {}", line(&link.title), line(&link.url))),
            parameters: parts(&shown),
            complete,
            masked: card.masked,
            changes: changes(&card.changes, budget),
            seats: list(&card.seats, budget.items, |seat| seat_line(seat, budget.line)),
            granted: card.granted,
            required: card.required,
            eligible: card.eligible,
            frozen: card.frozen,
            approve: Approve::No,
            needs_comment: card.needs_comment,
            may_edit: card.is_pending() && card.form.is_some() && !card.frozen,
            deny_options: card
                .deny_options
                .iter()
                .map(|option| DenyChoice { name: option.name.clone(), title: named(cut(&one_line(&option.title), 75)) })
                .collect(),
            comments: comments(&card.reviews, budget.items, &paragraph, &line),
            rules: cut(&one_line(&card.rules.join(", ")), budget.line),
            expires: Instant::at(card.expires_at),
            decided_by: decided_by.map(|names| named(line(&names))),
            decided: decided.map(Instant::at),
            reason: reason.map(paragraph).filter(|text| !text.is_empty()),
            grant,
            grant_at: grant_at.map(Instant::at),
            outcome,
            outcome_detail: outcome_detail.map(paragraph).filter(|text| !text.is_empty()),
        }
    }

    pub(super) fn offering(mut self, approve: Approve) -> Self {
        self.approve = approve;
        self
    }
}

impl Instant {
    fn at(at: Timestamp) -> Self {
        let text = at.to_string();
        // RFC 3339 up to the minute; the zone is said.
        let fallback = text.get(..16).map_or(text.clone(), |minutes| format!("{} UTC", minutes.replace('T', " ")));
        Self { epoch: at.as_seconds(), fallback }
    }
}

/// What the template of a message beside a card sees.
#[derive(Debug, Serialize)]
pub(super) struct NoticeFace<'a> {
    id: &'a str,
    sentence: String,
    short: String,
    said: Option<String>,
    changes: Vec<String>,
    until: Option<Instant>,
    mentions: &'a [String],
    /// The mentions as `text` has them; ids of accounts, which need no escape.
    callout: String,
    more_people: usize,
    card: Option<&'a str>,
}

impl<'a> NoticeFace<'a> {
    pub(super) fn of(notice: &'a Notice) -> Self {
        let budget = CARD[0];
        let callout = notice.mentions.iter().fold(String::new(), |text, account| text + " <@" + account + ">");
        Self {
            id: notice.request.as_str(),
            sentence: named(cut(&one_line(&notice.sentence), SENTENCE)),
            short: named(cut(&one_line(&notice.short), SENTENCE)),
            said: notice.said.as_deref().map(|text| cut(&cut_lines(&clean(text), 20), budget.paragraph)).filter(|text| !text.is_empty()),
            changes: changes(&notice.changes, budget),
            until: notice.until.map(Instant::at),
            mentions: &notice.mentions,
            callout,
            more_people: notice.more_people,
            card: notice.card.as_deref(),
        }
    }
}

/// `Approval needed: db.export on prod/customers (table)`; the target has a line of its own besides.
fn headline(word: &str, action: &str, target: Option<&str>) -> String {
    let short = format!("{word}: {}", one_line(action));
    let long = target.map(|target| format!("{short} on {target}")).filter(|long| long.chars().count() <= 150);
    cut(&long.unwrap_or(short), 150)
}

/// What an edit changes, one line for each place.
pub(super) fn changes(changes: &[Change], budget: Budget) -> Vec<String> {
    let line = |text: &str| cut(&one_line(text), budget.line);
    let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "absent".to_owned(), |value| line(&visible(&value.to_string())));
    list(changes, budget.items, |change| format!("{}: {} → {}", line(&change.pointer), value(&change.before), value(&change.after)))
}

/// The same in pieces that each fit into one element, with the room of a dialog.
pub(super) fn all_changes(every: &[Change]) -> Vec<String> {
    parts(&changes(every, Budget { line: 300, ..DIALOG[0] }).join("\n"))
}

/// Text in which what cannot be seen stands as `\u…` escapes, so that it can; nothing is left out.
fn visible(text: &str) -> String {
    let hidden = |c: char| (c.is_control() && c != '\n') || is_invisible(c) || matches!(c, '\u{2028}' | '\u{2029}');
    let shown = escaped(text, &hidden);
    // What else would be cleaned away are piles of combining marks: then nothing beyond ASCII is shown as it is.
    if clean(&shown) == shown { shown } else { escaped(text, &|c| hidden(c) || !c.is_ascii()) }
}

/// Slack refuses a message with an empty text in it, and a name may consist of nothing that can be seen.
pub(super) fn named(name: String) -> String {
    if name.is_empty() { "(no name)".to_owned() } else { name }
}

/// The same on one line.
pub(super) fn exact(text: &str) -> String {
    one_line(&escaped(&visible(text), &|c| c == '\n'))
}

fn escaped(text: &str, hide: &dyn Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hide(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Pieces of at most `PART` characters, cut after a line where there is one.
fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut length = 0;
    for piece in text.split_inclusive('\n') {
        let size = piece.chars().count();
        if length > 0 && length + size > PART {
            parts.push(std::mem::take(&mut part));
            length = 0;
        }
        if size <= PART {
            part.push_str(piece);
            length += size;
            continue;
        }
        for c in piece.chars() {
            part.push(c);
            length += 1;
            if length == PART {
                parts.push(std::mem::take(&mut part));
                length = 0;
            }
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    // A line break at the end of a preformatted element would show as an empty line.
    parts.iter().map(|part| part.trim_end_matches('\n').to_owned()).filter(|part| !part.is_empty()).collect()
}

fn list<T>(items: &[T], most: usize, tell: impl Fn(&T) -> String) -> Vec<String> {
    let mut told: Vec<String> = items.iter().take(most).map(tell).collect();
    if items.len() > most {
        told.push(format!("… {} more, open Details", items.len() - most));
    }
    told
}

fn seat_line(seat: &SeatLine, room: usize) -> String {
    let label = cut(&one_line(&seat.label), room);
    let filled = u32::try_from(seat.filled_by.len()).unwrap_or(u32::MAX);
    let names = cut(&seat.filled_by.iter().map(|name| one_line(name)).collect::<Vec<_>>().join(", "), room);
    let label = if seat.count == 1 { label } else { format!("{} of {label}", seat.count) };
    match (filled, seat.count.saturating_sub(filled)) {
        (0, _) => format!("{label}: open"),
        (_, 0) => format!("{label}: {names}"),
        (_, open) => format!("{label}: {names}; {open} open"),
    }
}

fn comments(reviews: &[ReviewLine], most: usize, paragraph: &dyn Fn(&str) -> String, line: &dyn Fn(&str) -> String) -> Vec<Comment> {
    let said: Vec<&ReviewLine> = reviews.iter().filter(|review| review.comment.is_some()).collect();
    let recent = said.len().saturating_sub(most);
    said.into_iter()
        .skip(recent)
        .map(|review| Comment {
            name: named(line(&review.name)),
            did: match review.decision {
                Decision::Approve if review.counts => "approved",
                Decision::Approve => "approved earlier",
                Decision::Deny => "denied",
                Decision::Edit => "edited",
                Decision::Comment => "commented",
            },
            text: review.comment.as_deref().map(paragraph).unwrap_or_default(),
        })
        .filter(|comment| !comment.text.is_empty())
        .collect()
}

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Approved { .. } => "approved",
        Phase::Denied { .. } => "denied",
        Phase::Expired { .. } => "expired",
        Phase::Cancelled { .. } => "cancelled",
    }
}

fn decided(phase: &Phase) -> (Option<String>, Option<Timestamp>, Option<&str>) {
    let policy = || "policy".to_owned();
    match phase {
        Phase::Pending => (None, None, None),
        Phase::Approved { by, at, .. } => (Some(if by.is_empty() { policy() } else { by.join(", ") }), Some(*at), None),
        Phase::Denied { by, at, reason } => (Some(by.clone().unwrap_or_else(policy)), Some(*at), reason.as_deref()),
        Phase::Expired { at } => (None, Some(*at), None),
        Phase::Cancelled { at, reason } => (None, Some(*at), reason.as_deref()),
    }
}

fn grant(phase: &Phase) -> (Option<&'static str>, Option<Timestamp>) {
    match phase {
        Phase::Approved { grant, valid_until, .. } => match grant {
            GrantLine::Open => (Some("open"), Some(*valid_until)),
            GrantLine::Redeemed { at } => (Some("redeemed"), Some(*at)),
            GrantLine::Lapsed => (Some("lapsed"), Some(*valid_until)),
            GrantLine::Revoked { .. } => (Some("revoked"), None),
            GrantLine::Frozen => (Some("frozen"), None),
        },
        Phase::Pending | Phase::Denied { .. } | Phase::Expired { .. } | Phase::Cancelled { .. } => (None, None),
    }
}

fn outcome(phase: &Phase) -> (Option<&'static str>, Option<&str>) {
    match phase {
        Phase::Approved { outcome: Some(outcome), .. } => {
            let word = match outcome.status {
                OutcomeStatus::Succeeded => "succeeded",
                OutcomeStatus::Failed => "failed",
            };
            (Some(word), outcome.detail.as_deref())
        }
        Phase::Approved { outcome: None, .. } | Phase::Pending | Phase::Denied { .. } | Phase::Expired { .. } | Phase::Cancelled { .. } => {
            (None, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_in_json_is_written_out() {
        assert_eq!(visible("{\n \"a\": \"x\u{202e}y\u{200b}\u{e0041}\"\n}"), "{\n \"a\": \"x\\u202ey\\u200b\\udb40\\udc41\"\n}");
    }

    #[test]
    fn nothing_of_what_decides_is_left_out() {
        let pile = format!("e{}", "\u{301}".repeat(9));
        assert_eq!(visible(&pile), format!("e{}", "\\u0301".repeat(9)));
        assert_eq!(visible("é ü 表 😀"), "é ü 表 😀");
        assert_eq!(exact("prod/customers\u{200b}\nline"), "prod/customers\\u200b\\u000aline");
    }

    #[test]
    fn parts_lose_nothing_and_are_cut_after_lines() {
        let text = (0..2_000).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n");
        let pieces = parts(&text);
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.chars().count() <= PART));
        assert_eq!(pieces.join("\n"), text);
        let solid = "ü".repeat(PART * 2 + 5);
        assert_eq!(parts(&solid).concat(), solid);
    }

    #[test]
    fn a_seat_tells_who_fills_it_and_what_is_open() {
        let seat = |count, names: &[&str]| SeatLine {
            label: "security".to_owned(),
            count,
            filled_by: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (seat, wanted) in [
            (seat(1, &[]), "security: open"),
            (seat(1, &["Bob"]), "security: Bob"),
            (seat(2, &["Bob"]), "2 of security: Bob; 1 open"),
            (seat(2, &[]), "2 of security: open"),
        ] {
            assert_eq!(seat_line(&seat, 300), wanted);
        }
    }

    #[test]
    fn a_headline_is_never_cut_before_the_action_ends() {
        assert_eq!(headline("Approved", "db.export", Some("prod/customers (table)")), "Approved: db.export on prod/customers (table)");
        assert_eq!(headline("Approval needed", &"a".repeat(128), Some("x")).chars().count(), 145 + 5);
        assert_eq!(headline("Approval needed", &"a".repeat(128), Some("long target")).chars().count(), 145);
    }
}
