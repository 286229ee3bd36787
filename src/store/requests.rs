//! Owns the way of a `Transition` into the database and of a `Request` out of it.
//!
//! Never changes a request otherwise: `Store::commit` is the only write path, and what it writes was decided by
//! `domain::request`. Columns beside the two documents exist to search and to check; they are taken from the same state.

use super::deliveries::DeliveryKind;
use super::error::{CommitError, StoreError};
use super::taps::TapId;
use super::work::{Answer, CallbackWish, CommitRow, Post, RequestRow, ReviewRow, StoredRequest, Work};
use super::{Store, read};
use crate::domain::ids::{ClientId, PersonId, RequestId};
use crate::domain::policy::History;
use crate::domain::request::{Asked, Effect, Live, Request, Status, Transition};
use crate::domain::time::Timestamp;
use std::fmt;

/// A transition with what is written in the same transaction.
#[derive(Debug)]
#[must_use = "a commit that is not given to the store did not happen"]
pub struct Commit {
    transition: Transition,
    idempotency: Option<Idempotency>,
    tap: Option<TapId>,
    unless_frozen: bool,
}

/// What makes a repeated create the same create.
#[derive(Clone)]
pub struct Idempotency {
    /// Whose key.
    pub client: ClientId,
    /// The key.
    pub key: String,
    /// Keyed or plain SHA-256 of the body: the same key with another body is a mistake of the caller.
    pub body_hash: [u8; 32],
}

impl fmt::Debug for Idempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Commit {
    /// A transition, and nothing else.
    pub fn new(transition: Transition) -> Self {
        Self { transition, idempotency: None, tap: None, unless_frozen: false }
    }

    /// Takes the key, or is refused as `IdempotencyTaken`. For a new request only.
    pub fn idempotency(mut self, key: Idempotency) -> Self {
        self.idempotency = Some(key);
        self
    }

    /// Finishes the tap that led to it.
    pub fn finishes(mut self, tap: TapId) -> Self {
        self.tap = Some(tap);
        self
    }

    /// Is a `Conflict` when the requester is frozen at the moment of the commit, whatever was read before.
    pub fn unless_frozen(mut self) -> Self {
        self.unless_frozen = true;
        self
    }

    /// A card must be posted or redrawn because of it.
    #[must_use]
    pub fn draws(&self) -> bool {
        self.transition.effects().iter().any(|effect| matches!(effect, Effect::Post(_) | Effect::Redraw | Effect::RedrawAt(_)))
    }

    /// The caller must be told of it.
    #[must_use]
    pub fn tells(&self) -> bool {
        self.transition.effects().iter().any(|effect| matches!(effect, Effect::Tell(_)))
    }

    /// Everything as columns; serialised here, by the caller, so that the writer does not have to.
    fn into_row(self, store: &Store) -> Result<CommitRow, StoreError> {
        let Self { transition, idempotency, tap, unless_frozen } = self;
        let at = transition.at();
        let events = transition.events().iter().map(|event| store.prepare(event, at)).collect::<Result<_, _>>()?;
        let request = request_row(transition.after(), idempotency)?;
        let id = request.id.clone();
        let mut row = CommitRow {
            request,
            from_version: transition.from_version().cast_signed(),
            unless_frozen,
            at: at.as_millis(),
            tap: tap.map(|tap| tap.row()),
            events,
            posts: Vec::new(),
            messages: Vec::new(),
            redraw: false,
            redraw_at: None,
            reviews: Vec::new(),
            callback: callback(transition.after(), transition.effects(), at),
        };
        for effect in transition.effects() {
            match effect {
                Effect::Post(destinations) => row.posts.extend(destinations.iter().map(|destination| Post {
                    kind: DeliveryKind::Card,
                    platform: destination.platform().to_owned(),
                    channel: destination.channel().to_owned(),
                })),
                Effect::Thread(occasion) => row.messages.push(occasion.clone()),
                Effect::TellPerson(person) => row.posts.extend(transition.after().platforms().into_iter().map(|platform| Post {
                    kind: DeliveryKind::Direct,
                    platform: platform.to_owned(),
                    channel: person.to_string(),
                })),
                Effect::Redraw => row.redraw = true,
                Effect::RedrawAt(at) => row.redraw_at = Some(at.as_millis()),
                Effect::Tell(_) => {}
                Effect::Reviewed(review) => row.reviews.push(ReviewRow {
                    id: review.id.to_string(),
                    request_id: id.clone(),
                    person_id: review.person().to_string(),
                    decision: review.decision.as_str().to_owned(),
                    via: review.via.as_str().to_owned(),
                    at: review.at.as_millis(),
                }),
            }
        }
        Ok(row)
    }
}

