//! Owns the card: the facts of a request that a reviewer sees, in the order in which they are needed at a glance.
//!
//! Never holds markup, and never an unmasked secret: masking happens here, before any platform sees a text.
//! What a platform can show of it, and how, is the platform's business.

use crate::domain::ask::{Allowed, DenyOption, Link};
use crate::domain::digest::Digest;
use crate::domain::edit::{self, Change, form::Form};
use crate::domain::ids::{RequestId, ReviewId};
use crate::domain::mask;
use crate::domain::request::{DecidedBy, Decision, Grant, GrantReason, OutcomeStatus, Request, Review, State, said};
use crate::domain::seats::SeatSpec;
use crate::domain::text;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the store and the directory add to the request itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Decisions on earlier requests of this client for this action, last 24 hours.
    pub history: History,
    /// How many people can fill a seat; `None` until counted.
    pub eligible: Option<u32>,
    /// When the client's grants were last killed by a freeze.
    pub void_before: Option<Timestamp>,
    /// The client is frozen now.
    pub frozen: bool,
}

/// Recent decisions about a client and an action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// Approved.
    pub approved: u64,
    /// Denied.
    pub denied: u64,
    /// Expired.
    pub expired: u64,
}

/// Everything a card tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    /// The request.
    pub request: RequestId,
    /// Whole digest of the parameters on this card.
    pub digest: Digest,
    /// Version of the request that this card shows.
    pub version: u64,
    /// Where it stands.
    pub phase: Phase,
    /// What will happen.
    pub action: String,
    /// To what: `prod/customers (table)`.
    pub target: Option<String>,
    /// Where.
    pub environment: Option<String>,
    /// What else the caller said of the target, as masked JSON: the digest covers it, so it is shown; `None` when nothing.
    pub resource: Option<String>,
    /// The client that asks.
    pub client: String,
    /// The person it is for.
    pub on_behalf_of: Option<String>,
    /// Where the command comes from (`context.source`).
    pub source: Option<String>,
    /// What data is touched (`context.data_scope`).
    pub data_scope: Option<String>,
    /// The rest of `context`, as masked JSON; `None` when empty.
    pub context: Option<String>,
    /// What happened to its earlier requests.
    pub history: History,
    /// The caller's one line.
    pub summary: Option<String>,
    /// The caller's reason; a claim.
    pub justification: Option<String>,
    /// Links, shown as text.
    pub links: Vec<Link>,
    /// The exact parameters, masked, as indented JSON.
    pub parameters: String,
    /// Values hidden on this card.
    pub masked: usize,
    /// What an edit changed, masked.
    pub changes: Vec<Change>,
    /// The seats.
    pub seats: Vec<SeatLine>,
    /// Those that nobody fills, in words: `1 of security`.
    pub open_seats: String,
    /// Groups that may fill open seats since an escalation.
    pub escalated_to: Vec<String>,
    /// Approvals counted and needed.
    pub granted: u32,
    /// Approvals needed.
    pub required: u32,
    /// How many people can decide.
    pub eligible: Option<u32>,
    /// The client is frozen: only a denial is possible.
    pub frozen: bool,
    /// When it was asked.
    pub created_at: Timestamp,
    /// When it stops being answerable.
    pub expires_at: Timestamp,
    /// Rules that asked for people.
    pub rules: Vec<String>,
    /// What reviewers said.
    pub reviews: Vec<ReviewLine>,
    /// Approve is offered by the caller.
    pub may_approve: bool,
    /// The approver must write a comment.
    pub needs_comment: bool,
    /// What a reviewer may change; `None` when nothing, or nothing any more.
    pub form: Option<Form>,
    /// The caller's ready reasons to deny.
    pub deny_options: Vec<DenyOption>,
    /// Hints about the texts: hidden characters, mixed alphabets.
    pub warnings: Vec<&'static str>,
}

