//! Owns the rules: the request's state machine, seats, policy, digest, audit events and the platform-neutral card.
//!
//! Never knows tokio, SQL, HTTP, the clock or randomness: time and random bytes are arguments, and every
//! function gives the same answer for the same input.

pub mod ask;
pub mod audit;
pub mod bodies;
pub mod card;
pub mod client;
pub mod digest;
pub mod edit;
pub mod field_error;
pub mod ids;
pub mod json;
pub mod mask;
pub mod notice;
pub mod person;
pub mod policy;
pub mod reader;
pub mod request;
pub mod reviewer;
pub mod seats;
pub mod text;
pub mod time;