/// One message for all that one commit changes; the decision gives it its name.
fn callback(request: &Request, effects: &[Effect], at: Timestamp) -> Option<CallbackWish> {
    let notices = effects.iter().filter_map(|effect| if let Effect::Tell(notice) = effect { Some(*notice) } else { None });
    let (id, version) = (request.id().as_str(), request.version());
    Some(CallbackWish {
        notice: notices.max()?,
        // Unique without chance: a request has one change of each version.
        webhook_id: format!("msg_{}_{version}", id.trim_start_matches("req_")),
        request_id: id.to_owned(),
        version: version.cast_signed(),
        at: at.as_millis(),
    })
}

fn request_row(request: &Request, idempotency: Option<Idempotency>) -> Result<RequestRow, StoreError> {
    let asked = request.asked();
    let ask = &asked.ask;
    let unwritable = |column| StoreError::Corrupt { table: "request", column, id: asked.id.to_string() };
    let words = [Some(ask.action.as_str()), ask.resource_id(), ask.summary.as_deref(), Some(asked.client.name.as_str())];
    let (idempotency_key, body_hash) = idempotency.map(|taken| (taken.key, taken.body_hash.to_vec())).unzip();
    Ok(RequestRow {
        id: asked.id.to_string(),
        version: request.version().cast_signed(),
        status: request.status().as_str().to_owned(),
        client_id: asked.client.id.to_string(),
        action: ask.action.clone(),
        resource_type: ask.resource_type().map(searchable),
        resource_id: ask.resource_id().map(searchable),
        environment: ask.environment().map(searchable),
        search: searchable(&words.into_iter().flatten().collect::<Vec<_>>().join("\n")).to_lowercase(),
        on_behalf_of: asked.on_behalf_of.as_ref().map(|person| person.id.to_string()),
        policy_version: asked.policy.version.clone(),
        created_at: asked.created_at.as_millis(),
        expires_at: request.expires_at().as_millis(),
        decided_at: request.decided().map(|(at, _)| at.as_millis()),
        valid_until: request.approved().map(|approval| approval.valid_until.as_millis()),
        remind_at: request.remind_at().map(Timestamp::as_millis),
        escalate_at: request.escalate_at().map(Timestamp::as_millis),
        digest: request.digest().to_string(),
        asked: serde_json::to_string(asked).map_err(|_| unwritable("asked"))?,
        live: serde_json::to_string(request.live()).map_err(|_| unwritable("live"))?,
        idempotency_key,
        body_hash,
    })
}

impl TryFrom<StoredRequest> for Request {
    type Error = StoreError;

    fn try_from(row: StoredRequest) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "request", column, id: row.id.clone() };
        let asked: Asked = serde_json::from_str(&row.asked).map_err(|_| corrupt("asked"))?;
        let live: Live = serde_json::from_str(&row.live).map_err(|_| corrupt("live"))?;
        if asked.id.as_str() != row.id {
            return Err(corrupt("asked"));
        }
        let version = u64::try_from(row.version).map_err(|_| corrupt("version"))?;
        Ok(Self::restore(asked, version, live))
    }
}

/// Which requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only in one of these; empty: in any.
    pub statuses: Vec<Status>,
    /// Only of this action.
    pub action: Option<String>,
    /// Only of this client.
    pub client: Option<ClientId>,
    /// Only what this client may see: its own.
    pub visible_to_client: Option<ClientId>,
    /// Only those that this person reviewed.
    pub reviewer: Option<PersonId>,
    /// Only with this text in action, resource id, summary or the requester's name, in any case.
    pub q: Option<String>,
}