/// A card that stands in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Conversation, as the platform named it in its answer (a direct message has an id of its own).
    pub channel: String,
    /// The message in it.
    pub ts: String,
    /// Web address of the message, where the platform tells.
    pub permalink: Option<String>,
    /// SHA-256 of the rendered bytes, 64 lower hex characters, for the log.
    pub rendered_hash: String,
}

/// Where a request stands, in the words of a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// People are asked.
    Pending,
    /// Approved.
    Approved {
        /// Names; empty when policy decided.
        by: Vec<String>,
        /// When.
        at: Timestamp,
        /// Until when the grant is good.
        valid_until: Timestamp,
        /// What became of the grant.
        grant: GrantLine,
        /// What the caller reported.
        outcome: Option<OutcomeLine>,
    },
    /// Denied.
    Denied {
        /// Name; `None` when policy decided.
        by: Option<String>,
        /// When.
        at: Timestamp,
        /// Why.
        reason: Option<String>,
    },
    /// Nobody decided in time.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The caller took it back.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Why.
        reason: Option<String>,
    },
}

/// What became of an approval's grant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "grant", rename_all = "snake_case")]
pub enum GrantLine {
    /// Can still be used.
    Open,
    /// Used.
    Redeemed {
        /// When.
        at: Timestamp,
    },
    /// Not used in time.
    Lapsed,
    /// Taken back.
    Revoked {
        /// Why, masked.
        reason: Option<String>,
    },
    /// Killed by a freeze.
    Frozen,
}

/// What the caller reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeLine {
    /// Succeeded or failed.
    pub status: OutcomeStatus,
    /// The caller's words, masked.
    pub detail: Option<String>,
}

/// A seat and who fills it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeatLine {
    /// Who may: `data-governance`, `dba or security`, `alice@example.com`.
    pub label: String,
    /// How many.
    pub count: u32,
    /// Names.
    pub filled_by: Vec<String>,
}

/// A review, as told on the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReviewLine {
    /// Its id.
    pub id: ReviewId,
    /// Name.
    pub name: String,
    /// The seat that it fills now.
    pub seat: Option<String>,
    /// What they chose.
    pub decision: Decision,
    /// Their words, masked.
    pub comment: Option<String>,
    /// It still counts.
    pub counts: bool,
    /// When.
    pub at: Timestamp,
}

