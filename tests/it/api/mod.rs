//! The contract of the REST API, sentence by sentence, as a caller sees it. Both databases, each test.

mod audit;
mod callbacks;
mod cancel_revoke_outcome;
mod clients_and_freeze;
mod create;
mod events;
mod grants;
mod health;
mod idempotency;
mod list;
mod policy;
mod problems;
mod read_and_wait;
mod reviews;
mod schema;

use crate::support::app::{Answer, ApiClient, TestApp};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The path of a request.
fn path(request: &Value) -> String {
    format!("/v1/requests/{}", request["id"].as_str().unwrap())
}

/// Id of a client of the tests.
async fn client_id(app: &TestApp, name: &str) -> String {
    let clients = app.client("admin").get("/v1/clients").await.expect(200).body;
    let found = clients["items"].as_array().unwrap().iter().find(|client| client["name"] == name).cloned();
    found.unwrap()["id"].as_str().unwrap().to_owned()
}

/// Posts a review of any shape.
async fn review(person: &ApiClient<'_>, request: &Value, body: &Value) -> Answer {
    person.post(&format!("{}/reviews", path(request)), body).await
}

/// How many requests there are.
async fn requests(app: &TestApp) -> usize {
    app.client("reader").get("/v1/requests?limit=200").await.expect(200).body["items"].as_array().unwrap().len()
}

/// Asserts a whole problem document, and answers the pointers in it.
#[track_caller]
fn problem(answer: Answer, status: u16, slug: &str) -> Vec<String> {
    let answer = answer.problem(status, slug);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!answer.headers["x-request-id"].is_empty());
    assert_eq!(answer.body["status"], status);
    for member in ["title", "detail"] {
        assert!(answer.body[member].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.body);
    }
    let errors = answer.body["errors"].as_array().unwrap();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

/// Runs a Python or JavaScript file of `tests/oracles` with JSON on its standard input; answers what it printed.
async fn oracle(script: &str, input: &Value) -> Value {
    let oracles = std::env::var_os("COUNTERSIGN_ORACLES")
        .map(PathBuf::from)
        .expect("COUNTERSIGN_ORACLES is not set: start the tests with tests/run, which installs the oracles");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), input.to_string()).unwrap();
    let interpreter = if Path::new(script).extension().is_some_and(|kind| kind == "py") { "venv/bin/python" } else { "bin/node" };
    let output = tokio::process::Command::new(oracles.join(interpreter))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracles").join(script))
        .arg(file.path())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A body that a reviewer may edit: `rows` only.
fn editable() -> Value {
    json!({
        "action": "sized.export",
        "parameters": {"rows": 500, "destination": "s3://partner-drop/customers.csv", "password": "hunter2hunter2"},
        "allowed_decisions": ["approve", "deny", "edit"],
        "edit_schema": {"type": "object", "properties": {"rows": {"type": "integer", "minimum": 1, "maximum": 1_000_000}, "password": {"type": "string"}}},
        "sensitive": ["/destination"],
    })
}
