//! Owns the manifest of the Slack app: made for an address or for Socket Mode, and judged by Slack's rules and ours.
//!
//! Never asks Slack. The official schema (slackapi/manifest-schema) cannot be fetched at build time, so the rules stand here; a key that they do
//! not know is a fault.

mod yaml;

use serde_json::Value;
use url::Url;

/// As it stands in the repository, for the address below.
const MANIFEST: &str = include_str!("../../../manifests/slack/app.yaml");
/// The address that the manifest of the repository names.
const ADDRESS: &str = "https://countersign.example.com";

/// How a value must be.
enum Shape {
    /// A text of at least and at most so many characters.
    Text(usize, usize),
    /// An address at this path of ours; absent in Socket Mode.
    Address(&'static str),
    Number,
    Flag,
    /// This and nothing else.
    Fixed(bool),
    Names,
    Map(&'static [(&'static str, Need, Shape)]),
    List(&'static Shape, usize),
}

/// Whether a key must be there.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    Required,
    Optional,
}
use Need::{Optional, Required};
use Shape::{Address, Fixed, Flag, List, Map, Names, Number, Text};

const COMMAND: Shape = Map(&[
    ("command", Required, Text(2, 32)),
    ("url", Optional, Address("/slack/commands")),
    ("description", Required, Text(1, 2_000)),
    ("usage_hint", Optional, Text(1, 1_000)),
    // Else names of people and channels in a command are text, not ids.
    ("should_escape", Required, Fixed(true)),
]);
const SHORTCUT: Shape = Map(&[
    ("name", Required, Text(1, 24)),
    ("type", Required, Text(1, 24)),
    ("callback_id", Required, Text(1, 255)),
    ("description", Required, Text(1, 150)),
]);
const DOCUMENT: Shape = Map(&[
    ("_metadata", Required, Map(&[("major_version", Required, Number), ("minor_version", Required, Number)])),
    (
        "display_information",
        Required,
        Map(&[
            ("name", Required, Text(1, 35)),
            ("description", Optional, Text(1, 140)),
            ("long_description", Optional, Text(175, 4_000)),
            ("background_color", Optional, Text(4, 7)),
        ]),
    ),
    (
        "features",
        Required,
        Map(&[
            (
                "app_home",
                Optional,
                Map(&[
                    ("home_tab_enabled", Optional, Flag),
                    ("messages_tab_enabled", Optional, Flag),
                    ("messages_tab_read_only_enabled", Optional, Flag),
                ]),
            ),
            ("bot_user", Required, Map(&[("display_name", Required, Text(1, 80)), ("always_online", Optional, Flag)])),
            ("shortcuts", Optional, List(&SHORTCUT, 10)),
            ("slash_commands", Optional, List(&COMMAND, 50)),
        ]),
    ),
    ("oauth_config", Required, Map(&[("scopes", Required, Map(&[("bot", Required, Names)]))])),
    (
        "settings",
        Required,
        Map(&[
            ("event_subscriptions", Optional, Map(&[("request_url", Optional, Address("/slack/events")), ("bot_events", Required, Names)])),
            (
                "interactivity",
                Required,
                Map(&[("is_enabled", Required, Fixed(true)), ("request_url", Optional, Address("/slack/interactions"))]),
            ),
            ("org_deploy_enabled", Optional, Flag),
            ("socket_mode_enabled", Required, Flag),
            // The server holds one token; it would stop working after twelve hours.
            ("token_rotation_enabled", Required, Fixed(false)),
            ("is_hosted", Required, Fixed(false)),
        ]),
    ),
]);
/// What an event needs, where it needs a scope.
const EVENT_SCOPES: [(&str, &str); 2] = [("subteam_members_changed", "usergroups:read"), ("user_change", "users:read")];

/// The manifest in YAML for a server at this address, or for Socket Mode, which needs no address.
///
/// # Errors
/// What Slack or we would refuse, one per entry.
pub fn render(public_url: &str, socket: bool) -> Result<String, Vec<String>> {
    let text = if socket {
        let kept = MANIFEST.lines().filter(|line| !line.contains(ADDRESS)).collect::<Vec<_>>().join("\n") + "\n";
        kept.replace("socket_mode_enabled: false", "socket_mode_enabled: true")
    } else {
        MANIFEST.replace(ADDRESS, public_url.trim_end_matches('/'))
    };
    // The comment on top tells what is to be put in; here it is in.
    let text = text.find("_metadata:").map_or_else(String::new, |at| text[at..].to_owned());
    let faults = faults(&text);
    if faults.is_empty() { Ok(text) } else { Err(faults) }
}

/// The scopes that the manifest asks for: what the app needs.
#[must_use]
pub fn scopes() -> Vec<String> {
    yaml::parse(MANIFEST).map(|manifest| names(&manifest["oauth_config"]["scopes"]["bot"])).unwrap_or_default()
}

