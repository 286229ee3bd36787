//! Owns `countersign openapi`: the description of the API as generated from the code.
//!
//! Never needs a configuration or a server.

use super::Context;
use std::process::ExitCode;

pub(super) const EXAMPLES: &str = "Example:\n  countersign openapi > openapi.json";

/// Prints the document; it is JSON with and without `--json`.
#[expect(clippy::unnecessary_wraps, reason = "every command has the same shape")]
pub(super) fn run(context: &Context) -> anyhow::Result<ExitCode> {
    context.out.line(crate::http::openapi().trim_end());
    Ok(ExitCode::SUCCESS)
}
