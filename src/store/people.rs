//! Owns the pseudonyms: which `per_…` stands for whom, and the names that may be erased.
//!
//! Never says whether a person is active or what they may do: that is the directory's, asked anew each time.

use super::error::StoreError;
use super::work::{Answer, Work};
use super::{Store, read};
use crate::domain::ids::PersonId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A person as last seen in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPerson {
    /// The pseudonym.
    pub id: PersonId,
    /// What the directory calls them.
    pub key: String,
    /// Display name.
    pub name: String,
    /// E-mail address.
    pub email: String,
}

/// Known people are remembered, so that they cost no write; when there are that many, all are forgotten.
const MOST_REMEMBERED: usize = 10_000;

/// What is remembered, by the directory's key.
pub(super) type Remembered = Mutex<HashMap<String, KnownPerson>>;

impl Store {
    /// The pseudonym of the person that a directory calls `key`; `fresh` when they are new. `preferred` is the id that the
    /// directory itself gives the person, and wins.
    pub async fn person_id(
        &self,
        key: &str,
        name: &str,
        email: &str,
        preferred: Option<&PersonId>,
        fresh: PersonId,
    ) -> Result<PersonId, StoreError> {
        let remembered = self.remembered().lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(known) = remembered
            && known.name == name
            && known.email == email
            && preferred.is_none_or(|preferred| *preferred == known.id)
        {
            return Ok(known.id);
        }
        let work =
            Work::Person { key: key.to_owned(), name: name.to_owned(), email: email.to_owned(), preferred: preferred.cloned(), fresh };
        let Answer::Person(id) = self.submit(work).await? else { return Err(StoreError::MISMATCH) };
        let known = KnownPerson { id: id.clone(), key: key.to_owned(), name: name.to_owned(), email: email.to_owned() };
        let mut remembered = self.remembered().lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(key.to_owned(), known);
        Ok(id)
    }

    /// The person behind a pseudonym; `None` when erased or never seen.
    pub async fn person(&self, id: &PersonId) -> Result<Option<KnownPerson>, StoreError> {
        read!(self, sql, pool => sql::people::by_id(pool, id))
    }
}
