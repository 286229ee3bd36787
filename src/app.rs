//! Owns putting a server together from its configuration: keys, store, directory, policy, platforms, use cases, routes.
//!
//! Never starts when something is missing that a decision would need later: a server that runs can decide.

use crate::chat::ChatPlatform;
use crate::chat::slack::callback::SlackInbound;
use crate::chat::slack::client::{Settings as SlackSettings, Slack};
use crate::chat::slack::connector::ConnectorError;
use crate::chat::slack::intake::Intake;
use crate::chat::slack::socket::{Links, Socket, Timing};
use crate::config::policy::PolicySource;
use crate::config::slack::Mode;
use crate::config::{self, Config, KeySource};
use crate::directory::{Directory, FileDirectory};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::ids::ClientId;
use crate::domain::policy::{Effect, Policy};
use crate::domain::time::Clock;
use crate::engine::eligibility::Eligibility;
use crate::engine::outage::Outages;
use crate::engine::signer::GrantSigner;
use crate::engine::taps::Inbox;
use crate::engine::waiters::Waiters;
use crate::engine::worker::Workers;
use crate::engine::{Engine, Settings};
use crate::http::pages::Pages;
use crate::http::sessions::Sessions;
use crate::http::{self, App, Parts, demo::Demo};
use crate::keys::{self, AuditKey, KeyKind, MasterKey, Purpose};
use crate::runtime::Random;
use crate::store::{ConfiguredClient, Store};
use crate::webhook::{Guard, SystemLookup, Webhooks};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Why a server does not start: what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl StartError {
    fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}

/// Time, randomness, and what only the demo and tests add.
pub struct Surroundings {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub random: Arc<dyn Random>,
    /// People signing in.
    pub sessions: Sessions,
    /// The demo's page.
    pub demo: Option<Demo>,
}

/// A server that is put together but does not listen yet.
pub struct Built {
    /// For the routes.
    pub parts: Parts,
    /// What finds out who we are in Slack.
    slack: Option<(Arc<Slack>, Arc<Intake>)>,
    /// How often Slack is asked while something about our installation is not known.
    pub look_every: Duration,
    /// The way in from Slack where it cannot reach us.
    pub socket: Option<Socket>,
}

/// Slack, put together: what goes out, what comes in, and over what.
struct SlackParts {
    platform: Arc<Slack>,
    intake: Arc<Intake>,
    /// Over HTTP.
    inbound: Option<Arc<SlackInbound>>,
    /// Over connections of ours.
    links: Option<Arc<Links>>,
}

fn slack_of(section: &config::slack::Slack) -> Result<SlackParts, StartError> {
    let settings = SlackSettings {
        api_url: section.api_url.clone(),
        bot_token: section.bot_token.clone(),
        allowed: section.team_ids.iter().cloned().collect(),
        match_email: section.match_email,
        shared_channels: section.allow_shared_channels.iter().cloned().collect(),
    };
    let platform = Arc::new(Slack::new(&settings).map_err(StartError::new)?);
    let intake = Arc::new(Intake::new(section.team_ids.iter().cloned()));
    let (mut inbound, mut links) = (None, None);
    match section.mode {
        Mode::Http => {
            let secrets = &section.signing_secrets;
            inbound = Some(Arc::new(SlackInbound::new(secrets, Arc::clone(&intake)).map_err(StartError::new)?));
        }
        Mode::Socket => {
            let shared = Arc::new(Links::default());
            platform.listens_on(Arc::clone(&shared));
            links = Some(shared);
        }
    }
    Ok(SlackParts { platform, intake, inbound, links })
}

/// Socket Mode, where that is the way in.
fn socket_of(slack: &SlackParts, section: &config::slack::Slack, engine: &Arc<Engine>) -> Option<Socket> {
    Some(Socket {
        api_url: section.api_url.clone(),
        app_token: section.app_token.clone()?,
        intake: Arc::clone(&slack.intake),
        inbox: Arc::new(Arc::clone(engine)),
        slack: Arc::clone(&slack.platform),
        links: Arc::clone(slack.links.as_ref()?),
        clock: Arc::clone(&engine.clock),
        random: Arc::clone(&engine.random),
        timing: Timing::default(),
    })
}

