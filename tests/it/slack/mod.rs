//! Slack: cards, calls and callbacks against FakeSlack, FakeSlack against Slack's own clients, and the stories of the whole server.

mod callbacks;
mod calls;
mod cards;
mod fake;
mod oracles;
mod stories;
mod world;
