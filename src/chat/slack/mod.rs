//! Owns Slack: the way in, the check of an account, the cards, and the calls to its Web API.
//!
//! Never holds state that a restart needs, never sees SQL, and never decides.

pub mod callback;
pub mod connector;
mod form;
pub mod metadata;
pub mod payload;
pub mod people;
pub mod signature;
