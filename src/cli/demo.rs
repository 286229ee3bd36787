//! Owns `countersign demo`: the whole product on this machine alone, with sample people, a sample policy and an agent that waits.
//!
//! Never touches anything outside a temporary folder and loopback, and never serves without the random token in its URL.

mod agent;
mod slack;

use crate::app::{self, Surroundings};
use crate::config::clients::{Client, Scope};
use crate::config::{Config, KeySource, api_key};
use crate::http::demo::Demo;
use crate::http::sessions::Sessions;
use crate::runtime::{Random, SystemClock, SystemRandom};
use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use slack::Workspace;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

const PEOPLE: &str = include_str!("../../templates/demo/directory.toml");
const POLICY: &str = include_str!("../../templates/demo/policy.toml");
/// The port that is tried first; any free one otherwise.
const PORT: u16 = 8080;

/// What can be chosen about the demo.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  countersign demo\n  countersign demo --slack\n  countersign demo --port 9000")]
pub(crate) struct Args {
    /// Listen on this port of 127.0.0.1 [default: 8080, or a free one]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// With a Slack workspace in memory, whose page shows channels, cards and dialogs, and lets you tap as anybody
    #[arg(long)]
    pub(crate) slack: bool,
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let listener = match args.port {
        Some(port) => {
            TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port} is taken; choose another with --port"))?
        }
        None => listen(PORT).await?,
    };
    let origin = format!("http://{}", listener.local_addr()?);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let key = api_key::generate(&random.bytes());
    let token = token(&random);
    let workspace = if args.slack { Some(Workspace::open(&random).await?) } else { None };
    let config = config(&folder.0, &origin, &key, workspace.as_ref())?;
    let around = Surroundings {
        clock: Arc::new(SystemClock),
        random,
        sessions: Sessions::demo(&origin),
        demo: Some(Demo { token: token.clone(), people: people()?.into_iter().map(|person| person.email).collect() }),
    };
    let built = app::build(&config, around).await?;
    let running = app::start(built, listener, None);
    say("");
    say("  Countersign demo: sample people, a sample policy, and an agent that waits for you.");
    say("");
    if let Some(workspace) = &workspace {
        workspace.calls(&origin);
        say(&format!("  Slack   {}", workspace.page));
        say(&format!("  Web     {origin}/demo/{token}"));
    } else {
        say(&format!("  Open    {origin}/demo/{token}"));
    }
    say(&format!("  API     {origin}/docs"));
    say("  Stop    Ctrl-C (nothing is kept)");
    say("");
    let agent = tokio::spawn(agent::works(origin, key));
    tokio::signal::ctrl_c().await?;
    agent.abort();
    say("");
    say("  stopping");
    running.stop().await?;
    Ok(())
}

/// This port of loopback, or a free one when it is taken.
async fn listen(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await,
    }
}

/// Nobody guesses it.
fn token(random: &Arc<dyn Random>) -> String {
    crate::domain::audit::hex(&random.bytes::<16>())
}

/// A temporary folder that goes when the demo ends.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let path = std::env::temp_dir().join(format!("countersign-demo-{}", crate::domain::audit::hex(&random.bytes::<8>())));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing depends on it; the system clears its temporary folder anyway.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One of the sample people.
struct Sample {
    name: String,
    email: String,
    /// What stands beside the name.
    groups: String,
}

fn people() -> anyhow::Result<Vec<Sample>> {
    let directory: toml::Table = PEOPLE.parse()?;
    let people = directory.get("person").and_then(toml::Value::as_array).context("the sample directory has no people")?;
    let text = |person: &toml::Value, key| Some(person.get(key)?.as_str()?.to_owned());
    let sample = |person: &toml::Value| {
        let groups: Vec<&str> = person.get("groups")?.as_array()?.iter().filter_map(toml::Value::as_str).collect();
        let inactive = if person.get("active").and_then(toml::Value::as_bool) == Some(false) { ", inactive" } else { "" };
        Some(Sample { name: text(person, "name")?, email: text(person, "email")?, groups: groups.join(", ") + inactive })
    };
    Ok(people.iter().filter_map(sample).collect())
}

fn config(folder: &Path, origin: &str, key: &SecretString, workspace: Option<&Workspace>) -> anyhow::Result<Config> {
    let (mut directory, mut policy): (toml::Table, toml::Table) = (PEOPLE.parse()?, POLICY.parse()?);
    let mut config = Config::default();
    if let Some(workspace) = workspace {
        let section = workspace.section()?;
        slack::link(&mut directory, &mut policy, &section.team_ids.concat());
        config.slack = Some(section);
    }
    std::fs::write(folder.join("policy.toml"), policy.to_string())?;
    std::fs::write(folder.join("directory.toml"), directory.to_string())?;
    origin.clone_into(&mut config.server.public_url);
    config.database.url = SecretString::from(format!("sqlite://{}", folder.join("countersign.db").display()));
    config.secrets.master_key = KeySource::File(folder.join("countersign.key"));
    config.grants.key = KeySource::File(folder.join("grant-key.pem"));
    config.audit.checkpoint_key = KeySource::File(folder.join("audit-key.pem"));
    config.policy.file = folder.join("policy.toml");
    config.directory = Some(crate::config::directory::Directory { file: folder.join("directory.toml"), ..Default::default() });
    config.clients = vec![Client {
        name: "exporter-bot".to_owned(),
        key: api_key::parse(key.expose_secret())?,
        scopes: [Scope::RequestsWrite, Scope::GrantsRedeem].into(),
        owner: Some("alice@example.com".to_owned()),
        may_act_for: vec!["*@example.com".to_owned()],
        webhook_secret: None,
    }];
    Ok(config)
}

/// Standard output may be closed; the demo goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
