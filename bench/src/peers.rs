//! Owns Bolt on Node and Bolt for Python: installed at pinned versions into `target/bench-peers`, started beside our server.
//!
//! Never downloads anything but these packages from npm and PyPI.

use crate::load::Target;
use crate::ports;
use crate::slack::SECRET;
use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const BOLT_NODE: &str = "5.1.0";
const BOLT_PYTHON: &str = "1.30.0";
const AIOHTTP: &str = "3.14.5";
const NODE_PROGRAM: &str = include_str!("../peers/bolt.mjs");
const PYTHON_PROGRAM: &str = include_str!("../peers/bolt.py");

/// A running peer.
pub struct Peer {
    child: Child,
    pub address: SocketAddr,
}

impl Peer {
    pub fn target(&self) -> Target {
        Target { address: self.address, pid: self.child.id(), status: 200 }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn home() -> anyhow::Result<PathBuf> {
    let release = std::env::current_exe()?;
    Ok(release.parent().and_then(Path::parent).context("no target directory")?.join("bench-peers"))
}

/// Installs and starts Bolt on Node.
pub async fn node() -> anyhow::Result<Peer> {
    let directory = home()?.join("node");
    std::fs::create_dir_all(&directory)?;
    let manifest = json!({"private": true, "type": "module", "dependencies": {"@slack/bolt": BOLT_NODE}});
    std::fs::write(directory.join("package.json"), manifest.to_string())?;
    std::fs::write(directory.join("bolt.mjs"), NODE_PROGRAM)?;
    if installed(&directory.join("node_modules/@slack/bolt/package.json")) != Some(BOLT_NODE.to_owned()) {
        run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(&directory))?;
    }
    start(Command::new("node").arg("bolt.mjs").env("NODE_ENV", "production").current_dir(&directory)).await.context("Bolt on Node")
}

/// Installs and starts Bolt for Python.
pub async fn python() -> anyhow::Result<Peer> {
    let directory = home()?.join("python");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("bolt.py"), PYTHON_PROGRAM)?;
    let stamp = format!("slack_bolt=={BOLT_PYTHON} aiohttp=={AIOHTTP}");
    if std::fs::read_to_string(directory.join("installed")).ok().as_deref() != Some(&stamp) {
        run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(&directory))?;
        run(Command::new("venv/bin/pip").args(["install", "--quiet"]).args(stamp.split(' ')).current_dir(&directory))?;
        std::fs::write(directory.join("installed"), &stamp)?;
    }
    start(Command::new(directory.join("venv/bin/python")).arg("bolt.py").current_dir(&directory)).await.context("Bolt for Python")
}

/// What they are.
pub fn versions() -> Value {
    let tool = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    json!({"bolt_node": BOLT_NODE, "node": tool("node"), "bolt_python": BOLT_PYTHON, "aiohttp": AIOHTTP, "python": tool("python3")})
}

fn installed(manifest: &Path) -> Option<String> {
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(manifest).ok()?).ok()?;
    manifest["version"].as_str().map(str::to_owned)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?} does not start"))?;
    if !status.success() {
        bail!("{command:?} failed: Bolt must be there for this comparison");
    }
    Ok(())
}

async fn start(command: &mut Command) -> anyhow::Result<Peer> {
    let address = ports::free()?;
    let child = command.env("SECRET", SECRET).env("PORT", address.port().to_string()).stdin(Stdio::null()).spawn()?;
    let peer = Peer { child, address };
    ports::wait_until_open(address, Duration::from_secs(30)).await?;
    Ok(peer)
}
