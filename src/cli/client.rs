//! Owns `countersign client create`: a client in the configured database, with its first key.
//!
//! Never shows a key again and never writes one anywhere: it is printed once. The rules (names, owners, scopes) are the use case's.

use super::output::{Style, visible};
use super::{Context, Stop, check, migrate};
use crate::config::Config;
use crate::config::database::Backend;
use crate::directory::FileDirectory;
use crate::domain::audit::Actor;
use crate::domain::client::Scope;
use crate::domain::field_error::FieldError;
use crate::domain::time::Clock as _;
use crate::engine::Failure;
use crate::engine::admin::{NewClient, NewKey, create_client};
use crate::keys::{self, KeyKind};
use crate::runtime::{SystemClock, SystemRandom};
use crate::store::Store;
use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use secrecy::ExposeSecret as _;
use serde_json::json;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  countersign client create ci-bot --scope requests:write --scope grants:redeem --owner alice@example.com
  countersign client create dashboard --scope requests:read
  countersign client create helpdesk --scope requests:write --owner alice@example.com --may-act-for '*@example.com'
  countersign client create ci-bot --scope requests:write --owner alice@example.com --json | jq -r .key

Scopes:
  requests:write   create requests; read, wait for and cancel its own
  requests:read    read all requests, masked
  grants:redeem    redeem and introspect grants where it is the audience
  policy:read, policy:write, clients:write, audit:read   as named";

/// What to do with clients.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a client and print its key, once
    #[command(after_help = EXAMPLES)]
    Create(Create),
}

/// The new client.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The name; it is the audience of its grants, and the same name is the same client for ever
    name: String,
    /// What it may do; repeat, or separate by commas
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope_parser())]
    scopes: Vec<Scope>,
    /// E-mail address or id of the person answerable for it, who never approves what it asks; required with requests:write
    #[arg(long, value_name = "PERSON")]
    owner: Option<String>,
    /// People in whose name it may ask: a glob over e-mail addresses; repeat for more
    #[arg(long, value_name = "GLOB")]
    may_act_for: Vec<String>,
}

fn scope_parser() -> impl clap::builder::TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|word| Scope::parse(&word).ok_or("unknown scope"))
}

/// Runs one of them.
pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    let Command::Create(create) = command;
    let config = context.load_config()?;
    if config.clients.iter().any(|client| client.name == create.name) {
        return Err(
            Stop::new(1, format!("there is a [[clients]] named \"{}\" in the configuration; its key is given there", create.name)).into()
        );
    }
    let warning = owner_warning(&config, create.owner.as_deref());
    let store = migrate::open(&config.database).await?;
    let new =
        NewClient { name: create.name, scopes: create.scopes.into_iter().collect(), owner: create.owner, may_act_for: create.may_act_for };
    let made = make(&config, &store, new).await;
    store.close().await;
    show(context, &made?, warning.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

async fn make(config: &Config, store: &Store, new: NewClient) -> anyhow::Result<NewKey> {
    store.migrate().await.context("the migrations failed; nothing was created")?;
    // The server makes its keys only beside an empty database, and after this it is not empty any more.
    if config.database.backend() == Some(Backend::Sqlite) && store.is_empty().await? {
        keys::load(&config.secrets.master_key, KeyKind::Master, true)?;
        keys::load(&config.grants.key, KeyKind::Grant, true)?;
        keys::load(&config.audit.checkpoint_key, KeyKind::Audit, true)?;
    }
    create_client(store, SystemClock.now(), &SystemRandom, new, Actor::System).await.map_err(|failure| explain(&failure))
}

/// The owner is nobody now. Not an error: the directory may learn of them later, and until then nothing is approved.
fn owner_warning(config: &Config, owner: Option<&str>) -> Option<String> {
    let people = FileDirectory::check(&config.directory.as_ref()?.file).ok()?;
    let owner = owner?;
    check::owner_problem(owner, &people)
        .map(|problem| format!("the owner {owner} {problem}; until that changes nothing it asks can be approved"))
}

fn explain(failure: &Failure) -> anyhow::Error {
    let Failure::Invalid { errors, .. } = failure else { return anyhow::anyhow!("{failure}") };
    let option = |FieldError { pointer, detail }: &FieldError| match pointer.as_str() {
        "/name" => format!("the name {detail}"),
        "/owner" => format!("--owner {detail}"),
        _ => format!("{pointer} {detail}"),
    };
    anyhow::anyhow!("{}", errors.iter().map(option).collect::<Vec<_>>().join("; "))
}

fn show(context: &Context, made: &NewKey, warning: Option<&str>) -> anyhow::Result<()> {
    let out = context.out;
    let NewKey { client, key, expires_at } = made;
    let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
    if out.json {
        return out.document(&json!({
            "id": client.id,
            "name": client.name,
            "scopes": scopes,
            "owner": client.owner,
            "may_act_for": client.may_act_for,
            "key": key.expose_secret(),
            "expires_at": expires_at,
            "warning": warning,
        }));
    }
    out.line(format!("{} client {} ({})", out.paint(Style::Green, "created:"), out.paint(Style::Bold, &client.name), client.id));
    out.line(format!("  scopes       {}", scopes.join(", ")));
    if let Some(owner) = &client.owner {
        out.line(format!("  owner        {}", visible(owner)));
    }
    if !client.may_act_for.is_empty() {
        out.line(format!("  may act for  {}", visible(&client.may_act_for.join(", "))));
    }
    out.line(format!("  key ends     {expires_at}"));
    out.line("");
    out.line(format!("  {}", key.expose_secret()));
    out.line("");
    out.line("This key is shown now and never again: only its hash is kept. Give it to the client as COUNTERSIGN_TOKEN.");
    if let Some(warning) = warning {
        out.note(format!("{} {}", out.paint_err(Style::Yellow, "warning:"), visible(warning)));
    }
    Ok(())
}
