//! Owns callbacks on the wire, as Standard Webhooks: signing, the guard over where they may go, and one try of sending.
//!
//! Never follows a redirect, never uses a proxy, never reads an answer's body, and never connects to an address that the
//! guard did not pass. What is sent, when it is tried again and what is recorded is the engine's business.

pub mod guard;
mod resolver;
pub mod schedule;
pub mod sender;
pub mod signature;

pub use guard::{Guard, Refused, Target};
pub use resolver::{Lookup, SystemLookup};
pub use sender::{Message, SendError, Webhooks};
