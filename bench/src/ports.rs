//! Owns ports to listen on: below 32768, because outgoing connections take the rest.

use anyhow::bail;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

static NEXT: AtomicU16 = AtomicU16::new(18_400);

/// A port of loopback on which nobody listens.
pub fn free() -> anyhow::Result<SocketAddr> {
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if port >= 32_000 {
            bail!("no free port between 18400 and 32000");
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
}

/// Waits until somebody listens.
pub async fn wait_until_open(address: SocketAddr, patience: Duration) -> anyhow::Result<()> {
    let start = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if start.elapsed() > patience {
            bail!("nothing listens on {address} after {patience:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