impl Card {
    /// The card of a request as it stands at `now`.
    #[must_use]
    pub fn of(request: &Request, around: &Surroundings, now: Timestamp) -> Self {
        let asked = request.asked();
        let ask = &asked.ask;
        let shown = request.masked(request.parameters());
        let mut masking = Masking { count: shown.count };
        let changes =
            request.final_parameters().map_or_else(Vec::new, |_| edit::diff(&request.masked(&ask.parameters).value, &shown.value));
        let mut context = ask.context.clone().unwrap_or_default();
        let source = masking.member(&mut context, "source");
        let data_scope = masking.member(&mut context, "data_scope");
        let context = (!context.is_empty()).then(|| pretty(&masking.object(&context)));
        let resource = masking.rest(ask.resource.as_ref());
        let filling = request.filling();
        let name_of = |person: &crate::domain::ids::PersonId| {
            request
                .reviews()
                .iter()
                .rev()
                .find(|review| review.person() == person)
                .map_or_else(|| person.to_string(), |review| review.name.clone())
        };
        let specs = request.requirements().open_seats();
        let seat_of = |review: &Review| {
            let seat = specs.iter().zip(&filling.filled_by).find(|(_, filled)| review.counts && filled.contains(review.person()));
            seat.map(|(seat, _)| seat_label(seat))
        };
        let seats = specs
            .iter()
            .zip(&filling.filled_by)
            .map(|(seat, filled)| SeatLine {
                label: seat_label(seat),
                count: seat.count(),
                filled_by: filled.iter().map(name_of).collect(),
            })
            .collect();
        let reviews = request
            .reviews()
            .iter()
            .map(|review| ReviewLine {
                id: review.id.clone(),
                name: review.name.clone(),
                seat: seat_of(review),
                decision: review.decision,
                comment: review.comment.as_deref().map(|comment| masking.text(comment)),
                counts: review.counts,
                at: review.at,
            })
            .collect();
        let phase = phase(request, around, now, &mut masking, &name_of);
        let texts = [ask.summary.as_deref(), ask.justification.as_deref(), source.as_deref(), data_scope.as_deref(), context.as_deref()];
        let shown_resource = ask.resource.as_ref().map(pretty).unwrap_or_default();
        let flags = texts
            .into_iter()
            .flatten()
            .fold(text::flags(&pretty(request.parameters())).and(text::flags(&shown_resource)), |flags, claim| {
                flags.and(text::flags(claim))
            });
        Self {
            request: request.id().clone(),
            digest: *request.digest(),
            version: request.version(),
            phase,
            action: ask.action.clone(),
            target: target(ask.resource_type(), ask.resource_id()).map(|text| masking.text(&text)),
            environment: ask.environment().map(str::to_owned),
            resource,
            client: asked.client.name.clone(),
            on_behalf_of: asked.on_behalf_of.as_ref().map(|person| person.email.clone()),
            source,
            data_scope,
            context,
            history: around.history,
            summary: ask.summary.as_deref().map(|summary| masking.text(summary)),
            justification: ask.justification.as_deref().map(|reason| masking.text(reason)),
            links: ask.links.iter().map(|link| Link { title: masking.text(&link.title), url: masking.text(&link.url) }).collect(),
            parameters: pretty(&shown.value),
            changes,
            seats,
            open_seats: request.requirements().describe_open_seats(&request.candidates()),
            escalated_to: request.requirements().escalated_to(),
            granted: filling.granted,
            required: filling.required,
            eligible: around.eligible,
            frozen: around.frozen,
            created_at: asked.created_at,
            expires_at: asked.expires_at,
            rules: asked.policy.rules.clone(),
            reviews,
            may_approve: ask.allows(Allowed::Approve),
            needs_comment: request.requirements().needs_comment(),
            form: if request.status().is_terminal() { None } else { request.form() },
            deny_options: ask
                .deny_options
                .iter()
                .map(|option| DenyOption { name: option.name.clone(), title: masking.text(&option.title) })
                .collect(),
            warnings: flags.notices(),
            masked: masking.count,
        }
    }

    /// People can still decide.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.phase == Phase::Pending
    }

    /// The one word that the header carries.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match &self.phase {
            Phase::Pending => "Approval needed",
            Phase::Approved { grant: GrantLine::Lapsed, .. } => "Lapsed",
            Phase::Approved { grant: GrantLine::Revoked { .. }, .. } => "Revoked",
            Phase::Approved { grant: GrantLine::Frozen, .. } => "Frozen",
            Phase::Approved { .. } => "Approved",
            Phase::Denied { .. } => "Denied",
            Phase::Expired { .. } => "Expired",
            Phase::Cancelled { .. } => "Cancelled",
        }
    }
}

/// Counts what is hidden while texts pass through.
struct Masking {
    count: usize,
}

impl Masking {
    fn text(&mut self, text: &str) -> String {
        let (masked, count) = mask::mask_text(text);
        self.count += count;
        masked
    }

    /// The members of a resource that the card does not show on their own.
    fn rest(&mut self, resource: Option<&Map<String, Value>>) -> Option<String> {
        let mut rest = resource?.clone();
        rest.retain(|name, _| !matches!(name.as_str(), "type" | "id" | "environment"));
        if rest.is_empty() {
            return None;
        }
        Some(pretty(&self.object(&rest)))
    }

