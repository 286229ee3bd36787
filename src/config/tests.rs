//! Tests of loading as a whole: the exact text of every class of mistake, the environment, secrets in files, and the example file.

use super::clients::Scope;
use super::database::Backend;
use super::key::{Kind, Preset};
use super::policy::PolicySource;
use super::*;
use secrecy::ExposeSecret;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const KEY: &str = "cs_abcd1234_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn load_in(directory: &TempDir, text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let path = directory.path().join("countersign.toml");
    std::fs::write(&path, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let prefix = format!("{}/", directory.path().display());
    Config::load(Some(&path), environment).map_err(|errors| errors.iter().map(|error| error.to_string().replace(&prefix, "")).collect())
}

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    load_in(&tempfile::tempdir().unwrap(), text, environment)
}

fn errors(text: &str) -> Vec<String> {
    load(text, &[]).expect_err("this must not load")
}

#[test]
fn nothing_at_all_is_the_server_on_loopback_and_nobody_allowed() {
    let config = Config::load(None, std::iter::empty()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.public_url, "http://127.0.0.1:8080");
    assert_eq!(config.server.metrics_listen.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9090"));
    assert_eq!(config.database.url.expose_secret(), "sqlite://countersign.db");
    assert_eq!(config.database.backend(), Some(Backend::Sqlite));
    assert!(matches!(&config.secrets.master_key, KeySource::File(path) if path == Path::new("countersign.key")));
    assert!(matches!(&config.grants.key, KeySource::File(path) if path == Path::new("grant-key.pem")));
    assert!(matches!(&config.audit.checkpoint_key, KeySource::File(path) if path == Path::new("audit-key.pem")));
    assert_eq!(config.grants.ttl, Duration::from_mins(2));
    assert_eq!((config.policy.source, config.policy.file.as_path()), (PolicySource::File, Path::new("policy.toml")));
    assert!(config.admin.groups.is_empty() && config.clients.is_empty());
    assert!(config.slack.is_none() && config.directory.is_none());
    assert!(config.validate().is_empty() && Config::default().validate().is_empty());
}

#[test]
fn a_full_file_loads() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "xoxb-from-a-file\n").unwrap();
    let config = load_in(
        &directory,
        &format!(
            r#"
[server]
listen = "0.0.0.0:80"
public_url = "https://cs.example.com/"
metrics_listen = ""
trusted_proxies = ["10.0.0.0/8", "::1"]
[slack]
signing_secret = "s1"
signing_secret_previous = "s0"
bot_token_file = "token"
team_ids = ["T0123", "E9"]
match_email = true
allow_shared_channels = []
api_url = "http://127.0.0.1:9/api"
[directory]
file = "/etc/people.toml"
[admin]
groups = ["countersign-admins"]
[grants]
ttl = "10s"
[[clients]]
name = "exporter-bot"
key = "{KEY}"
scopes = ["requests:write", "grants:redeem"]
owner = "alice@example.com"
may_act_for = ["*@example.com"]
webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
[webhooks]
allow_hosts = ["127.0.0.1:9999"]
[[clients]]
name = "reader"
key_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
scopes = ["requests:read"]
"#
        ),
        &[],
    )
    .unwrap();
    assert_eq!(config.server.public_url, "https://cs.example.com");
    assert_eq!(config.server.metrics_listen, None);
    let slack = config.slack.as_ref().unwrap();
    let secrets: Vec<&str> = slack.signing_secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["s1", "s0"]);
    assert_eq!(slack.bot_token.expose_secret(), "xoxb-from-a-file");
    assert_eq!(slack.team_ids, ["T0123", "E9"]);
    assert!(slack.match_email);
    assert_eq!(slack.api_url.as_str(), "http://127.0.0.1:9/api/");
    assert_eq!(config.directory.as_ref().unwrap().file, Path::new("/etc/people.toml"));
    assert_eq!(config.policy.file, directory.path().join("policy.toml"));
    assert!(matches!(&config.grants.key, KeySource::File(path) if *path == directory.path().join("grant-key.pem")));
    let [bot, reader] = &config.clients[..] else { panic!("two clients") };
    assert_eq!(bot.key.id.as_deref(), Some("abcd1234"));
    assert_eq!(bot.key.hash, api_key::hash(KEY));
    assert!(bot.scopes.contains(&Scope::RequestsWrite) && bot.scopes.len() == 2);
    assert!(bot.webhook_secret.is_some() && reader.webhook_secret.is_none());
    assert_eq!(config.webhooks.allow_hosts[0].port, Some(9999));
    assert_eq!((reader.key.id.as_deref(), reader.key.hash), (None, api_key::hash("abc")));

    let shown = format!("{config:?}");
    for secret in ["MfKQ9", "s1\"", "s0\"", "xoxb", KEY] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn every_class_of_mistake_has_its_place_and_its_sentence() {
    let cases: &[(&str, &[&str])] = &[
        ("[server]\nlisten = 5\n", &["countersign.toml:2:10: listen must be a string, not an integer"]),
        (
            "[server]\nlisten = \"localhost:8080\"\n",
            &["countersign.toml:2:10: listen: \"localhost:8080\" is not an IP address and a port; write for example \"127.0.0.1:8080\""],
        ),
        ("[server]\n  lisetn = \"x\"\n", &["countersign.toml:2:3: unknown key \"lisetn\" in [server]; did you mean \"listen\"?"]),
        ("[server]\nflavour = 1\n", &["countersign.toml:2:1: unknown key \"flavour\" in [server]"]),
        ("[serve]\n", &["countersign.toml:1:2: unknown section [serve]; did you mean \"server\"?"]),
        ("listen = \"x\"\n", &["countersign.toml:1:1: unknown section [listen]"]),
        ("server = 1\n", &["countersign.toml:1:1: server must be a table, written [server], not an integer"]),
        ("[[server]]\n", &["countersign.toml:1:3: server must be a table, written [server], not a list"]),
        (
            "[server]\npublic_url = \"cs.example.com\"\n",
            &[
                "countersign.toml:2:14: public_url: not an absolute URL (relative URL without a base); write for example \"https://countersign.example.com\"",
            ],
        ),
        ("[server]\npublic_url = \"https://a/?x\"\n", &["countersign.toml:2:14: public_url: must not hold ? or #"]),
        (
            "[server]\nmetrics_listen = \"127.0.0.1:8080\"\n",
            &["countersign.toml:2:18: metrics_listen must differ from listen, or be \"\" for off"],
        ),
        (
            "[server]\ntrusted_proxies = [\"10.0.0.1\", \"10.0.0.1/8\"]\n",
            &["countersign.toml:2:32: trusted_proxies: \"10.0.0.1/8\" has bits beyond its prefix; write \"10.0.0.0/8\""],
        ),
        ("[database]\nurl = \"mysql://x\"\n", &["countersign.toml:2:7: url must begin with sqlite:// or postgres://"]),
        ("[database]\nurl = \"\"\n", &["countersign.toml:2:7: url is empty"]),
        (
            "[database]\nmigrate_url = \"postgres://x\"\n",
            &["countersign.toml:2:1: migrate_url in [database] is not supported by this version; remove it"],
        ),
        ("[policy]\nsource = \"git\"\n", &["countersign.toml:2:10: source: \"git\" is not known; write \"file\" or \"api\""]),
        ("[policy]\nfile = \"\"\n", &["countersign.toml:2:8: file: the path is empty"]),
        (
            "[admin]\ngroups = [\"a\", 1, \"\"]\n",
            &[
                "countersign.toml:2:16: groups: every entry must be a string, not an integer",
                "countersign.toml:2:19: groups: a group without a name",
            ],
        ),
        ("[admin]\ngroups = \"a\"\n", &["countersign.toml:2:10: groups must be a list of strings, not a string"]),
        (
            "[directory]\nsources = [\"file\", \"scim\"]\n",
            &["countersign.toml:2:20: sources: source \"scim\" is not supported by this version; write [\"file\"]"],
        ),
        ("[directory]\nsources = [\"nis\"]\n", &["countersign.toml:2:12: sources: unknown source \"nis\"; write [\"file\"]"]),
        ("[directory]\nsources = [\"file\", \"file\"]\n", &["countersign.toml:2:11: sources names a source twice"]),
        ("[directory]\nmax_staleness = \"0s\"\n", &["countersign.toml:2:17: max_staleness must be more than \"0s\""]),
        ("[grants]\nttl = \"121s\"\n", &["countersign.toml:2:7: ttl must be from \"10s\" to \"120s\""]),
        ("[grants]\nttl = \"9s\"\n", &["countersign.toml:2:7: ttl must be from \"10s\" to \"120s\""]),
        ("[grants]\nttl = 60\n", &["countersign.toml:2:7: ttl must be a string, not an integer"]),
        (
            "[grants]\nttl = \"2 min\"\n",
            &["countersign.toml:2:7: ttl: \"2 min\" is not a duration; write for example \"90s\", \"10m\", \"1h30m\" or \"30d\""],
        ),
        ("[grants]\nkey = \"k\"\nkey_file = \"f\"\n", &["countersign.toml:2:7: key and key_file are both given; keep one"]),
        ("[teams]\napp_id = \"x\"\n", &["countersign.toml:1:2: [teams] is not supported by this version; remove it"]),
        ("[scim]\ntokens = []\n", &["countersign.toml:1:2: [scim] is not supported by this version; remove it"]),
        ("[oidc]\n", &["countersign.toml:1:2: [oidc] is not supported by this version; remove it"]),
        ("[[trusted_issuers]]\n", &["countersign.toml:1:3: [trusted_issuers] is not supported by this version; remove it"]),
        (
            "[webhooks]\nallow_hosts = [\"*.example.com\"]\n",
            &[
                "countersign.toml:2:16: allow_hosts: \"*.example.com\" is not a host or host:port, such as hooks.corp.example or 10.0.0.7:9999",
            ],
        ),
        ("[a\n", &["countersign.toml:1:3: unclosed table, expected `]`"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(errors(text), *wanted, "{text}");
    }
}

#[test]
fn slack_asks_for_its_secrets_and_refuses_what_is_not_built() {
    let cases: &[(&str, &[&str])] = &[
        (
            "[slack]\n",
            &[
                "countersign.toml:1:2: bot_token is required in [slack] (or bot_token_file)",
                "countersign.toml:1:2: signing_secret is required in [slack] (or signing_secret_file)",
            ],
        ),
        ("[slack]\nsigning_secret = \"\"\nbot_token = \"x\"\n", &["countersign.toml:2:18: signing_secret is empty"]),
        (
            "[slack]\nsigning_secret = \"s\"\nbot_token = \"xoxb-…\"\n",
            &["countersign.toml:3:13: bot_token holds characters that no token has; copy it again from the app's settings"],
        ),
        (
            "[slack]\nsigning_secret = \"s\"\nsigning_secret_previous = \"p\"\nsigning_secret_previous_file = \"f\"\nbot_token = \"x\"\n",
            &["countersign.toml:3:27: signing_secret_previous and signing_secret_previous_file are both given; keep one"],
        ),
        (
            "[slack]\nbot_token = \"x\"\nmode = \"socket\"\n",
            &["countersign.toml:1:2: app_token is required in [slack] with mode = \"socket\" (or app_token_file)"],
        ),
        (
            "[slack]\nbot_token = \"x\"\nmode = \"socket\"\napp_token = \"xapp-…\"\nallow_shared_channels = [\"C1\", \"#general\"]\n",
            &[
                "countersign.toml:4:13: app_token holds characters that no token has; copy it again from the app's settings",
                "countersign.toml:5:32: allow_shared_channels: \"#general\" is not the id of a channel (C…)",
            ],
        ),
        (
            "[slack]\nsigning_secret = \"s\"\nbot_token = \"x\"\nmode = \"rtm\"\nteam_ids = [\"T1\", \"C1\"]\nmatch_email = \"yes\"\napi_url = \"http://localhost/\"\n",
            &[
                "countersign.toml:4:8: mode: \"rtm\" is not known; write \"http\" or \"socket\"",
                "countersign.toml:5:19: team_ids: \"C1\" is not a workspace id (T…) or an organisation id (E…)",
                "countersign.toml:6:15: match_email must be true or false, not a string",
                "countersign.toml:7:11: api_url: must be https://; http:// is accepted only at a literal loopback address such as http://127.0.0.1:8090/",
            ],
        ),
        ("[slack]\nsigning_secret = 5\nbot_token = \"x\"\n", &["countersign.toml:2:18: signing_secret must be a string, not an integer"]),
    ];
    for (text, wanted) in cases {
        assert_eq!(errors(text), *wanted, "{text}");
    }
}

#[test]
fn clients_are_complete_distinct_and_owned() {
    let other = KEY.replace('A', "B");
    let hash_of_key = api_key::hex(&api_key::hash(KEY));
    let cases: &[(String, &[&str])] = &[
        (
            "[[clients]]\n".to_owned(),
            &[
                "countersign.toml:1:1: key is required in [[clients]] (or key_file, or key_sha256)",
                "countersign.toml:1:1: name is required in [[clients]]",
            ],
        ),
        ("[clients]\n".to_owned(), &["countersign.toml:1:2: write [[clients]] for each client"]),
        ("clients = [1]\n".to_owned(), &["countersign.toml:1:12: write [[clients]] for each client"]),
        (
            format!("[[clients]]\nname = \"Bot\"\nkey = \"{KEY}\"\n"),
            &[
                "countersign.toml:2:8: name: must begin with a-z or 0-9 and hold only a-z, 0-9, \".\", \"_\" and \"-\", at most 64 characters",
            ],
        ),
        (
            "[[clients]]\nname = \"a\"\nkey = \"hunter2\"\n".to_owned(),
            &[
                "countersign.toml:3:7: key: an API key is cs_<id>_<secret>: the id 4 to 16 of a-z and 0-9, the secret at least 32 of A-Z, a-z and 0-9",
            ],
        ),
        (
            format!("[[clients]]\nname = \"a\"\nkey = \"{KEY}\"\nkey_sha256 = \"{hash_of_key}\"\n"),
            &["countersign.toml:3:7: key and key_sha256 are both given; keep one"],
        ),
        (
            format!("[[clients]]\nname = \"a\"\nkey_sha256 = \"{}\"\n", hash_of_key.to_uppercase()),
            &["countersign.toml:3:14: key_sha256: must be 64 characters of 0-9 and a-f: the SHA-256 of the whole key in lower hex"],
        ),
        (
            format!("[[clients]]\nname = \"a\"\nkey = \"{KEY}\"\nscopes = [\"requests:write\"]\n"),
            &["countersign.toml:1:1: owner is required with the scope requests:write; name the person answerable for this client"],
        ),
        (
            format!(
                "[[clients]]\nname = \"a\"\nkey = \"{KEY}\"\nscopes = [\"scim\"]\nowner = \"Alice\"\nmay_act_for = [\"\"]\nwebhook_secret = \"w\"\n"
            ),
            &[
                "countersign.toml:4:11: scopes: scope \"scim\" is not supported by this version; remove it",
                "countersign.toml:5:9: owner: \"Alice\" is neither an e-mail address nor a person id (per_…)",
                "countersign.toml:6:16: may_act_for: \"\" is not a glob over e-mail addresses; write for example \"*@example.com\"",
                "countersign.toml:7:18: webhook_secret: must be \"whsec_\" and 24 to 64 random bytes in base64; make one with: printf 'whsec_%s\\n' \"$(openssl rand -base64 32)\"",
            ],
        ),
        (
            format!("[[clients]]\nname = \"a\"\nkey = \"{KEY}\"\n[[clients]]\nname = \"a\"\nkey = \"{KEY}\"\n"),
            &[
                "countersign.toml:5:8: the name \"a\" is used twice",
                "countersign.toml:6:7: this key is also the key of \"a\"; every client needs its own",
            ],
        ),
        (
            format!("[[clients]]\nname = \"a\"\nkey = \"{KEY}\"\n[[clients]]\nname = \"b\"\nkey_sha256 = \"{hash_of_key}\"\n"),
            &["countersign.toml:6:14: this key is also the key of \"a\"; every client needs its own"],
        ),
        (
            format!("[[clients]]\nname = \"a\"\nkey = \"{KEY}\"\n[[clients]]\nname = \"b\"\nkey = \"{other}\"\n"),
            &["countersign.toml:6:7: this key has the same id as the key of \"a\"; every key needs its own"],
        ),
        (
            "[[clients]]\nname = \"a\"\nkey_sha256 = \"x\"\n[[clients]]\nname = \"b\"\nkey_sha256 = \"x\"\n".to_owned(),
            &[
                "countersign.toml:3:14: key_sha256: must be 64 characters of 0-9 and a-f: the SHA-256 of the whole key in lower hex",
                "countersign.toml:6:14: key_sha256: must be 64 characters of 0-9 and a-f: the SHA-256 of the whole key in lower hex",
            ],
        ),
    ];
    for (text, wanted) in cases {
        let found = errors(text);
        assert_eq!(found, *wanted, "{text}");
        assert!(!found.join("").contains("hunter2") && !found.join("").contains("AAAA"), "a key is shown");
    }
}

#[test]
fn all_mistakes_are_found_at_once_in_their_order() {
    let found = load("[grants]\nttl = \"1s\"\n[srever]\n[server]\nlisten = 1\n", &[("COUNTERSIGN_SLACK__MODE", "socket")]).unwrap_err();
    assert_eq!(
        found,
        [
            "countersign.toml:2:7: ttl must be from \"10s\" to \"120s\"",
            "countersign.toml:3:2: unknown section [srever]; did you mean \"server\"?",
            "countersign.toml:5:10: listen must be a string, not an integer",
            "COUNTERSIGN_SLACK__MODE: app_token is required in [slack] with mode = \"socket\" (or app_token_file)",
            "COUNTERSIGN_SLACK__MODE: bot_token is required in [slack] (or bot_token_file)",
        ]
    );
}

#[test]
fn the_file_itself_can_be_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("countersign.toml");
    let message = || Config::load(Some(&path), std::iter::empty()).unwrap_err().remove(0).to_string();
    assert_eq!(message(), format!("{}: cannot read the configuration: No such file or directory (os error 2)", path.display()));
    std::fs::write(&path, b"[server]\nlisten = \"\xff\"\n").unwrap();
    assert_eq!(message(), format!("{}: line 2 is not UTF-8 text", path.display()));
}

#[test]
fn the_environment_replaces_the_file_and_is_typed() {
    let config = load(
        "[server]\nlisten = \"127.0.0.1:1\"\n[admin]\ngroups = [\"a\"]\n",
        &[
            ("COUNTERSIGN_SERVER__LISTEN", "127.0.0.1:2"),
            ("COUNTERSIGN_ADMIN__GROUPS", "b, c"),
            ("COUNTERSIGN_SLACK__SIGNING_SECRET", "s"),
            ("COUNTERSIGN_SLACK__BOT_TOKEN", "x"),
            ("COUNTERSIGN_SLACK__MATCH_EMAIL", "true"),
            ("COUNTERSIGN_SLACK__TEAM_IDS", "[\"T1\", \"E2\"]"),
            ("COUNTERSIGN_GRANTS__TTL", "30s"),
            ("COUNTERSIGN_SECRETS__MASTER_KEY", "a key"),
            ("COUNTERSIGN_URL", "not ours"),
            ("COUNTERSIGN_TOKEN_FILE", "not ours"),
            ("PATH__X", "not ours"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.admin.groups, ["b", "c"]);
    let slack = config.slack.unwrap();
    assert!(slack.match_email);
    assert_eq!(slack.team_ids, ["T1", "E2"]);
    assert_eq!(config.grants.ttl, Duration::from_secs(30));
    assert!(matches!(&config.secrets.master_key, KeySource::Text(key) if key.expose_secret() == "a key"));
    assert!(load("[admin]\ngroups = [\"a\"]\n", &[("COUNTERSIGN_ADMIN__GROUPS", "")]).unwrap().admin.groups.is_empty());
}

#[test]
fn the_environment_is_as_strict_as_the_file() {
    let cases: &[(&str, &str, &str)] = &[
        ("COUNTERSIGN_SERVER__LISEN", "x", "unknown variable; did you mean \"COUNTERSIGN_SERVER__LISTEN\"?"),
        ("COUNTERSIGN_FLAVOUR__OF_THE_DAY", "x", "unknown variable"),
        ("COUNTERSIGN_SERVER__", "x", "unknown variable"),
        (
            "COUNTERSIGN_CLIENTS__KEY",
            "x",
            "[[clients]] cannot come from the environment; put them into the file, with key_file or key_sha256 where no secret may stand",
        ),
        ("COUNTERSIGN_TEAMS__APP_ID", "x", "[teams] is not supported by this version; remove it"),
        (
            "COUNTERSIGN_SERVER__TRUSTED_PROXIES",
            "10.0.0.1,0.0.0.0/0",
            "trusted_proxies: \"0.0.0.0/0\" would believe everybody; name your proxies",
        ),
        ("COUNTERSIGN_SLACK__MATCH_EMAIL", "yes", "match_email must be true or false"),
        ("COUNTERSIGN_ADMIN__GROUPS", "[\"a\"", "not a TOML list; write a,b or [\"a\", \"b\"]"),
        ("COUNTERSIGN_GRANTS__TTL", "5", "ttl: \"5\" is not a duration; write for example \"90s\", \"10m\", \"1h30m\" or \"30d\""),
    ];
    for (name, value, message) in cases {
        assert_eq!(load("", &[(name, value)]).unwrap_err(), [format!("{name}: {message}")]);
    }
}

#[test]
fn a_secret_comes_from_one_place_only() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("empty"), "\n").unwrap();
    std::fs::write(directory.path().join("s"), "from a file\n").unwrap();
    let with =
        |line: &str, environment: &[(&str, &str)]| load_in(&directory, &format!("[slack]\nbot_token = \"x\"\n{line}\n"), environment);
    let file = |line: &str| with(line, &[]).map(|config| config.slack.unwrap().signing_secrets[0].expose_secret().to_owned());

    assert_eq!(file("signing_secret_file = \"s\"").as_deref(), Ok("from a file"));
    assert_eq!(
        file("signing_secret_file = \"none\"").unwrap_err(),
        ["countersign.toml:3:23: signing_secret_file: cannot read none: No such file or directory (os error 2)"]
    );
    assert_eq!(file("signing_secret_file = \"empty\"").unwrap_err(), ["countersign.toml:3:23: signing_secret_file: empty is empty"]);
    assert_eq!(
        file("signing_secret_file = 1").unwrap_err(),
        ["countersign.toml:3:23: signing_secret_file must be a string, not an integer"]
    );
    assert_eq!(
        file("signing_secret = \"a\"\nsigning_secret_file = \"s\"").unwrap_err(),
        ["countersign.toml:3:18: signing_secret and signing_secret_file are both given; keep one"]
    );
    // Also when one of them comes from the environment: which one was meant is not ours to guess.
    assert_eq!(
        with("signing_secret = \"a\"", &[("COUNTERSIGN_SLACK__SIGNING_SECRET_FILE", "s")]).unwrap_err(),
        ["countersign.toml:3:18: signing_secret and signing_secret_file are both given; keep one"]
    );
    let config = with("", &[("COUNTERSIGN_SLACK__SIGNING_SECRET_FILE", "s")]).unwrap();
    assert_eq!(config.slack.unwrap().signing_secrets[0].expose_secret(), "from a file");
}

#[test]
fn a_key_of_a_client_comes_from_a_file_too() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("bot.key"), format!("{KEY}\n")).unwrap();
    let config = load_in(&directory, "[[clients]]\nname = \"bot\"\nkey_file = \"bot.key\"\n", &[]).unwrap();
    assert_eq!(config.clients[0].key.hash, api_key::hash(KEY));
}

