//! Owns `countersign demo`: the whole product on this machine alone, with sample people, a sample policy and an agent that waits.
//!
//! Never touches anything outside a temporary folder and loopback, and never serves without the random token in its URL.

use crate::app::{self, Surroundings};
use crate::config::clients::{Client, Scope};
use crate::config::{Config, KeySource, api_key};
use crate::http::demo::Demo;
use crate::http::sessions::Sessions;
use crate::runtime::{Random, SystemClock, SystemRandom};
use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const PEOPLE: &str = include_str!("../../templates/demo/directory.toml");
const POLICY: &str = include_str!("../../templates/demo/policy.toml");
const ASKS: &str = include_str!("../../templates/demo/asks.json");
/// The port that is tried first; any free one otherwise.
const PORT: u16 = 8080;

/// What can be chosen about the demo.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  countersign demo\n  countersign demo --port 9000")]
pub(crate) struct Args {
    /// Listen on this port of 127.0.0.1 [default: 8080, or a free one]
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

/// Runs the demo until Ctrl-C.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn run(port: Option<u16>) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let listener = match port {
        Some(port) => {
            TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port} is taken; choose another with --port"))?
        }
        None => match TcpListener::bind(("127.0.0.1", PORT)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(("127.0.0.1", 0)).await?,
        },
    };
    let origin = format!("http://{}", listener.local_addr()?);
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let key = api_key::generate(&random.bytes());
    let token = crate::domain::audit::hex(&random.bytes::<16>());
    let config = config(&folder.0, &origin, &key)?;
    let around = Surroundings {
        clock: Arc::new(SystemClock),
        random,
        sessions: Sessions::demo(&origin),
        demo: Some(Demo { token: token.clone(), people: people()? }),
    };
    let built = app::build(&config, around).await?;
    let running = app::start(built, listener, None);
    say("");
    say("  Countersign demo: sample people, a sample policy, and an agent that waits for you.");
    say("");
    say(&format!("  Open    {origin}/demo/{token}"));
    say(&format!("  API     {origin}/docs"));
    say("  Stop    Ctrl-C (nothing is kept)");
    say("");
    let agent = tokio::spawn(agent(origin, key));
    tokio::signal::ctrl_c().await?;
    agent.abort();
    say("");
    say("  stopping");
    running.stop().await?;
    Ok(())
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

fn people() -> anyhow::Result<Vec<String>> {
    let directory: toml::Table = PEOPLE.parse()?;
    let people = directory.get("person").and_then(toml::Value::as_array).context("the sample directory has no people")?;
    Ok(people.iter().filter_map(|person| person.get("email")?.as_str().map(str::to_owned)).collect())
}

fn config(folder: &Path, origin: &str, key: &SecretString) -> anyhow::Result<Config> {
    std::fs::write(folder.join("policy.toml"), POLICY)?;
    std::fs::write(folder.join("directory.toml"), PEOPLE)?;
    let mut config = Config::default();
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
    }];
    Ok(config)
}

/// The agent: asks, waits, and does what it was allowed to do. Everything goes through the public API.
async fn agent(origin: String, key: SecretString) {
    let Ok(http) = reqwest::Client::builder().timeout(Duration::from_secs(70)).no_proxy().build() else { return };
    let asks: Vec<Value> = serde_json::from_str(ASKS).unwrap_or_default();
    let agent = Agent { http, origin, key };
    for ask in asks.iter().cycle() {
        if let Err(error) = agent.run(ask).await {
            say(&format!("  agent   lost the server: {error}"));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

struct Agent {
    http: reqwest::Client,
    origin: String,
    key: SecretString,
}

impl Agent {
    async fn run(&self, ask: &Value) -> reqwest::Result<()> {
        let mut request = self.send(self.http.post(format!("{}/v1/requests", self.origin)).json(ask)).await?;
        let id = text(&request["id"]).to_owned();
        say(&format!("  agent   asks: {} on {} ({id})", text(&ask["action"]), text(&ask["resource"]["id"])));
        if request["status"] == "pending" {
            say("  agent   waits for a person …");
        }
        while request["status"] == "pending" {
            request = self.send(self.http.get(format!("{}/v1/requests/{id}?wait=50", self.origin))).await?;
        }
        let Some(token) = request["grant"]["token"].as_str() else {
            say(&format!("  agent   does not go on. Feedback: {}", text(&request["feedback"])));
            return Ok(());
        };
        let by: Vec<&str> =
            request["reviews"].as_array().into_iter().flatten().filter_map(|review| review["person"]["name"].as_str()).collect();
        let by = if by.is_empty() { "policy".to_owned() } else { by.join(" and ") };
        say(&format!("  agent   approved by {by}; holds a grant until {}", text(&request["grant"]["expires_at"])));
        let parameters = if request["edited"] == true { &request["final_parameters"] } else { &request["parameters"] };
        let redeem =
            || self.http.post(format!("{}/v1/grants/redeem", self.origin)).json(&json!({"token": token, "parameters": parameters}));
        let redeemed = self.send(redeem()).await?;
        if redeemed["jti"].is_null() {
            say(&format!("  agent   redeem refused: {}", text(&redeemed["detail"])));
            return Ok(());
        }
        say(&format!("  agent   redeems it for exactly these parameters: {parameters}"));
        let again = self.send(redeem()).await?;
        say(&format!("  agent   tries it a second time: {}", text(&again["detail"])));
        self.send(self.http.post(format!("{}/v1/requests/{id}/outcome", self.origin)).json(&json!({"status": "succeeded"}))).await?;
        say("  agent   done, and says so on the card");
        Ok(())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Value> {
        request.bearer_auth(self.key.expose_secret()).send().await?.json().await
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// Standard output may be closed; the demo goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
