//! The demo as people meet it: the real binary, its pages over HTTP, its agent in the terminal.
//!
//! Never looks inside: the addresses are those that it prints.

use reqwest::StatusCode;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Longest real time for anything to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running demo. It ends with the test.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    http: reqwest::Client,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.arg("demo").args(arguments).args(["--port", "0"]);
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        Self { child, lines, http }
    }

    /// Reads the terminal until a line that begins so, and answers the rest of that line.
    async fn says(&mut self, wanted: &str) -> String {
        let found = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some(rest) = line.trim().strip_prefix(wanted) {
                    return rest.trim().to_owned();
                }
            }
            panic!("the demo ended");
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("the terminal never said: {wanted}"))
    }

    /// The page of the Slack in memory, without the part for the browser.
    async fn slack(&mut self) -> String {
        self.says("Slack").await.split('#').next().unwrap().to_owned()
    }

    async fn state(&self, page: &str, me: &str) -> Value {
        self.http.get(format!("{page}state?me={me}")).send().await.unwrap().json().await.unwrap()
    }

    async fn act(&self, page: &str, what: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.http.post(format!("{page}{what}")).json(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// What a person sees, as soon as it is so.
    async fn sees(&self, page: &str, me: &str, what: &str, seen: impl Fn(&Value) -> Value) -> Value {
        let look = async {
            let mut changes = json!(0);
            loop {
                // Answers as soon as something is new.
                let state = self.state(page, &format!("{me}&seen={changes}")).await;
                let found = seen(&state);
                if !found.is_null() {
                    return found;
                }
                changes = state["changes"].clone();
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{me} never saw {what}"))
    }

    /// The first card of a channel, as soon as it stands there.
    async fn card(&self, page: &str, channel: &str) -> Value {
        let first = |state: &Value| {
            let channel = state["channels"].as_array().unwrap().iter().find(|it| it["id"] == channel).unwrap();
            channel["messages"][0].clone()
        };
        self.sees(page, "U0BOB", "a card", first).await
    }

    /// Ctrl-C.
    async fn stop(mut self) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), rustix::process::Signal::INT).unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the demo does not stop").unwrap();
        assert!(ended.success(), "{ended}");
    }
}

/// Clicks through a demo with Chromium. The pictures go where the documentation wants them when `docs/pictures/make` asks.
async fn chromium_clicks_through(story: &str, url: &str) {
    let oracles = std::env::var_os("COUNTERSIGN_ORACLES")
        .expect("COUNTERSIGN_ORACLES is not set: start the tests with tests/run, which installs Chromium and what drives it");
    let scratch = tempfile::tempdir().unwrap();
    let pictures = std::env::var_os("COUNTERSIGN_PICTURES").map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/demo.py");
    let mut command = Command::new(Path::new(&oracles).join("venv/bin/python"));
    command.arg(script).args([story, url]).arg(&pictures).kill_on_drop(true);
    let output = tokio::time::timeout(4 * PATIENCE, command.output()).await.expect("Chromium does not come to an end");
    let output = output.expect("no Python beside the oracles; run tests/run, which installs it");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    assert_eq!(printed.trim(), format!("{story}: clicked through"));
}

#[tokio::test]
async fn chromium_approves_with_two_people_denies_and_is_refused_in_the_demo() {
    let mut demo = Demo::start(&[]);
    let page = demo.says("Open").await;
    chromium_clicks_through("web", &page).await;
    assert!(demo.says("agent   approved by").await.starts_with("Bob; "));
    assert!(demo.says("agent   approved by").await.starts_with("Bob and Carol; "));
    assert!(demo.says("agent   does not go on. Feedback:").await.contains("Rotate it after the release."));
    demo.stop().await;
}

#[tokio::test]
async fn chromium_approves_with_two_people_denies_edits_and_is_refused_in_the_slack_of_the_demo() {
    let mut demo = Demo::start(&["--slack"]);
    let page = demo.says("Slack").await;
    chromium_clicks_through("slack", &page).await;
    assert!(demo.says("agent   approved by").await.starts_with("Bob; "));
    assert!(demo.says("agent   approved by").await.starts_with("Bob and Carol; "));
    assert!(demo.says("agent   does not go on. Feedback:").await.contains("Rotate it after the release."));
    assert!(demo.says("agent   approved by").await.starts_with("Bob; "));
    assert!(demo.says("agent   redeems it for exactly these parameters:").await.contains("\"rows\":5000"));
    demo.stop().await;
}

