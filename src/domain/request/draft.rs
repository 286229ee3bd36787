//! Owns the look ahead at an edit: the form that a reviewer fills, and what the filled form would change.
//!
//! Never changes the request and never asks policy or a directory: what those say is found out when the edit is applied.
//! So it can be answered at once, while a person waits in a dialog.

use super::{Refused, Request};
use crate::domain::ask::{Allowed, MAX_PARAMETERS};
use crate::domain::digest::{self, Digest};
use crate::domain::edit::form::{Answers, Form};
use crate::domain::edit::{self, Change};
use crate::domain::field_error::FieldError;
use crate::domain::reader::{Errors, Reader};
use serde_json::{Map, Value};

/// An edit that keeps the bounds of the caller and of the rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The full replacement, masked members as they were shown.
    pub parameters: Map<String, Value>,
    /// Digest of what it stands for.
    pub digest: Digest,
    /// What it changes of the present parameters, masked.
    pub changes: Vec<Change>,
}

impl Request {
    /// The form of an edit; `None` when the caller offers no edit, or the rule leaves nothing to change.
    #[must_use]
    pub fn form(&self) -> Option<Form> {
        let ask = &self.asked.ask;
        let schema = ask.edit_schema.as_ref().filter(|_| ask.allows(Allowed::Edit))?;
        Form::of(schema, &self.masked(self.parameters()), self.requirements().edit.as_deref())
    }

    /// What a filled form would lead to.
    ///
    /// # Errors
    /// What is wrong with it, in the words that the edit itself would be refused with.
    pub fn draft(&self, answers: &Answers) -> Result<Draft, Refused> {
        let ask = &self.asked.ask;
        let (Some(form), Some(schema)) = (self.form(), &ask.edit_schema) else { return Err(Refused::NotOffered("edit")) };
        let shown = self.masked(self.parameters());
        let parameters = form.read(&shown.value, answers).and_then(within_limits).map_err(Refused::EditOutOfBounds)?;
        let meant = self.unmask(&parameters).map_err(Refused::EditOutOfBounds)?;
        schema.check(self.parameters(), &meant, self.requirements().edit.as_deref()).map_err(Refused::EditOutOfBounds)?;
        let digest = self.digest_with(&meant);
        if self.had(&digest) {
            return Err(Refused::EditRepeats);
        }
        Ok(Draft { changes: edit::diff(&shown.value, &self.masked(&meant).value), parameters, digest })
    }

    /// Digest of this request with other parameters.
    pub(super) fn digest_with(&self, parameters: &Map<String, Value>) -> Digest {
        let asked = &self.asked;
        digest::digest(&asked.ask.action, &asked.client.id, asked.nonce, parameters, asked.ask.resource.as_ref())
    }

    /// These parameters are, or were, the request's.
    pub(super) fn had(&self, digest: &Digest) -> bool {
        *digest == self.live.digest || self.live.past_digests.contains(digest)
    }
}

/// The limits of parameters that come in as a body.
fn within_limits(parameters: Map<String, Value>) -> Result<Map<String, Value>, Vec<FieldError>> {
    let (body, errors) = (Value::from_iter([("parameters", Value::Object(parameters))]), Errors::default());
    let read = Reader::open(&body, "", &errors).and_then(|reader| {
        let read = reader.free_object("parameters", MAX_PARAMETERS);
        reader.close();
        read
    });
    errors.finish(read)
}
