//! Owns how the log is written: lines for people on a terminal, JSON for machines.
//!
//! Never logs by itself. `RUST_LOG` chooses what is written; the default is `info` for us and `warn` for libraries.

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,countersign=info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start (tests in one process) keeps the first one.
    let _ = if std::io::stderr().is_terminal() { log.try_init() } else { log.json().flatten_event(true).try_init() };
}
