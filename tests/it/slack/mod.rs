//! Slack without the engine: cards, calls and callbacks against FakeSlack, and FakeSlack against Slack's own clients.

mod callbacks;
mod calls;
mod cards;
mod fake;
mod oracles;
mod world;
