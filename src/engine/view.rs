//! Owns the JSON of a request as callers read it, and what each kind of caller may see of it.
//!
//! Never shows `state`, `nonce` or a grant to anybody but the requesting client, and no unmasked parameter to those
//! who only may read.

use super::caller::Caller;
use super::grants::Token;
use super::{Engine, Failure};
use crate::domain::ask::Link;
use crate::domain::ids::{ClientId, PersonId, RequestId, ReviewId};
use crate::domain::mask;
use crate::domain::request::{DecidedBy, GrantReason, Request, State, Status};
use crate::domain::time::Timestamp;
use crate::store::DeliveryLine;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// What the database and the directory add to the request itself.
#[derive(Debug, Default)]
pub struct Extras {
    /// The grant, for the requesting client.
    pub grant: Option<Token>,
    /// Where its cards are.
    pub deliveries: Vec<DeliveryLine>,
    /// How many people can decide.
    pub eligible: Option<u32>,
    /// When the client's grants were last killed.
    pub void_before: Option<Timestamp>,
}

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The client that asked: sees everything.
    Requester,
    /// Anybody else who may read: parameters masked; no state, nonce, grant.
    Other,
}

/// A request.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestView {
    #[schema(value_type = String)]
    id: RequestId,
    /// `pending | approved | denied | expired | cancelled`; any other word means "not approved".
    #[schema(value_type = String)]
    status: Status,
    /// Approved, and a grant can still be redeemed.
    usable: bool,
    version: u64,
    action: String,
    #[schema(value_type = Option<Object>)]
    resource: Option<Map<String, Value>>,
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    #[schema(value_type = Option<Object>)]
    final_parameters: Option<Map<String, Value>>,
    edited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    digest: String,
    summary: Option<String>,
    justification: Option<String>,
    #[schema(value_type = Option<Object>)]
    context: Option<Map<String, Value>>,
    #[schema(value_type = Vec<Object>)]
    links: Value,
    #[schema(value_type = Option<Object>)]
    agent: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    state: Option<Value>,
    requester: RequesterView,
    policy: PolicyView,
    approval: ApprovalView,
    reviews: Vec<ReviewView>,
    allowed_decisions: Vec<String>,
    #[schema(value_type = Vec<Object>)]
    deny_options: Value,
    #[schema(value_type = Option<Object>)]
    edit_schema: Option<Value>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    decided_at: Option<Timestamp>,
    /// `{"kind": "people" | "policy" | "expiry" | "caller", …}`.
    #[schema(value_type = Option<Object>)]
    decided_by: Option<DecidedBy>,
    reason: Option<String>,
    /// One sentence for the caller's model in every refusal.
    feedback: Option<String>,
    deliveries: Vec<DeliveryView>,
    #[schema(value_type = Option<Object>)]
    outcome: Option<Value>,
    grant: Option<GrantView>,
    #[schema(value_type = Option<String>)]
    grant_reason: Option<GrantReason>,
    urls: Urls,
}

/// Who asked, and for whom.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequesterView {
    #[schema(value_type = String)]
    client: ClientId,
    name: String,
    on_behalf_of: Option<PersonView>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonView {
    #[schema(value_type = String)]
    id: PersonId,
    name: String,
    email: String,
}

/// What policy said.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyView {
    effect: String,
    rules: Vec<String>,
    version: String,
    explanation: String,
}

/// The seats.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalView {
    #[schema(value_type = Vec<Object>)]
    seats: Vec<Value>,
    required: u32,
    granted: u32,
    eligible: Option<u32>,
}

/// A review.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewView {
    #[schema(value_type = String)]
    id: ReviewId,
    decision: String,
    person: PersonView,
    via: String,
    comment: Option<String>,
    option: Option<String>,
    digest: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// It fills a seat now.
    counts: bool,
}

/// A card.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// `slack:C0123`.
    channel: String,
    /// `waiting | posted | failed`.
    status: String,
    permalink: Option<String>,
    /// Why it failed.
    error: Option<String>,
}

/// A grant.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantView {
    token: String,
    jti: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Where to go on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Urls {
    #[serde(rename = "self")]
    this: String,
    events: String,
    review: String,
    cancel: String,
}

/// A page of requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequestPage {
    /// Newest first.
    pub items: Vec<RequestView>,
    /// Give it back as `cursor` for the next page.
    pub next_cursor: Option<String>,
}

