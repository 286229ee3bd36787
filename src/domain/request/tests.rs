//! The state machine's tests: rules as stories, exact sentences, the card, every sequence to depth six, and random longer ones.

mod approving;
mod card;
mod editing;
mod ending;
mod escalating;
mod evidence;
mod invariants;
mod model;
mod sentences;
mod support;
