//! `countersign check`: every mistake with file, line and column, and what configuration, policy and directory get wrong together.

use super::{Result, countersign, folder, run};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;

const CONFIG: &str = r#"
[directory]
file = "directory.toml"

[[clients]]
name = "exporter-bot"
key_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
scopes = ["requests:write", "grants:redeem"]
owner = "Alice@example.com"
"#;

const DIRECTORY: &str = r#"
[[person]]
name = "Alice"
email = "alice@example.com"
groups = ["data-governance"]

[[person]]
name = "Bob"
email = "bob@example.com"
groups = ["data-governance", "security"]
"#;

const POLICY: &str = r#"
default_route = "security"

[routes.security]
seats = [{ group = "security", count = 1 }]

[routes.data-prod]
seats = [{ group = "data-governance", count = 2 }]

[[rule]]
id = "prod-exports"
effect = "review"
match = { action = "db.export" }
route = "data-prod"
"#;

fn with(config: &str, directory: &str, policy: &str) -> TempDir {
    folder(&[("countersign.toml", config), ("directory.toml", directory), ("policy.toml", policy)])
}

fn check(folder: &Path) -> Result {
    run(folder, &["check"])
}

#[test]
fn what_is_right_is_said_in_a_line() {
    let folder = with(CONFIG, DIRECTORY, POLICY);
    let result = check(folder.path());
    assert_eq!(
        (result.code, result.out.as_str(), result.err.as_str()),
        (Some(0), "ok: countersign.toml (1 rule, 2 people, 1 client)\n", "")
    );
    // From anywhere: what the configuration names stands beside it.
    let elsewhere = super::folder(&[]);
    let named = folder.path().join("countersign.toml");
    let result = run(elsewhere.path(), &["check", "--config", named.to_str().unwrap()]);
    assert_eq!(result.code, Some(0), "{}", result.out);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "checking makes nothing");
}

#[test]
fn all_mistakes_of_all_files_are_named_at_once() {
    let config =
        CONFIG.replace("[directory]", "[server]\nlisen = \"127.0.0.1:1\"\n\n[directory]").replace("\"grants:redeem\"", "\"grants:redem\"");
    let directory = DIRECTORY.replace("email = \"bob", "emial = \"bob");
    let policy = POLICY.replace("effect = \"review\"", "effect = \"ask\"").replace("count = 2", "count = 0");
    let folder = with(&config, &directory, &policy);
    let result = check(folder.path());
    assert_eq!(result.code, Some(1));
    for place in [
        "countersign.toml:3:1: error: unknown key \"lisen\"",
        "countersign.toml:11:29: error: ",
        "directory.toml:9:1: error: unknown key \"emial\"",
        "policy.toml:8:",
        "policy.toml:12:",
    ] {
        assert!(result.out.lines().any(|line| line.starts_with(place)), "{place} is missing in:\n{}", result.out);
    }
    assert!(result.out.lines().last().unwrap().starts_with("failed: "), "{}", result.out);
}

#[test]
fn a_route_that_nobody_can_satisfy_is_an_error_that_says_why() {
    let inactive = DIRECTORY.replace("email = \"alice@example.com\"", "email = \"alice@example.com\"\nactive = false");
    let machine = inactive.replace("email = \"bob@example.com\"", "email = \"bob@example.com\"\nkind = \"service\"");
    let config = CONFIG.replace("requests:write", "requests:read");
    let folder = with(&config, &machine, POLICY);
    let result = check(folder.path());
    assert_eq!(result.code, Some(1));
    for line in [
        "policy.toml:7:9: error: route data-prod, 2 of data-governance: 0 of 2 eligible: 1 is inactive, 1 is not human",
        "policy.toml:4:9: error: route security, 1 of security: 0 of 1 eligible: 1 is not human",
    ] {
        assert!(result.out.lines().any(|said| said == line), "{line} is missing in:\n{}", result.out);
    }
}

