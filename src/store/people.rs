//! Owns the pseudonyms: which `per_…` stands for whom, and the names that may be erased.
//!
//! Never says whether a person is active or what they may do: that is the directory's, asked anew each time.

use super::error::StoreError;
use super::work::{Answer, Work};
use super::{Store, read};
use crate::domain::ids::PersonId;
use crate::domain::time::Timestamp;

/// A person as last seen in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPerson {
    /// The pseudonym.
    pub id: PersonId,
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// When the pseudonym was made.
    pub first_seen: Timestamp,
}

/// What is remembered of a directory's key, so that a known person costs no write.
pub(super) type Known = (PersonId, String, String);

impl Store {
    /// The pseudonym of the person that a directory calls `key`; made when it is new. `preferred` is the id that the
    /// directory itself gives the person, and wins.
    pub async fn person_id(
        &self,
        key: &str,
        name: &str,
        email: &str,
        preferred: Option<&PersonId>,
        at: Timestamp,
    ) -> Result<PersonId, StoreError> {
        if let Some((id, known_name, known_email)) = self.known_person(key)
            && known_name == name
            && known_email == email
            && preferred.is_none_or(|preferred| *preferred == id)
        {
            return Ok(id);
        }
        let work = Work::Person {
            key: key.to_owned(),
            name: name.to_owned(),
            email: email.to_owned(),
            preferred: preferred.cloned(),
            fresh: PersonId::new(self.random()?),
            at,
        };
        match self.submit(work).await? {
            Answer::Person(id) => {
                self.remember_person(key, (id.clone(), name.to_owned(), email.to_owned()));
                Ok(id)
            }
            _ => Err(StoreError::Unavailable("writer")),
        }
    }

    /// The people behind these pseudonyms; erased ones are absent.
    pub async fn people(&self, ids: &[PersonId]) -> Result<Vec<StoredPerson>, StoreError> {
        let mut people = Vec::with_capacity(ids.len());
        for id in ids {
            people.extend(read!(self, sql, pool => sql::people::by_id(pool, id))?);
        }
        Ok(people)
    }
}
