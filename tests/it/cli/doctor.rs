//! `countersign doctor` against a Slack in memory: a deployment that is right, and each thing that can be wrong with it.

use super::{Result, countersign};
use crate::support::clock::TestClock;
use crate::support::slack::{FakeSlack, Fault, SECRET};
use countersign::runtime::SystemClock;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PEOPLE: &str = "[[person]]\nname = \"Bob\"\nemail = \"bob@example.com\"\ngroups = [\"security\"]\nslack = { team_id = \"T0ACME\", user_id = \"U0BOB\" }\n";
const POLICY: &str =
    "default = \"review\"\ndefault_route = \"a\"\n[routes.a]\nslack = [\"C0PROD\"]\nseats = [{ group = \"security\", count = 1 }]\n";

/// A deployment that was started once, with the Slack that it uses.
struct Site {
    files: tempfile::TempDir,
    slack: FakeSlack,
}

impl Site {
    async fn new() -> Self {
        Self::at(Arc::new(SystemClock)).await
    }

    async fn at(clock: Arc<dyn countersign::domain::time::Clock>) -> Self {
        let slack = FakeSlack::start(clock).await;
        slack.change(|model| model.add_channel("C0PROD"));
        let site = Self { files: tempfile::tempdir().unwrap(), slack };
        site.write("directory.toml", PEOPLE);
        site.write("policy.toml", POLICY);
        site.configure("T0ACME");
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.files.path().join(name), text).unwrap();
    }

    fn configure(&self, teams: &str) {
        let teams = if teams.is_empty() { String::new() } else { format!("\"{teams}\"") };
        let slack = format!(
            "[slack]\nsigning_secret = \"{SECRET}\"\nbot_token = \"xoxb-fake-token\"\nteam_ids = [{teams}]\napi_url = \"{}\"\n",
            self.slack.api_url()
        );
        self.write("countersign.toml", &format!("{slack}[directory]\nsources = [\"file\"]\nfile = \"directory.toml\"\n"));
    }

    async fn run(&self, arguments: &[&str]) -> Result {
        let mut command = tokio::process::Command::from(countersign(self.files.path(), arguments));
        command.output().await.unwrap().into()
    }

    /// What it says of one part that is not ok, as `verdict: what`.
    async fn troubles(&self, part: &str) -> Vec<String> {
        let result = self.run(&["doctor", "--json"]).await;
        let told: Value = serde_json::from_str(&result.out).unwrap_or_else(|_| panic!("{}{}", result.out, result.err));
        let problems = told["problems"].as_u64().unwrap();
        assert_eq!((result.code, &told["ok"]), (Some(i32::from(problems > 0)), &json!(problems == 0)));
        for secret in [SECRET, "xoxb-fake-token"] {
            assert!(!result.out.contains(secret) && !result.err.contains(secret));
        }
        let checks = told["checks"].as_array().unwrap().clone();
        for check in &checks {
            assert_eq!(check["advice"] == "", check["verdict"] == "ok", "whoever hears of a trouble hears what to do: {check}");
        }
        let of_part = checks.iter().filter(|check| check["part"] == part && check["verdict"] != "ok");
        of_part.map(|check| format!("{}: {}", check["verdict"].as_str().unwrap(), check["what"].as_str().unwrap())).collect()
    }
}

#[tokio::test]
async fn a_deployment_that_is_right_has_no_problem() {
    let site = Site::new().await;
    let result = site.run(&["doctor"]).await;
    assert_eq!((result.code, result.err.as_str()), (Some(0), ""), "{}", result.out);
    for line in [
        "warning  address    public_url http://127.0.0.1:8080 is not https://",
        "ok       keys       the master key is made at the first start",
        "ok       database   the SQLite database countersign.db is made at the first start",
        "ok       policy     policy.toml: 0 rules",
        "ok       directory  1 of 1 are active humans",
        "ok       directory  every seat of the policy can be filled",
        "ok       slack      the bot's token is valid in T0ACME",
        "ok       slack      the app has every scope that it needs",
        "ok       slack      all 1 active people are tied to an account",
        "ok       slack      C0PROD: a card can be posted there",
    ] {
        assert!(result.out.lines().any(|said| said == line), "{line}\n{}", result.out);
    }
    assert!(result.out.contains("ok       slack      the clock agrees with Slack's"));
    assert!(result.out.ends_with("ok: 0 problems, 2 warnings\n"), "{}", result.out);
    assert!(!site.files.path().join("countersign.db").exists(), "it changes nothing");
}

