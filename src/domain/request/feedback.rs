//! Owns the sentence that tells a caller's model why it may not go on, and what to do instead.
//!
//! Never empty for a refusal: a model that is told nothing tries again.

use super::{GrantReason, PolicyOutcome, Request, State};
use crate::domain::reviewer::Standing;
use crate::domain::text::one_line;
use crate::domain::time::Timestamp;

const FINAL: &str = "Do not retry unless the request changes.";

/// `Denied by policy (rule no-drop). Do not retry unless the request changes.`
pub(super) fn denied_by_policy(policy: &PolicyOutcome) -> String {
    let rules = match policy.rules.as_slice() {
        [] => "no rule allows it".to_owned(),
        [rule] => format!("rule {rule}"),
        rules => format!("rules {}", rules.join(", ")),
    };
    format!("Denied by policy ({rules}). {FINAL}")
}

/// `Denied by Alice Liu (data-governance): use the staging export. Do not retry unless the request changes.`
pub(super) fn denied_by_person(name: &str, standing: &Standing, option: Option<&str>, comment: Option<&str>) -> String {
    let ground = match standing {
        Standing::Seat(groups) if groups.is_empty() => "reviewer".to_owned(),
        Standing::Seat(groups) => groups.join(", "),
        Standing::Owner => "owner of the client".to_owned(),
        Standing::OnBehalfOf => "the person it is for".to_owned(),
    };
    // One sentence: line breaks of a comment would read as instructions of their own.
    let name = one_line(name);
    let said = said(option, comment).map_or_else(|| "no reason was given".to_owned(), |said| one_line(&said));
    let stop = if said.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("Denied by {name} ({ground}): {said}{stop} {FINAL}")
}

/// What a reviewer said by a denial: the option's title, their words, or both as `Use staging instead: the table is locked`.
pub(in crate::domain) fn said(option: Option<&str>, comment: Option<&str>) -> Option<String> {
    let comment = comment.map(str::trim).filter(|text| !text.is_empty());
    let option = option.map(str::trim).filter(|text| !text.is_empty());
    match (option, comment) {
        (Some(option), Some(comment)) => Some(format!("{}: {comment}", option.trim_end_matches(['.', ':']))),
        (option, comment) => option.or(comment).map(str::to_owned),
    }
}

impl Request {
    /// The sentence for the caller, in every state in which it may not go on; `None` while it may, or must wait.
    #[must_use]
    pub fn feedback(&self, now: Timestamp, void_before: Option<Timestamp>) -> Option<String> {
        match self.state() {
            State::Pending => None,
            State::Denied { feedback, .. } => Some(feedback.clone()),
            State::Expired { at } => Some(format!(
                "Expired at {}: nobody decided in time. The action must not run; ask again if it is still needed.",
                clock_time(*at)
            )),
            State::Cancelled { .. } => Some("Cancelled by the client that asked. The action must not run.".to_owned()),
            State::Approved(approval) => self.grant_reason(now, void_before).map(|reason| match reason {
                GrantReason::Redeemed => "The grant of this approval was already redeemed. Ask again to run the action again.".to_owned(),
                GrantReason::Lapsed => format!(
                    "The approval lapsed unused at {}. The action must not run; ask again if it is still needed.",
                    clock_time(approval.valid_until)
                ),
                GrantReason::Revoked => "The approval was revoked. The action must not run.".to_owned(),
                GrantReason::Frozen => "The client was frozen, so its grants are void. The action must not run.".to_owned(),
            }),
        }
    }
}

fn clock_time(at: Timestamp) -> String {
    // RFC 3339 up to the second: unambiguous for a model that knows no time zone.
    let text = at.to_string();
    text.get(..19).map_or(text.clone(), |seconds| format!("{seconds}Z"))
}