/// Puts a server together.
///
/// # Errors
/// What is wrong and what to do; nothing was acknowledged to anybody.
pub async fn build(config: &Config, around: Surroundings) -> Result<Built, StartError> {
    let store = Store::open(config.database.url.expose_secret()).await.map_err(|error| StartError::new(format!("database: {error}")))?;
    store.migrate().await.map_err(|error| StartError::new(format!("database: migrations failed: {error}")))?;
    let may_create =
        config.database.backend() == Some(config::database::Backend::Sqlite) && store.is_empty().await.map_err(StartError::new)?;
    let master = load(&config.secrets.master_key, KeyKind::Master, may_create)?;
    let grant = load(&config.grants.key, KeyKind::Grant, may_create)?;
    let audit = load(&config.audit.checkpoint_key, KeyKind::Audit, may_create)?;
    let master_key = MasterKey::from_text(&master.text).map_err(StartError::new)?;
    let audit_key = AuditKey::from_pem(&audit.text).map_err(StartError::new)?;
    let signer = GrantSigner::new(&grant.text, &config.server.public_url).map_err(StartError::new)?;
    same_keys(&store, &master_key, &audit_key, &signer).await?;
    let now = around.clock.now();
    let directory: Arc<dyn Directory> = match &config.directory {
        Some(section) => Arc::new(FileDirectory::open(&section.file, now)),
        None => {
            return Err(StartError::new(
                "[directory] is missing: without one nobody could ever approve. Add it, with sources = [\"file\"] and a file.",
            ));
        }
    };
    let (policy, text, changed) = active_policy(config, &store).await?;
    if policy.default_effect() == Effect::Allow {
        tracing::warn!("policy: default = \"allow\" lets everything pass that no rule names");
    }
    let mut platforms: Vec<Arc<dyn ChatPlatform>> = Vec::new();
    let slack = config.slack.as_ref().map(slack_of).transpose()?;
    platforms.extend(slack.as_ref().map(|slack| Arc::clone(&slack.platform) as Arc<dyn ChatPlatform>));
    let engine = Engine {
        directory,
        platforms,
        signer,
        data_key: master_key.derive(Purpose::Data),
        audit_key,
        waiters: Arc::new(Waiters::default()),
        settings: Settings {
            public_url: config.server.public_url.trim_end_matches('/').to_owned(),
            admin_groups: config.admin.groups.clone(),
            grant_ttl: config.grants.ttl,
            policy_is_file_managed: config.policy.source == PolicySource::File,
        },
        active_policy: RwLock::new(Arc::clone(&policy)),
        webhooks: webhooks(config)?,
        outages: Outages::default(),
        cards: Notify::new(),
        callbacks: Notify::new(),
        taps: Notify::new(),
        inbox: Inbox::default(),
        eligibility: Eligibility::default(),
        clock: around.clock,
        random: around.random,
        store,
    };
    if changed {
        let entry = Entry::new(Kind::PolicyChanged, Actor::System, None).with("policy_version", policy.version());
        engine.store.put_policy(policy.version(), &text, Some(entry), now).await.map_err(StartError::new)?;
    }
    sync_clients(config, &engine).await?;
    let engine = Arc::new(engine);
    let socket = slack.as_ref().zip(config.slack.as_ref()).and_then(|(slack, section)| socket_of(slack, section, &engine));
    let parts = Parts {
        engine,
        sessions: Arc::new(around.sessions),
        pages: Arc::new(Pages::new().map_err(StartError::new)?),
        trusted_proxies: config.server.trusted_proxies.clone().into(),
        strangers: Arc::default(),
        metrics: http::metrics::handle(),
        slack: slack.as_ref().and_then(|slack| slack.inbound.clone()),
        ping: http::events::PING,
        demo: around.demo.map(Arc::new),
    };
    let slack = slack.map(|slack| (slack.platform, slack.intake));
    Ok(Built { parts, slack, look_every: LOOK_EVERY, socket })
}

fn webhooks(config: &Config) -> Result<Webhooks, StartError> {
    let secrets = config.clients.iter().filter_map(|client| Some((client.name.clone(), client.webhook_secret.clone()?))).collect();
    Webhooks::new(Guard::new(config.webhooks.allow_hosts.clone()), secrets, Arc::new(SystemLookup)).map_err(StartError::new)
}

fn load(source: &KeySource, kind: KeyKind, may_create: bool) -> Result<keys::Loaded, StartError> {
    let loaded = keys::load(source, kind, may_create).map_err(StartError::new)?;
    if loaded.created {
        tracing::info!(key = kind.name(), "made a new key beside the new database; back it up");
    }
    Ok(loaded)
}

/// A key that differs from the one the data were made with would make them unreadable or foreign.
async fn same_keys(store: &Store, master: &MasterKey, audit: &AuditKey, signer: &GrantSigner) -> Result<(), StartError> {
    let fingerprint = |bytes: &[u8]| crate::domain::audit::hex(&Sha256::digest(bytes));
    let known = [
        ("master_key", fingerprint(master.derive(Purpose::Commitment).expose())),
        ("audit_key", fingerprint(audit.public_key())),
        ("grant_key", signer.kid().to_owned()),
    ];
    for (name, present) in known {
        match store.meta(name).await.map_err(StartError::new)? {
            None => store.put_meta(name, &present).await.map_err(StartError::new)?,
            Some(before) if before == present => {}
            Some(_) => {
                return Err(StartError::new(format!(
                    "the {} is not the one that this database was made with; restore the former key file",
                    name.replace('_', " ")
                )));
            }
        }
    }
    Ok(())
}

