//! The command line as a whole: help, wrong usage, closed output, colour.

use super::{countersign, folder, run};
use std::process::Stdio;

#[test]
fn help_shows_every_command_with_examples() {
    let folder = folder(&[]);
    let help = run(folder.path(), &["--help"]);
    assert_eq!((help.code, help.err.as_str()), (Some(0), ""));
    for word in [
        "serve",
        "demo",
        "check",
        "doctor",
        "slack",
        "migrate",
        "policy",
        "client",
        "audit",
        "run",
        "openapi",
        "--config",
        "--json",
        "Examples:",
    ] {
        assert!(help.out.contains(word), "{word} is missing in:\n{}", help.out);
    }
    assert!(help.out.lines().all(|line| line.chars().count() <= 120), "{}", help.out);
}

#[test]
fn wrong_usage_ends_with_64_and_says_what_is_wrong() {
    let folder = folder(&[]);
    for arguments in
        [&["chekc"][..], &["policy", "check"], &["run", "--action", "a"], &["client", "create", "x", "--scope", "root"], &["--nonsense"]]
    {
        let result = run(folder.path(), arguments);
        assert_eq!(result.code, Some(64), "{arguments:?}: {}", result.err);
        assert!(result.err.starts_with("error:") && result.out.is_empty(), "{arguments:?}: {}", result.err);
    }
    assert!(run(folder.path(), &["chekc"]).err.contains("check"), "a near miss is named");
}

#[test]
fn an_error_is_told_with_its_cause() {
    let folder = folder(&[]);
    let result = run(folder.path(), &["policy", "explain", "policy.toml", "--request", "-"]);
    assert_eq!(result.code, Some(1));
    assert_eq!(result.out, "policy.toml: error: cannot read the policy: No such file or directory (os error 2)\nfailed: 1 error\n");
    let result = run(folder.path(), &["--config", "nowhere.toml", "migrate"]);
    assert_eq!(result.code, Some(1));
    assert!(result.err.starts_with("error: the configuration has 1 mistake:\n  nowhere.toml: cannot read"), "{}", result.err);
}

#[test]
fn a_reader_that_goes_away_is_no_panic_and_no_other_exit_code() {
    let folder = folder(&[("policy.toml", &"[[rule]]\nid = \"a\"\neffect = \"deny\"\nmatch = { actoin = \"a\" }\n".repeat(2_000))]);
    let mut child =
        countersign(folder.path(), &["policy", "check", "policy.toml"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn what_is_no_terminal_gets_no_colour() {
    let folder = folder(&[("policy.toml", "nonsense = 1\n")]);
    let result = run(folder.path(), &["policy", "check", "policy.toml"]);
    assert!(!result.out.contains('\x1b') && !run(folder.path(), &["--help"]).out.contains('\x1b'));
}

#[test]
fn openapi_is_a_document_of_the_version_that_is_promised() {
    let folder = folder(&[]);
    let result = run(folder.path(), &["openapi"]);
    assert_eq!(result.code, Some(0), "{}", result.err);
    let document: serde_json::Value = serde_json::from_str(&result.out).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
}
