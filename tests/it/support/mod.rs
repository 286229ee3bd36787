//! What the tests share: a clock of their own, and servers that model the systems around us.

pub(crate) mod clock;
pub(crate) mod slack;
