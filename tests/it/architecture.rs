//! Owns the house rules that a compiler does not check: which module may import which, where SQL and axum may occur, which
//! crates must never be in the graph, and that every file says what it owns.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module may import. `domain ← store, directory, chat, webhook ← engine ← http, cli ← main`.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("runtime", &["domain"]),
    ("config", &["domain"]),
    ("keys", &["config"]),
    ("fake_slack", &["domain"]),
    ("directory", &["config", "domain"]),
    ("store", &["domain", "runtime"]),
    ("chat", &["config", "directory", "domain", "runtime"]),
    ("webhook", &["config", "domain"]),
    ("engine", &["chat", "config", "directory", "domain", "keys", "runtime", "store", "webhook"]),
    ("http", &["chat", "config", "directory", "domain", "engine", "runtime", "store"]),
    ("app", &["chat", "config", "directory", "domain", "engine", "http", "keys", "runtime", "store", "webhook"]),
    ("cli", &["app", "chat", "config", "directory", "domain", "engine", "fake_slack", "http", "keys", "runtime", "store"]),
];

/// A crate, and the only places that may name it.
const ONLY_IN: [(&str, &[&str]); 4] = [
    ("sqlx::", &["store"]),
    ("axum::", &["http", "app", "fake_slack"]),
    ("cel::", &["domain/policy/condition"]),
    ("anyhow::", &["cli", "main"]),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file: its path below `src`, and its code without comments.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(&source(), &mut found);
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
            (name, code)
        })
        .collect()
}

fn module(name: &str) -> &str {
    name.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn imports_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut wrong = BTreeSet::new();
    for (name, code) in sources() {
        let from = module(&name).to_owned();
        if matches!(from.as_str(), "lib" | "main") {
            continue;
        }
        let allowed = allowed.get(from.as_str()).unwrap_or_else(|| panic!("{name}: a new module needs a line in MAY_IMPORT"));
        for rest in code.split("crate::").skip(1) {
            let to: String = rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            if !to.is_empty() && to != from && !allowed.contains(&to.as_str()) {
                wrong.insert(format!("{name}: {from} must not import {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn crates_stay_where_they_belong() {
    let mut wrong = BTreeSet::new();
    for (name, code) in sources() {
        for (import, places) in ONLY_IN {
            let used = code
                .match_indices(import)
                .any(|(at, _)| !code[..at].ends_with(|letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':')));
            if used && !places.iter().any(|place| name.starts_with(place)) {
                wrong.insert(format!("{name} must not use {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_demo_reaches_the_slack_in_memory() {
    let others =
        sources().into_iter().filter(|(name, _)| !["cli/demo", "fake_slack/", "lib.rs"].iter().any(|place| name.starts_with(place)));
    let wrong: Vec<String> = others.filter(|(_, code)| code.contains("fake_slack")).map(|(name, _)| name).collect();
    assert!(wrong.is_empty(), "a server that serves must not reach FakeSlack: {wrong:#?}");
}

#[test]
fn every_file_says_what_it_owns_and_must_never_do() {
    let mut found = Vec::new();
    files(&source(), &mut found);
    let silent: Vec<_> = found
        .into_iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            !text.starts_with("//!")
        })
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn one_tls_and_crypto_stack() {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--edges", "normal"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("aws-lc-rs "), "the tree is not the one that was expected");
    for banned in ["ring ", "native-tls ", "openssl-sys ", "rsa "] {
        assert!(!tree.lines().any(|line| line.starts_with(banned)), "{banned}is in the graph");
    }
}
