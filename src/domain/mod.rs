//! Owns the rules: the request's state machine, seats, policy, digest, audit events and the platform-neutral card.
//!
//! Never knows tokio, SQL, HTTP, the clock or randomness: time and random bytes are arguments, and every
//! function gives the same answer for the same input.

pub mod audit;
pub mod ask;
pub mod bodies;
pub mod digest;
pub mod edit;
pub mod field_error;
pub mod ids;
pub mod json;
pub mod mask;
pub mod reader;
pub mod text;
pub mod time;
