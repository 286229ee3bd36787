//! Owns the server under test: the release binary, `serve`, with a generated configuration, in a temporary directory.

use crate::client::{self, Connection};
use crate::load::Target;
use crate::ports;
use crate::slack::{SECRET, TEAM};
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// People who may decide; taps are spread over them.
pub const REVIEWERS: usize = 8;

const POLICY: &str = r#"
default = "review"
default_route = "data"

[routes.data]
slack = ["C0PROD"]
seats = [{ group = "data-governance", count = 1 }]
expires_in = "1h"

[routes.quiet]
seats = [{ group = "data-governance", count = 1 }]
expires_in = "1h"

[[rule]]
id = "read-only"
effect = "allow"
match = { action = "*.read" }

[[rule]]
id = "quiet"
effect = "review"
match = { action = "quiet.*" }
route = "quiet"

[[rule]]
id = "no-drop"
effect = "deny"
match = { action = "db.drop" }
"#;

/// Which database the servers of this run use.
#[derive(Clone)]
pub enum Database {
    Sqlite,
    /// The address of a PostgreSQL server; each server under test gets a database of its own there.
    Postgres(String),
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub directory: tempfile::TempDir,
}

/// A pending request.
#[derive(Clone)]
pub struct Pending {
    pub id: String,
    /// Lower hex, without a prefix.
    pub digest: String,
}

/// The release binary, built when it is missing or old.
pub fn binary() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no parent directory")?;
    let status = Command::new(cargo)
        .args(["build", "--profile", "dist", "--quiet", "-p", "countersign", "--bin", "countersign"])
        .current_dir(root)
        .status()
        .context("cargo does not start")?;
    if !status.success() {
        bail!("the server does not build");
    }
    // This program lies in the same directory: target/dist.
    let beside = std::env::current_exe()?.with_file_name("countersign");
    if !beside.exists() {
        bail!("{} is missing: run the bench with --profile dist", beside.display());
    }
    Ok(beside)
}

