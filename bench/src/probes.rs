//! Owns the two probes that stand beside every figure: what the disk and what a bare server can do at this moment.

use crate::ports;
use crate::stats;
use anyhow::Context as _;
use axum::routing::post;
use serde_json::Value;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Appends 4 KiB and calls `fdatasync`, again and again, beside the database.
pub fn fsync(directory: &Path) -> anyhow::Result<Value> {
    let path = directory.join("fsync-probe");
    let mut file = std::fs::File::create(&path)?;
    let page = [7_u8; 4_096];
    let mut samples = Vec::with_capacity(400);
    for _ in 0..400 {
        let start = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        samples.push(start.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(stats::summary(&mut samples))
}

/// A bare axum that answers JSON with the same JSON, in a process of its own.
pub struct Echo {
    child: Child,
    pub address: SocketAddr,
}

impl Echo {
    pub async fn start() -> anyhow::Result<Self> {
        let address = ports::free()?;
        let child = Command::new(std::env::current_exe()?)
            .args(["echo", &address.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("the echo does not start")?;
        let echo = Self { child, address };
        ports::wait_until_open(address, Duration::from_secs(10)).await?;
        Ok(echo)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child process does.
pub async fn serve_echo(address: SocketAddr) -> anyhow::Result<()> {
    let router = axum::Router::new().route("/echo", post(async |axum::Json(body): axum::Json<Value>| axum::Json(body)));
    let listener = tokio::net::TcpListener::bind(address).await?;
    Ok(axum::serve(listener, router).await?)
}