impl RequestView {
    /// The request as `reader` may see it at `now`.
    #[must_use]
    pub fn of(request: &Request, reader: Reader, extras: Extras, public_url: &str, now: Timestamp) -> Self {
        let asked = request.asked();
        let ask = &asked.ask;
        let full = reader == Reader::Requester;
        let shown = |parameters: &Map<String, Value>| {
            if full { parameters.clone() } else { request.masked(parameters).value }
        };
        let text = |text: &Option<String>| text.as_deref().map(|text| if full { text.to_owned() } else { mask::mask_text(text).0 });
        let free = |object: &Option<Map<String, Value>>| {
            object.as_ref().map(|object| if full { object.clone() } else { mask::mask_object(object).value })
        };
        let this = format!("{public_url}/v1/requests/{}", request.id());
        let decided = request.decided();
        Self {
            id: request.id().clone(),
            status: request.status(),
            usable: request.is_usable(now, extras.void_before),
            version: request.version(),
            action: ask.action.clone(),
            resource: free(&ask.resource),
            parameters: shown(&ask.parameters),
            final_parameters: request.final_parameters().map(shown),
            edited: request.final_parameters().is_some(),
            nonce: full.then(|| asked.nonce.to_string()),
            digest: request.digest().to_string(),
            summary: text(&ask.summary),
            justification: text(&ask.justification),
            context: free(&ask.context),
            links: links(&ask.links, full),
            agent: free(&ask.agent),
            state: full.then(|| json!(ask.state)),
            requester: RequesterView {
                client: asked.client.id.clone(),
                name: asked.client.name.clone(),
                on_behalf_of: asked.on_behalf_of.as_ref().map(|person| PersonView {
                    id: person.id.clone(),
                    name: person.name.clone(),
                    email: person.email.clone(),
                }),
            },
            policy: PolicyView {
                effect: asked.policy.effect.as_str().to_owned(),
                rules: asked.policy.rules.clone(),
                version: asked.policy.version.clone(),
                explanation: asked.policy.explanation.clone(),
            },
            approval: approval(request, extras.eligible),
            reviews: reviews(request, full),
            allowed_decisions: ask
                .allowed_decisions
                .iter()
                .map(|decision| json!(decision).as_str().unwrap_or_default().to_owned())
                .collect(),
            deny_options: json!(ask.deny_options),
            edit_schema: ask.edit_schema.as_ref().map(|schema| schema.as_value().clone()),
            created_at: asked.created_at,
            expires_at: asked.expires_at,
            decided_at: decided.as_ref().map(|(at, _)| *at),
            decided_by: decided.map(|(_, by)| by),
            reason: reason(request).map(|reason| if full { reason.to_owned() } else { mask::mask_text(reason).0 }),
            feedback: text(&request.feedback(now, extras.void_before)),
            deliveries: extras.deliveries.into_iter().map(DeliveryView::of).collect(),
            outcome: request.approved().and_then(|approval| approval.outcome.as_ref()).map(|outcome| {
                let detail = outcome.detail.as_deref().map(|detail| if full { detail.to_owned() } else { mask::mask_text(detail).0 });
                json!({"status": outcome.status, "detail": detail, "touched": outcome.touched, "at": outcome.at, "by": outcome.by})
            }),
            grant: extras.grant.filter(|_| full).map(|grant| GrantView {
                token: grant.token,
                jti: grant.jti.to_string(),
                expires_at: grant.expires_at,
            }),
            grant_reason: request.grant_reason(now, extras.void_before),
            urls: Urls { events: format!("{this}/events"), review: format!("{this}/reviews"), cancel: format!("{this}/cancel"), this },
        }
    }
}

impl Engine {
    /// The request as whoever may only read sees it: what streams and callbacks carry, whoever they are for.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn view_for_readers(&self, request: &Request) -> Result<RequestView, Failure> {
        let extras = Extras {
            grant: None,
            deliveries: self.delivery_lines(request).await?,
            eligible: self.eligible_known(request),
            void_before: self.store.client(&request.asked().client.id).await?.and_then(|client| client.void_before),
        };
        Ok(RequestView::of(request, Reader::Other, extras, &self.settings.public_url, self.clock.now()))
    }

    /// The request as `caller` may see it; the grant is for its requester alone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn view(&self, request: &Request, caller: &Caller, grant: Option<Token>) -> Result<RequestView, Failure> {
        let reader = if caller.is_requester(request) { Reader::Requester } else { Reader::Other };
        let extras = Extras {
            grant,
            deliveries: self.delivery_lines(request).await?,
            eligible: self.eligible_known(request),
            void_before: self.void_before(request, caller).await?,
        };
        Ok(RequestView::of(request, reader, extras, &self.settings.public_url, self.clock.now()))
    }
}

impl DeliveryView {
    fn of(line: DeliveryLine) -> Self {
        Self {
            channel: format!("{}:{}", line.platform, line.channel),
            status: line.status.to_owned(),
            permalink: line.permalink,
            error: line.error,
        }
    }
}

fn links(links: &[Link], full: bool) -> Value {
    let shown = |text: &str| if full { text.to_owned() } else { mask::mask_text(text).0 };
    links.iter().map(|link| json!(Link { title: shown(&link.title), url: shown(&link.url) })).collect()
}

fn approval(request: &Request, eligible: Option<u32>) -> ApprovalView {
    let filling = request.filling();
    let seats = request
        .requirements()
        .open_seats()
        .iter()
        .zip(&filling.filled_by)
        .map(|(seat, filled)| {
            let mut seat = json!(seat);
            if let Some(seat) = seat.as_object_mut() {
                seat.insert("filled_by".to_owned(), json!(filled));
            }
            seat
        })
        .collect();
    ApprovalView { seats, required: filling.required, granted: filling.granted, eligible }
}

fn reviews(request: &Request, full: bool) -> Vec<ReviewView> {
    let masked = |text: &Option<String>| text.as_deref().map(|text| if full { text.to_owned() } else { mask::mask_text(text).0 });
    request
        .reviews()
        .iter()
        .map(|review| ReviewView {
            id: review.id.clone(),
            decision: review.decision.as_str().to_owned(),
            person: PersonView { id: review.person().clone(), name: review.name.clone(), email: review.candidate.email.clone() },
            via: review.via.as_str().to_owned(),
            comment: masked(&review.comment),
            option: review.option.clone(),
            digest: review.digest.to_string(),
            at: review.at,
            counts: review.counts,
        })
        .collect()
}

fn reason(request: &Request) -> Option<&str> {
    match request.state() {
        State::Denied { reason, .. } | State::Cancelled { reason, .. } => reason.as_deref(),
        State::Approved(approval) => match &approval.grant {
            crate::domain::request::Grant::Revoked { reason, .. } => reason.as_deref(),
            crate::domain::request::Grant::Unminted
            | crate::domain::request::Grant::Minted(_)
            | crate::domain::request::Grant::Redeemed { .. } => None,
        },
        State::Pending | State::Expired { .. } => None,
    }
}
