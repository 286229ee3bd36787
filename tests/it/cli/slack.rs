//! `countersign slack manifest`: what it prints is accepted by what it checks, and everything that Slack or we would refuse is found.

use super::{folder, run};
use countersign::chat::slack::manifest::{faults, render, scopes};
use serde_json::Value;

const ADDRESS: &str = "https://cs.example.org";

#[test]
fn the_manifest_names_the_address_of_this_server() {
    let folder = folder(&[("countersign.toml", "[server]\npublic_url = \"https://cs.example.org/\"\n")]);
    let result = run(folder.path(), &["slack", "manifest"]);
    assert_eq!((result.code, result.err.as_str()), (Some(0), ""));
    assert!(result.out.starts_with("_metadata:\n") && result.out.contains("request_url: https://cs.example.org/slack/interactions\n"));
    assert!(!result.out.contains("countersign.example.com"));
    std::fs::write(folder.path().join("app.yaml"), &result.out).unwrap();
    let checked = run(folder.path(), &["slack", "manifest", "--check", "app.yaml"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(0), "ok: Slack and Countersign accept this manifest\n"));
    let other = run(folder.path(), &["slack", "manifest", "--public-url", "https://other.example.org"]);
    assert!(other.out.contains("https://other.example.org/slack/interactions") && !other.out.contains("cs.example.org"));
}

#[test]
fn for_socket_mode_there_is_no_address() {
    let folder = folder(&[]);
    let result = run(folder.path(), &["slack", "manifest", "--socket"]);
    assert_eq!(result.code, Some(0), "{}", result.out);
    assert!(result.out.contains("socket_mode_enabled: true") && !result.out.contains("https://"));
}

#[test]
fn an_address_that_slack_cannot_call_is_refused() {
    let folder = folder(&[]);
    let result = run(folder.path(), &["slack", "manifest"]);
    assert_eq!(result.code, Some(1), "the default is loopback");
    assert!(result.out.contains("settings.interactivity.request_url: must begin with https://\n"), "{}", result.out);
    assert!(result.out.ends_with("or use --socket.\n"), "{}", result.out);
    let result = run(folder.path(), &["slack", "manifest", "--json"]);
    let told: Value = serde_json::from_str(&result.out).unwrap();
    assert_eq!(told["ok"], false);
}

#[test]
fn the_manifest_of_the_repository_is_accepted() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/slack/app.yaml")).unwrap();
    assert_eq!(faults(&text), Vec::<String>::new());
    assert!(scopes().contains(&"chat:write".to_owned()));
}

#[test]
fn a_manifest_in_json_is_judged_alike() {
    let scopes = scopes();
    let manifest = serde_json::json!({
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {"name": "Countersign"},
        "features": {"bot_user": {"display_name": "Countersign"},
            "slash_commands": [{"command": "/countersign", "description": "Help", "should_escape": true, "url": "https://cs.example.org/slack/commands"}]},
        "oauth_config": {"scopes": {"bot": scopes.iter().map(String::as_str).chain(["commands"].into_iter().filter(|one| !scopes.iter().any(|scope| scope == one))).collect::<Vec<_>>()}},
        "settings": {"interactivity": {"is_enabled": true, "request_url": "https://cs.example.org/slack/interactions"},
            "socket_mode_enabled": false, "token_rotation_enabled": false, "is_hosted": false},
    });
    assert_eq!(faults(&manifest.to_string()), Vec::<String>::new());
}

#[test]
fn every_bad_manifest_is_found_out() {
    let good = render(ADDRESS, false).unwrap();
    let socket = render("", true).unwrap();
    let cases: [(&str, &str, &str, &str); 20] = [
        (
            &good,
            "  name: Countersign\n",
            "  name: Countersign, who asks people before it goes on\n",
            "display_information.name: has 46 characters; 1 to 35 are allowed",
        ),
        (&good, "  name: Countersign\n", "  nmae: Countersign\n", "display_information.nmae: this key is not known"),
        (&good, "  name: Countersign\n", "", "display_information.name: is missing"),
        (
            &good,
            "description: Holds an",
            "description: >-\n    Holds\n  descriptions: an",
            "display_information.descriptions: this key is not known",
        ),
        (
            &good,
            "https://cs.example.org/slack/interactions",
            "http://cs.example.org/slack/interactions",
            "settings.interactivity.request_url: must begin with https://",
        ),
        (
            &good,
            "https://cs.example.org/slack/interactions",
            "https://cs.example.org/slack/actions",
            "settings.interactivity.request_url: must end in /slack/interactions",
        ),
        (
            &good,
            "https://cs.example.org/slack/interactions",
            "cs.example.org",
            "settings.interactivity.request_url: must be an address that begins with https://",
        ),
        (&good, "    request_url: https://cs.example.org/slack/interactions\n", "", "settings.interactivity.request_url: is missing"),
        (&good, "is_enabled: true", "is_enabled: false", "settings.interactivity.is_enabled: must be true"),
        (&good, "token_rotation_enabled: false", "token_rotation_enabled: true", "settings.token_rotation_enabled: must be false"),
        (&good, "is_hosted: false", "is_hosted: 0", "settings.is_hosted: must be false"),
        (&good, "socket_mode_enabled: false", "socket_mode_enabled: \"false\"", "settings.socket_mode_enabled: must be true or false"),
        (&good, "major_version: 2", "major_version: two", "_metadata.major_version: must be a number"),
        (&good, "      - users:read #", "      - channels:history #", "oauth_config.scopes.bot: lacks users:read"),
        (
            &good,
            "      - users:read #",
            "      - channels:history #",
            "oauth_config.scopes.bot: channels:history would let the app read what people write; nothing needs it",
        ),
        (&good, "is_hosted: false\n", "is_hosted: false\n  is_hosted: false\n", ": `is_hosted` stands there twice"),
        (&good, "_metadata:\n", "_metadata: &anchor\n", "is YAML that a manifest does not need; write it plainly"),
        (&good, "  bot_user:\n", "\tbot_user:\n", ": a tab cannot indent"),
        (
            &socket,
            "is_enabled: true",
            "is_enabled: true\n    request_url: https://cs.example.org/slack/interactions",
            "settings.interactivity.request_url: in Socket Mode nothing is called; leave the address out",
        ),
        (
            &good,
            "features:\n",
            "features:\n  shortcuts:\n    - name: Show me everything that waits\n      type: global\n      callback_id: x\n      description: x\n",
            "features.shortcuts[0].name: has 29 characters; 1 to 24 are allowed",
        ),
    ];
    for (text, part, instead, wanted) in cases {
        assert!(text.contains(part), "{part}");
        let found = faults(&text.replacen(part, instead, 1));
        assert!(found.iter().any(|fault| fault.ends_with(wanted)), "{instead:?}: {found:?}");
    }
    assert!(!faults("").is_empty() && !faults("{").is_empty() && !faults("- a\n").is_empty());
}
