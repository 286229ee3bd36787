//! What others say: Slack's own types and models about our cards, Slack's own clients about FakeSlack, Slack's own
//! signer and framework about our way in. `tests/run` installs them and sets `COUNTERSIGN_ORACLES`.

use super::world::World;
use crate::support::slack::SECRET;
use countersign::chat::slack::callback::SlackInbound;
use countersign::chat::slack::intake::Intake;
use countersign::chat::slack::payload::Interaction;
use countersign::domain::time::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::process::Command;

fn oracles() -> PathBuf {
    let path = std::env::var_os("COUNTERSIGN_ORACLES")
        .expect("COUNTERSIGN_ORACLES is not set: start the tests with tests/run, which installs the oracles");
    PathBuf::from(path)
}

/// Runs a script with an oracle's interpreter; answers what it printed.
async fn run(script: &str, arguments: &[&str]) -> String {
    let oracles = oracles();
    let interpreter = if Path::new(script).extension().is_some_and(|kind| kind == "py") { "venv/bin/python" } else { "bin/node" };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(oracles.join(interpreter))
        .arg(root.join("tests/oracles").join(script))
        .args(arguments)
        .current_dir(root)
        .env("COUNTERSIGN_ORACLES", &oracles)
        .output()
        .await
        .unwrap_or_else(|error| panic!("{interpreter}: {error}; run tests/run, which installs the oracles"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script} failed\n{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[tokio::test]
async fn slacks_types_accept_every_card() {
    let printed = run("slack_cards.mjs", &["tests/it/slack/snapshots"]).await;
    assert_eq!(printed.trim(), format!("{} cards and dialogs have the right types", snapshots()));
}

#[tokio::test]
async fn slacks_models_accept_the_lengths_of_every_card() {
    let printed = run("slack_cards.py", &["tests/it/slack/snapshots"]).await;
    assert_eq!(printed.trim(), format!("{} cards and dialogs keep the lengths", snapshots()));
}

#[tokio::test]
async fn slacks_client_for_node_works_against_fake_slack() {
    let world = World::start().await;
    let (token, trigger) = world
        .fake
        .change(|model| (model.token.clone(), model.issue_trigger("U0BOB", None, countersign::domain::time::Clock::now(&world.clock))));
    let printed = run("fake_slack.mjs", &[&world.fake.api_url(), &token, &trigger]).await;
    assert_eq!(printed.trim(), "@slack/web-api 8.2.0 is content");
}

#[tokio::test]
async fn slacks_client_for_python_works_against_fake_slack() {
    let world = World::start().await;
    let (token, trigger) = world
        .fake
        .change(|model| (model.token.clone(), model.issue_trigger("U0BOB", None, countersign::domain::time::Clock::now(&world.clock))));
    let printed = run("fake_slack.py", &[&world.fake.api_url(), &token, &trigger]).await;
    assert_eq!(printed.trim(), "slack_sdk 3.47.0 is content");
}

#[tokio::test]
async fn what_slacks_signer_signs_comes_in_and_its_framework_reads_the_same_ids() {
    let payloads = payloads();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), serde_json::to_vec(&payloads).unwrap()).unwrap();
    let printed = run("slack_signs.py", &[SECRET, "1795174800", file.path().to_str().unwrap()]).await;
    let answers: Vec<Value> = serde_json::from_str(&printed).unwrap();
    assert_eq!(answers.len(), payloads.len());
    let inbound = SlackInbound::new(&[SECRET.into()], Arc::new(Intake::new(["T1".to_owned(), "E1".to_owned()]))).unwrap();
    for (payload, answer) in payloads.iter().zip(answers) {
        let mut headers = HeaderMap::new();
        headers.insert("x-slack-signature", answer["signature"].as_str().unwrap().parse().unwrap());
        headers.insert("x-slack-request-timestamp", "1795174800".parse().unwrap());
        let body = answer["body"].as_str().unwrap();
        let now = Timestamp::from_millis(1_795_174_900_000);
        assert!(inbound.authenticate(&headers, body.as_bytes(), now).is_ok(), "{payload}");
        let text = payload.to_string();
        let read = Interaction::parse(&text).unwrap();
        assert_eq!(read.effective_team(), answer["team_id"].as_str(), "{payload}");
        assert_eq!(read.effective_enterprise(), answer["enterprise_id"].as_str(), "{payload}");
        assert_eq!(Some(read.account().user_id.as_str()), answer["user_id"].as_str(), "{payload}");
    }
}

/// The shapes in which Slack names an installation.
fn payloads() -> Vec<Value> {
    let about = "req_01M7WC36M0EQ1SX39VF90F5HJH:9f2c41d7a0bef7c0e353bbeb423b00a221a73740bef3f4d8cb73a1ef61262ddc";
    let button = json!({
        "type": "block_actions", "user": {"id": "U1", "team_id": "T1"}, "trigger_id": "1.2.x", "is_enterprise_install": false,
        "actions": [{"type": "button", "action_id": "cs.deny", "value": about, "action_ts": "1.5"}],
    });
    let submit = json!({
        "type": "view_submission", "user": {"id": "U1", "team_id": "T1"},
        "view": {
            "id": "V1", "hash": "h", "callback_id": "cs.deny", "team_id": "T1", "state": {"values": {}},
            "private_metadata": json!({"about": about, "opener": "U1"}).to_string(),
        },
    });
    let with = |base: &Value, changes: Value| {
        let mut payload = base.clone();
        payload.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        payload
    };
    let mut connect = with(&submit, json!({"team": {"id": "T2"}}));
    connect["view"]["app_installed_team_id"] = json!("T1");
    vec![
        with(&button, json!({"team": {"id": "T1", "domain": "acme"}, "enterprise": null})),
        with(
            &button,
            json!({"team": {"id": "T1", "enterprise_id": "E1", "enterprise_name": "Acme"}, "enterprise": {"id": "E1", "name": "Acme"}}),
        ),
        with(&button, json!({"team": null, "enterprise": {"id": "E1", "name": "Acme"}, "is_enterprise_install": true})),
        with(&submit, json!({"team": {"id": "T1"}})),
        with(&submit, json!({"team": null, "enterprise": {"id": "E1"}, "is_enterprise_install": true})),
        connect,
    ]
}

fn snapshots() -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/slack/snapshots");
    let count = std::fs::read_dir(folder)
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "snap"))
        .count();
    assert!(count >= 20);
    count
}