/// What is wrong with a manifest in YAML or JSON; empty: nothing.
#[must_use]
pub fn faults(text: &str) -> Vec<String> {
    let read =
        if text.trim_start().starts_with('{') { serde_json::from_str(text).map_err(|error| error.to_string()) } else { yaml::parse(text) };
    let manifest = match read {
        Ok(manifest) => manifest,
        Err(fault) => return vec![fault],
    };
    let mut judge = Judge { socket: manifest["settings"]["socket_mode_enabled"] == true, found: Vec::new() };
    judge.value("", &manifest, &DOCUMENT);
    judge.together(&manifest);
    judge.found
}

struct Judge {
    socket: bool,
    found: Vec<String>,
}

impl Judge {
    fn fault(&mut self, path: &str, what: &str) {
        self.found.push(format!("{}: {what}", if path.is_empty() { "the manifest" } else { path }));
    }

    fn value(&mut self, path: &str, value: &Value, shape: &Shape) {
        match (shape, value) {
            (Text(least, most), Value::String(text)) => {
                let length = text.chars().count();
                if !(*least..=*most).contains(&length) {
                    self.fault(path, &format!("has {length} characters; {least} to {most} are allowed"));
                }
            }
            (Address(wanted), Value::String(text)) => self.address(path, text, wanted),
            (Number, Value::Number(_)) | (Flag, Value::Bool(_)) => {}
            (Fixed(wanted), Value::Bool(flag)) if flag == wanted => {}
            (Fixed(wanted), _) => self.fault(path, &format!("must be {wanted}")),
            (Names, Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string) => {}
            (Map(keys), Value::Object(map)) => {
                for key in map.keys().filter(|key| keys.iter().all(|(known, _, _)| known != key)) {
                    self.fault(&below(path, key), "this key is not known");
                }
                for (key, need, shape) in *keys {
                    match (map.get(*key), shape) {
                        (Some(value), shape) => self.value(&below(path, key), value, shape),
                        (None, Address(_)) if !self.socket => self.fault(&below(path, key), "is missing"),
                        (None, _) if *need == Required => self.fault(&below(path, key), "is missing"),
                        (None, _) => {}
                    }
                }
            }
            (List(shape, most), Value::Array(items)) => {
                if items.len() > *most {
                    self.fault(path, &format!("has {} entries; {most} are allowed", items.len()));
                }
                for (number, item) in items.iter().enumerate() {
                    self.value(&format!("{path}[{number}]"), item, shape);
                }
            }
            (Text(..) | Address(_), _) => self.fault(path, "must be a text"),
            (Number, _) => self.fault(path, "must be a number"),
            (Flag, _) => self.fault(path, "must be true or false"),
            (Names | List(..), _) => self.fault(path, "must be a list with entries"),
            (Map(_), _) => self.fault(path, "must have keys of its own"),
        }
    }

    fn address(&mut self, path: &str, text: &str, wanted: &str) {
        if self.socket {
            return self.fault(path, "in Socket Mode nothing is called; leave the address out");
        }
        match Url::parse(text) {
            Ok(url) if url.scheme() != "https" => self.fault(path, "must begin with https://"),
            Ok(url) if !url.path().ends_with(wanted) || url.query().is_some() => self.fault(path, &format!("must end in {wanted}")),
            Ok(_) => {}
            Err(_) => self.fault(path, "must be an address that begins with https://"),
        }
    }

    /// What only shows when several parts are looked at.
    fn together(&mut self, manifest: &Value) {
        let scopes = names(&manifest["oauth_config"]["scopes"]["bot"]);
        let path = "oauth_config.scopes.bot";
        for needed in self::scopes().iter().filter(|needed| !scopes.contains(needed)) {
            self.fault(path, &format!("lacks {needed}"));
        }
        for scope in scopes.iter().filter(|scope| scope.ends_with(":history")) {
            self.fault(path, &format!("{scope} would let the app read what people write; nothing needs it"));
        }
        for (number, scope) in scopes.iter().enumerate().filter(|(number, scope)| scopes[..*number].contains(scope)) {
            self.fault(path, &format!("{scope} stands there twice (entry {number})"));
        }
        let commands = manifest["features"]["slash_commands"].as_array().map_or(&[][..], Vec::as_slice);
        if !commands.is_empty() && !scopes.iter().any(|scope| scope == "commands") {
            self.fault(path, "lacks commands, which slash_commands need");
        }
        for (number, command) in commands.iter().enumerate() {
            if command["command"].as_str().is_some_and(|name| !name.starts_with('/') || name.contains(' ')) {
                self.fault(&format!("features.slash_commands[{number}].command"), "must be one word that begins with /");
            }
        }
        for event in names(&manifest["settings"]["event_subscriptions"]["bot_events"]) {
            let needed = EVENT_SCOPES.iter().find(|(name, _)| *name == event).map(|(_, scope)| *scope);
            if let Some(scope) = needed.filter(|scope| !scopes.iter().any(|one| one == scope)) {
                self.fault(path, &format!("lacks {scope}, which the event {event} needs"));
            }
        }
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn names(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
