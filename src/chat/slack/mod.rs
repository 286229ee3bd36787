//! Owns Slack: the way in, the check of an account, the cards, and the calls to its Web API.
//!
//! Never holds state that a restart needs, never sees SQL, and never decides.

pub mod callback;
pub mod client;
pub mod connector;
mod edit;
mod face;
mod form;
pub mod installation;
pub mod intake;
pub mod limits;
pub mod manifest;
pub mod metadata;
mod page;
pub mod payload;
pub mod people;
pub mod render;
pub mod signature;
pub mod socket;