impl Server {
    /// Starts a server with an empty database and waits until it listens. Taps go to the Slack at `slack`.
    pub async fn start(binary: &Path, database: &Database, slack: SocketAddr) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let sqlite = format!("sqlite://{}", directory.path().join("countersign.db").display());
        if let Database::Postgres(server) = database {
            // The keys of a PostgreSQL database are never made by the server: let an SQLite one make them.
            drop(Self::spawn(binary, &directory, &sqlite, slack).await?);
            let url = fresh_postgres(server).await?;
            let (child, address) = Self::spawn(binary, &directory, &url, slack).await?;
            return Ok(Self { child: child.into_inner(), address, directory });
        }
        let (child, address) = Self::spawn(binary, &directory, &sqlite, slack).await?;
        Ok(Self { child: child.into_inner(), address, directory })
    }

    async fn spawn(binary: &Path, directory: &tempfile::TempDir, url: &str, slack: SocketAddr) -> anyhow::Result<(Stopping, SocketAddr)> {
        let path = directory.path();
        let address = ports::free()?;
        std::fs::write(path.join("policy.toml"), POLICY)?;
        std::fs::write(path.join("directory.toml"), people())?;
        std::fs::write(path.join("countersign.toml"), config(address, url, slack))?;
        let log = std::fs::File::create(path.join("log"))?;
        let child = Command::new(binary)
            .args(["--config", &path.join("countersign.toml").display().to_string(), "serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("the server does not start")?;
        let child = Stopping(Some(child));
        ports::wait_until_open(address, Duration::from_secs(20))
            .await
            .with_context(|| std::fs::read_to_string(path.join("log")).unwrap_or_default())?;
        Ok((child, address))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn target(&self, status: u16) -> Target {
        Target { address: self.address, pid: self.pid(), status }
    }

    /// Creates pending requests over several connections.
    pub async fn pending(&self, count: usize, action: &str) -> anyhow::Result<Vec<Pending>> {
        let text = Arc::new(create(action));
        let found = Arc::new(Mutex::new(Vec::with_capacity(count)));
        let left = Arc::new(AtomicU32::new(u32::try_from(count)?));
        let tasks: Vec<_> = (0..count.min(64))
            .map(|_| {
                let (text, found, left, address) = (Arc::clone(&text), Arc::clone(&found), Arc::clone(&left), self.address);
                tokio::spawn(async move {
                    let mut connection = Connection::open(address).await?;
                    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                        let answer = connection.call(&text).await?;
                        let body: Value = serde_json::from_slice(answer.body)?;
                        let (Some(id), Some(digest)) = (body["id"].as_str(), body["digest"].as_str()) else {
                            bail!("a create was answered with {}: {body}", answer.status);
                        };
                        let pending = Pending { id: id.to_owned(), digest: digest.trim_start_matches("sha256:").to_owned() };
                        found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(pending);
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        let found = std::mem::take(&mut *found.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        Ok(found)
    }

    /// Waits until at most `left` requests are pending.
    pub async fn until_decided_but(&self, left: usize, patience: Duration) -> anyhow::Result<()> {
        let start = std::time::Instant::now();
        // A page holds no more.
        let left = left.min(199);
        let path = format!("/v1/requests?status=pending&limit={}", left + 1);
        let text = client::request("GET", &path, &[AUTHORIZATION], b"");
        let mut connection = Connection::open(self.address).await?;
        loop {
            let body: Value = serde_json::from_slice(connection.call(&text).await?.body)?;
            if body["items"].as_array().is_some_and(|items| items.len() <= left) {
                return Ok(());
            }
            if start.elapsed() > patience {
                bail!("requests are still pending after {patience:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The credential of the bench's client.
pub const AUTHORIZATION: (&str, &str) = ("authorization", "Bearer cs_bench00_kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk");

/// The body of an ask.
pub fn ask(action: &str) -> Vec<u8> {
    json!({
        "action": action,
        "resource": {"type": "table", "id": "prod/customers", "environment": "prod"},
        "parameters": {"rows": 120_000, "destination": "s3://partner-drop/customers.csv"},
        "summary": "Export customers to the partner bucket",
        "justification": "Quarterly reconciliation, FIN-482",
        "context": {"source": "airflow dag=partner_sync run=2026-11-20", "data_scope": "customers: name, email, balance"},
        "deny_options": [{"name": "use_staging", "title": "Use staging instead"}]
    })
    .to_string()
    .into_bytes()
}

/// The whole text of a create.
pub fn create(action: &str) -> Vec<u8> {
    client::request("POST", "/v1/requests", &[AUTHORIZATION, ("content-type", "application/json")], &ask(action))
}

/// The whole text of a read that waits.
pub fn wait_for(id: &str) -> Vec<u8> {
    client::request("GET", &format!("/v1/requests/{id}?wait=50"), &[AUTHORIZATION], b"")
}

/// The whole text of a stream of one request.
pub fn stream_of(id: &str) -> Vec<u8> {
    client::request("GET", &format!("/v1/requests/{id}/events"), &[AUTHORIZATION], b"")
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

/// A child that is stopped when nobody took it over.
struct Stopping(Option<Child>);

impl Stopping {
    fn into_inner(mut self) -> Child {
        self.0.take().unwrap_or_else(|| unreachable!("it is taken once"))
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            stop(child);
        }
    }
}

fn stop(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    for _ in 0..200 {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    let _ = child.kill();
    let _ = child.wait();
}

async fn fresh_postgres(server: &str) -> anyhow::Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("countersign_bench_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = sqlx::PgConnection::connect(server).await.context("the PostgreSQL server is not there")?;
    // The name is made of two numbers.
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
    let mut url = url::Url::parse(server)?;
    url.set_path(&name);
    Ok(url.into())
}

fn people() -> String {
    let mut text = "[[person]]\nname = \"Alice Liu\"\nemail = \"alice@example.com\"\ngroups = []\n".to_owned();
    for number in 0..REVIEWERS {
        text.push_str(&format!(
            "\n[[person]]\nname = \"Bob {number}\"\nemail = \"bob{number}@example.com\"\ngroups = [\"data-governance\"]\n\
             slack = {{ team_id = \"{TEAM}\", user_id = \"U0BOB{number}\" }}\n"
        ));
    }
    text
}

fn config(address: SocketAddr, url: &str, slack: SocketAddr) -> String {
    let key = AUTHORIZATION.1.trim_start_matches("Bearer ");
    format!(
        r#"
[server]
listen = "{address}"
public_url = "http://{address}"
metrics_listen = ""

[database]
url = "{url}"

[slack]
signing_secret = "{SECRET}"
bot_token = "xoxb-bench"
team_ids = ["{TEAM}"]
api_url = "http://{slack}/api/"

[directory]
sources = ["file"]
file = "directory.toml"

[[clients]]
name = "bench"
key = "{key}"
scopes = ["requests:write", "requests:read", "grants:redeem"]
owner = "alice@example.com"
"#
    )
}
