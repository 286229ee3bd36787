//! Owns `countersign doctor`: looks at a whole deployment as it is now, and says for each part whether it is right and what to do.
//!
//! Never changes anything, and never prints a secret. Exit 1 on any problem; warnings alone pass.

mod slack;

use super::output::{Output, Style, count, visible};
use super::{Context, check, migrate};
use crate::config::database::Backend;
use crate::config::{Config, KeySource};
use crate::directory::{FileDirectory, Record};
use crate::domain::policy::{DirectoryFacts, Policy, unsatisfiable};
use crate::keys::{self, KeyKind};
use crate::store::{Schema, Store};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

pub(super) const EXAMPLES: &str = "\
Examples:
  countersign doctor
  countersign doctor --json | jq -r '.checks[] | select(.verdict != \"ok\") | .what + \": \" + .advice'

Asks Slack and the database. Exit code: 0 no problem (there may be warnings), 1 at least one problem.";

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Line {
    part: &'static str,
    verdict: Verdict,
    what: String,
    /// What to do; empty when it is right.
    advice: String,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Line>);

impl Findings {
    fn ok(&mut self, part: &'static str, what: impl Into<String>) {
        self.0.push(Line { part, verdict: Verdict::Ok, what: what.into(), advice: String::new() });
    }

    fn warning(&mut self, part: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Line { part, verdict: Verdict::Warning, what: what.into(), advice: advice.into() });
    }

    fn problem(&mut self, part: &'static str, what: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Line { part, verdict: Verdict::Problem, what: what.into(), advice: advice.into() });
    }

    fn of(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|line| line.verdict == verdict).count()
    }
}

