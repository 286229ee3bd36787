//! Owns `countersign serve`: configuration, logging, listening, reloading the policy, stopping in good order.
//!
//! Never offers a way to sign in that is not configured: the demo's page does not exist here.

use super::logging;
use crate::app::{self, Running, Surroundings};
use crate::config::Config;
use crate::config::policy::PolicySource;
use crate::domain::audit::Actor;
use crate::http::sessions::Sessions;
use crate::runtime::{SystemClock, SystemRandom};
use anyhow::Context as _;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs the server until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting, or what ended it.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    logging::start();
    // Before anything else is touched: a port that is taken may well mean that another server works on this database.
    let listener = TcpListener::bind(config.server.listen).await.with_context(|| format!("cannot listen on {}", config.server.listen))?;
    let metrics = match config.server.metrics_listen {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen for metrics on {address}"))?),
        None => None,
    };
    let around = Surroundings { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom), sessions: Sessions::default(), demo: None };
    let built = app::build(&config, around).await?;
    let address = listener.local_addr()?;
    // From the first answer on a signal is heard.
    let signals = Signals::new()?;
    let running = app::start(built, listener, metrics);
    tracing::info!(%address, public_url = config.server.public_url, policy_version = running.app.engine.policy().version(), "countersign listens");
    until_stopped(signals, &config, &running).await;
    tracing::info!("stopping: waiting callers are answered, work in hand is finished");
    running.stop().await?;
    tracing::info!("stopped");
    Ok(())
}

/// What the operator says.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn until_stopped(mut signals: Signals, config: &Config, running: &Running) {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => reload(config, running).await,
        }
    }
}

/// SIGHUP: the policy file is read again. One that does not load leaves the old policy in place.
async fn reload(config: &Config, running: &Running) {
    if config.policy.source != PolicySource::File {
        tracing::info!("SIGHUP: the policy is managed through the API, nothing to read");
        return;
    }
    let engine = &running.app.engine;
    match app::read_policy(&config.policy.file) {
        Ok((policy, _)) if policy.version() == engine.policy().version() => tracing::info!("SIGHUP: the policy file is unchanged"),
        Ok((policy, text)) => match engine.install_policy(&text, policy, Actor::System).await {
            Ok(policy) => tracing::info!(policy_version = policy.version(), "SIGHUP: a new policy is active"),
            Err(failure) => tracing::error!(code = failure.code(), "SIGHUP: the new policy could not be stored; the old one stays"),
        },
        Err(error) => {
            tracing::error!(error = %error, "SIGHUP: the policy file does not load; the old policy stays");
            engine.note_policy_error("does_not_load").await;
        }
    }
}