/// PostgreSQL keeps no NUL in TEXT. The document keeps the caller's text as it is (JSON escapes it); these columns only serve searches.
fn searchable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The text as a pattern of LIKE that finds it anywhere and takes it literally.
pub(super) fn escape_like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for character in searchable(text).to_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn parse_id(id: &str) -> Result<RequestId, StoreError> {
    id.parse().map_err(|_| StoreError::Corrupt { table: "request", column: "id", id: id.to_owned() })
}

impl Store {
    /// Writes a transition with its evidence and effects: all of it is durable when this answers `Ok`, or none of it.
    #[tracing::instrument(name = "store.commit", level = "debug", skip_all, fields(request.id = %commit.transition.after().id()))]
    pub async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let row = commit.into_row(self)?;
        match self.submit(Work::Commit(Box::new(row))).await? {
            Answer::Conflict => Err(CommitError::Conflict),
            Answer::IdempotencyTaken => Err(CommitError::IdempotencyTaken),
            _ => Ok(()),
        }
    }

    /// A request as it is now.
    pub async fn request(&self, id: &RequestId) -> Result<Option<Request>, StoreError> {
        self.shared_reads().requests.get(id.clone()).await?.map(TryInto::try_into).transpose()
    }

    /// The request that holds an idempotency key, with the hash of the body it was made with.
    pub async fn request_by_idempotency(&self, client: &ClientId, key: &str) -> Result<Option<([u8; 32], RequestId)>, StoreError> {
        let Some((hash, id)) = read!(self, sql, pool => sql::requests::by_idempotency(pool, client, key))? else { return Ok(None) };
        let hash = hash.try_into().map_err(|_| StoreError::Corrupt { table: "request", column: "body_hash", id: id.clone() })?;
        Ok(Some((hash, parse_id(&id)?)))
    }

    /// Requests that a filter lets through, newest first, with ids smaller than `before`.
    pub async fn requests(&self, filter: &RequestFilter, before: Option<&RequestId>, limit: u32) -> Result<Vec<Request>, StoreError> {
        read!(self, sql, pool => sql::requests::list(pool, filter, before, limit))?.into_iter().map(TryInto::try_into).collect()
    }

    /// Pending requests whose time has run out, the longest ago first.
    pub async fn due_expiries(&self, now: Timestamp, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        read!(self, sql, pool => sql::requests::due(pool, now, limit))?.iter().map(|id| parse_id(id)).collect()
    }

    /// Pending requests whose people are to be reminded, the longest due first.
    pub async fn due_reminders(&self, now: Timestamp, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        read!(self, sql, pool => sql::requests::due_reminders(pool, now, limit))?.iter().map(|id| parse_id(id)).collect()
    }

    /// Pending requests that are to be escalated, the longest due first.
    pub async fn due_escalations(&self, now: Timestamp, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        read!(self, sql, pool => sql::requests::due_escalations(pool, now, limit))?.iter().map(|id| parse_id(id)).collect()
    }

    /// When the next pending request runs out of time.
    pub async fn next_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(read!(self, sql, pool => sql::requests::next_expiry(pool))?.map(Timestamp::from_millis))
    }

    /// How many requests are pending.
    pub async fn pending_requests(&self) -> Result<u64, StoreError> {
        read!(self, sql, pool => sql::requests::pending(pool))
    }

    /// What became of this client's requests for this action that were decided since then.
    pub async fn history(&self, client: &ClientId, action: &str, since: Timestamp) -> Result<History, StoreError> {
        let mut history = History::default();
        for (status, count) in read!(self, sql, pool => sql::requests::history(pool, client, action, since))? {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            match Status::parse(&status) {
                Some(Status::Approved) => history.approved_24h = count,
                Some(Status::Denied) => history.denied_24h = count,
                Some(Status::Expired) => history.expired_24h = count,
                Some(Status::Pending | Status::Cancelled) => {}
                None => return Err(StoreError::Corrupt { table: "request", column: "status", id: client.to_string() }),
            }
        }
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_takes_every_character_literally() {
        assert_eq!(escape_like("50%_A\\b"), "%50\\%\\_a\\\\b%");
    }
}
