//! The integration tests: one binary, so that it links once.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed, and says where")]

mod api;
mod architecture;
mod authorization;
mod cli;
mod crash;
mod demo;
mod docs;
mod examples;
mod failures;
mod fuzz;
mod operating;
mod races;
mod reference;
mod repository;
mod shutdown;
mod slack;
mod store;
mod story;
mod support;
mod tampering;
