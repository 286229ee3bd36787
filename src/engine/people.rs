//! Owns the way from an identity to a person with a pseudonym, asked of the directory at that moment.
//!
//! Never turns "don't know" into a yes: no answer is an error, and a stale answer is marked as such.

use super::{Engine, Failure};
use crate::directory::{Identity, Record};
use crate::domain::ids::PersonId;
use crate::domain::person::{Person, Proof};
use crate::domain::request::Request;
use crate::domain::reviewer::{Circumstances, Owner};
use crate::engine::caller::Client;

impl Engine {
    /// Asks the directory about somebody, now. `None` when it knows nobody of that identity.
    ///
    /// # Errors
    /// `DirectoryUnavailable` when it has no answer at all.
    pub async fn present(&self, identity: &Identity) -> Result<Option<Person>, Failure> {
        let Some((record, proof)) = self.answer(identity).await? else { return Ok(None) };
        self.person_of(record, proof).await.map(Some)
    }

    /// The directory's own record of somebody, now.
    ///
    /// # Errors
    /// `DirectoryUnavailable` when it has no answer at all.
    pub(super) async fn answer(&self, identity: &Identity) -> Result<Option<(Record, Proof)>, Failure> {
        let known = match identity {
            // A pseudonym is ours: the directory knows the person by its own key.
            Identity::Person(id) => self.store.person(id).await?.map(|known| Identity::Key(known.key)),
            _ => None,
        };
        let identity = known.as_ref().unwrap_or(identity);
        let answer = self.directory.lookup(identity, self.clock.now()).await.map_err(|error| {
            tracing::warn!(error = %error, "the directory did not answer");
            Failure::DirectoryUnavailable
        })?;
        let proof = Proof { source: answer.source.to_owned(), as_of: answer.as_of, fresh: answer.fresh };
        Ok(answer.record.map(|record| (record, proof)))
    }

    /// A record as the rules see it.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn person_of(&self, record: Record, proof: Proof) -> Result<Person, Failure> {
        let id = self.pseudonym(&record).await?;
        Ok(person(id, record, proof))
    }

    /// The person's pseudonym, made at first sight.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn pseudonym(&self, record: &Record) -> Result<PersonId, Failure> {
        let fresh = PersonId::new(self.random.bytes());
        Ok(self.store.person_id(&record.key, &record.name, &record.email, record.id.as_ref(), fresh).await?)
    }

    /// A text of configuration or of a caller that names a person: an id, else an e-mail. An id that we gave at first sight
    /// stands for the directory's own key.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn identity_named(&self, text: &str) -> Result<Identity, Failure> {
        let Ok(id) = text.parse::<PersonId>() else { return Ok(Identity::Email(text.to_owned())) };
        Ok(match self.store.person(&id).await? {
            Some(known) => Identity::Key(known.key),
            None => Identity::Person(id),
        })
    }

    /// What must be known about the people around a request before anybody approves it.
    ///
    /// # Errors
    /// When the store fails. A directory that does not answer is an unknown owner, which refuses approvals.
    pub async fn circumstances(&self, request: &Request) -> Result<(Circumstances, Option<Client>), Failure> {
        let client = self.store.client(&request.asked().client.id).await?;
        let owner = match client.as_ref().and_then(|client| client.owner.as_deref()) {
            None => None,
            Some(owner) => match self.present(&self.identity_named(owner).await?).await {
                // A stale answer still tells who the owner is, who may deny; for an approval it is an unknown.
                Ok(person) => person.map(|person| Owner { active: person.active && person.human && person.proof.fresh, id: person.id }),
                Err(Failure::DirectoryUnavailable) => None,
                Err(other) => return Err(other),
            },
        };
        let frozen = client.as_ref().is_none_or(|client| client.frozen_at.is_some());
        Ok((Circumstances { owner, frozen }, client))
    }
}

fn person(id: PersonId, record: Record, proof: Proof) -> Person {
    Person {
        id,
        human: record.is_human(),
        record: record.as_value(),
        name: record.name,
        email: record.email,
        active: record.active,
        groups: record.groups,
        proof,
    }
}