/// Examines everything and prints what was found.
pub(super) async fn run(context: &Context) -> anyhow::Result<ExitCode> {
    let config = context.load_config()?;
    let mut found = Findings::default();
    address(&config, &mut found).await;
    key_files(&config, &mut found);
    database(&config, &mut found).await;
    let policy = policy(&config, &mut found);
    let people = directory(&config, policy.as_ref(), &mut found);
    slack::examine(&config, policy.as_ref(), people.as_deref(), &mut found).await;
    let (problems, warnings) = (found.of(Verdict::Problem), found.of(Verdict::Warning));
    if context.out.json {
        context.out.document(&json!({"ok": problems == 0, "problems": problems, "warnings": warnings, "checks": found.0}))?;
    } else {
        found.0.iter().for_each(|line| show(context.out, line));
        let (style, word) = if problems == 0 { (Style::Green, "ok:") } else { (Style::Red, "failed:") };
        let tally = format!("{}, {}", count(problems, "problem"), count(warnings, "warning"));
        context.out.line(format!("{} {tally}", context.out.paint(style, word)));
    }
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(out: Output, line: &Line) {
    let (style, word) = match line.verdict {
        Verdict::Ok => (Style::Green, "ok       "),
        Verdict::Warning => (Style::Yellow, "warning  "),
        Verdict::Problem => (Style::Red, "problem  "),
    };
    out.line(format!("{}{:<10} {}", out.paint(style, word), line.part, visible(&line.what)));
    if !line.advice.is_empty() {
        out.line(format!("{:20}{}", "", visible(&line.advice)));
    }
}

/// The address that people, callers and Slack use.
async fn address(config: &Config, found: &mut Findings) {
    const PART: &str = "address";
    let url = config.server.public_url.trim_end_matches('/');
    if !url.starts_with("https://") {
        let advice = "Slack calls https:// only, and keys of clients must not travel in the clear: put a TLS proxy in front and set [server] public_url to its address.";
        found.warning(PART, format!("public_url {url} is not https://"), advice);
    }
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().redirect(reqwest::redirect::Policy::none()).build();
    let asked = match http {
        Ok(http) => http.get(format!("{url}/healthz")).send().await.map(|answer| answer.status()),
        Err(error) => Err(error),
    };
    match asked {
        Ok(status) if status.is_success() => found.ok(PART, format!("{url} answers")),
        Ok(status) => found.warning(
            PART,
            format!("{url}/healthz answers {}", status.as_u16()),
            "Something else answers there, or the proxy does not reach the server.",
        ),
        Err(_) => found.warning(
            PART,
            format!("{url} does not answer from here"),
            "Start the server, or ask from outside: curl -sS …/healthz. Slack must reach it unless it is in Socket Mode.",
        ),
    }
}

fn key_files(config: &Config, found: &mut Findings) {
    const PART: &str = "keys";
    let first_start = migrate::sqlite_file(&config.database).is_some_and(|file| !file.exists());
    let sources = [
        (&config.secrets.master_key, KeyKind::Master),
        (&config.grants.key, KeyKind::Grant),
        (&config.audit.checkpoint_key, KeyKind::Audit),
    ];
    for (source, kind) in sources {
        match (source, keys::load(source, kind, false)) {
            (_, Ok(_)) => found.ok(PART, format!("the {} is there and usable", kind.name())),
            (KeySource::File(file), Err(_)) if first_start && !file.exists() => {
                found.ok(PART, format!("the {} is made at the first start", kind.name()));
            }
            (_, Err(error)) => found.problem(PART, error.to_string(), "Without its keys the server does not start."),
        }
    }
}

async fn database(config: &Config, found: &mut Findings) {
    const PART: &str = "database";
    let name = migrate::describe(&config.database);
    if migrate::sqlite_file(&config.database).is_some_and(|file| !file.exists()) {
        return found.ok(PART, format!("the {name} is made at the first start"));
    }
    let store = match Store::open_read_only(config.database.url.expose_secret()).await {
        Ok(store) => store,
        Err(error) => {
            return found.problem(
                PART,
                format!("the {name} cannot be opened: {error}"),
                "Check [database] url and that the database runs.",
            );
        }
    };
    match store.schema().await {
        Ok(Schema::Present) => found.ok(PART, format!("the {name} is reachable and in the form of this version")),
        Ok(Schema::Missing(missing)) => {
            let advice = match config.database.backend() {
                Some(Backend::Sqlite) => "The next start brings it up to date; take a backup before.",
                _ => "Run countersign migrate, or start the server, which does the same.",
            };
            found.warning(PART, format!("the {name} lacks {}", count(missing, "migration")), advice);
        }
        Ok(Schema::Later) => found.problem(
            PART,
            format!("the {name} was used by a later version"),
            "Run that version, or restore the backup from before it.",
        ),
        Err(error) => found.problem(PART, format!("the {name} cannot be read: {error}"), "Check that the account may read its tables."),
    }
    store.close().await;
}

fn policy(config: &Config, found: &mut Findings) -> Option<Policy> {
    const PART: &str = "policy";
    match super::policy::read(&config.policy.file) {
        Ok(policy) => {
            found.ok(PART, format!("{}: {}", config.policy.file.display(), count(policy.rule_ids().count(), "rule")));
            Some(policy)
        }
        Err(mistakes) => {
            let what = format!("{} has {}", config.policy.file.display(), count(mistakes.len(), "mistake"));
            found.problem(PART, what, "Run countersign check, which shows each with its place.");
            None
        }
    }
}

/// Who could decide, and whether every seat can be filled.
fn directory(config: &Config, policy: Option<&Policy>, found: &mut Findings) -> Option<Vec<Record>> {
    const PART: &str = "directory";
    let Some(section) = config.directory.as_ref().filter(|section| !section.sources.is_empty()) else {
        found.problem(PART, "there is none, so nobody can approve anything", "Add [directory] with a file.");
        return None;
    };
    let Ok(people) = FileDirectory::check(&section.file) else {
        found.problem(
            PART,
            format!("{} does not load, so every approval is refused", section.file.display()),
            "Run countersign check, which shows each mistake with its place.",
        );
        return None;
    };
    let active = people.iter().filter(|person| person.active && person.is_human()).count();
    if active == 0 {
        found.problem(PART, "nobody in it is an active human", "Add the people who decide.");
    } else {
        found.ok(PART, format!("{active} of {} are active humans", people.len()));
    }
    for client in &config.clients {
        if let Some(problem) = client.owner.as_deref().and_then(|owner| check::owner_problem(owner, &people)) {
            let what = format!("client {}: its owner {problem}", client.name);
            found.problem(PART, what, "Nothing it asks can be approved; name an active person.");
        }
    }
    if let Some(policy) = policy {
        let facts: Vec<DirectoryFacts> = people.iter().map(check::facts).collect();
        let short = unsatisfiable(policy, &facts);
        for one in &short {
            found.problem(PART, one.to_string(), "Add people to the group, or change the seats.");
        }
        if short.is_empty() {
            found.ok(PART, "every seat of the policy can be filled");
        }
    }
    Some(people)
}