#[test]
fn a_client_whose_owner_is_nobody_is_an_error_at_its_owner() {
    for (directory, why) in [
        (DIRECTORY.replace("alice@example.com", "carol@example.com"), "its owner is not in the directory"),
        (DIRECTORY.replace("email = \"alice@example.com\"", "email = \"alice@example.com\"\nactive = false"), "its owner is not active"),
        (
            DIRECTORY.replace("email = \"alice@example.com\"", "email = \"alice@example.com\"\nkind = \"service\""),
            "its owner is not a human",
        ),
    ] {
        let folder = with(CONFIG, &directory, POLICY);
        let result = check(folder.path());
        assert_eq!(result.code, Some(1));
        let start = format!("countersign.toml:9:9: error: client exporter-bot: {why}");
        assert!(result.out.lines().any(|line| line.starts_with(&start)), "{start} is missing in:\n{}", result.out);
    }
}

#[test]
fn without_a_directory_nobody_can_approve() {
    let folder = with("", DIRECTORY, POLICY);
    let result = check(folder.path());
    assert_eq!(result.code, Some(1));
    assert!(result.out.contains("countersign.toml: error: [directory] is missing"), "{}", result.out);
}

#[test]
fn warnings_alone_pass() {
    let policy = POLICY.replace("[routes.security]", "[routes.security]\nslack = [\"C0SEC\"]");
    let folder = with(CONFIG, DIRECTORY, &policy);
    let result = check(folder.path());
    assert_eq!(result.code, Some(0), "{}", result.out);
    assert!(result.out.contains("policy.toml: warning: routes name 1 Slack destination, but [slack] is off"), "{}", result.out);
    assert!(result.out.ends_with("ok: countersign.toml (1 rule, 2 people, 1 client), 1 warning\n"), "{}", result.out);
}

#[test]
fn files_that_are_not_there_are_named() {
    let folder = folder(&[("countersign.toml", CONFIG)]);
    let result = check(folder.path());
    assert_eq!(result.code, Some(1));
    for file in ["policy.toml: error: cannot read the policy", "directory.toml: error: cannot read the directory"] {
        assert!(result.out.contains(file), "{}", result.out);
    }
    let result = run(folder.path(), &["check", "--config", "other.toml"]);
    assert_eq!(result.code, Some(1));
    assert!(result.out.contains("other.toml: error: cannot read the configuration"), "{}", result.out);
}

#[test]
fn a_key_file_that_others_can_read_is_an_error() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = with(CONFIG, DIRECTORY, POLICY);
    let key = folder.path().join("countersign.key");
    std::fs::write(&key, "secret text").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let result = check(folder.path());
    assert_eq!(result.code, Some(1));
    assert!(result.out.contains("countersign.key: error: ") && result.out.contains("chmod 600"), "{}", result.out);
    assert!(!result.out.contains("secret text"));
}

#[test]
fn the_environment_is_checked_too() {
    let folder = with(CONFIG, DIRECTORY, POLICY);
    let output = countersign(folder.path(), &["check"]).env("COUNTERSIGN_SERVER__LISEN", "x").output().unwrap();
    let result = Result::from(output);
    assert_eq!(result.code, Some(1));
    assert!(result.out.starts_with("COUNTERSIGN_SERVER__LISEN: error: "), "{}", result.out);
}

#[test]
fn machines_get_the_same_as_json() {
    let folder = with(CONFIG, DIRECTORY, &POLICY.replace("count = 2", "count = 3"));
    let result = run(folder.path(), &["check", "--json"]);
    assert_eq!(result.code, Some(1));
    let document: Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!(
        (&document["ok"], &document["rules"], &document["people"], &document["clients"]),
        (&false.into(), &1.into(), &2.into(), &1.into())
    );
    let first = &document["findings"][0];
    assert_eq!((first["file"].as_str(), first["line"].as_u64(), first["severity"].as_str()), (Some("policy.toml"), Some(7), Some("error")));
}
