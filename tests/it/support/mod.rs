//! What the tests share: the whole app, a clock of their own, fresh databases, and servers that model the systems around us.

pub(crate) mod app;
pub(crate) mod chaos;
pub(crate) mod clock;
pub(crate) mod db;
pub(crate) mod fake_api;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod receiver;
pub(crate) mod server;
pub(crate) mod slack;
pub(crate) mod stream;
