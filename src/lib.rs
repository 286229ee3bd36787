//! Countersign holds an automated action until a person who is allowed to say yes has said yes.
//!
//! The house is described in `ARCHITECTURE.md`; dependencies point one way only:
//! `domain ← store, directory, chat, webhook ← engine ← http, cli ← main`.

pub mod app;
pub mod chat;
pub mod cli;
pub mod config;
pub mod directory;
pub mod domain;
pub mod engine;
pub mod fake_slack;
pub mod http;
pub mod keys;
pub mod runtime;
pub mod store;
pub mod webhook;