#[tokio::test]
async fn a_tap_in_the_slack_of_the_demo_releases_the_agent() {
    let mut demo = Demo::start(&["--slack"]);
    let page = demo.slack().await;
    demo.says("agent   waits for a person").await;
    let card = demo.card(&page, "C0DATA").await;
    let tap = |me: &str| json!({"me": me, "channel": "C0DATA", "ts": card["ts"], "action": "cs.approve"});
    let (status, told) = demo.act(&page, "tap", &tap("U0ALICE")).await;
    assert_eq!((status, told["status"].as_u64()), (StatusCode::OK, Some(200)), "Slack is told that the tap came");
    let (_, told) = demo.act(&page, "tap", &tap("U0BOB")).await;
    assert_eq!(told["status"], 200, "the callback was signed with the secret that the product was given");
    assert!(demo.says("agent   approved by").await.starts_with("Bob; holds a grant until"));
    demo.says("agent   done").await;
    let told = demo.sees(&page, "U0ALICE", "a private sentence", |state| state["told"][0]["text"].clone()).await;
    assert!(told.as_str().unwrap().contains("cannot"), "Alice owns the agent: {told}");
    assert_eq!(demo.state(&page, "U0BOB").await["told"], json!([]), "and nobody else heard of it");
    demo.stop().await;
}

#[tokio::test]
async fn a_denial_in_a_dialog_tells_the_agent_what_to_do() {
    let mut demo = Demo::start(&["--slack"]);
    let page = demo.slack().await;
    let card = demo.card(&page, "C0DATA").await;
    demo.act(&page, "tap", &json!({"me": "U0BOB", "channel": "C0DATA", "ts": card["ts"], "action": "cs.deny"})).await;
    let dialog = demo.sees(&page, "U0BOB", "a dialog", |state| state["dialogs"][0].clone()).await;
    assert_eq!(dialog["content"]["callback_id"], "cs.deny");
    assert_eq!(demo.state(&page, "U0CAROL").await["dialogs"], json!([]), "a dialog stands on one screen");
    let (status, told) =
        demo.act(&page, "submit", &json!({"me": "U0BOB", "view": dialog["id"], "filled": {"cs.nothing": {"words": "x"}}})).await;
    assert_eq!((status, &told["problem"]), (StatusCode::CONFLICT, &json!("the dialog has not all of these inputs")));
    let filled = json!({"cs.option": {"option": "use_staging"}, "cs.words": {"words": "It has the same rows."}});
    let (status, _) = demo.act(&page, "submit", &json!({"me": "U0BOB", "view": dialog["id"], "filled": filled})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(demo.says("agent   does not go on. Feedback:").await.contains("It has the same rows."));
    assert_eq!(demo.state(&page, "U0BOB").await["dialogs"], json!([]));
    demo.stop().await;
}

#[tokio::test]
async fn without_its_token_the_page_is_not_there() {
    let mut demo = Demo::start(&["--slack"]);
    let page = demo.slack().await;
    let told = demo.http.get(&page).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::OK);
    let policy = told.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; ") && !policy.contains("unsafe"), "{policy}");
    let (origin, _) = page.split_once("/page/").unwrap();
    let wrong = format!("{origin}/page/{}/", "0".repeat(32));
    for path in ["", "slack.js", "blocks.js", "slack.css", "state", "state?me=U0BOB"] {
        assert_eq!(demo.http.get(format!("{wrong}{path}")).send().await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
    }
    for (path, body) in [
        ("tap", json!({"me": "U0BOB", "channel": "C0DATA", "ts": "1", "action": "cs.approve"})),
        ("submit", json!({"me": "U0BOB", "view": "V1", "filled": {}})),
        ("close", json!({"me": "U0BOB", "all": true})),
    ] {
        assert_eq!(demo.act(&wrong, path, &body).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(demo.http.get(format!("{page}secrets")).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    demo.stop().await;
}
