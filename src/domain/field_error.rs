//! Owns the shape of "what is wrong with this input, and where": a JSON pointer and a sentence.
//!
//! Never holds a secret or a whole input value: the sentence is shown to the caller.

use std::fmt;

/// One thing wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// RFC 6901 JSON pointer to the member; empty for the whole document.
    pub pointer: String,
    /// What is wrong and what to do, in one sentence.
    pub detail: String,
}

impl FieldError {
    /// An error at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pointer.is_empty() { f.write_str(&self.detail) } else { write!(f, "{}: {}", self.pointer, self.detail) }
    }
}

/// Appends `token` to a JSON pointer, escaped as RFC 6901 §3 asks.
#[must_use]
pub fn push_pointer(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}
