//! The examples of `docs/guides/clients.md`, taken from there and run against a real server: each acts after a yes, and only then.
//! Where a language is not on this machine, its example is still compared with those that are run, and the output says so.

mod rust;

use crate::support::app::{TestApp, export, key};
use crate::support::db::TestDatabase;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// An example: the helper, and the three lines.
struct Example {
    helper: String,
    lines: String,
}

fn example(language: &str) -> Example {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/clients.md")).unwrap();
    let section = guide.split(&format!("\n### {language}\n")).nth(1).unwrap_or_else(|| panic!("there is no example for {language}"));
    let section = section.split("\n### ").next().unwrap().split("\n## ").next().unwrap();
    let mut blocks = section.split("```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap().1.to_owned());
    Example { helper: blocks.next().unwrap(), lines: blocks.next().unwrap() }
}

/// Ends a program that waits when its test has failed.
fn command(program: &Path, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Where a program is, if it is here.
fn at_hand(program: &str) -> Option<PathBuf> {
    let found = std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        println!("{program} is not on this machine: its example is compared with the others, but not run");
    }
    found
}

fn oracle(program: &str) -> PathBuf {
    let oracles = std::env::var_os("COUNTERSIGN_ORACLES").expect("COUNTERSIGN_ORACLES is not set: start the tests with tests/run");
    Path::new(&oracles).join(program)
}

/// The pending request, once the example has asked.
async fn pending(app: &TestApp) -> Value {
    let reader = app.client("reader");
    let list = async || reader.get("/v1/requests?status=pending").await.expect(200).body["items"].as_array().unwrap().clone();
    app.eventually("the example asks", async || !list().await.is_empty()).await;
    list().await.remove(0)
}

/// Runs an example twice: somebody approves, then somebody denies.
async fn acts_after_a_yes_only(program: &Path, arguments: &[&str], file: &str, text: &str) {
    let app = TestApp::start(TestDatabase::sqlite().await).await;
    let bob = app.person("bob@example.com").await;
    for decision in ["approve", "deny"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ask.json"), export().to_string()).unwrap();
        std::fs::write(folder.path().join(file), text).unwrap();
        let child = command(program, arguments, folder.path())
            .env("COUNTERSIGN_URL", &app.url)
            .env("COUNTERSIGN_TOKEN", key("agent"))
            .env("NO_PROXY", "127.0.0.1")
            .spawn()
            .unwrap();
        let asked = pending(&app).await;
        bob.reviews(&app.client("agent").reads(&asked["id"]).await, decision).await.expect(201);
        let ended = child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(folder.path().join("acted").exists(), decision == "approve", "{decision}: {said}");
        let after = app.client("reader").reads(&asked["id"]).await;
        assert_eq!(after["grant_reason"] == "redeemed", decision == "approve", "{decision}: {said}");
        assert!(ended.status.success() || decision == "deny", "{said}");
    }
    app.finish().await;
}

#[test]
fn every_example_is_the_same_three_lines() {
    for language in ["curl", "Python", "TypeScript", "Go", "Rust"] {
        let Example { helper, lines } = example(language);
        assert_eq!(lines.lines().count(), 3, "{language}");
        for part in ["/v1/requests?wait=50", "/v1/requests/", "/v1/grants/redeem", "pending", "token", "parameters", "act"] {
            assert!(lines.contains(part), "{language}: {part} is missing");
        }
        // The grant is what counts; a status that is not pending is none.
        assert!(lines.to_lowercase().contains("grant") && !lines.contains("approved"), "{language}");
        let sends_the_key = helper.contains("bearer_auth") || (helper.contains("Authorization") && helper.contains("Bearer "));
        assert!(sends_the_key && (language == "Rust" || helper.contains("COUNTERSIGN_TOKEN")), "{language}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_for_curl() {
    let (Some(bash), Some(_), Some(_)) = (at_hand("bash"), at_hand("curl"), at_hand("jq")) else { return };
    let Example { helper, lines } = example("curl");
    acts_after_a_yes_only(&bash, &["example.sh"], "example.sh", &format!("act() {{ touch acted; }}\n{helper}{lines}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_for_python() {
    let Example { helper, lines } = example("Python");
    let text = format!(
        "{helper}\nask = json.load(open('ask.json'))\ndef act(parameters): open('acted', 'w').write(json.dumps(parameters))\n{lines}"
    );
    acts_after_a_yes_only(&oracle("venv/bin/python"), &["example.py"], "example.py", &text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_for_typescript() {
    let Example { helper, lines } = example("TypeScript");
    let start = "import { readFileSync, writeFileSync } from \"node:fs\";\n\
        const ask = JSON.parse(readFileSync(\"ask.json\", \"utf8\"));\n\
        const act = (parameters: object): void => writeFileSync(\"acted\", JSON.stringify(parameters));\n";
    let arguments = ["--experimental-strip-types", "example.mts"];
    acts_after_a_yes_only(&oracle("bin/node"), &arguments, "example.mts", &format!("{start}{helper}{lines}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_for_go() {
    let Some(go) = at_hand("go") else { return };
    let Example { helper, lines } = example("Go");
    let text = format!(
        "package main\n\nimport (\n\t\"bytes\"\n\t\"encoding/json\"\n\t\"fmt\"\n\t\"net/http\"\n\t\"os\"\n)\n\n{helper}\n\
         func act(parameters any) {{ os.WriteFile(\"acted\", nil, 0o600) }}\n\n\
         func main() {{\nvar ask, redeemed map[string]any\nvar answer Answer\ndata, _ := os.ReadFile(\"ask.json\")\njson.Unmarshal(data, &ask)\n{lines}}}\n"
    );
    acts_after_a_yes_only(&go, &["run", "example.go"], "example.go", &text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_for_rust() {
    let source = include_str!("examples/rust.rs");
    let Example { helper, lines } = example("Rust");
    assert!(source.contains(&helper), "examples/rust.rs is not the helper of the guide");
    for line in lines.lines() {
        assert!(source.contains(&format!("    {line}\n")), "examples/rust.rs lacks a line of the guide:\n{line}");
    }
    let app = TestApp::start(TestDatabase::sqlite().await).await;
    let bob = app.person("bob@example.com").await;
    for decision in ["approve", "deny"] {
        let acted = tokio::spawn(rust::example(app.url.clone(), key("agent"), export()));
        let asked = pending(&app).await;
        bob.reviews(&app.client("agent").reads(&asked["id"]).await, decision).await.expect(201);
        let wanted = if decision == "approve" { vec![export()["parameters"].clone()] } else { Vec::new() };
        assert_eq!(acted.await.unwrap().unwrap(), wanted, "{decision}");
    }
    app.finish().await;
}
