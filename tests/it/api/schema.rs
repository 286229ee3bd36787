//! The published description of the API is true: schemathesis makes calls from it, right and wrong ones, with every kind of credential,
//! and compares what comes back with what is described.
//!
//! Its cases are the same in every run (`--generation-deterministic`), and bounded in number.

use crate::support::db::TestDatabase;
use crate::support::server::{PATIENCE, Site, key};
use std::path::{Path, PathBuf};

/// Cases per operation that are made up; those at the edges of each schema come on top.
const EXAMPLES: &str = "6";
/// Everything for those who may do much; for the rest the doors alone are of interest.
const WHOLE: &str = "examples,coverage,fuzzing";
const DOORS: &str = "fuzzing";

async fn conforms(site: &Site, url: &str, credential: Option<&str>, phases: &str) {
    let oracles = std::env::var_os("COUNTERSIGN_ORACLES").map(PathBuf::from);
    let oracles = oracles.expect("COUNTERSIGN_ORACLES is not set: start the tests with tests/run, which installs the oracles");
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles/schemathesis_hooks.py");
    let mut command = tokio::process::Command::new(oracles.join("venv/bin/schemathesis"));
    command
        .arg("run")
        .arg(format!("{url}/openapi.json"))
        .current_dir(site.files.path())
        .env("SCHEMATHESIS_HOOKS", hooks)
        .env("NO_PROXY", "*")
        .kill_on_drop(true);
    command.args(["--generation-deterministic", "--max-examples", EXAMPLES, "--phases", phases, "--mode", "all", "--no-color"]);
    command.args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"]);
    // A stream has no end to wait for; its events have tests of their own.
    command.args(["--exclude-path-regex", "events$|stream$", "--request-timeout", "20"]);
    // Bodies that no form can hold are thrown away, which it would take for a mistake of the description.
    command.args(["--suppress-health-check", "filter_too_much"]);
    if let Some(name) = credential {
        command.args(["--header", &format!("Authorization: Bearer {}", key(name))]);
    }
    let output = tokio::time::timeout(2 * PATIENCE, command.output()).await.expect("it ends in time").unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{credential:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("No issues found") || told.contains("passed"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_described_whoever_calls() {
    let site = Site::new(TestDatabase::sqlite().await).await;
    let server = site.start().await;
    for (credential, phases) in [(Some("agent"), WHOLE), (Some("admin"), WHOLE), (Some("reader"), DOORS), (None, DOORS)] {
        conforms(&site, &server.url, credential, phases).await;
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
    server.stop().await;
    site.log_verifies();
}