/// The policy to start with: the file's, when the file is the source or the database has none; else the database's.
async fn active_policy(config: &Config, store: &Store) -> Result<(Arc<Policy>, String, bool), StartError> {
    let stored = store.active_policy().await.map_err(StartError::new)?;
    if let (PolicySource::Api, Some((_, text))) = (&config.policy.source, &stored) {
        let policy = Policy::parse(text).map_err(|_| StartError::new("the policy in the database does not load in this version"))?;
        return Ok((Arc::new(policy), text.clone(), false));
    }
    let (policy, text) = read_policy(&config.policy.file)?;
    let changed = stored.is_none_or(|(version, _)| version != policy.version());
    Ok((Arc::new(policy), text, changed))
}

/// Reads and checks a policy file.
///
/// # Errors
/// Every mistake with its place.
pub fn read_policy(file: &Path) -> Result<(Policy, String), StartError> {
    let text = std::fs::read_to_string(file).map_err(|error| StartError::new(format!("policy: {}: {error}", file.display())))?;
    match Policy::parse(&text) {
        Ok(policy) => Ok((policy, text)),
        Err(findings) => {
            let lines: Vec<String> = findings.iter().map(|finding| format!("{}:{finding}", file.display())).collect();
            Err(StartError::new(format!("the policy has mistakes:\n{}", lines.join("\n"))))
        }
    }
}

async fn sync_clients(config: &Config, engine: &Engine) -> Result<(), StartError> {
    let clients = config
        .clients
        .iter()
        .map(|client| ConfiguredClient {
            name: client.name.clone(),
            key_id: client.key.id.clone(),
            key_hash: client.key.hash,
            owner: client.owner.clone(),
            scopes: client.scopes.clone(),
            may_act_for: client.may_act_for.clone(),
        })
        .collect();
    let now = engine.clock.now();
    engine.store.sync_clients(clients, now, &|| ClientId::new(now, engine.random.bytes())).await.map_err(StartError::new)
}

/// How long a stopping server waits for the connections that it has: somebody who sends half a request must not keep it from
/// signing the log's head before whoever stops it loses patience (Kubernetes: 30 s).
const GRACE: Duration = Duration::from_secs(10);

/// How often Slack is asked while something about our installation is not known.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A server that listens.
pub struct Running {
    /// The app, for the demo and tests.
    pub app: App,
    workers: Workers,
    upkeep: tokio::task::JoinHandle<()>,
    stop: tokio::sync::watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
    socket: Option<tokio::task::JoinHandle<Result<(), ConnectorError>>>,
}

/// Starts serving and the background.
#[must_use]
pub fn start(built: Built, listener: TcpListener, metrics: Option<TcpListener>) -> Running {
    let app = App::new(built.parts);
    let workers = Workers::start(&app.engine);
    let stop = tokio::sync::watch::Sender::new(false);
    let upkeep = tokio::spawn(http::metrics::keep_up(app.metrics.clone()));
    if let Some(metrics) = metrics {
        tokio::spawn(http::listen::serve(metrics, http::metrics_router(app.clone()), stop.subscribe()));
    }
    if let Some((slack, intake)) = built.slack {
        tokio::spawn(look_after(slack, intake, built.look_every, stop.subscribe()));
    }
    let socket = built.socket.map(|socket| tokio::spawn(socket.run(stop.subscribe())));
    let server = tokio::spawn(http::listen::serve(listener, http::router(app.clone()), stop.subscribe()));
    Running { app, workers, upkeep, stop, server, socket }
}

/// Asks Slack who we are until it says so, and again after it sent us away.
async fn look_after(slack: Arc<Slack>, intake: Arc<Intake>, every: Duration, mut stop: tokio::sync::watch::Receiver<bool>) {
    loop {
        slack.look_after(&intake).await;
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

impl Running {
    /// Stops: waiting callers are answered with what is known, work in hand is finished, the log's head is signed.
    ///
    /// # Errors
    /// When the server ended with an error.
    pub async fn stop(self) -> std::io::Result<()> {
        self.app.engine.waiters.close();
        self.stop.send_replace(true);
        let mut server = self.server;
        let ended = if let Ok(ended) = tokio::time::timeout(GRACE, &mut server).await {
            ended.map_err(std::io::Error::other)
        } else {
            tracing::warn!("a connection did not end in time; it is cut");
            server.abort();
            Ok(())
        };
        self.upkeep.abort();
        if let Some(socket) = self.socket
            && tokio::time::timeout(GRACE, socket).await.is_err()
        {
            tracing::warn!("the connections to Slack did not end in time");
        }
        self.workers.stop().await;
        if let Err(failure) = self.app.engine.sign_head().await {
            tracing::error!(code = failure.code(), "the head of the log could not be signed at shutdown");
        }
        self.app.engine.store.close().await;
        ended
    }
}