const EXAMPLE: &str = include_str!("../../countersign.example.toml");

/// The example with its commented settings switched on: `#key = …` and `#[section]`, not `# prose`.
fn example_with_everything() -> String {
    let setting = |line: &str| {
        line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase())).map(str::to_owned)
    };
    EXAMPLE.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[test]
fn the_example_loads_as_it_is_and_with_everything_switched_on() {
    let plain = load(EXAMPLE, &[]).unwrap();
    assert!(plain.slack.is_none() && plain.clients.is_empty() && plain.directory.is_some());
    let everything = load(&example_with_everything(), &[]).unwrap();
    assert!(everything.slack.is_some());
    assert_eq!(everything.clients.len(), 1);
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let everything = example_with_everything();
    let mut section = String::new();
    let mut shown: Vec<(String, String)> = Vec::new();
    for line in everything.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_matches(['[', ']']).to_owned();
        } else if let Some((name, value)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            shown.push((format!("{section}.{name}"), value.to_owned()));
        }
    }
    let mut count = 0;
    for key in reference() {
        count += 1;
        assert!(!key.reason.is_empty());
        let value =
            |name: &str| shown.iter().find(|(shown, _)| *shown == format!("{}.{name}", key.section)).map(|(_, value)| value.as_str());
        match key.preset {
            // A client's lists are shown filled: an example that may do nothing helps nobody. The default stands beside it.
            Preset::Value("[]") if key.section == "clients" => assert!(value(key.name).is_some(), "{key:?}"),
            Preset::Value(default) => assert_eq!(value(key.name), Some(default), "{key:?}"),
            Preset::File(path) => assert_eq!(value(&format!("{}_file", key.name)), Some(format!("\"{path}\"").as_str()), "{key:?}"),
            Preset::Required => assert!(value(key.name).is_some(), "{key:?}"),
            Preset::Absent => assert!(value(key.name).is_some() || everything.contains(&format!("# {} = ", key.name)), "{key:?}"),
            Preset::Unsupported => {
                assert!(value(key.name).is_none() && EXAMPLE.contains(&format!("{}.{}", key.section, key.name)), "{key:?}");
            }
        }
        assert!(!key.kind.name().is_empty());
    }
    assert_eq!(count, 33, "a new key needs its line here, so that nobody forgets the example");
}

#[test]
fn defaults_in_the_reference_are_the_real_ones() {
    // Loading the example spells every default out; it must mean the same as saying nothing.
    let directory = tempfile::tempdir().unwrap();
    let spelled_out = load_in(&directory, EXAMPLE, &[]).unwrap();
    let silent = load_in(&directory, "[directory]\n", &[]).unwrap();
    assert_eq!(format!("{spelled_out:?}"), format!("{silent:?}"));
    let slack = load_in(&directory, &example_with_everything(), &[]).unwrap().slack.unwrap();
    let silent = load_in(&directory, "[slack]\nsigning_secret = \"s\"\nbot_token = \"x\"\n", &[]).unwrap().slack.unwrap();
    assert_eq!(format!("{slack:?}"), format!("{silent:?}"));
}

#[test]
fn every_key_has_a_variable_except_those_of_clients() {
    for key in reference() {
        assert_eq!(key.variable().is_none(), key.section == "clients");
        assert!(key.kind != Kind::Table);
    }
    let listen = reference().find(|key| key.name == "listen").unwrap();
    assert_eq!(listen.variable().as_deref(), Some("COUNTERSIGN_SERVER__LISTEN"));
}
