//! Owns the other ends of a request: cancelled, revoked, expired, and how the action went.
//!
//! Never lets anybody but those named in the contract end it: the requester cancels; requester, approver and admin revoke.

use super::caller::{Caller, Client, Scope};
use super::{Engine, Failure};
use crate::directory::Identity;
use crate::domain::audit::Actor;
use crate::domain::ids::RequestId;
use crate::domain::request::{Event, Outcome, Refused, Request, Transition};
use crate::domain::time::Timestamp;
use crate::store::{Commit, CommitError};

const ATTEMPTS: usize = 40;

impl Engine {
    /// Reads, applies and commits, again after a lost race.
    pub(super) async fn transact(
        &self,
        id: &RequestId,
        step: impl Fn(Request, Timestamp) -> Result<Transition, Refused>,
    ) -> Result<Request, Failure> {
        for _ in 0..ATTEMPTS {
            let request = self.store.request(id).await?.ok_or(Failure::NotFound("request"))?;
            let transition = match step(request, self.clock.now()) {
                Err(Refused::Stale) => continue,
                other => other?,
            };
            let after = transition.after().clone();
            match self.commit(Commit::new(transition)).await {
                Ok(()) => return Ok(after),
                Err(CommitError::Conflict) => {}
                Err(CommitError::IdempotencyTaken) => return Err(Failure::Internal),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Failure::Busy)
    }

    /// Takes a pending request back.
    ///
    /// # Errors
    /// When it is not the client's, or decided.
    pub async fn cancel(&self, client: &Client, id: &RequestId, reason: Option<String>) -> Result<Request, Failure> {
        self.own(client, id).await?;
        Self::not_frozen(client)?;
        self.transact(id, |request, now| request.apply(Event::Cancel { client: client.id.clone(), reason: reason.clone() }, now)).await
    }

    /// Takes an approval back while its grant is unused.
    ///
    /// # Errors
    /// When the caller may not, or nothing is left to revoke.
    pub async fn revoke(&self, caller: &Caller, id: &RequestId, reason: Option<String>) -> Result<Request, Failure> {
        let request = match caller {
            // An admin client may revoke what it may not list.
            Caller::Client(client) if client.may(Scope::ClientsWrite) => {
                self.store.request(id).await?.ok_or(Failure::NotFound("request"))?
            }
            Caller::Client(_) | Caller::Person(_) => self.visible(caller, id).await?,
        };
        self.may_revoke(caller, &request).await?;
        let by = caller.actor();
        self.transact(id, |request, now| {
            let admin = match &by {
                Actor::Client(client) if *client != request.asked().client.id => Some(client.to_string()),
                Actor::Client(_) | Actor::Person(_) | Actor::System => None,
            };
            // The state machine lets a client revoke only what it asked itself; an admin client acts for the operator.
            let by = if admin.is_some() { Actor::System } else { by.clone() };
            let transition = request.apply(Event::Revoke { by, reason: reason.clone() }, now)?;
            Ok(match admin {
                Some(admin) => transition.with_fact("admin_client", &admin),
                None => transition,
            })
        })
        .await
        .map_err(|failure| match failure {
            // Nothing is left to take back: a conflict with the state of the request, whatever ended its grant.
            Failure::Refused(Refused::NoGrant(reason)) => {
                let refused = Refused::NoGrant(reason);
                Failure::Conflict { code: "nothing_to_revoke", detail: refused.to_string() }
            }
            other => other,
        })
    }

    async fn may_revoke(&self, caller: &Caller, request: &Request) -> Result<(), Failure> {
        let allowed = match caller {
            Caller::Client(client) => client.id == request.asked().client.id || client.may(Scope::ClientsWrite),
            Caller::Person(person) => {
                let now = self.present(&Identity::Key(person.key.clone())).await?;
                let approved = request.approvals().any(|review| *review.person() == person.id);
                now.is_some_and(|now| now.active && now.human && now.proof.fresh && (approved || self.administers(&now)))
            }
        };
        if allowed {
            Ok(())
        } else {
            Err(Failure::forbidden("not_allowed", "Only the requester, an approver of this request or an admin may revoke it."))
        }
    }

    /// Records how the action ended.
    ///
    /// # Errors
    /// When the request is not approved, or the client neither asked nor redeemed, or it was told before.
    pub async fn outcome(&self, id: &RequestId, client: &Client, outcome: impl Fn(Timestamp) -> Outcome) -> Result<Request, Failure> {
        let request = self.store.request(id).await?.ok_or(Failure::NotFound("request"))?;
        let redeemer = request
            .approved()
            .is_some_and(|approval| matches!(&approval.grant, crate::domain::request::Grant::Redeemed { by, .. } if *by == client.id));
        if request.asked().client.id != client.id && !redeemer && !client.may(Scope::RequestsRead) {
            return Err(Failure::NotFound("request"));
        }
        self.transact(id, |request, now| request.apply(Event::Outcome(outcome(now)), now)).await
    }

    /// Records the expiry of everything whose time ran out; answers how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire_due(&self) -> Result<usize, Failure> {
        let due = self.store.due_expiries(self.clock.now(), 200).await?;
        let mut expired = 0;
        for id in &due {
            match self.transact(id, |request, now| request.apply(Event::Expire, now)).await {
                Ok(_) => expired += 1,
                // Decided at the last moment: nothing to expire.
                Err(Failure::Refused(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(expired)
    }

    /// A request that this client made.
    ///
    /// # Errors
    /// `NotFound` for somebody else's, unless the client may read all: then it may not act on it.
    pub async fn own(&self, client: &Client, id: &RequestId) -> Result<Request, Failure> {
        let request = self.store.request(id).await?.ok_or(Failure::NotFound("request"))?;
        if request.asked().client.id == client.id {
            return Ok(request);
        }
        if client.may(Scope::RequestsRead) {
            return Err(Refused::NotRequester.into());
        }
        Err(Failure::NotFound("request"))
    }
}
