//! The store's conformance suite: every method, on both databases.

mod callbacks;
mod clients;
mod deliveries;
mod failures;
mod fixtures;
mod log;
mod races;
mod requests;
mod schema;
mod small;
mod taps;