    /// Takes a member out of the free object and shows it on its own.
    fn member(&mut self, object: &mut Map<String, Value>, name: &str) -> Option<String> {
        match object.remove(name)? {
            Value::String(text) => Some(self.text(&text)),
            // A structure has names of its own that may announce secrets.
            other => Some(self.object(&Map::from_iter([(name.to_owned(), other)])).remove(name)?.to_string()),
        }
    }

    fn object(&mut self, object: &Map<String, Value>) -> Map<String, Value> {
        let masked = mask::mask_object(object);
        self.count += masked.count;
        masked.value
    }
}

/// Who may sit there, without the count.
fn seat_label(seat: &SeatSpec) -> String {
    match seat {
        SeatSpec::Group { group, .. } => group.clone(),
        SeatSpec::Any { any, person, .. } => person.iter().chain(any).map(String::as_str).collect::<Vec<_>>().join(" or "),
        SeatSpec::Person { person } => person.clone(),
    }
}

fn pretty(object: &Map<String, Value>) -> String {
    serde_json::to_string_pretty(object).unwrap_or_else(|_| "{}".to_owned())
}

fn target(kind: Option<&str>, id: Option<&str>) -> Option<String> {
    match (kind, id) {
        (Some(kind), Some(id)) => Some(format!("{id} ({kind})")),
        (None, Some(text)) | (Some(text), None) => Some(text.to_owned()),
        (None, None) => None,
    }
}

/// Title of the deny option that the denial named.
fn chosen_option(request: &Request) -> Option<&str> {
    let denial = request.reviews().iter().rev().find(|review| review.decision == Decision::Deny)?;
    let options = &request.asked().ask.deny_options;
    options.iter().find(|option| Some(&option.name) == denial.option.as_ref()).map(|option| option.title.as_str())
}

fn phase(
    request: &Request,
    around: &Surroundings,
    now: Timestamp,
    masking: &mut Masking,
    name_of: &dyn Fn(&crate::domain::ids::PersonId) -> String,
) -> Phase {
    let names = |by: &DecidedBy| match by {
        DecidedBy::People { people } => people.iter().map(name_of).collect(),
        DecidedBy::Policy { .. } | DecidedBy::Expiry | DecidedBy::Caller { .. } => Vec::new(),
    };
    match request.state() {
        State::Pending => Phase::Pending,
        State::Approved(approval) => Phase::Approved {
            by: names(&approval.by),
            at: approval.at,
            valid_until: approval.valid_until,
            grant: match (request.grant_reason(now, around.void_before), &approval.grant) {
                (Some(GrantReason::Redeemed), Grant::Redeemed { at, .. }) => GrantLine::Redeemed { at: *at },
                (Some(GrantReason::Redeemed | GrantReason::Revoked), grant) => GrantLine::Revoked {
                    reason: match grant {
                        Grant::Revoked { reason, .. } => reason.as_deref().map(|reason| masking.text(reason)),
                        Grant::Unminted | Grant::Minted(_) | Grant::Redeemed { .. } => None,
                    },
                },
                (Some(GrantReason::Lapsed), _) => GrantLine::Lapsed,
                (Some(GrantReason::Frozen), _) => GrantLine::Frozen,
                (None, _) => GrantLine::Open,
            },
            outcome: approval.outcome.as_ref().map(|outcome| OutcomeLine {
                status: outcome.status,
                detail: outcome.detail.as_deref().map(|detail| masking.text(detail)),
            }),
        },
        State::Denied { at, by, reason, .. } => {
            // What is hidden in it was counted with the option and the review that it repeats.
            let reason = said(chosen_option(request), reason.as_deref()).map(|reason| mask::mask_text(&reason).0);
            Phase::Denied { by: names(by).into_iter().next(), at: *at, reason }
        }
        State::Expired { at } => Phase::Expired { at: *at },
        State::Cancelled { at, reason, .. } => Phase::Cancelled { at: *at, reason: reason.as_deref().map(|reason| masking.text(reason)) },
    }
}