#[tokio::test]
async fn every_trouble_with_the_app_is_told() {
    let site = Site::new().await;
    site.slack.change(|model| model.scopes.remove("im:write"));
    assert_eq!(site.troubles("slack").await, ["problem: the app lacks im:write"]);
    site.slack.change(|model| model.scopes.insert("im:write".to_owned()));
    site.configure("T0OTHER");
    assert_eq!(
        site.troubles("slack").await,
        [
            "problem: the bot's token belongs to T0ACME, which is not in team_ids",
            "warning: 1 of 1 active people have no account of these workspaces in the directory",
        ]
    );
    site.configure("");
    assert_eq!(site.troubles("slack").await[0], "problem: team_ids is empty, so nobody may decide");
    site.configure("T0ACME");
    for code in ["token_revoked", "account_inactive", "invalid_auth", "token_expired"] {
        site.slack.change(|model| model.token_error = Some(code.to_owned()));
        assert_eq!(site.troubles("slack").await, [format!("problem: Slack does not take the bot's token: {code}")]);
    }
    site.slack.change(|model| model.token_error = None);
    site.slack.fails("auth.test", Fault::Status(503));
    assert_eq!(site.troubles("slack").await, ["problem: Slack does not take the bot's token: http_503"]);
}

#[tokio::test]
async fn every_trouble_with_a_channel_is_told() {
    let site = Site::new().await;
    for (flag, what) in [
        ("is_archived", "it is archived"),
        ("is_ext_shared", "it is shared with another company"),
        ("is_pending_ext_shared", "it is shared with another company"),
        ("is_read_only", "it is read only"),
    ] {
        site.slack.set_channel("C0PROD", flag, json!(true));
        assert_eq!(site.troubles("slack").await, [format!("problem: C0PROD: {what}")]);
        site.slack.set_channel("C0PROD", flag, json!(false));
    }
    site.slack.set_channel("C0PROD", "is_private", json!(true));
    site.slack.change(|model| model.channels.get_mut("C0PROD").unwrap().members.clear());
    let hidden = "problem: C0PROD: there is no such channel, or it is private and the bot is not in it";
    assert_eq!(site.troubles("slack").await, [hidden]);
    site.slack.change(|model| model.channels.clear());
    assert_eq!(site.troubles("slack").await, [hidden]);
}

#[tokio::test]
async fn a_clock_that_is_off_is_told() {
    let site = Site::at(Arc::new(TestClock::new())).await;
    let troubles = site.troubles("slack").await;
    assert!(troubles[0].starts_with("problem: the clock is ") && troubles[0].ends_with(" seconds apart from Slack's"), "{troubles:?}");
}

#[tokio::test]
async fn every_trouble_with_people_keys_and_the_database_is_told() {
    let site = Site::new().await;
    site.write("directory.toml", &PEOPLE.replace("groups = [\"security\"]", "groups = []"));
    let troubles = site.troubles("directory").await;
    assert!(troubles[0].starts_with("problem: route a, 1 of security: 0 of 1 eligible"), "{troubles:?}");
    site.write("directory.toml", "nonsense");
    assert_eq!(site.troubles("directory").await, ["problem: directory.toml does not load, so every approval is refused"]);
    site.write("directory.toml", PEOPLE);
    site.write("policy.toml", "nonsense = 1\n");
    assert_eq!(site.troubles("policy").await, ["problem: policy.toml has 2 mistakes"]);
    site.write("policy.toml", POLICY);

    site.write("countersign.db", "");
    let troubles = site.troubles("keys").await;
    assert_eq!(troubles.len(), 3, "beside data a key that is missing is a loss: {troubles:?}");
    let troubles = site.troubles("database").await;
    assert!(troubles[0].starts_with("warning: the SQLite database countersign.db lacks "), "{troubles:?}");
    std::fs::remove_file(site.files.path().join("countersign.db")).unwrap();
    assert_eq!(site.run(&["migrate"]).await.code, Some(0));
    assert_eq!(site.troubles("database").await, Vec::<String>::new());
    exposed(&site.files.path().join("countersign.key"));
    assert!(site.troubles("keys").await.iter().any(|trouble| trouble.contains("group or others can reach it")));
    site.write("countersign.db", "no database at all, but long enough to be looked at as one, whatever that may be good for ............");
    assert!(site.troubles("database").await[0].starts_with("problem: the SQLite database countersign.db cannot be "));
}

fn exposed(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, "x").unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
}

#[tokio::test]
async fn an_unreachable_slack_ends_in_time() {
    let site = Site::new().await;
    let config = std::fs::read_to_string(site.files.path().join("countersign.toml")).unwrap();
    site.write("countersign.toml", &config.replace(&site.slack.api_url(), "http://127.0.0.1:1/"));
    let troubles = tokio::time::timeout(Duration::from_secs(30), site.troubles("slack")).await.unwrap();
    assert_eq!(troubles, ["problem: Slack does not take the bot's token: unreachable"]);
}
